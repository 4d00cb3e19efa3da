"""Each option of ``listen`` and ``connect`` does what it says, for its own connections only.

Elsewhere: reply_timeout, max_pending_replies and, for peers, high_water, send_limit and send_timeout
in test_anysocket; auth_timeout and the sizes and times of packets in test_threats; max_frame_size,
close_timeout and allowed_origins in test_ws; body_limit in test_http_router; cookies, headers and
path in test_cookies; cert, key, ca and ssl_context in test_tls.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from typing import Any

import pytest

from tests.anysocket.site import port_of, site
from tests.anysocket.stranger import Stranger, connected, packet, stranger_of
from tests.node.serving import get, post, request
from tests.raw import connect, until
from wirehop import AnyHTTPPeer, AnyPeer, AnySocket
from wirehop.errors import ConnectionClosed, ReplyTimeout

PING = "15\0\0\0"


def reasons_of(server: AnySocket) -> asyncio.Queue[str]:
    reasons: asyncio.Queue[str] = asyncio.Queue()
    server.on("disconnected", lambda peer, reason: reasons.put_nowait(reason))
    return reasons


# --- where


async def test_ip_and_port() -> None:
    async with AnySocket() as server:
        everywhere = await server.listen("http", 0)
        assert everywhere.host == "0.0.0.0"
        assert everywhere.port > 0
        here = await server.listen("http", ip="127.0.0.1", port=0)
        assert here.host == "127.0.0.1"
        for host, listener, is_there in (
            ("127.0.0.1", everywhere, True),
            ("127.0.0.2", everywhere, True),
            ("127.0.0.1", here, True),
            ("127.0.0.2", here, False),
        ):
            try:
                _, writer = await asyncio.open_connection(host, listener.port)
            except ConnectionRefusedError:
                assert not is_there
            else:
                assert is_there
                writer.close()
                await writer.wait_closed()


async def test_a_port_that_is_taken_and_an_address_that_is_not_ours() -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(OSError, match="in use"):
            await server.listen("ws", ip="127.0.0.1", port=listener.port)
        with pytest.raises(OSError):
            await server.listen("ws", ip="203.0.113.1", port=0)
        assert server._open == [listener]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"port": 65_536}, ValueError),
        ({"port": -1}, ValueError),
        ({"port": "3000"}, TypeError),
        ({"max_head": 0}, ValueError),
        ({"max_headers": -1}, ValueError),
        ({"max_pipelined": None}, ValueError),
        ({"head_timeout": math.nan}, ValueError),
        ({"request_timeout": "1"}, ValueError),
        ({"idle_timeout": 0}, ValueError),
        ({"allowed_origins": "https://good.example"}, TypeError),
        ({"cookies": {}}, TypeError),
    ],
)
async def test_values_that_make_no_sense(options: dict[str, Any], error: type[Exception]) -> None:
    async with AnySocket() as server:
        with pytest.raises(error):
            await server.listen("ws", **{"ip": "127.0.0.1", "port": 0, **options})
        assert server._open == []


# --- heartbeats


async def test_a_peer_that_is_silent_is_asked_and_gone_after_what_it_may_miss() -> None:
    async with AnySocket() as server:
        reasons = reasons_of(server)
        options = {"heartbeat_interval": 0.05, "heartbeats_max_missed": 3}
        async with stranger_of(server, authenticated=True, **options) as stranger:
            for _ in range(3):
                assert (await stranger.receive()).startswith(PING)
            assert await reasons.get() == "Missed Heartbeats"


async def test_a_heartbeat_timeout_ends_it_sooner() -> None:
    async with AnySocket() as server:
        reasons = reasons_of(server)
        options = {"heartbeat_interval": 0.05, "heartbeats_max_missed": 1000, "heartbeat_timeout": 0.1}
        async with stranger_of(server, authenticated=True, **options) as stranger:
            assert (await stranger.receive()).startswith(PING)
            assert await reasons.get() == "Missed Heartbeats"


async def test_without_heartbeats_nobody_asks() -> None:
    async with AnySocket() as server:
        server.on("message", lambda packet: packet.reply("here"))
        quiet = {"heartbeat_interval": 0.02, "heartbeat_enabled": False}
        async with (
            stranger_of(server, authenticated=True, **quiet) as unasked,
            stranger_of(server, heartbeat_interval=0.02) as asked,
        ):
            await asked.authenticate("1" * 32)
            for seq in range(2, 6):
                assert (await asked.receive()).startswith(PING)
                asked.send(packet(5, seq, 2))
            unasked.send(packet(3, 2, "?"))
            assert await unasked.receive() == packet(3, -2, "here")


# --- the system's probes


def probes(peer: AnyPeer) -> tuple[int, int]:
    """Whether the system probes the connection, and after how many seconds."""
    sock = peer._connection.output.get_extra_info("socket")
    with socket.socket(fileno=socket.dup(sock.fileno())) as own:
        return (
            own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            own.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        )


@pytest.mark.parametrize(("given", "delay"), [(12.4, 12), (0.1, 1)])
async def test_tcp_keep_alive_on_both_sides(given: float, delay: int) -> None:
    alive: dict[str, Any] = {"tcp_keep_alive": True, "tcp_keep_alive_initial_delay": given}
    async with AnySocket() as server, AnySocket() as one, AnySocket() as two:
        listener = await server.listen("ws", ip="127.0.0.1", port=0, **alive)
        plain = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await one.connect("ws", "127.0.0.1", listener.port)
        assert probes(server.peers[one.id]) == (1, delay)
        assert probes(peer) != (1, delay)
        peer = await two.connect("ws", "127.0.0.1", plain.port, **alive)
        assert probes(peer) == (1, delay)
        assert probes(server.peers[two.id]) != (1, delay)


# --- HTTP


async def test_max_head_and_max_headers() -> None:
    async with site(max_head=1000, max_headers=5) as (server, router, raw):
        router.get("/", lambda peer: peer.end())
        assert (await raw.ask(get("/", "X: " + "x" * 800, "Y: z"))).status == 200
        for asked in (get("/", "X: " + "x" * 1000), get("/", *(f"X-{n}: y" for n in range(5)))):
            async with connect(port_of(server)) as other:
                assert (await other.ask(asked)).status == 431
        async with connect(port_of(server)) as other:
            assert (await other.ask(get("/" + "x" * 1000))).status == 414


async def test_head_timeout() -> None:
    async with site(head_timeout=0.1) as (server, _, raw):
        await raw.send(b"GET / HTTP/1.1\r\nHo")
        assert (await raw.response()).status == 408
        async with connect(port_of(server)) as silent:
            assert await silent.read_all() == b""


async def test_request_timeout() -> None:
    async with site(request_timeout=0.1) as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        called: list[AnyHTTPPeer] = []
        router.post("/", called.append)
        await raw.send(post("/", b"body")[:-1])
        assert (await raw.response()).status == 408
        assert (called, errors) == ([], [])


async def test_idle_timeout() -> None:
    async with site(idle_timeout=0.1) as (_, router, raw):
        router.get("/", lambda peer: peer.end())
        assert (await raw.ask(get())).status == 200
        assert await raw.read_all() == b""


async def test_max_pipelined() -> None:
    async with site(max_pipelined=3) as (_, router, raw):
        held: list[AnyHTTPPeer] = []
        router.get("/", held.append)
        # Larger than what the parser gets at once.
        await raw.send(get("/", "X: " + "x" * 2100) * 10)
        await until(lambda: len(held) >= 3)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(held) < 6
        done = 0
        while done < 10:
            await until(lambda done=done: len(held) > done)  # type: ignore[misc]
            held[done].body(str(done)).end()
            assert (await raw.response()).body == str(done).encode()
            done += 1


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"send_limit": 1 << 16}, "more than 65536 bytes were waiting to be read"),
        ({"high_water": 1 << 16, "send_timeout": 0.05}, "nothing was read for 0.05 s"),
    ],
)
async def test_who_does_not_read_an_answer_is_cut(limits: dict[str, Any], reason: str) -> None:
    reasons: asyncio.Queue[str] = asyncio.Queue()

    async def large(peer: AnyHTTPPeer) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            await peer.body(bytes(32 << 20)).end()
        reasons.put_nowait(str(closed.value))

    async with site(**limits) as (server, router, raw):
        router.get("/", large)
        await raw.send(get())
        assert await reasons.get() == reason
        router.get("/small", lambda peer: peer.end())
        async with connect(port_of(server)) as other:
            assert (await other.ask(get("/small"))).status == 200


# --- options belong to a connection


async def test_two_listeners_and_two_connections_have_options_of_their_own() -> None:
    async with AnySocket() as server, AnySocket() as one, AnySocket() as two:
        strict = await server.listen("ws", ip="127.0.0.1", port=0, max_message_size=1000, body_limit=10)
        lenient = await server.listen("ws", ip="127.0.0.1", port=0)
        server.http.post("/", lambda peer: peer.end())
        reasons = reasons_of(server)
        hasty = await one.connect("ws", "127.0.0.1", strict.port, reply_timeout=0.05)
        patient = await two.connect("ws", "127.0.0.1", lenient.port)
        waiting = patient.send("?", await_reply=True)
        with pytest.raises(ReplyTimeout):
            await hasty.send("?", await_reply=True)
        server.on("message", lambda packet: packet.reply(len(packet.msg)))
        assert (await patient.send("x" * 2000, await_reply=True)).msg == 2000  # type: ignore[union-attr]
        hasty.send("x" * 2000)
        assert await reasons.get() == "Invalid Packet!"
        assert list(server.peers) == [two.id]
        for listener, status in ((strict, 413), (lenient, 200)):
            async with connect(listener.port) as raw:
                assert (
                    await raw.ask(request("POST", "/", "Content-Length: 11") + b"x" * 11)
                ).status == status
        await two.stop()
        with pytest.raises(ConnectionClosed):
            await waiting


async def test_ws_that_joins_a_listener_brings_the_options_of_its_peers() -> None:
    async with AnySocket() as server:
        listener = await server.listen("http", ip="127.0.0.1", port=0)
        assert (
            await server.listen("ws", auth_timeout=0.1, allowed_origins=["https://good.example"]) is listener
        )
        async with connected(listener.port) as stranger:
            assert (await stranger.upgrade(Origin="https://bad.example")).startswith(b"HTTP/1.1 403 ")
        async with connected(listener.port) as stranger:
            assert (await stranger.upgrade(Origin="https://good.example")).startswith(b"HTTP/1.1 101 ")
            assert await stranger.closed() == 1008


# --- a broadcast that one does not read (case 51)


async def test_who_never_reads_a_broadcast_is_cut_and_nobody_else_notices(
    caplog: pytest.LogCaptureFixture,
) -> None:
    count, size = 200, 50_000
    limits = {"send_limit": 1 << 20, "high_water": 1 << 18}
    async with AnySocket() as server:
        reasons = reasons_of(server)
        listener = await server.listen("ws", ip="127.0.0.1", port=0, **limits)

        async def reads_all(stranger: Stranger) -> list[str]:
            return [(await stranger.receive())[6:10] for _ in range(count)]

        async with (
            connected(listener.port) as slow,
            connected(listener.port) as one,
            connected(listener.port) as two,
        ):
            for digit, stranger in enumerate((slow, one, two)):
                await stranger.upgrade()
                await stranger.authenticate(str(digit) * 32)
            slow.stop_reading()
            readers = [asyncio.create_task(reads_all(stranger)) for stranger in (one, two)]
            for number in range(count):
                server.broadcast(f"{number:03}" + "x" * size)
                # Not of the slow one, whom nobody waits for.
                for id, peer in list(server.peers.items()):
                    if not id.startswith("0"):
                        await peer._connection.output
            assert await reasons.get() == "more than 1048576 bytes were waiting to be read"
            for reader in readers:
                assert await reader == [f'"{number:03}' for number in range(count)]
            assert sorted(id[0] for id in server.peers) == ["1", "2"]
            await server.broadcast("still here")
            for stranger in (one, two):
                assert (await stranger.receive()).endswith('"still here"')
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert len(warnings) <= 1, warnings
