"""AnySocket and its peers, both ends ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.anysocket.stranger import STRANGER, connected, packet, stranger_of
from tests.programs import WIREHOP, running
from wirehop import AnyPacket, AnyPeer, AnySocket
from wirehop.errors import AuthError, BroadcastError, ConnectionClosed, LimitExceeded, ReplyTimeout


@asynccontextmanager
async def linked(**options: Any) -> AsyncIterator[tuple[AnySocket, AnySocket, AnyPeer]]:
    """A server, a client, and the server as the client's peer."""
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        yield server, client, await client.connect("ws", "127.0.0.1", listener.port, **options)


async def test_the_mapping_of_peers_is_a_view() -> None:
    async with linked() as (server, client, peer):
        assert dict(client.peers) == {server.id: peer}
        assert server.has_peer(client.id)
        assert server.has_direct_peer(client.id)
        assert not server.has_peer("0" * 32)
        assert not server.has_direct_peer("0" * 32)
        with pytest.raises(TypeError):
            client.peers["x"] = peer  # type: ignore[index]
        assert not peer.is_proxy()
        assert not peer.is_e2e_enabled()
        assert peer.id in repr(peer)
        assert len(peer.connection_id) == 32


async def test_peers_emit_their_own_events() -> None:
    async with linked() as (server, _, peer):
        events: asyncio.Queue[Any] = asyncio.Queue()
        peer.on("message", lambda packet: events.put_nowait(packet.msg))
        peer.on("disconnected", lambda peer, reason: events.put_nowait(reason))
        peer.on("heartbeat", lambda peer: events.put_nowait(peer.lag))
        await server.broadcast("hi")
        assert await events.get() == "hi"
        peer.heartbeat()
        assert 0 <= await events.get() < 5
        await server.stop()
        assert await events.get() == "Remote Connection Closed"
        peer.heartbeat()
        assert "disconnected" in repr(peer)


async def test_connected_comes_first_and_listeners_added_after_connect_miss_nothing() -> None:
    order = []
    async with AnySocket() as server, AnySocket() as client:
        server.on("connected", lambda peer: peer.send("welcome"))
        client.on("connected", lambda peer: order.append("connected"))
        client.on("message", lambda packet: order.append(packet.msg))
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        first = asyncio.get_running_loop().create_future()
        peer.on("message", first.set_result)
        assert (await first).msg == "welcome"
    assert order == ["connected", "welcome"]


async def test_a_reply_cannot_be_replied_to() -> None:
    async with linked() as (server, _, peer):
        received = []
        server.on(
            "message",
            lambda packet: (received.append(packet.msg), packet.reply("once"), packet.reply("twice")),
        )
        reply = await peer.send("q", await_reply=True)
        assert reply is not None
        assert (reply.msg, reply.seq > 0, reply.peer) == ("once", True, peer)
        await reply.reply("again")
        assert (await peer.send("still", await_reply=True)).msg == "once"  # type: ignore[union-attr]
        assert received == ["q", "still"]
        assert "once" in repr(reply)


async def test_what_cannot_be_sent_raises_at_the_call_and_the_link_lives() -> None:
    async with linked() as (server, client, peer):
        server.on("message", lambda packet: packet.reply(packet.msg))
        circular: list[Any] = []
        circular.append(circular)
        for value in (object(), {1, 2}, lambda: None):
            with pytest.raises(TypeError):
                peer.send(value)
        with pytest.raises(ValueError, match="circular"):
            peer.send(circular)
        with pytest.raises(TypeError):
            client.broadcast(object())
        assert (await peer.send("fine", await_reply=True)).msg == "fine"  # type: ignore[union-attr]


async def test_a_late_reply_fails_only_its_request() -> None:
    async with linked(reply_timeout=0.05) as (server, client, peer):
        server.on("message", lambda packet: packet.reply("quick") if packet.msg == "quick" else None)
        with pytest.raises(ReplyTimeout, match=server.id):
            await peer.send("slow", await_reply=True)
        assert client.has_peer(server.id)
        assert (await peer.send("quick", await_reply=True, timeout=20)).msg == "quick"  # type: ignore[union-attr]


async def test_requests_in_flight_have_a_limit() -> None:
    async with linked(max_pending_replies=2) as (_server, _client, peer):
        waiting = [peer.send(n, await_reply=True) for n in range(2)]
        with pytest.raises(LimitExceeded):
            peer.send("one more", await_reply=True)
        await peer.disconnect("enough")
        for request in waiting:
            with pytest.raises(ConnectionClosed, match="enough"):
                await request


