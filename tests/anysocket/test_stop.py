"""``stop`` and ``close``: nobody new, what was promised goes out, and an end in any case."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.anysocket.site import port_of, site
from tests.anysocket.stranger import CLOSE, TEXT, connected, packet, stranger_of
from tests.node.recording import nobody_accepts
from tests.node.serving import get, post
from tests.raw import Raw, connect, until
from wirehop import AnyHTTPPeer, AnyPacket, AnySocket
from wirehop.errors import AuthError, ConnectionClosed


async def is_refused(port: int) -> bool:
    try:
        async with connect(port):
            return False
    except ConnectionRefusedError:
        return True


class Gate:
    """A route that waits until it may answer."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, peer: AnyHTTPPeer) -> None:
        self.entered.set()
        await self.open.wait()
        peer.body("in time").end()


# --- HTTP


async def test_an_http_answer_in_flight_goes_out_and_nobody_new_comes_in() -> None:
    async with site() as (server, router, raw):
        gate = Gate()
        router.get("/", gate)
        port = port_of(server)
        async with connect(port) as idle:
            await raw.send(get())
            await gate.entered.wait()
            stopping = asyncio.create_task(server.stop())
            # Who is owed nothing is let go at once.
            assert await idle.read_all() == b""
            assert await is_refused(port)
            assert not stopping.done()
            gate.open.set()
            response = await raw.response()
            assert (response.body, response.header("connection")) == (b"in time", "close")
            assert await raw.read_all() == b""
            await stopping


async def test_a_plain_route_that_answers_later_and_in_pieces_is_waited_for() -> None:
    async with site() as (server, router, raw):
        peers: list[AnyHTTPPeer] = []
        router.get("/", peers.append)
        await raw.send(get())
        await until(lambda: peers)
        stopping = asyncio.create_task(server.stop())
        await until(lambda: not server._open)
        peers[0].write("first ")
        await asyncio.sleep(0)
        peers[0].body("last").end()
        assert (await raw.response()).body == b"first last"
        await stopping


async def test_a_request_that_is_being_received_is_answered() -> None:
    async with site() as (server, router, raw):
        router.post("/", lambda peer: peer.body(peer.query.body).end())
        asked = post("/", b"body")
        await raw.send(asked[:-1])
        await until(
            lambda: any(connection._is_receiving() for connection in server._open[0]._server.connections)
        )
        stopping = asyncio.create_task(server.stop())
        await until(lambda: not server._open)
        await raw.send(asked[-1:])
        assert (await raw.response()).body == b"body"
        await stopping


async def test_what_takes_longer_is_cut() -> None:
    async with site() as (server, router, raw):
        gate = Gate()
        ends: list[str] = []

        @router.get("/async")
        async def never(peer: AnyHTTPPeer) -> None:
            try:
                await gate(peer)
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise

        router.get("/plain", lambda peer: None)
        async with connect(port_of(server)) as other:
            await other.send(get("/plain"))
            await raw.send(get("/async"))
            await gate.entered.wait()
            await server.stop(timeout=0.05)
            for client in (raw, other):
                assert await end_of(client) == b""
            await until(lambda: ends == ["cancelled"])


async def end_of(raw: Raw) -> bytes:
    try:
        return await raw.read_all()
    except ConnectionResetError:
        return b""


async def test_closing_one_listener_leaves_the_others() -> None:
    async with site() as (server, router, raw):
        gate = Gate()
        router.get("/", gate)
        router.get("/quick", lambda peer: peer.body("here").end())
        first = server._open[0]
        second = await server.listen("http", ip="127.0.0.1", port=0)
        await raw.send(get())
        await gate.entered.wait()
        closing = asyncio.create_task(first.close())
        async with connect(second.port) as other:
            assert (await other.ask(get("/quick"))).body == b"here"
            gate.open.set()
            assert (await raw.response()).body == b"in time"
            await closing
            assert (await other.ask(get("/quick"))).body == b"here"
        assert server._open == [second]


async def test_a_listener_that_closes_cuts_what_takes_too_long() -> None:
    async with site() as (server, router, raw):
        gate = Gate()
        router.get("/", gate)
        await raw.send(get())
        await gate.entered.wait()
        await server._open[0].close(timeout=0.05)
        assert await end_of(raw) == b""
        gate.open.set()


# --- peers


async def test_replies_and_results_in_flight_go_out() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    async def slow(peer: object) -> str:
        await gate.wait()
        return "result"

    async with AnySocket(rpc={"slow": slow}) as server, AnySocket() as client:

        @server.on("message")
        async def answer(packet: AnyPacket) -> None:
            entered.set()
            await gate.wait()
            packet.reply("reply")

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        result = asyncio.ensure_future(peer.rpc.slow())
        reply = peer.send("?", await_reply=True)
        await entered.wait()
        stopping = asyncio.create_task(server.stop())
        await until(lambda: not server._open)
        assert await is_refused(listener.port)
        gate.set()
        assert (await reply).msg == "reply"  # type: ignore[union-attr]
        assert await result == "result"
        await stopping
        with pytest.raises(ConnectionClosed):
            await peer.send("?", await_reply=True)


