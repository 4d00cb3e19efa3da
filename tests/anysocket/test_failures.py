"""What the user's own code does wrong, and our limits: who hears of it, and that nobody else does."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.anysocket.site import port_of, site
from tests.anysocket.stranger import packet, stranger_of
from tests.node.serving import get
from tests.programs import free_port
from tests.raw import connect, until
from wirehop import AnyHTTPPeer, AnyPacket, AnyPeer, AnySocket
from wirehop.anysocket.wire.protocol import Protocol
from wirehop.errors import (
    AuthError,
    BroadcastError,
    ConnectionClosed,
    LimitExceeded,
    RemoteError,
    ReplyTimeout,
    WirehopError,
)


@asynccontextmanager
async def linked(
    rpc: object = None, **options: Any
) -> AsyncIterator[tuple[AnySocket, AnySocket, AnyPeer, list[Exception]]]:
    """A server, a client, the server as the client's peer, and the server's errors."""
    async with AnySocket(rpc=rpc) as server, AnySocket() as client:
        errors: list[Exception] = []
        server.on("error", errors.append)
        listener = await server.listen("ws", ip="127.0.0.1", port=0, **options)
        yield server, client, await client.connect("ws", "127.0.0.1", listener.port), errors


# --- what our side shows


def raises() -> Any:
    raise ValueError("boom")


async def later() -> str:
    return "secret"


SHOWN = [(raises, "boom"), (object, "object"), (later, "plain function")]


@pytest.mark.parametrize(("auth_packet", "text"), SHOWN)
async def test_a_client_whose_auth_packet_fails_hears_why(auth_packet: Callable[[], Any], text: str) -> None:
    async with AnySocket() as server, AnySocket(auth_packet=auth_packet) as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises((ValueError, TypeError), match=text):
            await client.connect("ws", "127.0.0.1", listener.port)
        client.auth_packet = lambda: None  # type: ignore[method-assign]
        assert (await client.connect("ws", "127.0.0.1", listener.port)).id == server.id


@pytest.mark.parametrize(("auth_packet", "text"), SHOWN)
async def test_a_server_whose_auth_packet_fails_reports_it(auth_packet: Callable[[], Any], text: str) -> None:
    async with AnySocket(auth_packet=auth_packet) as server, AnySocket() as client:
        errors: list[Exception] = []
        server.on("error", errors.append)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(AuthError):
            await client.connect("ws", "127.0.0.1", listener.port)
        assert len(errors) == 1
        assert text in str(errors[0])
        assert not server.peers


# --- functions


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


async def cancelled() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


def failing(error: BaseException) -> dict[str, Any]:
    def plain(peer: AnyPeer) -> None:
        raise error

    async def suspended(peer: AnyPeer) -> None:
        await asyncio.sleep(0)
        raise error

    async def at_once(peer: AnyPeer) -> None:
        raise error

    return {"plain": plain, "suspended": suspended, "at_once": at_once}


@pytest.mark.parametrize("name", ["plain", "suspended", "at_once"])
@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        (RemoteError("x", details=object(), code=400), "x", 500),
        (RemoteError("x", details={1, 2}), "x", 500),
        (RemoteError("x", details=[1], code=400), "x", 400),
        (Wordless(), "Wordless", 500),
        (asyncio.CancelledError(), "CancelledError", 500),
    ],
)
async def test_whatever_a_function_raises_is_an_answer(
    name: str, error: BaseException, text: str, code: int
) -> None:
    async with linked(failing(error)) as (_, client, peer, errors):
        with pytest.raises(RemoteError, match=f"^{text}$") as raised:
            await peer.rpc[name]()
        assert raised.value.code == code
        assert client.peers
        assert not errors


async def test_a_function_that_waits_for_what_is_cancelled_is_an_answer() -> None:
    async with linked({"wait": lambda peer: cancelled()}) as (_, _, peer, _):
        with pytest.raises(RemoteError, match="CancelledError"):
            await peer.rpc.wait()


# --- listeners


@pytest.mark.parametrize("error", [ConnectionClosed("mine"), AuthError("refused")])
@pytest.mark.parametrize("is_async", [False, True])
async def test_another_connection_that_ended_is_a_listeners_error(error: Exception, is_async: bool) -> None:
    async with linked() as (server, _, peer, errors):

        async def suspended(packet: AnyPacket) -> None:
            await asyncio.sleep(0)
            raise error

        def plain(packet: AnyPacket) -> None:
            raise error

        server.on("message", suspended if is_async else plain)
        await peer.send("x")
        await until(lambda: errors)
        assert errors == [error]


async def test_a_peer_that_left_is_no_listeners_error() -> None:
    async with linked() as (server, client, peer, errors):
        done = asyncio.Event()

        async def slow(packet: AnyPacket) -> None:
            await until(lambda: not server.peers)
            try:
                await packet.reply("too late")
            finally:
                done.set()

        server.on("message", slow)
        await peer.send("x")
        await client.stop()
        await done.wait()
        await asyncio.sleep(0)
        assert errors == []


# --- routes


async def test_a_route_that_waits_for_what_is_cancelled_is_answered() -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        router.get("/", lambda peer: cancelled())
        assert (await raw.ask(get())).status == 500
        assert "cancelled" in str(errors[0])


async def test_another_connection_that_ended_is_a_routes_error() -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)

        async def proxy(peer: AnyHTTPPeer) -> None:
            await asyncio.sleep(0)
            raise ConnectionClosed("upstream is gone")

        router.get("/", proxy)
        assert (await raw.ask(get())).status == 500
        assert [str(error) for error in errors] == ["upstream is gone"]


# --- the end


async def test_stop_waits_for_those_who_see_to_what_peers_leave() -> None:
    async with linked() as (server, _, _, errors):
        said: list[str] = []

        @server.on("disconnected")
        async def save(peer: AnyPeer, reason: str) -> None:
            said.append("begun")
            await asyncio.sleep(0.01)
            with pytest.raises(AuthError):
                # No new connections while it stops.
                await server.connect("ws", "127.0.0.1", free_port())
            said.append("saved")

        await server.stop()
        assert said == ["begun", "saved"]
        assert errors == []


async def test_stop_cuts_who_takes_longer() -> None:
    async with linked() as (server, _, _, _):
        cut = asyncio.Event()

        @server.on("disconnected")
        async def hang(peer: AnyPeer, reason: str) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cut.set()

        await server.stop(timeout=0.05)
        await cut.wait()


@pytest.mark.parametrize("event", ["message", "connected", "disconnected"])
async def test_a_listener_may_stop_its_socket_and_go_on(event: str) -> None:
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        done = asyncio.Event()

        @server.on(event)
        async def stops(*args: object) -> None:
            await server.stop(timeout=5.0)
            await asyncio.sleep(0)
            done.set()

        peer = await client.connect("ws", "127.0.0.1", listener.port)
        peer.send("x")
        if event == "disconnected":
            await peer.disconnect()
        await done.wait()


@pytest.mark.parametrize("event", ["message", "disconnected"])
async def test_several_listeners_may_stop_their_socket(event: str) -> None:
    async with AnySocket() as server, AnySocket() as first, AnySocket() as second:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        begun: list[object] = []
        done: list[object] = []

        @server.on(event)
        async def stops(*args: object) -> None:
            begun.append(args)
            await until(lambda: len(begun) == 2)
            # Longer than the test may take.
            await server.stop(timeout=600)
            await asyncio.sleep(0)
            done.append(args)

        for client in (first, second):
            peer = await client.connect("ws", "127.0.0.1", listener.port)
            peer.send("x")
            if event == "disconnected":
                await peer.disconnect()
        await until(lambda: len(done) == 2)


async def test_a_reason_is_text() -> None:
    async with linked() as (_, client, peer, _):
        reasons: list[object] = []
        client.on("disconnected", lambda peer, reason: reasons.append(reason))
        await peer.disconnect(ValueError("x"))  # type: ignore[arg-type]
        assert reasons == ["x"]


async def test_what_protected_a_link_is_known_after_its_end() -> None:
    async with linked() as (server, _, peer, _):
        seen: list[str] = []
        server.on("disconnected", lambda peer, reason: seen.append(peer.security))
        await peer.e2e()
        await peer.disconnect()
        await until(lambda: seen)
        assert (seen, peer.security) == (["legacy"], "legacy")


# --- broadcasts


def test_a_broadcast_error_is_one_of_ours() -> None:
    error = BroadcastError("2 of 3 peers did not reply", [ReplyTimeout("a"), ConnectionClosed("b")])
    assert isinstance(error, WirehopError)
    timeouts, rest = error.split(ReplyTimeout)
    assert isinstance(timeouts, BroadcastError)
    assert isinstance(rest, BroadcastError)


@pytest.mark.parametrize("awaits_reply", [False, True])
async def test_one_peers_limit_keeps_a_broadcast_from_nobody(awaits_reply: bool) -> None:
    limits: dict[str, Any] = {"max_pending_replies": 1} if awaits_reply else {"send_limit": 1000}
    async with linked(**limits) as (server, first, to_server, _), AnySocket() as second:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        second.on("message", lambda packet: (heard.put_nowait(packet.msg), packet.reply("got it")))
        await second.connect("ws", "127.0.0.1", port_of(server))
        await until(lambda: len(server.peers) == 2)
        peer = server.peers[first.id]
        if awaits_reply:
            peer.send("not answered", await_reply=True)
        else:
            # Its answer does not come, and what is sent meanwhile waits.
            to_server._connection.pause_reading()
            peer.e2e()
            peer.send("x" * 900)
        sent = server.broadcast("y" * 900, awaits_reply)
        assert await heard.get() == "y" * 900
        with pytest.raises(BroadcastError) as failed:
            await sent
        assert [type(error) for error in failed.value.exceptions] == [LimitExceeded]
        assert [reply.msg for reply in failed.value.replies] == (["got it"] if awaits_reply else [])


# --- connecting


async def test_nobody_listens_at_any_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{end}", port)) for end in (1, 2)]
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: (
        places if host == "two.example" else real(host, *more, **options)
    ))  # fmt: skip
    async with AnySocket() as client:
        if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
            # It asks the system itself, which knows no name with two addresses.
            name = "localhost"
        else:
            name = "two.example"
        with pytest.raises(ConnectionError):
            await client.connect("ws", name, port)


async def test_a_connection_that_takes_too_long_says_so() -> None:
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    async with silent, AnySocket() as client:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError, match=r"no peer within 0\.05 s"):
            await client.connect("ws", "127.0.0.1", port, auth_timeout=0.05)
        for writer in writers:
            writer.close()


# --- what is logged


async def test_a_limit_that_cut_a_peer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for options in ({"max_message_size": 1000}, {"max_frame_size": 1000}):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            async with linked(**options) as (server, _, peer, _):
                await peer.send("x" * 5000)
                await until(lambda server=server: not server.peers)  # type: ignore[misc]
        assert [record.levelname for record in caplog.records if "closing" in record.message] == ["WARNING"]


async def test_a_stranger_who_sends_too_much_is_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with (
            AnySocket() as server,
            stranger_of(server, max_message_size_before_auth=100) as stranger,
        ):
            stranger.send(packet(1, 1, {"id": "a" * 32, "auth": "x" * 200}))
            assert await stranger.closed() == 1009
    assert [record.levelname for record in caplog.records] == ["INFO"]


async def test_an_answer_that_is_one_too_many_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    rpc = {"big": lambda peer: "z" * 5000}
    async with linked(rpc, send_limit=1000) as (server, client, peer, _):
        # The link waits for the other side's key, and what is sent waits with it.
        call = peer.rpc.big()
        server.peers[client.id].e2e()
        peer._connection.pause_reading()
        with caplog.at_level(logging.WARNING):
            await until(lambda: not server.peers)
        peer._connection.resume_reading()
        with pytest.raises(ConnectionClosed):
            await call
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_defect_of_ours_is_logged_and_costs_one_link(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Protocol.receive

    def receive(self: Protocol, frame: str, now: float) -> Any:
        if "trip" in frame:
            raise ArithmeticError("a defect")
        return real(self, frame, now)

    monkeypatch.setattr(Protocol, "receive", receive)
    async with linked() as (server, client, peer, _), AnySocket() as other:
        await other.connect("ws", "127.0.0.1", port_of(server))
        await peer.send("trip")
        await until(lambda: not client.peers)
        assert list(server.peers) == [other.id]
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ArithmeticError)


# --- headers


async def test_a_content_length_of_ones_own_has_to_be_true() -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        router.get("/true", lambda peer: peer.header("Content-Length", 2).body("ab").end())
        router.get("/false", lambda peer: peer.header("content-length", "1").body("ab").end())
        router.head("/true", lambda peer: peer.header("Content-Length", 2).end())
        answer = await raw.ask(get("/true"))
        assert (answer.status, answer.body, answer.header("content-length")) == (200, b"ab", "2")
        answer = await raw.ask(get("/true").replace(b"GET", b"HEAD"), "HEAD")
        assert (answer.status, answer.header("content-length")) == (200, "2")
        assert (await raw.ask(get("/false"))).status == 500
        assert "the Content-Length is 1, and the body has 2 bytes" in str(errors[0])
        async with connect(port_of(server)) as another:
            assert (await another.ask(get("/true"))).status == 200
