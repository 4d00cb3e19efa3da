"""End-to-end encryption over real connections: threats A6 to A9, cases 36 to 39."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.anysocket.script import Script
from tests.anysocket.stranger import STRANGER, packet, stranger_of
from wirehop import AnyPeer, AnySocket
from wirehop.anysocket.wire import switch
from wirehop.errors import ConnectionClosed, LimitExceeded


@asynccontextmanager
async def linked(**options: Any) -> AsyncIterator[tuple[AnyPeer, AnyPeer]]:
    """The two ends of one link: the client's peer, and the server's."""
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0, **options)
        peer = await client.connect("ws", "127.0.0.1", listener.port, **options)
        yield peer, server.peers[client.id]


class Messages:
    """What arrives at a peer."""

    def __init__(self, peer: AnyPeer) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        peer.on("message", lambda packet: self._queue.put_nowait(packet.msg))

    async def next(self, count: int) -> list[Any]:
        return [await self._queue.get() for _ in range(count)]


# --- two of ours


@pytest.mark.parametrize("begins", [0, 1], ids=["the client", "the server"])
async def test_either_side_may_begin(begins: int) -> None:
    async with linked() as ends:
        first, other = ends[begins], ends[1 - begins]
        events: asyncio.Queue[tuple[str, AnyPeer]] = asyncio.Queue()
        for peer in ends:
            peer.on("e2e", lambda peer: events.put_nowait(("peer", peer)))
            peer._socket.on("e2e", lambda peer: events.put_nowait(("socket", peer)))
        assert [peer.security for peer in ends] == ["plain", "plain"]
        assert [peer.fingerprint for peer in ends] == [None, None]
        await first.e2e()
        seen = {await events.get() for _ in range(4)}
        assert seen == {("peer", first), ("socket", first), ("peer", other), ("socket", other)}
        assert first.is_e2e_enabled()
        assert other.is_e2e_enabled()
        assert [peer.security for peer in ends] == ["legacy", "legacy"]
        assert first.fingerprint == other.fingerprint
        assert len(bytes.fromhex(first.fingerprint or "")) == 16


async def test_requests_calls_and_large_messages() -> None:
    async with linked() as (client, server):
        server.on("message", lambda packet: packet.reply(packet.msg))
        server._socket.set_rpc({"double": lambda data, peer: data * 2})
        pending = [client.send(n, await_reply=True) for n in range(100)]
        await client.e2e()
        pending += [client.send(n, await_reply=True) for n in range(100, 200)]
        assert [(await reply).msg for reply in pending] == list(range(200))  # type: ignore[union-attr]
        assert await client.rpc.double(b"\x00\xff") == b"\x00\xff\x00\xff"
        large = "é😀" * 1_000_000
        assert (await client.send(large, await_reply=True)).msg == large  # type: ignore[union-attr]


@pytest.mark.parametrize("is_large", [False, True])
async def test_both_at_once_with_a_thousand_messages_in_flight(is_large: bool) -> None:
    async with linked() as ends:
        messages = [Messages(peer) for peer in ends]
        tail = "x" * 1_100_000 if is_large else ""
        count = 10 if is_large else 1000
        for peer in ends:
            for n in range(count):
                peer.send([n, tail])
                if n == count // 2:
                    peer.heartbeat()
                    peer.e2e()
        for heard in messages:
            assert await heard.next(count) == [[n, tail] for n in range(count)]
        assert [peer.is_e2e_enabled() for peer in ends] == [True, True]
        assert ends[0].fingerprint == ends[1].fingerprint


async def test_awaiting_what_is_sent_after_the_call_waits_for_the_encryption() -> None:
    async with linked() as (client, server):
        heard = Messages(server)
        client.e2e()
        assert not client.is_e2e_enabled()
        await client.send("secret")
        assert client.is_e2e_enabled()
        assert await heard.next(1) == ["secret"]
        await client.send("more")


async def test_a_second_call_changes_nothing() -> None:
    async with linked() as (client, server):
        events = []
        client.on("e2e", events.append)
        first = client.e2e()
        client.e2e()
        await asyncio.gather(first, client.e2e(), server.e2e())
        fingerprint = client.fingerprint
        await client.e2e()
        await server.e2e()
        server.on("message", lambda packet: packet.reply(packet.msg))
        assert (await client.send(1, await_reply=True)).msg == 1  # type: ignore[union-attr]
        assert client.fingerprint == fingerprint
        assert len(events) == 1


async def test_a_server_may_encrypt_as_soon_as_it_has_a_peer() -> None:
    async def decide(packet: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return True

    async with AnySocket() as server, AnySocket(on_auth=decide) as client:

        @server.on("connected")
        def greet(peer: AnyPeer) -> None:
            peer.send("plain")
            peer.e2e()
            peer.send("secret")

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        assert await Messages(peer).next(2) == ["plain", "secret"]
        assert peer.is_e2e_enabled()


async def test_heartbeats_and_the_clock_through_the_encryption() -> None:
    async with linked(heartbeat_interval=0.05) as (client, server):
        beats: asyncio.Queue[AnyPeer] = asyncio.Queue()
        client.e2e()
        synced = await client.get_synced_time()
        assert abs(synced.offset) < 1
        client.on("heartbeat", beats.put_nowait)
        server.on("heartbeat", beats.put_nowait)
        for _ in range(6):
            assert 0 <= ((await beats.get()).lag or 0) < 5
        assert client.is_e2e_enabled()


# --- when it does not come to that


async def test_whoever_waits_is_told_of_the_end() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True, e2e_timeout=0.1) as stranger:
        (peer,) = server.peers.values()
        encrypting, sending = peer.e2e(), peer.send("secret")
        asking = peer.send("secret", await_reply=True)
        peer.send("nobody waits for this")
        assert await stranger.closed() == 1008
        for waiting in (encrypting, sending, asking):
            with pytest.raises(ConnectionClosed, match="e2e timed out"):
                await waiting
        with pytest.raises(ConnectionClosed, match="Peer is disconnected"):
            await peer.e2e()


async def test_nobody_has_to_wait() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        peer.e2e()
        peer.send("secret")
        del peer
        await stranger.close()


async def test_what_waits_has_a_limit() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True, send_limit=200) as stranger:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        (peer,) = server.peers.values()
        peer.on("disconnected", lambda peer, reason: gone.set_result(reason))
        peer.e2e()
        peer.send("x" * 60)
        with pytest.raises(LimitExceeded, match="200 bytes wait"):
            peer.send("x" * 80)
        assert list(server.peers.values()) == [peer]
        # What the remote asks for meanwhile has to wait as well.
        for seq in range(2, 5):
            stranger.send(packet(2, seq, {"type": 5, "time": 7}))
        assert await gone == "200 bytes wait for the encryption already"


# --- step by step


async def test_nothing_that_is_sent_after_the_call_is_plain() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        script = Script(stranger)
        peer.e2e()
        peer.send("secret")
        asking = peer.send({"q": "secret"}, await_reply=True)
        # It answers what it got before, plainly.
        stranger.send(packet(3, 2, "plain"))
        await script.take_switch(server.id, leads=False)
        script.send_switch(3)
        stranger.send(script.sealed(3, 4, "encrypted"))
        assert await script.receive() == ("3", 3, "secret")
        kind, seq, value = await script.receive()
        assert (kind, value) == ("3", {"q": "secret"})
        stranger.send(script.sealed(3, -seq, "answer"))
        reply = await asking
        assert reply is not None
        assert reply.msg == "answer"


async def test_a_silent_remote_gets_what_waits_all_the_same() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        script = Script(stranger)
        peer.e2e()
        peer.send("secret")
        await script.take_switch(server.id, leads=False)
        script.send_switch(2)
        assert await script.receive() == ("3", 3, "secret")


async def test_an_offer_that_crossed_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "SETTLE", 20.0)
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        script = Script(stranger)
        peer.e2e()
        peer.send("secret")
        script.send_switch(2)
        await script.take_switch(STRANGER, leads=True)
        stranger.send(script.sealed(3, 3, "mine"))
        assert await script.receive() == ("3", 3, "secret")


async def test_the_answering_side_answers_at_once() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        server.on("message", lambda packet: packet.reply(packet.msg))
        script = Script(stranger)
        script.send_switch(2)
        await script.take_switch(STRANGER, leads=True)
        # Its timer may have put a plain ping behind its SWITCH.
        stranger.send(packet(5, 3, 1), script.sealed(3, 4, "hello"), script.sealed(5, 5, 1))
        assert await script.receive() == ("5", 3, 2)
        assert await script.receive() == ("3", -4, "hello")
        assert await script.receive() == ("5", 4, 2)


@pytest.fixture
def one_line_at_most(caplog: pytest.LogCaptureFixture) -> object:
    caplog.set_level(logging.INFO)
    yield
    assert len(caplog.records) <= 1, [record.getMessage() for record in caplog.records]


@pytest.mark.usefixtures("one_line_at_most")
@pytest.mark.parametrize("key", ["", "AAAA", "A" * 180, "BA" + "A" * 178, None])
@pytest.mark.parametrize("we_begin", [True, False])
async def test_bad_keys_close_only_that_link(key: str | None, we_begin: bool) -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        encrypting = peer.e2e() if we_begin else None
        stranger.send(packet(4, 2, {"type": 2, "key": key, "nonce": "ab" * 32}))
        if we_begin:
            assert (await stranger.receive())[:2] == "14"
        assert await stranger.closed() == 1002
        if encrypting is not None:
            with pytest.raises(ConnectionClosed, match="Invalid Packet!"):
                await encrypting
        async with AnySocket() as client:
            await client.connect("ws", "127.0.0.1", server._open[0].port)
            assert list(server.peers) == [client.id]


@pytest.mark.usefixtures("one_line_at_most")
@pytest.mark.parametrize(
    "attack",
    [
        lambda script: packet(3, 3, "plain"),
        lambda script: packet(4, 3, script.keys.message()),
        lambda script: script.sealed(4, 3, script.keys.message()),
        lambda script: script.sealed(1, 3, {"id": STRANGER}),
        lambda script: script.sealed(3, 3, {"a": 1})[:-2],
        lambda script: script.sealed(3, 3, {"a": 1})[:-32],
        lambda script: packet(3, 3, text=script.session.seal(3, b"{{{").decode()),
        lambda script: packet(3, 3, text=script.session.seal(3, b"").decode()),
        lambda script: packet(3, 3, text=script.session.seal(3, b'"\xff"').decode()),
    ],
)
async def test_what_is_not_properly_encrypted_closes_the_link(attack: Any) -> None:
    messages = []
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        server.on("message", lambda packet: messages.append(packet.msg))
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.on("disconnected", lambda peer, reason: gone.set_result(reason))
        script = Script(stranger)
        script.send_switch(2)
        await script.take_switch(STRANGER, leads=True)
        stranger.send(attack(script))
        assert await stranger.closed() == 1002
        assert await gone == "Invalid Packet!"
    assert messages == []


async def test_repeated_packets_are_delivered_once() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        script = Script(stranger)
        script.send_switch(2)
        await script.take_switch(STRANGER, leads=True)
        messages = Messages(server.peers[STRANGER])
        stranger.send(*[script.sealed(3, 3, "once")] * 3, script.sealed(3, 4, "end"))
        assert await messages.next(2) == ["once", "end"]
