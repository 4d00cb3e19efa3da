"""Peers that are reached through another one: what it is for, and what is tried with it (threats
A2 to A4 and A12, cases 40 and 41)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.anysocket.script import Script
from tests.anysocket.stranger import STRANGER, Stranger, connected, packet, stranger_of
from wirehop import AnyPeer, AnySocket
from wirehop.anysocket import duplicates
from wirehop.anysocket import relay as relay_module
from wirehop.core import json
from wirehop.errors import AuthError, ConnectionClosed, LimitExceeded, RemoteError, ReplyTimeout

ANN = "a" * 32
BOB = "b" * 32


def forward(to: str, sender: str, nested: str) -> str:
    return "6" + bytes.fromhex(to + sender).decode("latin-1") + nested


def network(seq: int, action: str, id: object) -> str:
    return packet(2, seq, {"type": 1, "action": action, "id": id})


def proxy(seq: int, action: str, id: str) -> str:
    return packet(2, seq, {"type": 2, "action": action, "id": id})


async def question_to(end: Stranger) -> int:
    """The number of what the relay asks an end behind each thing that it tells it of another one."""
    question = await end.receive()
    assert question[:2] == "12"
    assert json.loads(question[6:])["type"] == 5
    return int.from_bytes(question[2:6].encode("latin-1"), "big")


async def answers(end: Stranger) -> None:
    """The end answers that question: from now on it has read of the other one."""
    end.send(packet(2, -await question_to(end), {"o": None, "t": 1}))


class Node(AnySocket):
    """One that answers, and notes what happens to it."""

    def __init__(self, id: str | None = None, **more: Any) -> None:
        super().__init__(id=id, rpc={"who": lambda peer: peer.id}, **more)
        self.happened: asyncio.Queue[tuple[str, str, Any]] = asyncio.Queue()
        self.on("connected", lambda peer: self.happened.put_nowait(("connected", peer.id, None)))
        self.on("disconnected", lambda peer, reason: self.happened.put_nowait(("lost", peer.id, reason)))
        self.on("message", lambda packet: packet.reply({"re": packet.msg}))

    async def next(self, what: str) -> tuple[str, Any]:
        """The id and the reason of the next event of that kind."""
        while True:
            event, id, reason = await self.happened.get()
            if event == what:
                return id, reason


@asynccontextmanager
async def three(**options: Any) -> AsyncIterator[tuple[Node, Node, Node]]:
    """One that asks, a relay that lets everyone, and another, connected to the relay."""
    async with Node() as relay, Node() as ann, Node() as bob:
        relay.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        listener = await relay.listen("ws", ip="127.0.0.1", port=0, **options)
        for node in (ann, bob):
            await node.connect("ws", "127.0.0.1", listener.port, **options)
            await node.next("connected")
        yield ann, relay, bob


async def says(peer: AnyPeer, value: Any) -> Any:
    reply = await peer.send(value, await_reply=True)
    assert reply is not None
    return reply.msg


# --- what it is for


async def test_both_ends_have_a_peer_as_any_other() -> None:
    async with three() as (ann, relay, bob):
        to_bob = await ann.proxy(bob.id, relay.id)
        assert (await bob.next("connected"))[0] == ann.id
        to_ann = bob.peers[ann.id]
        for peer, node, other in ((to_bob, ann, bob), (to_ann, bob, ann)):
            assert peer is node.peers[other.id]
            assert peer.is_proxy()
            assert peer.id == other.id
            assert len(peer.connection_id) == 32
            assert node.has_peer(other.id)
            assert not node.has_direct_peer(other.id)
            assert node.has_direct_peer(relay.id)
            assert await says(peer, "hello") == {"re": "hello"}
            assert await peer.rpc.who() == node.id
            assert abs((await peer.get_synced_time()).offset) < 1
            assert peer.security == "plain"
        assert not relay.has_peer("0" * 32)
        assert to_bob.connection_id != to_ann.connection_id
        replies = await ann.broadcast("all", await_reply=True)
        assert {reply.peer.id for reply in replies} == {relay.id, bob.id}
        # It exists already, and asking again gives the same.
        assert await ann.proxy(bob.id, relay.id) is to_bob
        assert await bob.proxy(ann.id, relay.id) is to_ann


@pytest.mark.parametrize("begins", [0, 1])
async def test_encryption_through_the_relay(begins: int, monkeypatch: pytest.MonkeyPatch) -> None:
    carried: list[str] = []
    async with three() as (ann, relay, bob):
        peers = [await ann.proxy(bob.id, relay.id)]
        await bob.next("connected")
        peers.append(bob.peers[ann.id])
        carry = relay_module.carry
        monkeypatch.setattr(
            relay_module, "carry", lambda peer, frame: (carried.append(frame), carry(peer, frame))
        )
        peers[begins].e2e()
        assert await says(peers[begins], "SECRET") == {"re": "SECRET"}
        assert await says(peers[1 - begins], "x" * 1_500_000 + "SECRET") == {"re": "x" * 1_500_000 + "SECRET"}
        assert peers[0].fingerprint == peers[1].fingerprint
        assert peers[0].is_e2e_enabled()
        assert len(carried) > 6
        assert not any("SECRET" in frame for frame in carried)
        # The hops stay as they were.
        assert [peer.security for peer in relay.peers.values()] == ["plain", "plain"]


async def test_both_encrypt_at_once_through_the_relay_and_the_hops_too() -> None:
    async with three() as (ann, relay, bob):
        to_bob = await ann.proxy(bob.id, relay.id)
        await bob.next("connected")
        await asyncio.gather(
            to_bob.e2e(), bob.peers[ann.id].e2e(), ann.peers[relay.id].e2e(), relay.peers[ann.id].e2e()
        )
        assert await says(to_bob, 1) == {"re": 1}
        assert await says(bob.peers[ann.id], 2) == {"re": 2}
        assert await says(ann.peers[relay.id], 3) == {"re": 3}
        beat: asyncio.Future[AnyPeer] = asyncio.get_running_loop().create_future()
        to_bob.on("heartbeat", beat.set_result)
        to_bob.heartbeat()
        assert 0 <= ((await beat).lag or 0) < 5


async def test_a_relayed_link_ends_without_the_hops() -> None:
    async with three() as (ann, relay, bob):
        for reason, end in (
            ("bye", lambda: ann.peers[bob.id].disconnect("bye")),
            ("Proxy Connection Closed", lambda: ann.peers[bob.id].disconnect()),
            ("done", lambda: ann.unproxy(bob.id, relay.id, "done")),
        ):
            peer = await ann.proxy(bob.id, relay.id)
            await bob.next("connected")
            pending = bob.peers[ann.id].send("?", await_reply=True)
            gone = end()
            if gone is not None:
                await gone
            assert await ann.next("lost") == (bob.id, reason)
            assert await bob.next("lost") == (ann.id, "Proxy Connection Closed")
            with pytest.raises(ConnectionClosed, match="Cannot send message"):
                await peer.send("too late")
            with pytest.raises(ConnectionClosed, match="Proxy Connection Closed"):
                await pending
        ann.unproxy(bob.id, relay.id)
        ann.unproxy(bob.id, "0" * 32)
        assert set(ann.peers) == set(bob.peers) == {relay.id}
        assert await says(ann.peers[relay.id], "still") == {"re": "still"}


async def test_the_other_end_may_end_it_too_and_both_at_once() -> None:
    async with three() as (ann, relay, bob):
        await ann.proxy(bob.id, relay.id)
        await bob.next("connected")
        bob.unproxy(ann.id, relay.id)
        assert await ann.next("lost") == (bob.id, "Proxy Connection Closed")
        await ann.proxy(bob.id, relay.id)
        await bob.next("connected")
        ann.unproxy(bob.id, relay.id)
        bob.unproxy(ann.id, relay.id)
        for node in (ann, bob):
            assert await says(node.peers[relay.id], "still") == {"re": "still"}
            assert set(node.peers) == {relay.id}


async def test_both_may_ask_at_once() -> None:
    async with three() as (ann, relay, bob):
        to_bob, to_ann = await asyncio.gather(ann.proxy(bob.id, relay.id), bob.proxy(ann.id, relay.id))
        assert await says(to_bob, 1) == {"re": 1}
        assert await says(to_ann, 2) == {"re": 2}
        twice = await asyncio.gather(ann.proxy(bob.id, relay.id), ann.proxy(bob.id, relay.id))
        assert twice == [to_bob, to_bob]


async def test_stopping_ends_relayed_peers_with_their_reason() -> None:
    async with three() as (ann, relay, bob):
        await ann.proxy(bob.id, relay.id)
        await ann.stop()
        assert await ann.next("lost") == (bob.id, "Local Connection Closed")
        assert await bob.next("lost") == (ann.id, "Proxy Connection Closed")


# --- who may


@pytest.mark.parametrize("verdict", [False, None, 1, "yes"])
@pytest.mark.parametrize("is_async", [False, True])
async def test_only_true_lets_anybody_through(verdict: Any, is_async: bool) -> None:
    async def later(*ids: str) -> Any:
        await asyncio.sleep(0)
        return verdict

    async with three() as (ann, relay, bob):
        relay.can_proxy = later if is_async else lambda *ids: verdict  # type: ignore[method-assign, assignment]
        with pytest.raises(RemoteError, match="Cannot proxy!"):
            await ann.proxy(bob.id, relay.id)
        assert await says(ann.peers[relay.id], "still") == {"re": "still"}
        assert set(ann.peers) == {relay.id}
        assert not ann.peers[relay.id].links().reached


async def test_can_proxy_is_asked_and_may_be_async_or_overridden() -> None:
    asked = []

    class Relay(Node):
        async def can_proxy(self, peer_id: str, other_peer_id: str) -> bool:
            asked.append((peer_id, other_peer_id))
            await asyncio.sleep(0)
            return True

    async with Relay() as relay, Node() as ann, Node() as bob:
        listener = await relay.listen("ws", ip="127.0.0.1", port=0)
        for node in (ann, bob):
            await node.connect("ws", "127.0.0.1", listener.port)
        assert await says(await ann.proxy(bob.id, relay.id), 1) == {"re": 1}
        assert asked == [(ann.id, bob.id)]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_can_proxy_that_fails_lets_nobody_through(is_async: bool) -> None:
    def fail(*ids: str) -> bool:
        raise ValueError("broken")

    async def fail_later(*ids: str) -> bool:
        await asyncio.sleep(0)
        raise ValueError("broken")

    errors: asyncio.Queue[Exception] = asyncio.Queue()
    async with three() as (ann, relay, bob):
        relay.on("error", errors.put_nowait)
        relay.can_proxy = fail_later if is_async else fail  # type: ignore[method-assign, assignment]
        with pytest.raises(RemoteError):
            await ann.proxy(bob.id, relay.id)
        assert str(await errors.get()) == "broken"


async def test_what_makes_no_sense_raises_at_the_asker() -> None:
    async with three() as (ann, relay, bob):
        for id, through, text in (
            (relay.id, relay.id, "loopback"),
            (ann.id, relay.id, "loopback"),
            ("nobody", relay.id, "32 lowercase hex"),
            (bob.id, "0" * 32, "no peer"),
        ):
            with pytest.raises(ValueError, match=text):
                await ann.proxy(id, through)
        with pytest.raises(RemoteError, match="Cannot proxy!"):
            await ann.proxy("0" * 32, relay.id)
        await ann.proxy(bob.id, relay.id)
        with pytest.raises(ValueError, match="via a proxy"):
            await ann.proxy("0" * 32, bob.id)


async def test_a_peer_that_is_connected_is_not_asked_for() -> None:
    async with three() as (ann, relay, bob):
        listener = await bob.listen("ws", ip="127.0.0.1", port=0)
        await ann.connect("ws", "127.0.0.1", listener.port)
        with pytest.raises(ValueError, match="already"):
            await ann.proxy(bob.id, relay.id)


async def test_limits_of_both_sides() -> None:
    async with three(max_relayed=1) as (ann, relay, bob), Node() as eve:
        await eve.connect("ws", "127.0.0.1", relay._open[0].port)
        await ann.proxy(bob.id, relay.id)
        with pytest.raises(LimitExceeded, match="1 peers are reached"):
            await ann.proxy(eve.id, relay.id)
        with pytest.raises(RemoteError):
            await eve.proxy(bob.id, relay.id)


async def test_a_fast_sender_waits_for_a_slow_reader_and_is_not_taken_for_dead() -> None:
    async with Node() as relay, Node() as ann:
        relay.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        limits: dict[str, Any] = {"send_limit": 4 << 20, "send_timeout": 1.0, "heartbeat_enabled": False}
        async with stranger_of(relay, authenticated=True, **limits) as slow:
            # Three silent intervals are over long before the reader is cut.
            listener = await relay.listen("ws", ip="127.0.0.1", port=0, heartbeat_interval=0.1)
            await ann.connect("ws", "127.0.0.1", listener.port)
            peer = await ann.proxy(STRANGER, relay.id)
            assert "connected" in await slow.receive()
            await answers(slow)
            await says(ann.peers[relay.id], "the relay has it")
            slow.stop_reading()
            sent = [peer.send("x" * 100_000) for _ in range(600)]
            # Cut for reading nothing, not for what another one sent it.
            id, reason = await relay.next("lost")
            assert (id, reason) == (STRANGER, "nothing was read for 1 s")
            assert await ann.next("lost") == (STRANGER, "Proxy Connection Closed")
            await asyncio.gather(*sent, return_exceptions=True)
            assert await says(ann.peers[relay.id], "still") == {"re": "still"}
            assert not relay.peers[ann.id].links().is_throttled


async def test_what_is_relayed_does_not_overtake_what_makes_it_known() -> None:
    async with Node() as relay, Node() as ann, stranger_of(relay, authenticated=True) as bob:
        relay.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        await ann.connect("ws", "127.0.0.1", relay._open[0].port)
        script = Script(bob)
        encrypting = relay.peers[STRANGER].e2e()
        peer = await ann.proxy(STRANGER, relay.id)
        peer.send("hello")
        await says(ann.peers[relay.id], "the relay has it")
        await script.take_switch(relay.id, leads=False)
        script.send_switch(2)
        await encrypting
        kind, _, value = await script.receive()
        assert (kind, value) == ("2", {"type": 1, "action": "connected", "id": ann.id})
        _, seq, _ = await script.receive()
        bob.send(script.sealed(2, -seq, {"o": None, "t": 1}))
        assert await bob.receive() == forward(STRANGER, ann.id, packet(3, 1, "hello"))


@pytest.mark.parametrize("has_heard", [True, False])
async def test_a_relayed_link_ends_when_too_much_of_it_waits(
    has_heard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ANSWER_SECONDS", 0.01)
    async with Node() as relay, Node() as ann:
        relay.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        async with stranger_of(relay, authenticated=True, send_limit=1000) as bob:
            await ann.connect("ws", "127.0.0.1", relay._open[0].port)
            if not has_heard:
                relay.peers[STRANGER].e2e()
            peer = await ann.proxy(STRANGER, relay.id)
            if has_heard:
                assert "connected" in await bob.receive()
                await answers(bob)
                await says(ann.peers[relay.id], "the relay has it")
                relay.peers[STRANGER].e2e()
            peer.send("x" * 1000)
            assert await ann.next("lost") == (STRANGER, "Proxy Connection Closed")
            assert await says(ann.peers[relay.id], "still") == {"re": "still"}
            assert (await bob.receive())[:2] == "14"
            assert relay.has_peer(STRANGER)


# --- an end that was told just now


@asynccontextmanager
async def told() -> AsyncIterator[tuple[Node, Node, Stranger, AnyPeer]]:
    """A relay, Ann, an end that read of her and did not answer yet, and it as Ann's peer."""
    async with Node() as relay, Node(ANN) as ann, stranger_of(relay, authenticated=True) as end:
        relay.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        await ann.connect("ws", "127.0.0.1", relay._open[0].port)
        peer = await ann.proxy(STRANGER, relay.id)
        assert await end.receive() == network(2, "connected", ANN)
        yield relay, ann, end, peer