async def test_awaiting_send_waits_for_a_slow_reader_who_is_cut_in_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AnySocket() as server:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.once("disconnected", lambda peer, reason: gone.set_result(reason))
        limits: dict[str, Any] = {"high_water": 1 << 16, "send_timeout": 0.2}
        async with stranger_of(server, authenticated=True, **limits) as stranger, AnySocket() as other:
            stranger.stop_reading()
            (slow,) = server.peers.values()
            await other.connect("ws", "127.0.0.1", server._open[0].port)
            heard = asyncio.get_running_loop().create_future()
            other.on("message", heard.set_result)
            with pytest.raises(ConnectionClosed, match="nothing was read"):
                for _ in range(1000):
                    await slow.send("x" * 100_000)
            assert "nothing was read for 0.2 s" in await gone
            await server.broadcast("the others do not notice")
            assert (await heard).msg == "the others do not notice"
    # Whoever runs the server wants to know that somebody was cut.
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"cut {STRANGER}: nothing was read for 0.2 s")
    ]


async def test_the_limit_of_what_waits_for_a_reader() -> None:
    async with AnySocket() as server:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.on("disconnected", lambda peer, reason: gone.set_result(reason))
        async with stranger_of(server, authenticated=True, send_limit=1 << 20) as stranger:
            stranger.stop_reading()
            (slow,) = server.peers.values()
            for _ in range(300):
                slow.send("x" * 100_000)
            assert "more than 1048576 bytes" in await gone


# --- broadcast


async def test_a_broadcast_gathers_every_reply() -> None:
    async with AnySocket() as server, AnySocket() as one, AnySocket() as two:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        for client in (one, two):
            client.on("message", lambda packet: packet.reply("here"))
            await client.connect("ws", "127.0.0.1", listener.port)
        replies = await server.broadcast("who?", await_reply=True)
        assert [reply.peer.id for reply in replies] == list(server.peers)
        assert await server.send("older name") == []


async def test_a_broadcast_tells_who_did_not_reply() -> None:
    async with AnySocket() as server, AnySocket() as good, AnySocket() as bad:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        for client in (good, bad):
            await client.connect("ws", "127.0.0.1", listener.port)
        good.on("message", lambda packet: packet.reply("here"))
        bad.on("message", lambda packet: packet.peer.disconnect())
        with pytest.raises(BroadcastError) as failed:
            await server.broadcast("who?", await_reply=True)
        assert [reply.peer.id for reply in failed.value.replies] == [good.id]
        assert [type(error) for error in failed.value.exceptions] == [ConnectionClosed]
        matching, rest = failed.value.split(ConnectionClosed)
        assert matching is not None
        assert len(matching.replies) == 1
        assert rest is None


async def test_a_broadcast_to_nobody() -> None:
    async with AnySocket() as server:
        assert await server.broadcast("anyone?", await_reply=True) == []


# --- stopping


async def test_stop_lets_answers_in_flight_go_out() -> None:
    async with linked() as (server, _, peer):
        gate, entered = asyncio.Event(), asyncio.Event()

        @server.on("message")
        async def slow(packet: AnyPacket) -> None:
            entered.set()
            await gate.wait()
            packet.reply("in time")

        answer = peer.send("q", await_reply=True)
        await entered.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        gate.set()
        assert (await answer).msg == "in time"  # type: ignore[union-attr]
        await stopping
        assert not server.peers


async def test_stop_cuts_what_takes_too_long() -> None:
    async with linked() as (server, _, peer):
        entered, cancelled = asyncio.Event(), asyncio.Event()

        @server.on("message")
        async def never(packet: AnyPacket) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        answer = peer.send("q", await_reply=True)
        await entered.wait()
        await server.stop(timeout=0.05)
        with pytest.raises(ConnectionClosed):
            await answer
        await cancelled.wait()


async def test_a_stopped_socket_may_begin_again() -> None:
    async with AnySocket() as server, AnySocket() as client:
        for _ in range(2):
            listener = await server.listen("ws", ip="127.0.0.1", port=0)
            await client.connect("ws", "127.0.0.1", listener.port)
            await client.stop()
            await server.stop()
            await server.stop()


