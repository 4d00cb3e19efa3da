"""Encryption and relaying with the unmodified npm package, in every role that it can have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.interop.npm import Npm, NpmError, npm, text_summary
from tests.interop.routes import through
from tests.interop.test_anysocket import DIRECTIONS, Link, Rpc, linked
from wirehop import AnyPeer, AnySocket
from wirehop.anysocket.wire import switch
from wirehop.errors import ConnectionClosed

INITIATORS = pytest.mark.parametrize("js_begins", [True, False], ids=["js begins", "we begin"])


async def encrypt(link: Link, js_begins: bool) -> None:
    secured = asyncio.Event()
    link.socket.once("e2e", lambda peer: secured.set())
    if js_begins:
        await link.ask("e2e")
    else:
        await link.peer.e2e()
    await secured.wait()
    await link.js.event("e2e", peer=link.socket.id)
    assert link.peer.is_e2e_enabled()
    assert link.peer.security == "legacy"


@DIRECTIONS
@INITIATORS
async def test_encrypted_messages_requests_and_calls(js_connects: bool, js_begins: bool) -> None:
    async with linked(js_connects) as link:
        assert link.peer.security == "plain"
        await encrypt(link, js_begins)
        await link.js("mode", "silent")
        values = [
            {"a": [1, 2.5, "x", None, True]},
            "café 漢 😀",
            [],
            1,
            "",
            {"kéy": "väl"},
            "x" * 15,
            "x" * 14,
        ]
        for value in values:
            await link.ask("send", value)
            assert await link.messages.get() == (value or {} if value == "" else value)
            await link.peer.send(value)
            assert (await link.js.event("message"))["msg"] == value
        await link.js("mode", "echo")
        link.socket.on("message", lambda packet: packet.reply({"pong": packet.msg}))
        assert await link.ask("request", {"ping": 1}) == {"pong": {"ping": 1}}
        replies = await asyncio.gather(*(link.peer.send({"n": n}, await_reply=True) for n in range(200)))
        assert [reply.msg["n"] for reply in replies if reply] == list(range(200))
        assert await link.peer.rpc.hello.bytes(b"\x01") == b"\x01\x00\xfe\xff"
        assert await link.ask("rpc", ["hello", "later"], ["Ada"]) == "Later Ada"
        synced = await link.peer.get_synced_time()
        assert abs(synced.offset) < 1
        assert abs((await link.ask("synced_time"))["offset"]) < 1000


@DIRECTIONS
@INITIATORS
async def test_large_encrypted_messages(js_connects: bool, js_begins: bool) -> None:
    async with linked(js_connects) as link:
        await encrypt(link, js_begins)
        await link.js("mode", "silent")
        large = "x" * (5 << 19) + "é漢"
        await link.peer.send(large)
        assert (await link.js.event("message"))["msg"] == text_summary(large)
        await link.ask("send", {"$repeat": ["x", 5 << 19, "é漢"]})
        assert await link.messages.get() == large
        for before in range(1_048_572, 1_048_578):
            emoji = "a" * before + "😀tail"
            await link.peer.send(emoji)
            assert (await link.js.event("message"))["msg"] == text_summary(emoji)


@DIRECTIONS
@INITIATORS
async def test_encrypted_heartbeats_keep_the_link(js_connects: bool, js_begins: bool) -> None:
    async with linked(js_connects, {"heartbeat_interval": 0.1}) as link:
        await encrypt(link, js_begins)
        beats: asyncio.Queue[AnyPeer] = asyncio.Queue()
        link.socket.on("heartbeat", beats.put_nowait)
        for _ in range(4):
            assert 0 <= ((await beats.get()).lag or 0) < 1
        assert not link.ended.done()


async def test_the_npm_clients_encrypted_heartbeats_are_answered() -> None:
    async with linked(True, {"heartbeat_enabled": False}, heartbeatInterval=30) as link:
        await encrypt(link, js_begins=True)
        await link.ask("send", "starts its timer")
        await link.messages.get()
        # It drops a silent peer after two intervals; this is many more, and it is still there.
        await asyncio.sleep(0.5)
        assert (await link.peer.send("still here", await_reply=True)).msg == "still here"  # type: ignore[union-attr]


@DIRECTIONS
async def test_what_is_sent_after_the_call_waits_and_arrives_in_order(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js("mode", "silent")
        for n in range(300):
            link.peer.send(n)
        link.peer.e2e()
        for n in range(300, 600):
            last = link.peer.send(n)
        assert not link.peer.is_e2e_enabled()
        await last
        assert link.peer.is_e2e_enabled()
        for n in range(600):
            assert (await link.js.event("message"))["msg"] == n


@DIRECTIONS
async def test_a_thousand_messages_each_way_while_one_side_switches(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js("mode", "silent")
        await link.ask("e2e_and_send", list(range(1, 1001)))
        sent = [link.peer.send(n) for n in range(1000)]
        assert [await link.messages.get() for _ in range(1000)] == list(range(1, 1001))
        await asyncio.gather(*sent)
        for n in range(1000):
            assert (await link.js.event("message"))["msg"] == n
        assert link.peer.is_e2e_enabled()


@DIRECTIONS
async def test_both_begin_at_once(js_connects: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "SETTLE", 20.0)
    async with linked(js_connects) as link:
        await link.js("mode", "silent")
        # Its SWITCH is on its way before it sees ours, and we see it after ours.
        link.peer._connection.pause_reading()
        await link.ask("e2e_then_send", ["a", "b", "c"])
        while not await link.ask("is_e2e"):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        link.peer.e2e()
        link.peer.send("ours")
        link.peer._connection.resume_reading()
        assert [await link.messages.get() for _ in range(3)] == ["a", "b", "c"]
        assert (await link.js.event("message"))["msg"] == "ours"
        await link.peer.send("and more")
        assert (await link.js.event("message"))["msg"] == "and more"


@INITIATORS
async def test_a_second_call_changes_nothing(js_begins: bool) -> None:
    async with linked(True) as link:
        await encrypt(link, js_begins)
        await link.peer.e2e()
        await link.peer.e2e()
        assert (await link.peer.send("x", await_reply=True)).msg == "x"  # type: ignore[union-attr]


@INITIATORS
async def test_the_original_browser_bundle(js_begins: bool) -> None:
    async with AnySocket() as server, npm("--experimental-websocket", "--browser") as js:
        server.on("message", lambda packet: packet.reply({"re": packet.msg}))
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await js("connect", "127.0.0.1", await through(listener.port))
        await js.event("connected", peer=server.id)
        if js_begins:
            await js("e2e", server.id)
        else:
            await server.peers[js.id].e2e()
        await js.event("e2e", peer=server.id)
        assert await js("request", server.id, {"hi": "é😀"}) == {"re": {"hi": "é😀"}}
        assert await server.peers[js.id].rpc.hello.user("Ada") == "Hello Ada"


@DIRECTIONS
async def test_pings_around_the_switch_are_taken(js_connects: bool) -> None:
    async with linked(js_connects, {"heartbeat_enabled": False}) as link:
        beats: asyncio.Queue[AnyPeer] = asyncio.Queue()
        link.socket.on("heartbeat", beats.put_nowait)
        link.peer.heartbeat()
        encrypting = link.peer.e2e()
        await beats.get()
        await encrypting
        link.peer.heartbeat()
        await beats.get()
        assert link.peer.is_e2e_enabled()


# --- relaying


class Node:
    """One side of a relayed link, in Python or in JavaScript, with one way to use both."""

    def __init__(self, side: AnySocket | Npm) -> None:
        self.side = side
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        if isinstance(side, AnySocket):
            side.on("message", lambda packet: packet.reply({"re": packet.msg}))
            side.on("disconnected", lambda peer, reason: self.ended.put_nowait(reason))

    @property
    def id(self) -> str:
        return self.side.id

    async def listen(self) -> int:
        if isinstance(self.side, AnySocket):
            return (await self.side.listen("ws", ip="127.0.0.1", port=0)).port
        return await self.side.listen()

    async def connect(self, port: int) -> None:
        if isinstance(self.side, AnySocket):
            await self.side.connect("ws", "127.0.0.1", port)
        else:
            await self.side("connect", "127.0.0.1", port)

    async def proxy(self, other: Node, through: Node) -> None:
        if isinstance(self.side, AnySocket):
            assert (await self.side.proxy(other.id, through.id)).id == other.id
        else:
            assert await self.side("proxy", other.id, through.id) == other.id

    async def has(self, other: Node) -> bool:
        """Wait until the other one is a peer; returns whether it is relayed."""
        if isinstance(self.side, AnySocket):
            while not self.side.has_peer(other.id):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            return not self.side.has_direct_peer(other.id)
        await self.side.event("connected", peer=other.id)
        return not await self.side("has_direct_peer", other.id)

    async def ask(self, other: Node, value: Any) -> Any:
        if isinstance(self.side, AnySocket):
            reply = await self.side.peers[other.id].send(value, await_reply=True)
            assert reply is not None
            return reply.msg
        return await self.side("request", other.id, value)

    async def e2e(self, other: Node) -> None:
        if isinstance(self.side, AnySocket):
            await self.side.peers[other.id].e2e()
        else:
            await self.side("e2e", other.id)
            await self.side.event("e2e", peer=other.id)

    async def call(self, other: Node) -> Any:
        if isinstance(self.side, AnySocket):
            return await self.side.peers[other.id].rpc.hello.user("Ada")
        return await self.side("rpc", other.id, ["hello", "user"], ["Ada"])

    async def disconnect(self, other: Node) -> None:
        if isinstance(self.side, AnySocket):
            await self.side.peers[other.id].disconnect("bye")
        else:
            await self.side("disconnect", other.id, "bye")

    async def lost(self, other: Node) -> str:
        if isinstance(self.side, AnySocket):
            return await self.ended.get()
        reason: str = (await self.side.event("disconnected", peer=other.id))["reason"]
        return reason


@asynccontextmanager
async def relayed(languages: str) -> AsyncIterator[tuple[Node, Node, Node]]:
    """One that asks, a relay, and another, in the languages "p" or "j" each, and connected."""
    async with AsyncExitStack() as stack:
        nodes = []
        for language in languages:
            if language == "p":
                side: AnySocket | Npm = await stack.enter_async_context(AnySocket(rpc=Rpc().tree()))
            else:
                side = await stack.enter_async_context(npm())
            nodes.append(Node(side))
        asks, relay, other = nodes
        if isinstance(relay.side, AnySocket):
            relay.side.can_proxy = lambda *ids: True  # type: ignore[method-assign]
        else:
            await relay.side("can_proxy", True)
        port = await through(await relay.listen())
        for node in (asks, other):
            await node.connect(port)
            await relay.has(node)
        yield asks, relay, other


ROLES = pytest.mark.parametrize("languages", ["pjp", "pjj", "jjp", "jpj", "jpp", "ppj"])
"""Who asks, who relays, who is the other: p for ours, j for npm's."""