async def test_frames_wait_until_an_end_has_read_who_sends_them() -> None:
    async with told() as (relay, ann, end, peer):
        seq = await question_to(end)
        peer.send("one")
        peer.send("two")
        await says(ann.peers[relay.id], "the relay has them")
        relay.peers[STRANGER].send("from the relay")
        assert await end.receive() == packet(3, 4, "from the relay")
        end.send(packet(2, -seq, {"o": None, "t": 1}))
        assert await end.receive() == forward(STRANGER, ANN, packet(3, 1, "one"))
        peer.send("three")
        assert await end.receive() == forward(STRANGER, ANN, packet(3, 2, "two"))
        assert await end.receive() == forward(STRANGER, ANN, packet(3, 3, "three"))
        assert not relay.peers[STRANGER].links().introductions


async def questions_until_frame(end: Stranger) -> int:
    """How often it is asked before it gets the frame."""
    questions = 0
    while (text := await end.receive()) != forward(STRANGER, ANN, packet(3, 1, "one")):
        questions += text[:2] == "12"
    return questions


@pytest.mark.parametrize("says", [packet(3, 2, "something"), None])
async def test_an_end_that_does_not_answer_has_the_frames_later(
    says: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ANSWER_SECONDS", 0.2)
    async with told() as (_, _, end, peer):
        peer.send("one")
        await question_to(end)
        if says is None:
            # It may be busy, or its network hangs.
            assert await questions_until_frame(end) == relay_module.ASKED_TIMES - 1
        else:
            end.send(says)
            assert await questions_until_frame(end) < relay_module.ASKED_TIMES - 1


async def test_an_end_that_was_busy_answers_when_it_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "ANSWER_SECONDS", 0.2)
    async with told() as (_, _, end, peer):
        peer.send("one")
        await question_to(end)
        await answers(end)
        assert await questions_until_frame(end) < relay_module.ASKED_TIMES - 2


