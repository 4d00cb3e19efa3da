"""What a route can say in pieces, and what becomes of an answer that breaks off."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.anysocket.site import port_of, site
from tests.node.serving import get, post, request
from tests.programs import curl, output
from tests.raw import connect, until
from wirehop import AnyHTTPPeer, AnySocket
from wirehop.errors import ConnectionClosed

# --- a body in pieces


async def test_a_body_in_pieces() -> None:
    async with site() as (server, router, raw):
        gate = asyncio.Event()

        @router.get("/")
        async def pieces(peer: AnyHTTPPeer) -> None:
            peer.status(201).header("X-A", "b").set_cookie("c", "d").body("first ")
            await peer.write("é ")
            assert not peer.is_closed()
            await gate.wait()
            await peer.write(b"\x00\xff")
            await peer.body(" last").end()
            assert peer.is_closed()
            await peer.write("late")

        await raw.send(get())
        head = await raw.read_until(b"\r\n\r\n")
        # The first piece is here while the route waits.
        assert await raw.read_until(b" \r\n") == b"9\r\nfirst " + "é ".encode() + b"\r\n"
        gate.set()
        assert await raw.read_until(b"0\r\n\r\n") == b"2\r\n\x00\xff\r\n5\r\n last\r\n0\r\n\r\n"
        assert head.startswith(b"HTTP/1.1 201 Created\r\n")
        for line in (b"X-A: b", b"Set-Cookie: c=d; Path=/", f"ANYSOCKET-ID: {server.id}".encode()):
            assert b"\r\n" + line + b"\r\n" in head
        router.get("/next", lambda peer: peer.body("same connection").end())
        assert (await raw.ask(get("/next"))).body == b"same connection"


async def test_a_body_in_pieces_with_its_length() -> None:
    async with site() as (_, router, raw):

        @router.any("/")
        def pieces(peer: AnyHTTPPeer) -> None:
            peer.header("Content-Length", 4)
            peer.write("ab")
            peer.write("cd")
            peer.end()

        response = await raw.ask(get())
        assert (response.body, response.header("transfer-encoding")) == (b"abcd", None)
        response = await raw.ask(get(method="HEAD"), "HEAD")
        assert response.header("content-length") == "4"
        assert (await raw.ask(get())).body == b"abcd"


async def test_the_head_cannot_change_once_it_left() -> None:
    async with site() as (_, router, raw):

        @router.get("/")
        def pieces(peer: AnyHTTPPeer) -> None:
            peer.write("x")
            for call in (
                lambda: peer.status(500),
                lambda: peer.header("a", "b"),
                lambda: peer.set_cookie("a", "b"),
                lambda: peer.delete_cookie("a"),
            ):
                with pytest.raises(RuntimeError, match="sent already"):
                    call()
            peer.end()
            peer.status(500).header("a", "b").set_cookie("a", "b").body("late").end()

        response = await raw.ask(get())
        assert (response.status, response.body) == (200, b"x")


async def test_writing_waits_for_a_slow_reader() -> None:
    async with site() as (server, router, raw):
        written = 0
        over = asyncio.Event()

        @router.get("/")
        async def endless(peer: AnyHTTPPeer) -> None:
            nonlocal written
            try:
                while True:
                    await peer.write(bytes(100_000))
                    written += 100_000
            except ConnectionClosed:
                assert peer.is_closed()
                over.set()
                raise

        errors: list[Exception] = []
        server.on("error", errors.append)
        async with connect(port_of(server)) as slow:
            await slow.send(get())
            before = -1
            while written != before:
                before = written
                # Others are served meanwhile.
                for _ in range(20):
                    assert (await raw.ask(get("/nowhere"))).status == 404
            assert written < 20_000_000
            slow.reset()
            await over.wait()
        assert errors == []


async def test_a_body_goes_through_piece_by_piece() -> None:
    async with site(body_limit=10) as (_, router, raw):

        @router.post("/echo", stream=True)
        async def echo(peer: AnyHTTPPeer) -> None:
            async for piece in peer:
                await peer.write(piece)
            peer.end()

        await raw.send(request("POST", "/echo", "Content-Length: 3000000"))
        sending = asyncio.create_task(raw.send(bytes(range(256)) * 11718 + bytes(192)))
        response = await raw.response()
        await sending
        assert response.body == bytes(range(256)) * 11718 + bytes(192)


# --- answers that break off


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_route_that_raises_in_the_middle_is_cut(is_async: bool) -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        told: list[Exception] = []

        @router.error
        def error(peer: AnyHTTPPeer, problem: Exception) -> None:
            told.append(problem)
            peer.body("sorry").end()

        def plain(peer: AnyHTTPPeer) -> None:
            peer.write("half")
            raise RuntimeError("no more")

        async def later(peer: AnyHTTPPeer) -> None:
            await peer.write("half")
            raise RuntimeError("no more")

        router.get("/", later if is_async else plain)
        router.get("/first", lambda peer: peer.body("whole").end())
        await raw.send(get("/first") + get() + get("/first"))
        assert (await raw.response()).body == b"whole"
        await raw.read_until(b"\r\n\r\n")
        # No last chunk: the client does not take it for the whole.
        assert await raw.read_all() == b"4\r\nhalf\r\n"
        assert [str(error) for error in errors] == ["no more"]
        assert told == []


async def test_more_or_less_than_the_length_is_cut() -> None:
    async with site() as (server, router, _):
        errors: list[Exception] = []
        server.on("error", errors.append)

        @router.get("/less")
        def less(peer: AnyHTTPPeer) -> None:
            peer.header("Content-Length", 10).write("half")
            peer.end()

        @router.get("/more")
        def more(peer: AnyHTTPPeer) -> None:
            peer.header("Content-Length", 4).write("half")
            peer.write("more")

        for path in ("/less", "/more"):
            async with connect(port_of(server)) as other:
                await other.send(get(path))
                assert (await other.read_all()).endswith(b"\r\n\r\nhalf")
        assert [type(error) for error in errors] == [ValueError]


@pytest.mark.parametrize("bad", [("A", "b\r\nc: d"), ("A B", "c"), ("Transfer-Encoding", "gzip")])
async def test_a_header_that_cannot_be_sent_is_500_before_any_byte_leaves(bad: tuple[str, str]) -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        router.get("/", lambda peer: peer.header(*bad).write("x"))
        response = await raw.ask(get())
        assert (response.status, response.body) == (500, b"")
        assert [type(error) for error in errors] == [ValueError]


async def test_a_client_that_left_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with site() as (server, router, _):
        errors: list[Exception] = []
        server.on("error", errors.append)
        closed, ended = asyncio.Event(), asyncio.Event()

        @router.get("/")
        async def answer(peer: AnyHTTPPeer) -> None:
            closed.set()
            await until(peer.is_closed)
            with pytest.raises(ConnectionClosed):
                await peer.write("nobody")
            assert peer._body == []
            ended.set()

        async with connect(port_of(server)) as other:
            await other.send(get())
            await closed.wait()
            other.reset()
        await ended.wait()
        assert errors == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# --- upgrades


HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


async def test_a_refused_upgrade_has_its_body_and_cookies() -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)

        @server.http.upgrade
        def refuse(peer: AnyHTTPPeer) -> None:
            peer.status(401).set_cookie("a", "b").body("not ")
            peer.write("you")
            if peer.url == "/end":
                peer.end()

        async with connect(listener.port) as raw:
            response = await raw.ask(get("/end", *HANDSHAKE))
            assert (response.status, response.body) == (401, b"not you")
            assert response.header("set-cookie") == "a=b; Path=/"
        async with connect(listener.port) as raw:
            await raw.send(get("/", *HANDSHAKE))
            # Who does not end lets it pass, whatever it has written.
            assert (await raw.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


async def test_an_upgrade_is_not_answered_with_a_file() -> None:
    async with AnySocket() as server:
        errors: list[Exception] = []
        server.on("error", errors.append)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        server.http.upgrade(lambda peer: peer.serve_file(__file__))
        async with connect(listener.port) as raw:
            assert (await raw.ask(get("/", *HANDSHAKE))).status == 403
        assert [type(error) for error in errors] == [RuntimeError]


# --- what has no route


@pytest.mark.parametrize(
    ("asked", "statuses"),
    [
        (b"GET http://[::/ HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        (b"GET //[ HTTP/1.1\r\nHost: [\r\n\r\n", {400, 404}),
        (b"GET /%ff%00%zz?%zz=%ff&;&= HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    ],
)
async def test_strange_targets_find_nothing_and_harm_nothing(asked: bytes, statuses: set[int]) -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        router.error(lambda peer, problem: peer.query.qs)
        assert (await raw.ask(asked)).status in statuses
        async with connect(port_of(server)) as other:
            assert (await other.ask(get())).status == 404
        assert errors == []


# --- the real ones


async def test_curl_streams_both_ways() -> None:
    async with site() as (server, router, _):

        @router.post("/", stream=True)
        async def upper(peer: AnyHTTPPeer) -> None:
            async for piece in peer:
                await peer.write(piece.upper())
            peer.end()

        url = f"http://127.0.0.1:{port_of(server)}/"
        assert await curl("-T", "-", "-X", "POST", url, stdin=b"abc" * 500_000) == b"ABC" * 500_000


FETCH = """
const base = process.argv[1];
const say = (...values) => console.log(JSON.stringify(values));
(async () => {
    let answer = await fetch(base + "/pieces");
    say(answer.status, answer.headers.get("content-type"), await answer.text());
    answer = await fetch(base + "/echo", { method: "POST", body: new Uint8Array([0, 255, 233]) });
    say(...new Uint8Array(await answer.arrayBuffer()));
    answer = await fetch(base + "/large", { method: "POST", body: "x".repeat(2000) });
    say(answer.status);
    answer = await fetch(base + "/cookies", { headers: { Cookie: "a=b%20c; d=e" } });
    say(await answer.json(), answer.headers.getSetCookie());
    answer = await fetch(base + "/files/@file", { headers: { Range: "bytes=2-4" } });
    say(answer.status, answer.headers.get("content-range"), await answer.text());
    answer = await fetch(base + "/files/@file", { headers: { "If-None-Match": answer.headers.get("etag") } });
    say(answer.status);
    await fetch(base + "/broken").then((answer) => answer.text()).then(say, () => say("cut"));
    answer = await fetch(base + "/nowhere");
    say(answer.status, await answer.text());
})();
"""


async def test_what_fetch_of_node_sees(tmp_path: Any) -> None:
    (tmp_path / "@file").write_text("0123456789")
    async with site(body_limit=1000) as (server, router, _):

        @router.get("/pieces")
        async def pieces(peer: AnyHTTPPeer) -> None:
            peer.header("Content-Type", "text/plain;charset=utf-8")
            for piece in ("blå", "bær"):
                await peer.write(piece)
            peer.end()

        @router.get("/cookies")
        def cookies(peer: AnyHTTPPeer) -> None:
            found = ",".join(f'"{name}":"{value}"' for name, value in peer.cookies.items())
            peer.set_cookie("one", "1").delete_cookie("two").body(f"{{{found}}}").end()

        @router.get("/broken")
        def broken(peer: AnyHTTPPeer) -> None:
            peer.write("half")
            raise ConnectionResetError

        router.post("/echo", lambda peer: peer.body(peer.query.body).end())
        router.post("/large", lambda peer: peer.end())
        router.static("/files", tmp_path)
        server.on("error", lambda error: None)
        seen = await output("node", "-e", FETCH, f"http://127.0.0.1:{port_of(server)}")
        assert seen.decode().splitlines() == [
            '[200,"text/plain;charset=utf-8","blåbær"]',
            "[0,255,233]",
            "[413]",
            '[{"a":"b c","d":"e"},["one=1; Path=/","two=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"]]',
            '[206,"bytes 2-4/10","234"]',
            "[304]",
            '["cut"]',
            '[404,""]',
        ]


async def test_bytes_of_a_post_arrive_intact_wherever_they_are_split() -> None:
    async with site() as (_, router, raw):
        router.post("/", lambda peer: peer.body(peer.query.body).end())
        whole = post("/", b"\xff" + "é".encode())
        for at in range(1, len(whole)):
            await raw.send(whole[:at])
            await asyncio.sleep(0)
            await raw.send(whole[at:])
            assert (await raw.response()).body == b"\xff\xc3\xa9"


async def test_curl_follows_many_requests_on_one_connection() -> None:
    async with site() as (server, router, _):

        @router.get("/")
        async def answer(peer: AnyHTTPPeer) -> None:
            await peer.write("a")
            peer.end()

        url = f"http://127.0.0.1:{port_of(server)}/"
        assert await curl("-w", "%{num_connects}", url, url, url) == b"a1a0a0"