def echoed(node: Node, value: Any) -> Any:
    return {"re": value} if isinstance(node.side, AnySocket) else value


@ROLES
@pytest.mark.parametrize("asker_begins", [True, False], ids=["asker begins", "other begins"])
async def test_npm_in_every_role_of_a_relayed_link(languages: str, asker_begins: bool) -> None:
    async with relayed(languages) as (asks, relay, other):
        await asks.proxy(other, relay)
        assert await other.has(asks)
        assert await asks.has(other)
        assert await asks.ask(other, {"a": 1}) == echoed(other, {"a": 1})
        assert await other.ask(asks, "b") == echoed(asks, "b")
        assert await asks.call(other) == await other.call(asks) == "Hello Ada"
        await (asks.e2e(other) if asker_begins else other.e2e(asks))
        assert await asks.ask(other, {"c": "é漢"}) == echoed(other, {"c": "é漢"})
        assert await other.ask(asks, "d") == echoed(asks, "d")
        large = "x" * 2_500_000
        expected = echoed(other, large)
        answer = await asks.ask(other, large)
        assert answer == (text_summary(large) if isinstance(asks.side, Npm) and expected == large else answer)
        # The hops are as they were.
        assert await asks.ask(relay, 1) == echoed(relay, 1)
        assert await other.ask(relay, 2) == echoed(relay, 2)
        await asks.disconnect(other)
        assert await other.lost(asks) == "Proxy Connection Closed"
        assert await asks.lost(other) == "bye"
        assert await other.ask(relay, 3) == echoed(relay, 3)
        await asks.proxy(other, relay)
        assert await other.has(asks)
        assert await asks.ask(other, 4) == echoed(other, 4)