async def test_what_was_sent_before_a_link_ended_arrives_and_a_new_one_begins_behind_it() -> None:
    async with told() as (relay, ann, end, peer):
        seq = await question_to(end)
        peer.send("one")
        await peer.disconnect()
        again = await ann.proxy(STRANGER, relay.id)
        again.send("two")
        await says(ann.peers[relay.id], "the relay has it")
        end.send(packet(2, -seq, {"o": None, "t": 1}))
        assert await end.receive() == forward(STRANGER, ANN, packet(3, 1, "one"))
        assert await end.receive() == network(4, "disconnected", ANN)
        await answers(end)
        assert await end.receive() == network(6, "connected", ANN)
        await answers(end)
        assert await end.receive() == forward(STRANGER, ANN, packet(3, 1, "two"))


async def test_what_was_sent_before_an_end_was_lost_arrives() -> None:
    async with told() as (relay, ann, end, peer):
        seq = await question_to(end)
        peer.send("one")
        await ann.stop()
        await relay.next("lost")
        end.send(packet(2, -seq, {"o": None, "t": 1}))
        assert await end.receive() == forward(STRANGER, ANN, packet(3, 1, "one"))
        assert await end.receive() == network(4, "disconnected", ANN)


async def test_an_end_is_lost_that_did_not_answer() -> None:
    async with told() as (relay, ann, end, peer):
        await question_to(end)
        peer.send("one")
        await says(ann.peers[relay.id], "the relay has it")
        await end.close()
        assert await ann.next("lost") == (STRANGER, "Proxy Connection Closed")
        assert await says(ann.peers[relay.id], "still") == {"re": "still"}