async def test_a_listener_may_stop_the_socket() -> None:
    async with AnySocket() as server, AnySocket() as client:
        done = asyncio.Event()

        @server.on("message")
        async def stop(packet: AnyPacket) -> None:
            await server.stop()
            done.set()

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        peer.send("stop")
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        peer.on("disconnected", lambda peer, reason: gone.set_result(reason))
        assert await gone == "Remote Connection Closed"


# --- listening


async def test_a_closed_listener_accepts_no_more_and_keeps_its_peers() -> None:
    async with AnySocket() as server, AnySocket() as client:
        async with await server.listen("ws", {"ip": "127.0.0.1", "port": 0}) as listener:
            peer = await client.connect("ws", listener.host, listener.port)
        assert server.has_peer(client.id)
        async with AnySocket() as late:
            with pytest.raises(ConnectionRefusedError):
                await late.connect("ws", "127.0.0.1", listener.port)
        server.on("message", lambda packet: packet.reply("still"))
        assert (await peer.send("?", await_reply=True)).msg == "still"  # type: ignore[union-attr]


async def test_ws_joins_the_http_listener() -> None:
    async with AnySocket() as server, AnySocket() as client:
        first = await server.server("http", ip="127.0.0.1", port=0)
        with pytest.raises(AuthError):
            await client.connect("ws", "127.0.0.1", first.port)
        assert await server.listen("ws") is first
        await client.connect("ws", "127.0.0.1", first.port)


@pytest.mark.parametrize(
    ("scheme", "options", "error", "text"),
    [
        ("udp", {"port": 0}, ValueError, "no scheme"),
        ("ws", {}, ValueError, "port is missing"),
        ("ws", {"prot": 1}, TypeError, "'prot' is no option"),
        ("ws", {"port": 0, "auth_timeout": 0}, ValueError, "auth_timeout must be a number above 0"),
        ("ws", {"port": 0, "reply_timeout": "5"}, ValueError, "reply_timeout"),
        ("ws", {"port": 0, "cert": "x.pem"}, ValueError, "with a certificate the scheme is wss"),
        ("wss", {"port": 0}, ValueError, "needs the option cert"),
        ("https", {"port": 0, "cert": "missing.pem"}, FileNotFoundError, "No such file"),
    ],
)
async def test_bad_options_raise(scheme: str, options: Any, error: type[Exception], text: str) -> None:
    async with AnySocket() as socket:
        with pytest.raises(error, match=text):
            await socket.listen(scheme, options)


async def test_bad_ways_to_connect() -> None:
    async with AnySocket() as socket:
        with pytest.raises(ValueError, match="no scheme"):
            await socket.connect("http", "127.0.0.1", 1)
        with pytest.raises(TypeError, match="no option"):
            await socket.connect("ws", "127.0.0.1", 1, prot=5)
    with pytest.raises(ValueError, match="32 lowercase hex"):
        AnySocket(id="me")


# --- authentication


async def test_on_auth_may_be_overridden_or_assigned() -> None:
    class Strict(AnySocket):
        def on_auth(self, packet: dict[str, Any]) -> bool:
            return packet["auth"] == "secret"

        def auth_packet(self) -> Any:
            return "secret"

    async with Strict() as server, Strict() as friend, AnySocket() as foe:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await friend.connect("ws", "127.0.0.1", listener.port)
        with pytest.raises(AuthError):
            await foe.connect("ws", "127.0.0.1", listener.port)
        foe.auth_packet = lambda: "secret"  # type: ignore[method-assign]
        await foe.connect("ws", "127.0.0.1", listener.port)


@pytest.mark.parametrize("verdict", [1, "yes", None, object()])
@pytest.mark.parametrize("is_async", [False, True])
async def test_only_true_passes(verdict: object, is_async: bool) -> None:
    async def later(packet: dict[str, Any]) -> Any:
        return verdict

    on_auth: Any = later if is_async else lambda packet: verdict
    async with AnySocket(on_auth=on_auth) as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(AuthError):
            await client.connect("ws", "127.0.0.1", listener.port)