async def test_an_npm_end_that_is_busy_is_told_before_it_gets_a_frame() -> None:
    async with relayed("ppj") as (asks, relay, other):
        assert isinstance(other.side, Npm)
        busy = asyncio.ensure_future(other.side("busy", 300))
        await other.side.event("busy")
        # It reads what follows together, and takes frames before what makes their sender known.
        await asks.proxy(other, relay)
        assert await asks.ask(other, "at once") == "at once"
        await busy
        assert await asks.ask(relay, "still") == {"re": "still"}


async def test_a_busy_npm_asker_has_its_answer_before_it_gets_a_frame() -> None:
    async with relayed("jpp") as (asks, relay, other):
        assert isinstance(asks.side, Npm)
        assert isinstance(relay.side, AnySocket)
        assert isinstance(other.side, AnySocket)

        async def once_busy(*ids: str) -> bool:
            assert isinstance(asks.side, Npm)
            busy.append(asyncio.ensure_future(asks.side("busy", 300)))
            await asks.side.event("busy")
            return True

        busy: list[asyncio.Future[Any]] = []

        relay.side.can_proxy = once_busy  # type: ignore[method-assign, assignment]
        other.side.on("connected", lambda peer: peer.send("at once"))
        await asks.proxy(other, relay)
        await busy[0]
        assert (await asks.side.event("message", peer=other.id))["msg"] == "at once"
        assert await asks.ask(relay, "still") == {"re": "still"}