@asynccontextmanager
async def answered() -> AsyncIterator[tuple[Node, Stranger, int]]:
    """One who spoke at once to an asker that read the relay's reply, the asker, and the number of what
    it is asked behind the reply."""
    async with Node() as relay, Node(BOB) as bob, stranger_of(relay, authenticated=True) as asker:
        relay.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        await bob.connect("ws", "127.0.0.1", relay._open[0].port)
        await bob.next("connected")
        bob.on("connected", lambda peer: peer.send("hello"))
        asker.send(proxy(2, "proxy", BOB))
        assert await asker.receive() == packet(2, -2, {"ok": True})
        seq = await question_to(asker)
        assert (await bob.next("connected"))[0] == STRANGER
        await says(bob.peers[relay.id], "the relay has it")
        yield bob, asker, seq


async def test_the_asker_reads_the_reply_before_any_frame() -> None:
    async with answered() as (_, asker, seq):
        # It asks for whom it has: that is answered in its turn.
        asker.send(proxy(3, "proxy", BOB), packet(2, -seq, {"o": None, "t": 1}))
        assert await asker.receive() == forward(STRANGER, BOB, packet(3, 1, "hello"))
        assert await asker.receive() == packet(2, -3, {"ok": True})


async def test_an_asker_that_takes_it_back_gets_no_frames() -> None:
    async with answered() as (bob, asker, seq):
        asker.send(proxy(3, "unproxy", BOB), packet(2, -seq, {"o": None, "t": 1}))
        assert (await bob.next("lost"))[0] == STRANGER
        asker.send(proxy(4, "proxy", BOB))
        assert await asker.receive() == packet(2, -4, {"ok": True})
        await answers(asker)
        # What the new link brings, and nothing of the old one.
        assert await asker.receive() == forward(STRANGER, BOB, packet(3, 1, "hello"))
        bob.peers[STRANGER].send("and on")
        assert await asker.receive() == forward(STRANGER, BOB, packet(3, 2, "and on"))


async def test_who_sends_much_to_one_that_was_told_just_now_waits() -> None:
    async with told() as (relay, ann, end, peer):
        seq = await question_to(end)
        sending = [asyncio.ensure_future(send(peer, "x" * 200_000)) for _ in range(60)]
        links = relay.peers[ANN].links()
        while not links.is_throttled:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
        # What was read already, and no more than that.
        held = relay.peers[STRANGER].links().introductions[ANN]
        assert 1 << 20 < held._size < 3 << 20
        end.send(packet(2, -seq, {"o": None, "t": 1}))
        for number in range(60):
            assert await end.receive() == forward(STRANGER, ANN, packet(3, number + 1, "x" * 200_000))
        await asyncio.gather(*sending)
        assert await says(ann.peers[relay.id], "still") == {"re": "still"}
        assert not links.is_throttled


async def send(peer: AnyPeer, value: Any) -> None:
    await peer.send(value)