@pytest.mark.parametrize("is_async", [False, True])
async def test_an_on_auth_that_fails_lets_nobody_in(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def later(packet: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        raise ValueError("broken")

    def at_once(packet: dict[str, Any]) -> bool:
        raise ValueError("broken")

    errors = []
    async with AnySocket(on_auth=later if is_async else at_once) as server, AnySocket() as client:
        server.on("error", errors.append)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(AuthError):
            await client.connect("ws", "127.0.0.1", listener.port)
    assert [str(error) for error in errors] == ["broken"]


async def test_messages_sent_while_on_auth_decides_arrive_after_it() -> None:
    gate = asyncio.Event()

    async def decide(packet: dict[str, Any]) -> bool:
        await gate.wait()
        return True

    async with AnySocket(on_auth=decide) as server:
        server.on("message", lambda packet: packet.reply(packet.msg))
        async with stranger_of(server) as stranger:
            stranger.send(packet(1, 1, {"id": "0" * 32}), packet(3, 2, "early"))
            await asyncio.sleep(0)
            gate.set()
            assert (await stranger.receive()).startswith("11")
            assert await stranger.receive() == packet(3, -2, "early")


async def test_a_silent_server_times_out() -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with AnySocket() as client:
        with pytest.raises(TimeoutError):
            await client.connect("ws", "127.0.0.1", port, auth_timeout=0.05)
        assert not client._connections
    silent.close()


async def test_a_server_that_never_authenticates_times_out() -> None:
    async def never(packet: dict[str, Any]) -> bool:
        await asyncio.Event().wait()
        return True

    async with AnySocket(on_auth=never) as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(TimeoutError):
            await client.connect("ws", "127.0.0.1", listener.port, auth_timeout=0.1)


async def test_nobody_connects_to_himself() -> None:
    async with AnySocket() as socket:
        listener = await socket.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(AuthError):
            await socket.connect("ws", "127.0.0.1", listener.port)
        assert not socket.peers


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "cert.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return {"cert": folder / "cert.pem", "ca": folder / "ca.pem"}


async def test_wss(certificates: dict[str, Path]) -> None:
    async with AnySocket() as server, AnySocket() as client:
        server.on("message", lambda packet: packet.reply(packet.msg))
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=certificates["cert"])
        peer = await client.connect("wss", "127.0.0.1", listener.port, ca=certificates["ca"])
        large = "x" * 3_000_000
        assert (await peer.send(large, await_reply=True)).msg == large  # type: ignore[union-attr]
        async with AnySocket() as mistrusting:
            with pytest.raises(ssl.SSLCertVerificationError):
                await mistrusting.connect("wss", "127.0.0.1", listener.port)


async def test_wss_first_falls_back_only_where_asked_for(certificates: dict[str, Path]) -> None:
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(OSError):
            await client.connect("wss", "127.0.0.1", listener.port, ca=certificates["ca"])
        await client.connect("ws", "127.0.0.1", listener.port, wss_first=True)


# --- what each peer shares with nobody


async def test_a_link_that_ends_takes_nothing_along() -> None:
    async with AnySocket() as server, AnySocket() as one, AnySocket() as two:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        server.on("message", lambda packet: packet.reply(packet.msg))
        first = await one.connect("ws", "127.0.0.1", listener.port)
        second = await two.connect("ws", "127.0.0.1", listener.port)
        await first.disconnect()
        assert (await second.send("here", await_reply=True)).msg == "here"  # type: ignore[union-attr]
        await first.disconnect()
        async with connected(listener.port) as stranger:
            await stranger.upgrade()
            stranger.send("garbage")
            assert await stranger.closed() == 1002
        assert (await second.send("here", await_reply=True)).msg == "here"  # type: ignore[union-attr]


async def test_a_peer_keeps_a_script_alive(tmp_path: Path) -> None:
    """... and lets it end when it has left."""
    script = tmp_path / "client.py"
    script.write_text(
        "from wirehop import AnySocket, node\n"
        "client = AnySocket()\n"
        "peer = await client.connect('ws', '127.0.0.1', int(node.ARGV[2]))\n"
        "peer.on('message', lambda packet: packet.reply(packet.msg))\n"
        "peer.on('disconnected', lambda peer, reason: node.puts(reason))\n"
    )
    async with AnySocket() as server:
        listener = await server.listen("ws", 0)
        joined: asyncio.Future[AnyPeer] = asyncio.get_running_loop().create_future()
        server.on("connected", joined.set_result)
        async with running(*WIREHOP, "run", script, listener.port) as process:
            peer = await joined
            # Long after its body has come to its end.
            for number in range(100):
                reply = await peer.send(number, await_reply=True)
                assert reply is not None
                assert reply.msg == number
            await peer.disconnect()
            out, error = await process.communicate()
            assert (process.returncode, out, error) == (0, b"Remote Connection Closed\n", b"")
