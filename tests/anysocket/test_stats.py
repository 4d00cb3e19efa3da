"""What a peer says of what went over its link."""

from __future__ import annotations

import asyncio

from tests.interop.npm import npm
from wirehop import AnyPacket, AnyPeer, AnySocket
from wirehop.anysocket import Stats


async def test_what_is_counted() -> None:
    async with AnySocket(rpc={"add": lambda a, b, peer: a + b}) as server, AnySocket() as client:
        server.on("message", lambda packet: packet.reply("x" * 1000))
        arrived: asyncio.Future[AnyPeer] = asyncio.get_running_loop().create_future()
        server.once("connected", arrived.set_result)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        theirs = await arrived
        # One AUTH each way, and the handshake.
        assert peer.stats[:2] == theirs.stats[:2] == (1, 1)
        before, their_before = peer.stats, theirs.stats
        for _ in range(3):
            await peer.send("ask", await_reply=True)
        assert await peer.rpc.add(1, 2) == 3
        await peer.send("no answer is awaited")
        waiting = asyncio.ensure_future(peer.send("nor here", await_reply=True))
        assert peer.stats.pending == 1
        await waiting
        after, their_after = peer.stats, theirs.stats
        assert after.packets_out - before.packets_out == 6
        assert after.packets_in - before.packets_in == 6
        assert (their_after.packets_in, their_after.packets_out) == (after.packets_out, after.packets_in)
        # The heads: 4 bytes of a WebSocket frame (2 of a small one), and those of a packet, in which
        # a negative number takes two bytes for each of its own.
        said, result = 4 + 10 + len('"' + "x" * 1000 + '"'), 2 + 10 + len('{"result":3,"bin":false}')
        assert their_after.bytes_out - their_before.bytes_out == 5 * said + result
        assert after.bytes_in - before.bytes_in == their_after.bytes_out - their_before.bytes_out
        assert their_after.bytes_in - their_before.bytes_in == after.bytes_out - before.bytes_out
        assert (after.queued, after.pending, after.rtt) == (0, 0, None)
        beat = asyncio.get_running_loop().create_future()
        peer.once("heartbeat", beat.set_result)
        peer.heartbeat()
        await beat
        assert peer.stats.rtt == peer.lag
        await peer.disconnect()
        assert peer.stats[:2] == (after.packets_in + 1, after.packets_out + 1)


async def test_a_reader_that_is_slow_has_a_queue() -> None:
    async with AnySocket() as server, AnySocket() as client:
        arrived: asyncio.Future[AnyPeer] = asyncio.get_running_loop().create_future()
        server.once("connected", arrived.set_result)
        listener = await server.listen("ws", ip="127.0.0.1", port=0, send_limit=100 << 20)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        theirs = await arrived
        peer._connection.pause_reading()
        message = "x" * (8 << 20)
        for _ in range(4):
            sent = theirs.send(message)
        stats: Stats = theirs.stats
        assert stats.packets_out == 5
        assert stats.queued > len(message)
        came: asyncio.Queue[AnyPacket] = asyncio.Queue()
        client.on("message", came.put_nowait)
        peer._connection.resume_reading()
        for _ in range(4):
            await came.get()
        await sent
        assert theirs.stats.queued == 0
        # The chunks of a message are one packet.
        assert peer.stats.packets_in == 5


async def test_npm_is_counted_too() -> None:
    async with AnySocket() as server, npm() as js:
        arrived: asyncio.Future[AnyPeer] = asyncio.get_running_loop().create_future()
        server.once("connected", arrived.set_result)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await js("connect", "127.0.0.1", listener.port)
        peer = await arrived
        reply = await peer.send({"n": 1}, await_reply=True)
        assert reply is not None
        assert peer.stats[:2] == (2, 2)