async def test_asking_and_taking_it_back_in_a_loop_has_a_limit() -> None:
    async with Node() as relay, Node() as bob:
        relay.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        listener = await relay.listen("ws", ip="127.0.0.1", port=0)
        await bob.connect("ws", "127.0.0.1", listener.port)
        async with stranger_of(relay, authenticated=True, high_water=4000) as asker:
            for number in range(100):
                asker.send(proxy(2 * number + 2, "proxy", bob.id), proxy(2 * number + 3, "unproxy", bob.id))
            assert await asker.receive() == packet(2, -2, {"ok": True})
            await question_to(asker)
            # Behind those that are said in their turn.
            refused = [int.from_bytes((await asker.receive())[2:6].encode("latin-1"), "big", signed=True)]
            while refused[-1] != -200:
                answer = await asker.receive()
                assert answer[6:] == '{"ok":false}'
                refused.append(int.from_bytes(answer[2:6].encode("latin-1"), "big", signed=True))
            assert len(refused) > 70
            assert await says(bob.peers[relay.id], "still") == {"re": "still"}


# --- the relay's loss (A12, case 41)


async def test_the_relay_is_killed_and_another_takes_its_place() -> None:
    async with three() as (ann, relay, bob), Node() as second:
        peer = await ann.proxy(bob.id, relay.id)
        await bob.next("connected")
        pending = peer.send("?" * 3_000_000, await_reply=True)
        for link in relay.peers.values():
            link._connection.output.abort()
        for node, other in ((ann, bob), (bob, ann)):
            lost = {await node.next("lost"), await node.next("lost")}
            assert lost == {
                (other.id, "Proxy Connection Closed"), (relay.id, "Remote Connection Closed"),
            }  # fmt: skip
            assert not node.peers
        with pytest.raises(ConnectionClosed, match="Proxy Connection Closed"):
            await pending
        with pytest.raises(ConnectionClosed):
            await peer.send("too late")
        second.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        listener = await second.listen("ws", ip="127.0.0.1", port=0)
        for node in (ann, bob):
            await node.connect("ws", "127.0.0.1", listener.port)
        assert await says(await ann.proxy(bob.id, second.id), 1) == {"re": 1}


async def test_an_end_leaves() -> None:
    async with three() as (ann, relay, bob):
        peer = await ann.proxy(bob.id, relay.id)
        await bob.stop()
        assert await ann.next("lost") == (bob.id, "Proxy Connection Closed")
        assert not peer.links().reached
        assert not relay.peers[ann.id].links().linked


async def test_the_relay_leaves_while_it_is_asked() -> None:
    async with AnySocket() as ann, stranger_of(ann, authenticated=True) as stranger:
        asking = asyncio.ensure_future(ann.proxy(BOB, STRANGER))
        await stranger.receive()
        stranger.write(b"\x88\x80\0\0\0\0")
        with pytest.raises(ConnectionClosed):
            await asking
        assert not ann.peers


# --- a relay of which every frame is known


async def test_frames_right_behind_the_relays_answer_are_taken() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with AnySocket() as ann, stranger_of(ann, authenticated=True) as stranger:
        ann.on("message", lambda packet: heard.put_nowait(packet.msg))

        async def answer() -> None:
            request = await stranger.receive()
            assert request[6:] == f'{{"type":2,"action":"proxy","id":"{BOB}"}}'
            stranger.send(
                packet(2, -2, {"ok": True}),
                *(forward(ann.id, BOB, packet(3, seq, f"number {seq}")) for seq in (1, 2)),
                forward(ann.id, BOB, packet(5, 3, 1)),
            )

        answering = asyncio.ensure_future(answer())
        peer = await ann.proxy(BOB, STRANGER)
        own: asyncio.Queue[Any] = asyncio.Queue()
        peer.on("message", lambda packet: own.put_nowait(packet.msg))
        assert [await own.get(), await own.get()] == ["number 1", "number 2"]
        assert [await heard.get(), await heard.get()] == ["number 1", "number 2"]
        await answering
        # There is no AUTH on this link: its first number is 1.
        assert await stranger.receive() == forward(BOB, ann.id, packet(5, 1, 2))
        await peer.send("é😀")
        assert await stranger.receive() == forward(BOB, ann.id, packet(3, 2, "é😀"))
        await peer.disconnect()
        assert (await stranger.receive())[6:] == f'{{"type":2,"action":"unproxy","id":"{BOB}"}}'


async def test_a_relay_that_does_not_answer() -> None:
    async with AnySocket() as ann, stranger_of(ann, authenticated=True, reply_timeout=0.05) as stranger:
        with pytest.raises(ReplyTimeout):
            await ann.proxy(BOB, STRANGER)
        assert "proxy" in await stranger.receive()
        assert "unproxy" in await stranger.receive()
        asking = asyncio.ensure_future(ann.proxy(BOB, STRANGER))
        await stranger.receive()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert "unproxy" in await stranger.receive()
        assert set(ann.peers) == {STRANGER}
        assert not ann.peers[STRANGER].links().reached


@pytest.mark.parametrize("answer", [{"ok": False}, {"ok": 1}, {}, None, [], "ok"])
async def test_a_relay_that_refuses(answer: Any) -> None:
    async with AnySocket() as ann, stranger_of(ann, authenticated=True) as stranger:
        asking = asyncio.ensure_future(ann.proxy(BOB, STRANGER))
        await stranger.receive()
        stranger.send(packet(2, -2, answer))
        with pytest.raises(RemoteError, match="Cannot proxy!"):
            await asking
        assert set(ann.peers) == {STRANGER}


