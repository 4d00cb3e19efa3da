"""What a connection leaves behind is freed at once: the collector comes late, and after thousands of
connections there would be tens of megabytes for it."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.raw import connect
from wirehop import AnyPacket, AnySocket, SockhopClient, SockhopServer
from wirehop.node import http, tcp

TIMES = 5


async def left_by(scenario: Callable[[], Awaitable[None]]) -> Counter[str]:
    """What of ours only the collector would free."""
    # What is made once is not left behind.
    await scenario()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(TIMES):
            await scenario()
        gc.collect()
        kinds = [type(thing) for thing in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    return Counter(kind.__qualname__ for kind in kinds if kind.__module__.startswith("wirehop"))


async def echo(packet: AnyPacket) -> None:
    await asyncio.sleep(0)
    packet.reply(packet.msg)


async def test_peers() -> None:
    async with AnySocket() as server, AnySocket() as client:
        server.on("message", echo)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)

        async def scenario() -> None:
            gone = asyncio.Event()
            server.once("disconnected", lambda peer, reason: gone.set())
            peer = await client.connect("ws", "127.0.0.1", listener.port)
            await peer.e2e()
            await peer.send("hello", await_reply=True)
            await peer.disconnect()
            await gone.wait()

        assert await left_by(scenario) == {}


async def test_relayed_peers() -> None:
    async with AnySocket() as relay, AnySocket() as one, AnySocket() as other:
        relay.can_proxy = lambda peer_id, other_peer_id: True
        other.on("message", echo)
        listener = await relay.listen("ws", ip="127.0.0.1", port=0)

        async def scenario() -> None:
            gone = asyncio.Event()
            left = [peer.id for peer in (one, other)]

            def disconnected(peer: object, reason: str) -> None:
                left.pop()
                if not left:
                    gone.set()

            relay.on("disconnected", disconnected)
            direct = [await end.connect("ws", "127.0.0.1", listener.port) for end in (one, other)]
            peer = await one.proxy(other.id, relay.id)
            await peer.e2e()
            await peer.send("hello", await_reply=True)
            await peer.disconnect()
            for end in direct:
                await end.disconnect()
            await gone.wait()
            relay.off("disconnected", disconnected)

        assert await left_by(scenario) == {}


async def test_a_handshake_that_breaks_off() -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)

        async def scenario() -> None:
            async with connect(listener.port) as raw:
                await raw.send(
                    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                )
                await raw.read_until(b"\r\n\r\n")

        assert await left_by(scenario) == {}


async def test_sockhop_sessions() -> None:
    async with SockhopServer(port=0) as server:
        server.on("request", lambda req, res, meta: [meta.session.send("a value"), res.send(req.data)])

        async def scenario() -> None:
            gone = asyncio.Event()
            server.once("disconnect", lambda sock, session: gone.set())
            received = asyncio.Event()
            async with SockhopClient(port=server.port) as client:
                client.on("receive", lambda value, meta: received.set())
                await client.request("hello").next()
                await received.wait()
            await gone.wait()

        left = await left_by(scenario)
        # A connection and its session know each other, and who has one may want the other.
        assert left["Link"] == left["SockhopSession"] == TIMES
        assert left["SockhopClient"] == left["_Carrier"] == 0


async def test_http_connections() -> None:
    server = http.create_server(lambda request, response: response.respond(200))
    await server.listen(0, "127.0.0.1")

    async def scenario() -> None:
        async with connect(server.port) as raw:
            await raw.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await server.closed()

    left = await left_by(scenario)
    server.close()
    assert left == {}


async def test_tcp_connections() -> None:
    def connected(connection: tcp.Connection) -> None:
        connection.send(b"hello")
        connection.full_close()

    server = tcp.create_server(connected)
    await server.listen(0, "127.0.0.1")

    async def scenario() -> None:
        async with connect(server.port) as raw:
            assert await raw.read_all() == b"hello"

    left = await left_by(scenario)
    server.close()
    assert left == {}
