"""The WebSocket transport: the hand-over from our HTTP port, RFC 6455's rules, and the end."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging

import pytest

from tests.anysocket.stranger import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    connected,
    frame,
    packet,
    stranger_of,
)  # fmt: skip
from tests.raw import until
from wirehop import AnyPeer, AnySocket
from wirehop.errors import AuthError


@pytest.fixture(autouse=True)
def one_line_at_most(caplog: pytest.LogCaptureFixture) -> object:
    """Whoever misbehaves gets one line in the log, and no traceback."""
    caplog.set_level(logging.INFO)
    yield
    assert len(caplog.records) <= 1, [record.getMessage() for record in caplog.records]
    assert not [record for record in caplog.records if record.exc_info]


async def served(server: AnySocket, port: int) -> None:
    """The server is alive and serves someone else."""
    async with AnySocket() as client:
        peer = await client.connect("ws", "127.0.0.1", port)
        server.once("message", lambda packet: packet.reply("served"))
        reply = await peer.send("hello", await_reply=True)
        assert reply is not None
        assert reply.msg == "served"


# --- the hand-over


async def test_the_handshake_is_answered_as_the_rfc_says() -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connected(listener.port) as stranger:
            key = base64.b64encode(b"sixteen bytes ok").decode()
            response = await stranger.upgrade(Sec_WebSocket_Key=key)
        accept = base64.b64encode(
            hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        )
        lines = response.lower().split(b"\r\n")
        assert lines[0] == b"http/1.1 101 switching protocols"
        assert b"sec-websocket-accept: " + accept.lower() in lines
        assert b"upgrade: websocket" in lines
        assert b"connection: upgrade" in lines
        assert not [line for line in lines if b"protocol:" in line or b"extensions" in line]


async def test_frames_that_came_with_the_request_are_not_lost() -> None:
    async with AnySocket() as server:
        server.on("message", lambda packet: packet.reply(packet.msg))
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connected(listener.port) as stranger:
            auth = frame(packet(1, 1, {"id": "0" * 32}))
            questions = b"".join(frame(packet(3, seq, seq)) for seq in range(2, 200))
            await stranger.upgrade(tail=auth + questions)
            assert (await stranger.receive()).startswith("11")
            for seq in range(2, 200):
                assert await stranger.receive() == packet(3, -seq, seq)


async def test_one_byte_at_a_time() -> None:
    async with AnySocket() as server:
        server.on("message", lambda packet: packet.reply(packet.msg))
        async with stranger_of(server) as stranger:
            whole = frame(packet(1, 1, {"id": "0" * 32})) + frame(packet(3, 2, "x" * 200))
            for byte in whole:
                stranger.write(bytes([byte]))
                await asyncio.sleep(0)
            await stranger.receive()
            assert await stranger.receive() == packet(3, -2, "x" * 200)


async def test_an_upgrade_follows_requests_on_one_connection() -> None:
    async with AnySocket() as server:
        server.http.get("/", lambda peer: peer.body("page").end())
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connected(listener.port) as stranger:
            stranger.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            response = await stranger.upgrade()
            assert response.startswith(b"HTTP/1.1 200 ")
            assert (await stranger._reader.readexactly(4)) == b"page"
            assert (await stranger._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            await stranger.authenticate()


@pytest.mark.parametrize(
    ("offered", "selected"), [("null", b"null"), ("chat, other", b"chat"), ("a,b", b"a")]
)
async def test_the_first_subprotocol_is_selected(offered: str, selected: bytes) -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connected(listener.port) as stranger:
            response = await stranger.upgrade(Sec_WebSocket_Protocol=offered)
            assert b"\r\nSec-WebSocket-Protocol: " + selected + b"\r\n" in response


@pytest.mark.parametrize("connection", ["keep-alive, Upgrade", "upgrade", "UPGRADE"])
async def test_what_browsers_call_an_upgrade(connection: str) -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connected(listener.port) as stranger:
            assert (await stranger.upgrade("/any?path", Connection=connection)).startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, {"Sec_WebSocket_Key": None}),
        (400, {"Sec_WebSocket_Key": "c2hvcnQ="}),
        (400, {"Sec_WebSocket_Key": "not base64 at all"}),
        (400, {"Sec_WebSocket_Key": "é" * 24}),
        (426, {"Sec_WebSocket_Version": "12"}),
        (426, {"Sec_WebSocket_Version": None}),
        (400, {"method": "POST"}),
        (400, {"Upgrade": "h2c"}),
        (431, {f"X-{n}": "y" for n in range(2000)}),
    ],
)
async def test_bad_handshakes_are_refused(status: int, request_: dict[str, str]) -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connected(listener.port) as stranger:
            response = await stranger.upgrade(**request_)  # type: ignore[arg-type]
            assert response.startswith(b"HTTP/1.1 %d " % status)
            assert (b"Sec-WebSocket-Version: 13" in response) == (status == 426)
        await served(server, listener.port)


@pytest.mark.parametrize(
    ("origin", "status"), [("https://good.example", 101), ("https://bad.example", 403), (None, 101)]
)
async def test_origins_can_be_limited(origin: str | None, status: int) -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0, allowed_origins={"https://good.example"})
        async with connected(listener.port) as stranger:
            assert (await stranger.upgrade(Origin=origin)).startswith(b"HTTP/1.1 %d " % status)


# --- the rules of RFC 6455


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (1002, frame("x", masked=False)),
        (1002, frame("x", rsv=4)),
        (1002, frame("x", rsv=2)),
        (1002, frame("x", rsv=1)),
        (1002, frame("x", opcode=3)),
        (1002, frame("x", opcode=11)),
        (1002, frame(b"p" * 126, PING)),
        (1002, frame(b"p", PING, fin=False)),
        (1002, frame("x", CONTINUATION)),
        (1002, frame("x", fin=False) + frame("y")),
        (1002, frame((999).to_bytes(2, "big"), CLOSE)),
        (1002, frame(b"\x03", CLOSE)),
        (1007, frame((1000).to_bytes(2, "big") + b"\xff", CLOSE)),
        (1007, frame(b"13\0\0\0\x01\xff\xfe")),
        (1007, frame(b"13\0\0\0\x01\xff", fin=False) + frame(b"x", CONTINUATION)),
        (1007, frame(b"13\0\0\0\x01\xed\xa0\xbd")),
        (1003, frame(b"13", BINARY)),
        (1003, frame(b"13", BINARY, fin=False)),
        (1009, bytes([0x81, 0xFF]) + (1 << 40).to_bytes(8, "big") + b"key!" + b"x" * 10),
        (
            1009,
            b"".join([frame("x", fin=False), *(frame("", CONTINUATION, fin=False) for _ in range(300_000))]),
        ),
    ],
)
@pytest.mark.parametrize("authenticated", [False, True], ids=["stranger", "peer"])
async def test_broken_rules_close_the_connection(code: int, data: bytes, authenticated: bool) -> None:
    async with AnySocket() as server:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.on("disconnected", lambda peer, reason: gone.set_result(reason))
        async with stranger_of(server, authenticated=authenticated) as stranger:
            stranger.write(data)
            assert await stranger.closed() == code
            if authenticated:
                assert await gone == "Invalid Packet!"
        await served(server, server._open[0].port)


async def test_who_breaks_a_rule_while_it_is_sending_is_not_reset() -> None:
    async with AnySocket() as server:
        async with stranger_of(server, authenticated=True) as stranger:
            (peer,) = server._connections
            stranger.write(frame("x", masked=False))
            assert await stranger.closed() == 1002
            connection = peer._connection
            before = connection.bytes_in
            stranger.write(bytes(100_000))
            await until(lambda: connection.bytes_in >= before + 100_000)
        await until(lambda: not server._connections)


async def test_who_breaks_a_rule_and_goes_on_is_cut_by_the_close_timeout() -> None:
    got: list[object] = []
    async with AnySocket() as server:
        server.on("message", got.append)
        async with stranger_of(server, authenticated=True, close_timeout=0.05) as stranger:
            stranger.write(frame("x", masked=False))
            assert (await stranger.read_frame())[0] == CLOSE
            stranger.write(frame(packet(3, 2, "dropped")))
            await until(lambda: not server._connections)
    assert got == []


async def test_fragments_are_one_message_with_control_frames_in_between() -> None:
    async with AnySocket() as server:
        server.on("message", lambda packet: packet.reply(packet.msg))
        async with stranger_of(server, authenticated=True) as stranger:
            message = packet(3, 2, "é漢😀").encode()
            stranger.write(frame(message[:9], fin=False) + frame(b"hi", PING))
            for at in range(9, len(message)):
                stranger.write(frame(message[at : at + 1], CONTINUATION, fin=False))
            stranger.write(frame(b"", PONG) + frame(b"", CONTINUATION))
            assert await stranger.read_frame() == (PONG, b"hi")
            assert await stranger.receive() == packet(3, -2, "é漢😀")


async def test_empty_frames_may_not_eat_the_memory() -> None:
    async with (
        AnySocket() as server,
        stranger_of(server, authenticated=True, max_frame_size=1 << 17) as stranger,
    ):
        stranger.write(frame("1", fin=False) + frame("", CONTINUATION, fin=False) * 3000)
        assert await stranger.closed() == 1009


async def test_pings_that_are_not_read_end_the_connection() -> None:
    async with AnySocket() as server:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.on("disconnected", lambda peer, reason: gone.set_result(reason))
        async with stranger_of(
            server, authenticated=True, send_limit=1 << 16, high_water=1 << 14
        ) as stranger:
            stranger.stop_reading()
            flood = frame(b"p" * 125, PING) * 5000
            while not gone.done():
                stranger.write(flood)
                await asyncio.sleep(0)
            assert "waiting to be read" in await gone


# --- the end


async def test_a_close_is_answered_with_its_code() -> None:
    for code in (
        b"",
        (1000).to_bytes(2, "big"),
        (1001).to_bytes(2, "big") + b"leaving",
        (4321).to_bytes(2, "big"),
    ):
        async with AnySocket() as server:
            gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            server.on("disconnected", lambda peer, reason, gone=gone: gone.set_result(reason))
            async with stranger_of(server, authenticated=True) as stranger:
                stranger.write(frame(code, CLOSE))
                assert await stranger.read_frame() == (CLOSE, code[:2])
                assert await stranger.read_all() == b""
                assert await gone == "Remote Connection Closed"


async def test_a_close_that_is_never_answered_is_cut() -> None:
    quick = {"authenticated": True, "close_timeout": 0.05}
    async with AnySocket() as server, stranger_of(server, **quick) as stranger:
        (peer,) = server.peers.values()
        await peer.disconnect("bye")
        opcode, payload = await stranger.read_frame()
        assert (opcode, payload[:2]) == (CLOSE, (1000).to_bytes(2, "big"))


async def test_what_comes_after_our_close_is_ignored() -> None:
    messages = []
    async with AnySocket() as server:
        server.on("message", messages.append)
        async with stranger_of(server, authenticated=True) as stranger:
            (peer,) = server.peers.values()
            end = peer.disconnect("bye")
            stranger.send(packet(3, 2, "too late"))
            assert await stranger.closed() == 1000
            await end
    assert not messages


async def test_a_connection_that_is_reset_ends_the_peer() -> None:
    async with AnySocket() as server:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.on("disconnected", lambda peer, reason: gone.set_result(reason))
        async with stranger_of(server, authenticated=True) as stranger:
            stranger._writer.transport.abort()
            assert await gone == "Remote Connection Closed"


# --- the client's side


async def raw_server(answer: bytes) -> tuple[asyncio.Server, int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


REFUSALS = [
    b"",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 403 Forbidden\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: wrong\r\n\r\n",
]


@pytest.mark.parametrize("answer", REFUSALS)
async def test_a_server_that_refuses_raises_auth_error(answer: bytes) -> None:
    server, port = await raw_server(answer)
    async with server, AnySocket() as client:
        with pytest.raises(AuthError):
            await client.connect("ws", "127.0.0.1", port)


async def test_nothing_listens() -> None:
    server, port = await raw_server(b"")
    server.close()
    await server.wait_closed()
    async with AnySocket() as client:
        with pytest.raises(ConnectionRefusedError):
            await client.connect("ws", "127.0.0.1", port)


async def test_a_server_that_breaks_the_rules_is_left() -> None:
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        peer.on("disconnected", lambda peer, reason: gone.set_result(reason))
        (theirs,) = server.peers.values()
        # A masked frame, which only clients send.
        theirs._connection.output.write(frame("x"))
        assert await gone == "Invalid Packet!"


async def test_batches_leave_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with AnySocket() as server:
        server.on("message", lambda packet: packet.reply(packet.msg))
        async with stranger_of(server, authenticated=True) as stranger:
            (peer,) = server.peers.values()
            output = peer._connection.output
            writes = []
            monkeypatch.setattr(type(output), "flush", counting(type(output).flush, writes))
            stranger.send(*(packet(3, seq, "x") for seq in range(2, 12)))
            for _ in range(10):
                await stranger.receive()
            assert len(writes) == 1
            stranger.send(*(packet(3, seq, "x") for seq in range(12, 52)))
            for _ in range(40):
                await stranger.receive()
            assert len(writes) == 1 + 2


def counting(method: object, calls: list[int]) -> object:
    def counted(self: object) -> None:
        calls.append(1)
        method(self)  # type: ignore[operator]

    return counted


async def test_the_frame_of_a_peer_is_text() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        assert isinstance(peer, AnyPeer)
        await peer.send("hi")
        assert await stranger.read_frame() == (TEXT, b'13\0\0\0\x02"hi"')
