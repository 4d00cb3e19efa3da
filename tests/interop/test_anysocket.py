"""The unmodified npm client against our server, and our client against the npm server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.interop.npm import Npm, NpmError, npm, text_summary
from tests.interop.routes import through
from wirehop import AnyPacket, AnyPeer, AnySocket
from wirehop.errors import AuthError, ConnectionClosed, RemoteError, ReplyTimeout

UNDEFINED = {"$undefined": True}

DIRECTIONS = pytest.mark.parametrize("js_connects", [True, False], ids=["js connects", "js listens"])


class Rpc:
    """The counterpart of the functions in driver.js."""

    class Hello:
        def user(self, name: str, peer: AnyPeer) -> str:
            return f"Hello {name}"

        async def later(self, name: str, peer: AnyPeer) -> str:
            await asyncio.sleep(0)
            return f"Later {name}"

        def nothing(self, peer: AnyPeer) -> None: ...

        def whoami(self, peer: AnyPeer) -> str:
            return peer.id

        def bytes(self, data: bytes, peer: AnyPeer) -> bytes:
            assert isinstance(data, bytes)
            return data + b"\x00\xfe\xff"

        def mixed(self, text: str, data: bytes, thing: dict[str, int], peer: AnyPeer) -> list[Any]:
            return [text, len(data), thing]

    class Fail:
        def raised(self, peer: AnyPeer) -> None:
            raise ValueError("raised here")

        async def later(self, peer: AnyPeer) -> None:
            await asyncio.sleep(0)
            raise KeyError

        def chosen(self, peer: AnyPeer) -> None:
            raise RemoteError("no tea", {"pot": "empty"}, 418)

        def unspeakable(self, peer: AnyPeer) -> object:
            return object()

    def tree(self) -> dict[str, Any]:
        return {"hello": self.Hello(), "fail": self.Fail()}


class Link:
    """A link between us and npm, and what we saw of it."""

    def __init__(self, js: Npm, socket: AnySocket) -> None:
        self.js = js
        self.socket = socket
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        socket.on("message", lambda packet: self.messages.put_nowait(packet.msg))
        socket.on("disconnected", lambda peer, reason: self.ended.set_result(reason))

    @property
    def peer(self) -> AnyPeer:
        return self.socket.peers[self.js.id]

    def ask(self, command: str, *args: Any) -> Awaitable[Any]:
        """Let npm do something with its peer, us."""
        return self.js(command, self.socket.id, *args)


@asynccontextmanager
async def linked(js_connects: bool, options: dict[str, Any] | None = None, **js: Any) -> AsyncIterator[Link]:
    """npm and us, connected; ``options`` are ours, ``js`` its own."""
    async with AnySocket(rpc=Rpc().tree()) as socket, npm() as driver:
        link = Link(driver, socket)
        connected = asyncio.Event()
        socket.on("connected", lambda peer: connected.set())
        if js_connects:
            listener = await socket.listen("ws", ip="127.0.0.1", port=0, **(options or {}))
            await driver("connect", "127.0.0.1", await through(listener.port), js)
        else:
            await socket.connect(
                "ws", "127.0.0.1", await through(await driver.listen(**js)), **(options or {})
            )
        await connected.wait()
        await driver.event("connected", peer=socket.id)
        assert link.peer.id == driver.id
        yield link


@DIRECTIONS
async def test_messages_go_both_ways(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js("mode", "silent")
        values = [{"a": [1, 2.5, "x", None, True]}, "café 漢 😀", [], 1, "\ud83d lone", {"kéy": "väl"}]
        for value in values:
            await link.ask("send", value)
            assert await link.messages.get() == value
            await link.peer.send(value)
            assert (await link.js.event("message"))["msg"] == value
        # JavaScript sends {} for what it holds to be false; we send what it is.
        for value in (0, "", False, None):
            await link.ask("send", value)
            assert await link.messages.get() == {}
            await link.peer.send(value)
            assert (await link.js.event("message"))["msg"] == value
        await link.peer.send(b"\x00\xff")
        assert (await link.js.event("message"))["msg"] == {"type": "Buffer", "data": [0, 255]}


@DIRECTIONS
async def test_requests_and_replies_go_both_ways(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.socket.on("message", lambda packet: packet.reply({"pong": packet.msg}))
        assert await link.ask("request", {"ping": 1}) == {"pong": {"ping": 1}}
        replies = await asyncio.gather(*(link.peer.send({"n": n}, await_reply=True) for n in range(300)))
        assert [reply.msg["n"] for reply in replies if reply] == list(range(300))
        assert await asyncio.gather(*(link.ask("request", n) for n in range(1, 100))) == [
            {"pong": n} for n in range(1, 100)
        ]


@DIRECTIONS
async def test_an_async_listener_answers(js_connects: bool) -> None:
    async with linked(js_connects) as link:

        @link.socket.on("message")
        async def answer(packet: AnyPacket) -> None:
            await asyncio.sleep(0)
            await packet.reply({"later": packet.msg})

        assert await link.ask("request", "q") == {"later": "q"}


@DIRECTIONS
async def test_a_request_without_an_answer_costs_nothing_but_itself(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js("mode", "silent")
        with pytest.raises(ReplyTimeout):
            await link.peer.send("no answer", await_reply=True, timeout=0.05)
        await link.js("mode", "echo")
        reply = await link.peer.send("still here", await_reply=True)
        assert reply is not None
        assert reply.msg == "still here"


@DIRECTIONS
async def test_our_functions_are_called(js_connects: bool) -> None:
    async with linked(js_connects) as link:

        async def call(*path: str, args: list[Any] | None = None) -> Any:
            return await link.ask("rpc", list(path), args or [])

        assert await call("hello", "user", args=["Ada"]) == "Hello Ada"
        assert await call("hello", "later", args=["Ada"]) == "Later Ada"
        assert await call("hello", "nothing") is None
        assert await call("hello", "whoami") == link.js.id
        assert await call("hello", "bytes", args=[{"$bytes": "010203"}]) == {"$bytes": "01020300feff"}
        mixed = await call("hello", "mixed", args=["s", {"$bytes": "62696e"}, {"o": 1}])
        assert mixed == ["s", 3, {"o": 1}]

        async def failure(*path: str) -> Any:
            with pytest.raises(NpmError) as failed:
                await call(*path)
            return failed.value.value

        assert await failure("fail", "raised") == {
            "error": "raised here", "details": "method: 'fail,raised'", "code": 500,
        }  # fmt: skip
        assert (await failure("fail", "later"))["error"] == "KeyError"
        assert await failure("fail", "chosen") == {
            "error": "no tea",
            "details": {"pot": "empty"},
            "code": 418,
        }
        assert "JSON" in (await failure("fail", "unspeakable"))["error"]
        assert await failure("hello", "nope") == {
            "error": "Method not found!", "details": "method: 'hello,nope'", "code": 404,
        }  # fmt: skip
        for path in (
            ["hello"],
            ["hello", "user", "x"],
            ["hello", "__class__"],
            ["constructor_"],
            ["_hidden"],
        ):
            assert (await failure(*path))["code"] == 404


@DIRECTIONS
async def test_we_call_its_functions(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        rpc = link.peer.rpc
        assert await rpc.hello.user("Ada") == "Hello Ada"
        assert await rpc.hello.later("Ada") == "Later Ada"
        assert await rpc.hello.nothing() is None
        assert await rpc.hello.nil() is None
        assert await rpc["hello"]["whoami"]() == link.socket.id
        assert await rpc.hello.bytes(b"\x01\x02") == b"\x01\x02\x00\xfe\xff"
        assert await rpc.math.add(2, 3) == 15

        async def failure(call: Awaitable[Any]) -> tuple[str, Any, int]:
            with pytest.raises(RemoteError) as failed:
                await call
            return failed.value.message, failed.value.details, failed.value.code

        assert await failure(rpc.fail.thrown()) == ("thrown here", "method: 'fail,thrown'", 500)
        assert await failure(rpc.fail.text()) == ("rejected with text", "method: 'fail,text'", 500)
        assert (await failure(rpc.fail.object()))[0] == '{"why":"because"}'
        assert await failure(rpc.fail.error()) == (
            "the remote function failed", "method: 'fail,error'", 500,
        )  # fmt: skip
        assert await failure(rpc.hello.nope("x")) == ("Method not found!", "method: 'hello,nope'", 404)
        with pytest.raises(ReplyTimeout):
            await rpc.fail.never.with_timeout(0.05)()
        assert await rpc.hello.user("still") == "Hello still"


@DIRECTIONS
async def test_large_messages_arrive_whole(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js("mode", "silent")
        large = "x" * (5 << 19)
        await link.peer.send(large)
        assert (await link.js.event("message"))["msg"] == text_summary(large)
        await link.ask("send", {"$repeat": ["x", len(large)]})
        assert await link.messages.get() == large
        # 1,048,576 units are a chunk, quotes included: a pair lies across the boundary.
        for before in range(1_048_572, 1_048_578):
            emoji = "a" * before + "😀tail"
            await link.peer.send(emoji)
            assert (await link.js.event("message"))["msg"] == text_summary(emoji)
        emoji = "🚀" * 700_000
        await link.peer.send(emoji)
        assert (await link.js.event("message"))["msg"] == text_summary(emoji)


@DIRECTIONS
async def test_what_javascript_tears_arrives_torn_and_the_link_lives(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.ask("send", {"$repeat": ["a", 1_048_574, "😀tail"]})
        assert await link.messages.get() == "a" * 1_048_574 + "\ufffd\ufffdtail"
        await link.ask("send", {"$repeat": ["a", 1_048_573, "😀tail"]})
        assert await link.messages.get() == "a" * 1_048_573 + "😀tail"


@DIRECTIONS
async def test_the_clock_is_synchronised_both_ways(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        synced = await link.peer.get_synced_time()
        assert abs(synced.offset) < 1
        assert 0 < synced.rtt < 5
        theirs = await link.ask("synced_time")
        assert abs(theirs["offset"]) < 1000


@DIRECTIONS
async def test_heartbeats_keep_an_idle_link_for_three_intervals(js_connects: bool) -> None:
    async with linked(js_connects, {"heartbeat_interval": 0.1}) as link:
        beats: asyncio.Queue[AnyPeer] = asyncio.Queue()
        link.socket.on("heartbeat", beats.put_nowait)
        for _ in range(3):
            peer = await beats.get()
            assert peer.lag is not None
            assert 0 <= peer.lag < 1
        assert not link.ended.done()


async def test_the_npm_clients_heartbeats_are_answered() -> None:
    # Its own timer is the quick one; it drops a peer that does not answer for two intervals.
    async with linked(True, {"heartbeat_enabled": False}, heartbeatInterval=50) as link:
        await link.ask("send", "starts its timer")
        await link.messages.get()
        pings = 0
        protocol = link.peer._protocol
        original, beaten = protocol._heartbeat, asyncio.Event()

        def count(seq: int, value: Any, now: float) -> Any:
            nonlocal pings
            pings += 1
            if pings == 4:
                beaten.set()
            return original(seq, value, now)

        type(protocol)._heartbeat, restore = lambda self, *args: count(*args), type(protocol)._heartbeat  # type: ignore[method-assign]
        try:
            await beaten.wait()
        finally:
            type(protocol)._heartbeat = restore  # type: ignore[method-assign]
        assert not link.ended.done()
        assert not link.js.seen("disconnected")


# --- the end, and the reason that each side reports


@DIRECTIONS
@pytest.mark.parametrize("how", ["disconnect", "stop"])
async def test_npm_ends_the_link(js_connects: bool, how: str) -> None:
    async with linked(js_connects) as link:
        pending = link.peer.rpc.fail.never()
        peer = link.peer
        if how == "stop":
            await link.js("stop")
        else:
            await link.ask("disconnect", "bye")
        assert await link.ended == "Remote Connection Closed"
        ours = await link.js.event("disconnected", peer=link.socket.id)
        assert ours["reason"] == ("Local Connection Closed" if how == "stop" else "bye")
        assert not link.socket.has_peer(link.js.id)
        with pytest.raises(ConnectionClosed, match="Remote Connection Closed"):
            await pending
        with pytest.raises(ConnectionClosed, match="Cannot send message. Peer is disconnected"):
            await peer.send("too late")


@DIRECTIONS
@pytest.mark.parametrize("how", ["disconnect", "stop"])
async def test_we_end_the_link(js_connects: bool, how: str) -> None:
    async with linked(js_connects) as link:
        await link.js("mode", "silent")
        peer = link.peer
        peer.send("last words")
        if how == "stop":
            await link.socket.stop()
        else:
            await peer.disconnect("bye")
        assert await link.ended == ("Local Connection Closed" if how == "stop" else "bye")
        # What was sent before goes out first.
        assert (await link.js.event("message"))["msg"] == "last words"
        theirs = await link.js.event("disconnected", peer=link.socket.id)
        assert theirs["reason"] == "Remote Connection Closed"


# --- authentication


def takes(*secrets: str) -> Callable[[dict[str, Any]], bool]:
    return lambda packet: packet["auth"] in secrets


@DIRECTIONS
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_both_sides_are_asked(js_connects: bool, is_async: bool) -> None:
    seen = []

    def on_auth(packet: dict[str, Any]) -> bool:
        seen.append(packet)
        return packet["auth"] == "theirs"

    async def on_auth_later(packet: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return on_auth(packet)

    async with (
        AnySocket(on_auth=on_auth_later if is_async else on_auth, auth_packet=lambda: "ours") as socket,
        npm() as js,
    ):
        await js("on_auth", "ours")
        await js("auth_packet", "theirs")
        if js_connects:
            listener = await socket.listen("ws", ip="127.0.0.1", port=0)
            await js("connect", "127.0.0.1", await through(listener.port))
        else:
            await socket.connect("ws", "127.0.0.1", await through(await js.listen()))
        await js.event("connected", peer=socket.id)
        assert seen == [{"id": js.id, "auth": "theirs"}]


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_our_server_refuses_the_npm_client(is_async: bool) -> None:
    async def refuse_later(packet: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return False

    events = []
    async with AnySocket(on_auth=refuse_later if is_async else lambda packet: False) as server, npm() as js:
        server.on("connected", events.append)
        server.on("disconnected", lambda *args: events.append(args))
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(NpmError) as refused:
            await js("connect", "127.0.0.1", await through(listener.port))
        assert refused.value.value == "Remote Connection Closed"
    assert events == []


async def test_the_npm_client_refuses_our_server() -> None:
    async with AnySocket() as server, npm() as js:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.on("disconnected", lambda peer, reason: gone.set_result(reason))
        await js("on_auth", "something else")
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(NpmError) as refused:
            await js("connect", "127.0.0.1", await through(listener.port))
        assert refused.value.value == "Invalid Auth Packet!"
        assert await gone == "Remote Connection Closed"


async def test_the_npm_server_refuses_us() -> None:
    async with AnySocket(auth_packet=lambda: "wrong") as client, npm() as js:
        await js("on_auth", "right")
        with pytest.raises(AuthError, match="Remote Connection Closed"):
            await client.connect("ws", "127.0.0.1", await through(await js.listen()))
        assert not client.peers


async def test_we_refuse_the_npm_server() -> None:
    async with AnySocket(on_auth=takes("nothing")) as client, npm() as js:
        with pytest.raises(AuthError, match="Invalid Auth Packet!"):
            await client.connect("ws", "127.0.0.1", await through(await js.listen()))
        await js.event("disconnected", reason="Remote Connection Closed")


async def test_the_same_id_twice() -> None:
    async with AnySocket() as server, npm() as js:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await js("connect", "127.0.0.1", await through(listener.port))
        async with AnySocket(id=js.id) as double:
            with pytest.raises(AuthError, match="Remote Connection Closed"):
                await double.connect("ws", "127.0.0.1", await through(listener.port))
        # The first one is still connected and served.
        server.on("message", lambda packet: packet.reply("served"))
        assert await js("request", server.id, "x") == "served"


async def test_cookies_reach_our_upgrade_callback() -> None:
    seen = []
    async with AnySocket() as server, npm() as js:
        server.http.upgrade(lambda peer: seen.append(peer.query.cookies))
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await js(
            "connect", "127.0.0.1", await through(listener.port), {"cookies": {"hello": "world", "b": "2"}}
        )
    assert seen == ["hello=world; b=2"]


async def test_a_refused_upgrade_is_a_refused_connection() -> None:
    async with AnySocket() as server, npm() as js:
        server.http.upgrade(lambda peer: peer.end())
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(NpmError) as refused:
            await js("connect", "127.0.0.1", await through(listener.port))
        assert refused.value.value == {"$error": "Unexpected server response: 403"}


async def test_broadcasts_reach_everyone() -> None:
    async with AnySocket() as server, npm() as one, npm() as two:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        for js in (one, two):
            await js("connect", "127.0.0.1", await through(listener.port))
        replies = await server.broadcast({"to": "all"}, await_reply=True)
        assert {reply.peer.id for reply in replies} == {one.id, two.id}
        for js in (one, two):
            assert (await js.event("message"))["msg"] == {"to": "all"}
        await server.broadcast("again")
        for js in (one, two):
            await js.event("message", msg="again")


async def test_the_npm_client_is_not_kept_waiting_by_its_tls_attempt() -> None:
    # It knocks with TLS before it talks plainly: a server that lets that hang costs it seconds.
    loop = asyncio.get_running_loop()
    async with AnySocket() as server, npm() as js:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        began = loop.time()
        await js("connect", "127.0.0.1", await through(listener.port))
        assert loop.time() - began < 2


async def test_the_original_browser_bundle_connects() -> None:
    # It runs here with Node's WHATWG WebSocket, which insists on its subprotocol "null".
    async with AnySocket(rpc=Rpc().tree()) as server, npm("--experimental-websocket", "--browser") as js:
        server.on("message", lambda packet: packet.reply({"re": packet.msg}))
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await js("connect", "127.0.0.1", await through(listener.port))
        assert await js("request", server.id, {"hi": 1}) == {"re": {"hi": 1}}
        assert await js("rpc", server.id, ["hello", "user"], ["browser"]) == "Hello browser"
        peer = server.peers[js.id]
        assert await peer.rpc.hello.user("Ada") == "Hello Ada"