async def test_the_other_leaves_before_the_answer_is_taken() -> None:
    async with AnySocket() as ann, stranger_of(ann, authenticated=True) as stranger:
        asking = asyncio.ensure_future(ann.proxy(BOB, STRANGER))
        await stranger.receive()
        stranger.send(packet(2, -2, {"ok": True}), network(2, "disconnected", BOB))
        with pytest.raises(ConnectionClosed, match="Proxy Connection Closed"):
            await asking
        assert set(ann.peers) == {STRANGER}


async def test_the_other_comes_himself_before_the_answer() -> None:
    async with Node() as ann, stranger_of(ann, authenticated=True) as stranger, Node(BOB) as bob:
        asking = asyncio.ensure_future(ann.proxy(BOB, STRANGER))
        await stranger.receive()
        await bob.connect("ws", "127.0.0.1", ann._open[0].port)
        stranger.send(packet(2, -2, {"ok": True}))
        with pytest.raises(ValueError, match="in another way"):
            await asking
        assert (await stranger.receive())[6:] == f'{{"type":2,"action":"unproxy","id":"{BOB}"}}'
        assert ann.has_direct_peer(BOB)
        assert not ann.peers[STRANGER].links().reached


async def test_who_is_told_before_the_answer_has_the_peer_whatever_the_answer() -> None:
    async with Node() as ann, stranger_of(ann, authenticated=True, reply_timeout=0.3) as stranger:
        for seq, answer in ((2, [packet(2, -2, {"ok": False})]), (3, [])):
            asking = asyncio.ensure_future(ann.proxy(BOB, STRANGER))
            await stranger.receive()
            stranger.send(network(2 * seq, "connected", BOB), *answer)
            if answer:
                assert await asking is ann.peers[BOB]
            else:
                with pytest.raises(ReplyTimeout):
                    await asking
            stranger.send(forward(ann.id, BOB, packet(3, 1, "?")))
            assert await stranger.receive() == forward(BOB, ann.id, packet(3, -1, {"re": "?"}))
            stranger.send(network(2 * seq + 1, "disconnected", BOB))
            await ann.next("lost")


async def test_an_unproxy_overtakes_the_decision() -> None:
    decide = asyncio.Event()

    async def later(*ids: str) -> bool:
        await decide.wait()
        return True

    async with Node() as relay, Node() as bob, stranger_of(relay, authenticated=True) as stranger:
        relay.can_proxy = later  # type: ignore[method-assign, assignment]
        await bob.connect("ws", "127.0.0.1", relay._open[0].port)
        stranger.send(
            packet(2, 2, {"type": 2, "action": "proxy", "id": bob.id}),
            packet(2, 3, {"type": 2, "action": "unproxy", "id": bob.id}),
            packet(3, 4, "?"),
        )
        assert (await stranger.receive())[1] == "3"
        decide.set()
        assert await stranger.receive() == packet(2, -2, {"ok": False})
        assert await says(bob.peers[relay.id], 1) == {"re": 1}
        assert set(bob.peers) == {relay.id}


async def test_decisions_in_flight_have_a_limit() -> None:
    async def never(*ids: str) -> bool:
        await asyncio.Event().wait()
        return True

    async with Node() as relay, Node() as bob, Node() as eve:
        relay.can_proxy = never  # type: ignore[method-assign, assignment]
        async with stranger_of(relay, authenticated=True, max_relayed=1) as stranger:
            for node in (bob, eve):
                await node.connect("ws", "127.0.0.1", relay._open[0].port)
            stranger.send(packet(2, 2, {"type": 2, "action": "proxy", "id": bob.id}))
            stranger.send(packet(2, 3, {"type": 2, "action": "proxy", "id": eve.id}))
            assert await stranger.receive() == packet(2, -3, {"ok": False})


# --- forged frames (A2, case 40)


@asynccontextmanager
async def watched(server: AnySocket) -> AsyncIterator[tuple[Stranger, AnyPeer, AnySocket, list[Any]]]:
    """A stranger and a victim at one server, and what the victim hears."""
    heard: list[Any] = []
    async with Node(BOB) as bob, stranger_of(server, authenticated=True) as stranger:
        bob.on("message", lambda packet: heard.append(packet.msg))
        await bob.connect("ws", "127.0.0.1", server._open[0].port)
        yield stranger, server.peers[STRANGER], bob, heard
        # Everybody is still there and served.
        stranger.send(packet(3, 99, "?"))
        while (await stranger.receive())[:6] != packet(3, -99, "")[:6]:
            pass
        assert await says(bob.peers[server.id], "still") == {"re": "still"}
        assert await says(server.peers[BOB], "you too") == {"re": "you too"}
        assert heard.pop() == "you too"


FORGED: list[Callable[[str], str]] = [
    lambda server: forward(BOB, STRANGER, packet(3, 1, "to one it is not linked with")),
    lambda server: forward(BOB, server, packet(3, 1, "in the name of the server")),
    lambda server: forward(BOB, BOB, packet(3, 1, "in its own name")),
    lambda server: forward(BOB, ANN, packet(3, 1, "in the name of somebody")),
    lambda server: forward(server, STRANGER, packet(3, 50, "to the server itself")),
    lambda server: forward(server, BOB, packet(3, 50, "into the victim's link")),
    lambda server: forward(server, ANN, packet(3, 50, "of somebody")),
    lambda server: forward(server, server, packet(3, 50, "of the server to itself")),
    lambda server: forward("0" * 32, STRANGER, packet(3, 1, "to nobody")),
    lambda server: forward(server, BOB, forward(server, BOB, packet(3, 50, "nested"))),
    lambda server: "6",
    lambda server: "6" + "\1" * 31,
    lambda server: "6" + "\u0100" * 32 + packet(3, 1, {}),
]


