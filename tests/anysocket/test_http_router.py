"""The HTTP side of an AnySocket: which route answers, and what a route can say."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.anysocket.site import port_of, site
from tests.anysocket.stranger import frame
from tests.node.serving import chunked, get, post, request
from tests.programs import curl
from tests.raw import Raw, connect, until
from wirehop import AnyHTTPPeer, AnyHTTPRouter, AnySocket
from wirehop.errors import ConnectionClosed


def says(text: str) -> Any:
    return lambda peer: peer.body(text).end()


# --- which route


async def test_a_route_for_each_method() -> None:
    async with site() as (_, router, raw):
        for method in ("get", "post", "put", "delete", "head"):
            getattr(router, method)("/x", says(method))
        router.on("PATCH", "/x", says("patch"))
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            assert (await raw.ask(get("/x", method=method))).body == method.lower().encode()
        response = await raw.ask(get("/x", method="HEAD"), "HEAD")
        assert (response.status, response.header("content-length")) == (200, "4")
        router.any("/y", says("any"))
        for method in ("GET", "POST", "OPTIONS"):
            assert (await raw.ask(get("/y", method=method))).body == b"any"


async def test_routes_are_also_decorators() -> None:
    async with site() as (_, router, raw):

        @router.get("/plain")
        def plain(peer: AnyHTTPPeer) -> None:
            peer.end()

        @router.any(re.compile("^/async/"))
        async def later(peer: AnyHTTPPeer) -> None:
            await asyncio.sleep(0)
            peer.status(201).body(peer.url).end()

        assert callable(plain)
        assert callable(later)
        assert (await raw.ask(get("/plain"))).status == 200
        response = await raw.ask(get("/async/1?x=1"))
        assert (response.status, response.body) == (201, b"/async/1")


async def test_which_of_several_routes_answers() -> None:
    async with site() as (_, router, raw):
        router.get(re.compile("x"), says("any x, get"))
        router.any(re.compile("^/x"), says("x first, any"))
        router.get("/x", says("exact, get"))
        assert (await raw.ask(get("/x"))).body == b"exact, get"
        assert (await raw.ask(get("/x/"))).body == b"x first, any"
        assert (await raw.ask(get("/a/x"))).body == b"any x, get"
        router.any("/x", says("exact, any"))
        assert (await raw.ask(get("/x"))).body == b"exact, any"
        router.any("/x", says("the later one"))
        assert (await raw.ask(get("/x"))).body == b"the later one"
        assert (await raw.ask(get("/X"))).status == 404
        assert (await raw.ask(get("/%78"))).status == 404


async def test_a_post_finds_no_route_of_get() -> None:
    async with site() as (_, router, raw):
        router.get("/x", says("x"))
        assert (await raw.ask(post("/x", b"body"))).status == 404
        assert (await raw.ask(get("/x"))).body == b"x"


# --- what was asked


async def test_what_a_route_sees() -> None:
    async with site() as (server, router, raw):
        seen: list[AnyHTTPPeer] = []

        @router.any("/a%20path")
        def look(peer: AnyHTTPPeer) -> None:
            seen.append(peer)
            peer.end()

        asked = request(
            "POST",
            "/a%20path?a=1&b=2&b=3&c=&d=%C3%A9+x",
            "Content-Length: 3",
            "X-One: 1",
            "x-one: 2",
            "Cookie: a=b; c=d",
        )
        response = await raw.ask(asked + b"\x00\xff!")
        assert response.header("anysocket-id") == server.id
        peer = seen[0]
        assert peer.url == "/a%20path"
        assert peer.query.method == "post"
        assert peer.query.body == b"\x00\xff!"
        assert peer.query.headers["x-one"] == "1, 2"
        assert peer.query.cookies == "a=b; c=d"
        assert peer.query.qs == {"a": "1", "b": ["2", "3"], "c": "", "d": "é x"}
        assert not peer.upgrade
        assert not peer.query.upgrade
        assert peer.is_closed()
        assert repr(peer) == "<AnyHTTPPeer post /a%20path>"
        await raw.ask(get("/a%20path"))
        assert seen[1].query.cookies is None
        assert seen[1].query.qs == {}
        assert seen[1].query.body == b""


async def test_a_query_of_too_many_names_is_an_error_of_that_request_only() -> None:
    async with site() as (_, router, raw):
        router.get("/", lambda peer: peer.body(str(len(peer.query.qs))).end())
        assert (await raw.ask(get("/?" + "&".join(f"a{i}=1" for i in range(1000))))).body == b"1000"
        assert (await raw.ask(get("/?" + "&".join("a=1" for i in range(1001))))).status == 500
        assert (await raw.ask(get("/?a=1"))).body == b"1"


async def test_the_body_is_there_when_the_route_is_called() -> None:
    async with site() as (_, router, raw):
        router.post("/", lambda peer: peer.body(peer.query.body).end())
        await raw.send(request("POST", "/", "Transfer-Encoding: chunked"))
        for piece in (b"2\r\nab\r\n", b"1\r\nc\r\n", b"0\r\n\r\n"):
            await raw.send(piece)
            await asyncio.sleep(0)
        assert (await raw.response()).body == b"abc"
        assert (await raw.ask(post("/", b"x" * 200_000))).body == b"x" * 200_000


@pytest.mark.parametrize(
    "asked",
    [
        post("/", b"x" * 1001),
        request("POST", "/", "Transfer-Encoding: chunked") + chunked(b"x" * 600, b"x" * 401),
        request("POST", "/", "Content-Length: 1000000000"),
        post("/nowhere", b"x" * 1001),
    ],
    ids=["length", "chunked", "promised", "no route"],
)
async def test_a_body_beyond_the_limit_reaches_no_route(asked: bytes) -> None:
    async with site(body_limit=1000) as (_, router, raw):
        called = []
        router.post("/", called.append)
        response = await raw.ask(asked)
        assert (response.status, response.header("connection")) == (413, "close")
        assert await raw.read_all() == b""
        assert called == []


async def test_a_body_of_just_the_limit() -> None:
    async with site(body_limit=1000) as (_, router, raw):
        router.post("/", lambda peer: peer.body(str(len(peer.query.body))).end())
        assert (await raw.ask(post("/", b"x" * 1000))).body == b"1000"


async def test_a_streaming_route_reads_what_it_wants() -> None:
    async with site(body_limit=10) as (_, router, raw):
        pieces = []

        @router.post("/", stream=True)
        async def streams(peer: AnyHTTPPeer) -> None:
            assert peer.query.body == b""
            async for piece in peer:
                pieces.append(piece)
                got.set()
            peer.body(b"".join(pieces)).end()

        got = asyncio.Event()
        await raw.send(request("POST", "/", "Content-Length: 20") + b"x" * 12)
        await got.wait()
        assert pieces == [b"x" * 12]
        await raw.send(b"y" * 8)
        assert (await raw.response()).body == b"x" * 12 + b"y" * 8


async def test_a_client_that_leaves_in_its_body_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with site() as (server, router, raw):
        errors = []
        server.on("error", errors.append)
        called = []
        router.post("/", called.append)
        gone = asyncio.Event()

        @router.post("/stream", stream=True)
        async def streams(peer: AnyHTTPPeer) -> None:
            try:
                async for _ in peer:
                    pass
            finally:
                assert peer.is_closed()
                gone.set()

        async with connect(raw.writer.get_extra_info("peername")[1]) as other:
            await other.send(post("/stream", b"hello")[:-1])
            await raw.send(post("/", b"hello")[:-1])
            await asyncio.sleep(0)
            raw.reset()
            other.reset()
            await gone.wait()
        assert (called, errors) == ([], [])
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- what is answered


async def test_status_headers_and_a_body_in_pieces() -> None:
    async with site() as (_, router, raw):

        @router.get("/")
        def answer(peer: AnyHTTPPeer) -> None:
            chained = peer.status(299).header("X-A", "1").header("x-a", 2).body("é").body(bytearray(b"\x00"))
            assert chained is peer
            assert not peer.is_closed()
            peer.end()
            assert peer.is_closed()
            # As the seed has it: nothing, and no error.
            peer.status(500).body("late").end()

        response = await raw.ask(get())
        assert (response.status, response.body) == (299, "é".encode() + b"\x00")
        assert [value for name, value in response.headers if name == "x-a"] == ["2"]
        assert response.header("content-length") == "3"


async def test_a_body_is_text_or_bytes() -> None:
    async with site() as (_, router, raw):

        @router.get("/")
        def answer(peer: AnyHTTPPeer) -> None:
            with pytest.raises(TypeError):
                peer.body(5)  # type: ignore[arg-type]
            peer.end()

        assert (await raw.ask(get())).body == b""


async def test_end_can_be_awaited() -> None:
    async with site() as (_, router, raw):
        ends = []

        @router.get("/")
        async def answer(peer: AnyHTTPPeer) -> None:
            await peer.body("x").end()
            ends.append(peer.is_closed())

        assert (await raw.ask(get())).body == b"x"
        await until(lambda: ends == [True])


@pytest.mark.parametrize("bad", [("A", "b\r\nc: d"), ("A B", "c"), ("Content-Length", "9")])
async def test_a_header_that_cannot_be_sent_is_an_error_of_the_route(bad: tuple[str, str]) -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        router.get("/", lambda peer: peer.header(*bad).body("x").end())
        response = await raw.ask(get())
        assert (response.status, response.body) == (500, b"")
        assert [type(error) for error in errors] == [ValueError]


# --- errors


async def test_a_route_that_raises_is_answered_with_500() -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)

        @router.get("/plain")
        def plain(peer: AnyHTTPPeer) -> None:
            peer.status(201).header("Secret", "x").body("half")
            raise RuntimeError("plain")

        @router.get("/async")
        async def later(peer: AnyHTTPPeer) -> None:
            await asyncio.sleep(0)
            raise RuntimeError("async")

        @router.get("/late")
        def late(peer: AnyHTTPPeer) -> None:
            peer.body("sent").end()
            raise RuntimeError("late")

        for path in ("/plain", "/async"):
            response = await raw.ask(get(path))
            assert (response.status, response.body, response.header("secret")) == (500, b"", None)
            assert response.header("anysocket-id") == server.id
        assert (await raw.ask(get("/late"))).body == b"sent"
        assert [str(error) for error in errors] == ["plain", "async", "late"]


async def test_the_error_callback_answers() -> None:
    async with site() as (_, router, raw):
        seen: list[tuple[str, str]] = []

        @router.error
        def error(peer: AnyHTTPPeer, problem: Exception) -> None:
            seen.append((peer.url, str(problem)))
            peer.body("sorry").end()

        router.get("/bad", lambda peer: 1 / 0)
        response = await raw.ask(get("/missing?x"))
        assert (response.status, response.body) == (404, b"sorry")
        response = await raw.ask(get("/bad"))
        assert (response.status, response.body) == (500, b"sorry")
        assert seen == [("/missing", "No route for path: '/missing'"), ("/bad", "division by zero")]


@pytest.mark.parametrize("kind", ["plain", "async", "silent", "silent async"])
async def test_an_error_callback_that_fails_or_says_nothing(kind: str) -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)

        def plain(peer: AnyHTTPPeer, problem: Exception) -> None:
            peer.body("half")
            if kind == "plain":
                raise RuntimeError("worse")

        async def later(peer: AnyHTTPPeer, problem: Exception) -> None:
            await asyncio.sleep(0)
            plain(peer, problem)
            if kind == "async":
                raise RuntimeError("worse")

        router.error(later if "async" in kind else plain)
        response = await raw.ask(get("/missing"))
        assert (response.status, response.body) == (404, b"")
        await until(lambda: len(errors) == ("silent" not in kind))


async def test_without_a_route_the_answer_is_404() -> None:
    async with site() as (server, _, raw):
        response = await raw.ask(get("/"))
        assert (response.status, response.body) == (404, b"")
        assert response.header("anysocket-id") == server.id


# --- upgrades


HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@asynccontextmanager
async def ws_site() -> AsyncIterator[tuple[AnySocket, AnyHTTPRouter, Raw]]:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connect(listener.port) as raw:
            yield server, server.http, raw


async def test_the_upgrade_callback_sees_the_request_and_lets_it_pass() -> None:
    async with ws_site() as (_, router, raw):
        seen = []

        @router.upgrade
        def look(peer: AnyHTTPPeer) -> None:
            seen.append((peer.url, peer.upgrade, peer.query.upgrade, peer.query.qs))

        await raw.send(get("/live?room=1", *HANDSHAKE))
        assert (await raw.response()).status == 101
        assert seen == [("/live", True, True, {"room": "1"})]


async def test_the_upgrade_callback_refuses() -> None:
    async with ws_site() as (server, router, raw):
        router.upgrade(lambda peer: peer.header("X", "y").body("not you").end())
        response = await raw.ask(get("/", *HANDSHAKE))
        assert (response.status, response.body, response.header("x")) == (403, b"not you", "y")
        assert await raw.read_all() == b""
        router.upgrade(lambda peer: peer.status(401).end())
        port = raw.writer.get_extra_info("peername")[1]
        async with connect(port) as other:
            assert (await other.ask(get("/", *HANDSHAKE))).status == 401
        errors: list[Exception] = []
        server.on("error", errors.append)
        router.upgrade(lambda peer: 1 / 0)
        async with connect(port) as other:
            assert (await other.ask(get("/", *HANDSHAKE))).status == 403
        assert [type(error) for error in errors] == [ZeroDivisionError]
        assert not server.peers


async def test_an_async_upgrade_callback_lets_pass() -> None:
    async with AnySocket() as server, AnySocket() as client:
        asked: asyncio.Queue[AnyHTTPPeer] = asyncio.Queue()
        decided = asyncio.Event()

        @server.http.upgrade
        async def ask(peer: AnyHTTPPeer) -> None:
            asked.put_nowait(peer)
            await decided.wait()

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        connecting = asyncio.ensure_future(client.connect("ws", "127.0.0.1", listener.port))
        assert (await asked.get()).upgrade
        assert not connecting.done()
        decided.set()
        assert (await connecting).id == server.id


async def test_what_comes_while_an_async_upgrade_callback_decides_waits() -> None:
    async with ws_site() as (_, router, raw):
        asked, decided = asyncio.Event(), asyncio.Event()

        @router.upgrade
        async def ask(peer: AnyHTTPPeer) -> None:
            asked.set()
            await decided.wait()

        await raw.send(get("/", *HANDSHAKE) + frame(b"early", 9))
        await asked.wait()
        await raw.send(frame(b"late", 9))
        decided.set()
        assert (await raw.response()).status == 101
        assert await raw.read(7) == b"\x8a\x05early"
        assert await raw.read(6) == b"\x8a\x04late"


async def test_an_async_upgrade_callback_refuses() -> None:
    async with ws_site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)

        async def refuse(peer: AnyHTTPPeer) -> None:
            await asyncio.sleep(0)
            peer.status(401).body("not you").end()

        async def fail(peer: AnyHTTPPeer) -> None:
            await asyncio.sleep(0)
            raise ConnectionClosed("the database is gone")

        # In disguise it is one, too.
        router.upgrade(lambda peer: refuse(peer))
        response = await raw.ask(get("/", *HANDSHAKE))
        assert (response.status, response.body) == (401, b"not you")
        assert await raw.read_all() == b""
        router.upgrade(fail)
        async with connect(port_of(server)) as other:
            assert (await other.ask(get("/", *HANDSHAKE))).status == 403
        assert [str(error) for error in errors] == ["the database is gone"]
        assert not server._connections


async def test_who_leaves_while_an_async_upgrade_callback_decides() -> None:
    async with ws_site() as (server, router, raw):
        asked, decided, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @router.upgrade
        async def ask(peer: AnyHTTPPeer) -> None:
            asked.set()
            await decided.wait()
            done.set()

        await raw.send(get("/", *HANDSHAKE))
        await asked.wait()
        raw.reset()
        decided.set()
        await done.wait()
        await until(lambda: not server._connections)
        assert not server.peers


@pytest.mark.parametrize("decides", [False, True])
async def test_stop_while_an_async_upgrade_callback_decides(decides: bool) -> None:
    async with ws_site() as (server, router, raw):
        asked, decided = asyncio.Event(), asyncio.Event()

        @router.upgrade
        async def ask(peer: AnyHTTPPeer) -> None:
            asked.set()
            await decided.wait()

        await raw.send(get("/", *HANDSHAKE))
        await asked.wait()
        stopping = asyncio.ensure_future(server.stop(timeout=20 if decides else 0.05))
        await asyncio.sleep(0)
        if decides:
            decided.set()
            assert (await raw.response()).status == 503
        await stopping
        assert not server._connections


async def test_an_http_listener_has_no_websockets() -> None:
    async with site() as (_, router, raw):
        router.any("/", says("plain"))
        assert (await raw.ask(get("/", *HANDSHAKE))).body == b"plain"


# --- curl


async def test_what_curl_asks(tmp_path: Path) -> None:
    async with AnySocket() as server:

        @server.http.post("/echo")
        def echo(peer: AnyHTTPPeer) -> None:
            peer.header("Content-Type", peer.query.headers["content-type"]).body(peer.query.body).end()

        @server.http.get("/page")
        async def page(peer: AnyHTTPPeer) -> None:
            peer.header("Content-Type", "text/plain").body("hello\n").end()

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        base = f"http://127.0.0.1:{listener.port}"
        assert await curl(f"{base}/page") == b"hello\n"
        # From one mebibyte on curl waits for "100 Continue" before it sends the body.
        (tmp_path / "body").write_text("y" * 2_000_000)
        assert len(await curl("--data-binary", f"@{tmp_path}/body", f"{base}/echo")) == 2_000_000
        assert await curl("-d", "a=b", f"{base}/echo") == b"a=b"
        assert await curl("-d", "a=b", "-H", "Transfer-Encoding: chunked", f"{base}/echo") == b"a=b"
        assert await curl("-H", "Expect: 100-continue", "-d", "a=b", f"{base}/echo") == b"a=b"
        connects = ("-w", "%{http_code} %{num_connects}\n")
        assert await curl(*connects, f"{base}/page", f"{base}/nowhere") == b"hello\n200 1\n404 0\n"
        assert await curl("-I", "-o", "/dev/null", "-w", "%{http_code}", f"{base}/page") == b"404"