@pytest.mark.parametrize("is_in_time", [True, False])
async def test_peers_are_told_that_we_go_away(is_in_time: bool) -> None:
    async with AnySocket() as server:
        entered = asyncio.Event()

        @server.on("message")
        async def never(packet: AnyPacket) -> None:
            entered.set()
            await asyncio.Event().wait()

        async with stranger_of(server, authenticated=True) as stranger:
            if not is_in_time:
                stranger.send(packet(3, 2, "?"))
                await entered.wait()
            stopping = asyncio.create_task(server.stop(timeout=5.0 if is_in_time else 0.05))
            assert await stranger.read_frame() == (CLOSE, (1001).to_bytes(2, "big") + b"going away")
            stranger.write(b"\x88\x82\0\0\0\0\x03\xe9")
            await stopping
            assert not server._connections


async def test_a_slow_reader_gets_all_that_was_sent_before_the_close() -> None:
    options = {"authenticated": True, "close_timeout": 1.0}
    async with AnySocket() as server, stranger_of(server, **options) as stranger:
        stranger.stop_reading()
        stranger.take_little()
        (peer,) = server.peers.values()
        for number in range(80):
            peer.send(f"{number:03}" + "x" * 200_000)
        stopping = asyncio.create_task(server.stop(timeout=30))
        await until(lambda: not server.peers)
        transport: Any = stranger._writer.transport
        for number in range(80):
            transport.resume_reading()
            opcode, payload = await stranger.read_frame()
            assert (opcode, payload[7:10]) == (TEXT, f"{number:03}".encode())
            transport.pause_reading()
            # More than twice the timeout in all, in steps that are much shorter.
            await asyncio.sleep(0.03)
        transport.resume_reading()
        assert (await stranger.read_frame())[0] == CLOSE
        stranger.write(b"\x88\x82\0\0\0\0\x03\xe9")
        await stopping


async def test_who_does_not_read_is_cut_by_the_close_timeout() -> None:
    options = {"authenticated": True, "close_timeout": 0.05}
    async with AnySocket() as server, stranger_of(server, **options) as stranger:
        stranger.stop_reading()
        (peer,) = server.peers.values()
        for _ in range(100):
            peer.send("x" * 200_000)
        await server.stop(timeout=30)
        assert not server._connections


async def test_a_client_that_stops_is_gone_by_the_timeout() -> None:
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await client.connect("ws", "127.0.0.1", listener.port)
        # It will not see the Close, and not answer it.
        server.peers[client.id]._connection.pause_reading()
        await client.stop(timeout=0.05)
        assert not client._connections
        server.peers[client.id]._connection.resume_reading()


async def test_a_stranger_whose_auth_is_being_decided_does_not_get_in() -> None:
    entered = asyncio.Event()

    async def decide(packet: object) -> bool:
        entered.set()
        await asyncio.Event().wait()
        return True

    async with AnySocket(on_auth=decide) as server, stranger_of(server) as stranger:
        connected_: list[object] = []
        server.on("connected", connected_.append)
        stranger.send(packet(1, 1, {"id": "0" * 32}))
        await entered.wait()
        await server.stop(timeout=0.05)
        assert connected_ == []
        assert not server._connections


async def test_an_upgrade_behind_an_answer_that_is_due_is_not_taken_after_stop() -> None:
    async with AnySocket() as server:
        gate = Gate()
        server.http.get("/", gate)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connected(listener.port) as stranger:
            stranger.write(get())
            await gate.entered.wait()
            upgrade = asyncio.create_task(stranger.upgrade())
            await asyncio.sleep(0)
            stopping = asyncio.create_task(server.stop())
            await until(lambda: not server._open)
            gate.open.set()
            assert (await upgrade).startswith(b"HTTP/1.1 200 ")
            # The end is waited for: who sends more shall not lose the answer to a reset.
            assert b"101 Switching" not in await stranger.read_all()
            await stranger.close()
            await stopping
        assert not server._connections


# --- a message that is the end of its reader


async def test_a_request_that_cuts_its_own_peer_fails() -> None:
    async with AnySocket() as server:
        limits = {"send_limit": 1 << 20, "high_water": 1 << 18}
        async with stranger_of(server, authenticated=True, **limits) as stranger:
            stranger.stop_reading()
            (peer,) = server.peers.values()
            requests = [peer.send("x" * 200_000, await_reply=True) for _ in range(100)]
            for request in requests:
                with pytest.raises(ConnectionClosed):
                    await request


async def test_stop_gives_up_connecting() -> None:
    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(says_nothing, "127.0.0.1", 0) as silent, AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        client = AnySocket()
        server.on_auth = lambda packet: client_decides.wait()  # type: ignore[method-assign, assignment, return-value]
        client_decides = asyncio.Event()
        with nobody_accepts() as full:
            # In each phase: TCP, the handshake of WebSocket, the authentication.
            ports = (full, silent.sockets[0].getsockname()[1], listener.port)
            attempts = [
                asyncio.ensure_future(client.connect("ws", "127.0.0.1", port, auth_timeout=3600))
                for port in ports
            ]
            await until(lambda: server._connections)
            await client.stop()
            for attempt in attempts:
                with pytest.raises(AuthError, match="Local Connection Closed"):
                    await attempt
        assert not client._attempts
        # It may connect again.
        client_decides.set()
        assert (await client.connect("ws", "127.0.0.1", listener.port)).id == server.id
        await client.stop()


async def test_stop_gives_up_only_its_own_attempts() -> None:
    async with AnySocket() as one, AnySocket() as other, AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        connecting = asyncio.ensure_future(one.connect("ws", "127.0.0.1", listener.port))
        await asyncio.sleep(0)
        await other.stop()
        assert (await connecting).id == server.id