@pytest.mark.parametrize("forged", FORGED)
async def test_forged_frames_are_dropped_and_counted(
    forged: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Node() as server:
        async with watched(server) as (stranger, peer, _, heard):
            server_heard: list[Any] = []
            server.on("message", lambda packet: server_heard.append(packet.msg))
            stranger.send(forged(server.id))
        assert peer._protocol.dropped == 1
        assert heard == []
        assert server_heard == ["?", "still"]
    assert not caplog.records


async def test_a_linked_pair_may_not_speak_for_others() -> None:
    async with Node() as server:
        server.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        async with watched(server) as (stranger, peer, _, heard):
            stranger.send(packet(2, 2, {"type": 2, "action": "proxy", "id": BOB}))
            assert await stranger.receive() == packet(2, -2, {"ok": True})
            await answers(stranger)
            stranger.send(
                forward(BOB, ANN, packet(3, 1, "forged")),
                forward(BOB, STRANGER, packet(3, 1, "allowed")),
            )
            assert await stranger.receive() == forward(STRANGER, BOB, packet(3, -1, {"re": "allowed"}))
            assert heard == ["allowed"]
            assert peer._protocol.dropped == 1
            # What its own link breaks is that link alone.
            stranger.send(forward(BOB, STRANGER, packet(9, 2, "no such type")))
            notice = await stranger.receive()
            assert notice[6:] == f'{{"type":1,"action":"disconnected","id":"{BOB}"}}'
            stranger.send(forward(BOB, STRANGER, packet(3, 3, "late")))
            heard.clear()


@pytest.mark.parametrize("request_", ['{"type":5,"time":%s}', '{"type":3,"method":%s}'])
async def test_what_a_linked_peer_says_does_not_cost_the_relay(request_: str) -> None:
    """Found by fuzzing: what is nested too deep to be answered cut the link to the relay, and with it
    all that were reached through it."""
    deep = "[" * 1000 + "]" * 1000
    async with Node() as server:
        server.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        async with watched(server) as (stranger, _, bob, _):
            stranger.send(packet(2, 2, {"type": 2, "action": "proxy", "id": BOB}))
            assert await stranger.receive() == packet(2, -2, {"ok": True})
            await answers(stranger)
            stranger.send(forward(BOB, STRANGER, packet(2, 1, text=request_ % deep)))
            assert (await stranger.receive()).startswith(forward(STRANGER, BOB, packet(2, -1, text="{")))
            assert set(bob.peers) == {server.id, STRANGER}


async def test_nothing_is_forwarded_before_the_auth() -> None:
    async with Node() as server, Node(BOB) as bob, stranger_of(server) as stranger:
        await bob.connect("ws", "127.0.0.1", server._open[0].port)
        stranger.send(forward(BOB, STRANGER, packet(3, 1, "!")))
        assert await stranger.closed() == 1008
        assert await says(bob.peers[server.id], "still") == {"re": "still"}


async def test_a_forward_frame_within_a_relayed_link_is_dropped() -> None:
    async with Node() as server, stranger_of(server, authenticated=True) as stranger:
        stranger.send(
            network(2, "connected", ANN),
            forward(server.id, ANN, forward(server.id, STRANGER, packet(3, 1, "nested"))),
            forward(server.id, ANN, packet(2, 1, {"type": 1, "action": "connected", "id": BOB})),
            forward(server.id, ANN, packet(2, 2, {"type": 2, "action": "proxy", "id": STRANGER})),
        )
        assert await stranger.receive() == forward(ANN, server.id, packet(2, -2, {"ok": False}))
        assert server.peers[ANN]._protocol.dropped == 2
        assert set(server.peers) == {STRANGER, ANN}


# --- announcements (A3)


@pytest.mark.parametrize("id", [None, 1, "", "x", "F" * 32, ["a" * 32], STRANGER, "server"])
async def test_announcements_that_make_no_sense_are_ignored(id: Any) -> None:
    async with Node() as server, stranger_of(server, authenticated=True) as stranger:
        id = server.id if id == "server" else id
        stranger.send(network(2, "connected", id), network(3, "disconnected", id), packet(3, 4, "?"))
        assert await stranger.receive() == packet(3, -4, {"re": "?"})
        assert set(server.peers) == {STRANGER}
        assert server.peers[STRANGER]._protocol.dropped == 2


async def test_nobody_announces_or_ends_the_peers_of_others() -> None:
    async with Node() as server, watched(server) as (stranger, peer, _, _):
        victim = server.peers[BOB]
        async with connected(server._open[0].port) as second:
            await second.upgrade()
            await second.authenticate("c" * 32)
            second.send(network(2, "connected", ANN), packet(3, 3, "?"))
            await second.receive()
            relayed = server.peers[ANN]
            for seq, id in ((2, BOB), (4, ANN), (6, "c" * 32)):
                stranger.send(network(seq, "connected", id), network(seq + 1, "disconnected", id))
            stranger.send(forward(server.id, ANN, packet(3, 1, "forged")), packet(3, 8, "?"))
            assert await stranger.receive() == packet(3, -8, {"re": "?"})
            assert server.peers[BOB] is victim
            assert server.peers[ANN] is relayed
            assert not peer.links().reached
            assert peer._protocol.dropped == 1
            second.send(network(4, "disconnected", ANN), packet(3, 5, "?"))
            await second.receive()
            assert not server.has_peer(ANN)


async def test_a_relay_announces_so_many_and_no_more() -> None:
    async with Node() as server, stranger_of(server, authenticated=True, max_relayed=3) as stranger:
        stranger.send(*(network(seq, "connected", f"{seq:032x}") for seq in range(2, 7)))
        stranger.send(packet(3, 7, "?"))
        await stranger.receive()
        assert len(server.peers) == 4
        assert server.peers[STRANGER]._protocol.dropped == 2
        stranger.send(network(8, "disconnected", f"{2:032x}"), network(9, "connected", BOB))
        stranger.send(packet(3, 10, "?"))
        await stranger.receive()
        assert server.has_peer(BOB)


async def test_who_comes_himself_replaces_what_a_relay_says_of_him() -> None:
    async with Node() as server, stranger_of(server, authenticated=True) as stranger:
        stranger.send(network(2, "connected", BOB))
        assert await server.next("connected") == (STRANGER, None)
        assert await server.next("connected") == (BOB, None)
        async with Node(BOB) as bob:
            await bob.connect("ws", "127.0.0.1", server._open[0].port)
            assert await server.next("lost") == (BOB, "Duplicated AnySocket ID found!")
            assert server.has_direct_peer(BOB)
            assert (await stranger.receive())[6:] == f'{{"type":2,"action":"unproxy","id":"{BOB}"}}'
            stranger.send(network(3, "disconnected", BOB), packet(3, 4, "?"))
            await stranger.receive()
            assert await says(bob.peers[server.id], 1) == {"re": 1}


# --- the same id twice (A4)


async def test_reject_keeps_the_older_one() -> None:
    async with Node() as server, Node(BOB) as first, Node(BOB) as second:
        listener = await server.listen("ws", ip="127.0.0.1", port=0, on_duplicate="reject")
        await first.connect("ws", "127.0.0.1", listener.port)
        with pytest.raises(AuthError, match="Remote Connection Closed"):
            await second.connect("ws", "127.0.0.1", listener.port)
        assert await says(first.peers[server.id], 1) == {"re": 1}


async def test_replace_takes_the_newer_one() -> None:
    async with Node() as server, Node(BOB) as first, Node(BOB) as second:
        listener = await server.listen("ws", ip="127.0.0.1", port=0, on_duplicate="replace")
        await first.connect("ws", "127.0.0.1", listener.port)
        peer = await second.connect("ws", "127.0.0.1", listener.port)
        assert await server.next("lost") == (BOB, "Duplicated AnySocket ID found!")
        assert (await first.next("lost"))[0] == server.id
        assert await says(peer, 1) == {"re": 1}
        assert await says(server.peers[BOB], 2) == {"re": 2}


async def test_probe_keeps_one_that_answers() -> None:
    async with Node() as server, Node(BOB) as first, Node(BOB) as second:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await first.connect("ws", "127.0.0.1", listener.port)
        with pytest.raises(AuthError, match="Remote Connection Closed"):
            await second.connect("ws", "127.0.0.1", listener.port)
        assert await says(first.peers[server.id], 1) == {"re": 1}
        assert not server.peers[BOB]._listeners.get("heartbeat")


@pytest.mark.parametrize("sign", [packet(5, 2, 2), packet(3, 2, "?"), None])
async def test_probe_lets_a_newcomer_in_where_the_older_one_is_silent(
    sign: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "PROBE", 0.2)
    async with Node() as server, stranger_of(server, authenticated=True) as old, Node(STRANGER) as owner:
        connecting = asyncio.ensure_future(owner.connect("ws", "127.0.0.1", server._open[0].port))
        assert await old.receive() == packet(5, 2, 1)
        if sign is not None:
            old.send(sign)
            with pytest.raises(AuthError):
                await connecting
            return
        peer = await connecting
        assert await server.next("lost") == (STRANGER, "Duplicated AnySocket ID found!")
        assert await says(peer, 1) == {"re": 1}


async def test_an_older_one_that_leaves_while_it_is_probed_makes_room() -> None:
    async with Node() as server, stranger_of(server, authenticated=True) as old, Node(STRANGER) as owner:
        connecting = asyncio.ensure_future(owner.connect("ws", "127.0.0.1", server._open[0].port))
        await old.receive()
        old.write(b"\x88\x80\0\0\0\0")
        assert await says(await connecting, 1) == {"re": 1}


async def test_of_two_newcomers_one_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "PROBE", 0.2)
    async with Node() as server, stranger_of(server, authenticated=True) as old:
        async with Node(STRANGER) as one, Node(STRANGER) as two:
            port = server._open[0].port
            results = await asyncio.gather(
                one.connect("ws", "127.0.0.1", port),
                two.connect("ws", "127.0.0.1", port),
                return_exceptions=True,
            )
            assert sorted(type(result).__name__ for result in results) == ["AnyPeer", "AuthError"]
            assert await says(server.peers[STRANGER], 1) == {"re": 1}
        await old.closed()


async def test_a_newcomer_that_gives_up_while_the_older_one_is_probed() -> None:
    async with Node() as server, stranger_of(server, authenticated=True) as old:
        async with connected(server._open[0].port) as newcomer:
            await newcomer.upgrade()
            newcomer.send(packet(1, 1, {"id": STRANGER}))
            assert await old.receive() == packet(5, 2, 1)
            (gone,) = [peer for peer in server._connections if not peer.id]
            leaving = gone.disconnect("gives up")
        old.send(packet(5, 2, 2))
        await leaving
        assert set(server.peers) == {STRANGER}


async def test_a_socket_has_one_link_to_a_server() -> None:
    async with Node() as server, Node() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0, on_duplicate="replace")
        other = await server.listen("ws", ip="127.0.0.1", port=0, on_duplicate="reject")
        await client.connect("ws", "127.0.0.1", listener.port)
        with pytest.raises(AuthError):
            await client.connect("ws", "127.0.0.1", other.port)
        assert await says(client.peers[server.id], 1) == {"re": 1}


async def test_an_unknown_policy_raises() -> None:
    async with AnySocket() as server:
        with pytest.raises(ValueError, match="on_duplicate"):
            await server.listen("ws", port=0, on_duplicate="maybe")