@pytest.mark.parametrize("languages", ["pjp", "ppj", "pjj"])
async def test_the_hops_may_be_encrypted_too_and_lag_is_measured_through_them(languages: str) -> None:
    async with relayed(languages) as (asks, relay, other):
        assert isinstance(asks.side, AnySocket)
        await asks.e2e(relay)
        await other.e2e(relay)
        await asks.proxy(other, relay)
        # npm takes a relayed frame at once and decrypts what announces its sender a little later.
        assert await other.has(asks)
        await asks.e2e(other)
        assert await asks.ask(other, "x" * 1_100_000) is not None
        peer = asks.side.peers[other.id]
        beat: asyncio.Future[AnyPeer] = asyncio.get_running_loop().create_future()
        peer.on("heartbeat", beat.set_result)
        peer.heartbeat()
        assert 0 <= ((await beat).lag or 0) < 5
        assert abs((await peer.get_synced_time()).offset) < 1


@ROLES
async def test_the_other_end_leaves(languages: str) -> None:
    async with relayed(languages) as (asks, relay, other):
        await asks.proxy(other, relay)
        await other.has(asks)
        await other.disconnect(relay)
        assert await asks.lost(other) == "Proxy Connection Closed"
        assert await asks.ask(relay, "still") == echoed(relay, "still")


async def test_npms_relay_refuses_by_disconnecting() -> None:
    async with relayed("pjp") as (asks, relay, other):
        assert isinstance(relay.side, Npm)
        assert isinstance(asks.side, AnySocket)
        await relay.side("can_proxy", False)
        with pytest.raises(ConnectionClosed, match="Remote Connection Closed"):
            await asks.side.proxy(other.id, relay.id)
        assert not asks.side.peers


async def test_our_relay_refuses_npm_and_stays() -> None:
    async with relayed("jpj") as (asks, relay, other):
        assert isinstance(relay.side, AnySocket)
        assert isinstance(asks.side, Npm)
        relay.side.can_proxy = lambda *ids: False  # type: ignore[method-assign]
        with pytest.raises(NpmError) as refused:
            await asks.side("proxy", other.id, relay.id)
        assert refused.value.value == "Cannot proxy!"
        assert await asks.ask(relay, "still") == {"re": "still"}


@pytest.mark.parametrize("languages", ["pjp", "pjj"])
async def test_npms_relay_is_killed(languages: str) -> None:
    async with relayed(languages) as (asks, relay, other):
        assert isinstance(relay.side, Npm)
        assert isinstance(asks.side, AnySocket)
        await asks.proxy(other, relay)
        peer = asks.side.peers[other.id]
        relay.side._process.kill()
        assert {await asks.ended.get(), await asks.ended.get()} == {
            "Proxy Connection Closed",
            "Remote Connection Closed",
        }
        with pytest.raises(ConnectionClosed):
            await peer.send("too late")
        assert not asks.side.peers
