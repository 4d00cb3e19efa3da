"""What attackers send to an HTTP server: the cases of the threat model, part 2, 1 to 16."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.node.serving import chunked, get, post, request, serve
from tests.raw import Raw, connect, until
from wirehop.errors import PayloadTooLarge
from wirehop.node import http

POST = "POST / HTTP/1.1\r\nHost: test\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"
GET = "GET / HTTP/1.1\r\n"
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) + b"\x20" + bytes(100)
"""How a TLS ClientHello begins."""

BAD = {
    # 1. two lengths
    "length and chunked": POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x",
    "chunked and length": POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /x",
    # 2. lengths that are none
    "length +5": POST + "Content-Length: +5\r\n\r\nhello",
    "length 5_0": POST + "Content-Length: 5_0\r\n\r\nhello",
    "length -1": POST + "Content-Length: -1\r\n\r\nhello",
    "length 0x5": POST + "Content-Length: 0x5\r\n\r\nhello",
    "length of nothing": POST + "Content-Length:\r\n\r\nhello",
    "length 5, 5": POST + "Content-Length: 5, 5\r\n\r\nhello",
    "length 5 5": POST + "Content-Length: 5 5\r\n\r\nhello",
    "length beyond 64 bits": POST + "Content-Length: 18446744073709551617\r\n\r\nhello",
    "two lengths": POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": POST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    # 3. codings that nobody speaks
    "xchunked": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": POST + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "gzip, chunked": POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity, then chunked": POST
    + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in quotes": POST + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked after a control character": POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "no coding": POST + "Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # 4. white space where none may be
    "space before the colon": POST + "Content-Length : 5\r\n\r\nhello",
    "folded line": GET + "Host: test\r\nA: b\r\n c\r\n\r\n",
    "line folded with a tab": GET + "Host: test\r\nA: b\r\n\tc\r\n\r\n",
    "length on a folded line": POST + "Content-Length:\r\n 5\r\n\r\nhello",
    "space before the first header": GET + " Host: test\r\n\r\n",
    "space before the method": " " + GET + "\r\n",
    # 5. ends of lines
    "bare LF after the request line": "GET / HTTP/1.1\nHost: test\r\n\r\n",
    "bare LF after a header": GET + "Host: test\nA: b\r\n\r\n",
    "bare LF at the end": GET + "Host: test\r\n\n",
    "bare CR after the request line": "GET / HTTP/1.1\rHost: test\r\n\r\n",
    "bare CR after a header": GET + "Host: test\rA: b\r\n\r\n",
    "bare CR in a value": GET + "Host: test\r\nA: b\rc\r\n\r\n",
    "two CR": GET + "Host: test\r\r\n\r\n",
    "CR X at the end": GET + "Host: test\r\n\rX",
    # 6. chunk sizes
    "chunk size 0x5": CHUNKED + "0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size +5": CHUNKED + "+5\r\nhello\r\n0\r\n\r\n",
    "chunk size -5": CHUNKED + "-5\r\nhello\r\n0\r\n\r\n",
    "chunk size 5 and a space": CHUNKED + "5 \r\nhello\r\n0\r\n\r\n",
    "chunk size of 17 digits": CHUNKED + "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + "\r\nhello\r\n0\r\n\r\n",
    "chunk size with bare LF": CHUNKED + "5\nhello\r\n0\r\n\r\n",
    "last chunk with bare LF": CHUNKED + "5\r\nhello\r\n0\n\r\n",
    "chunk extension with NUL": CHUNKED + "5;a\0b\r\nhello\r\n0\r\n\r\n",
    "chunk extension with bare LF": CHUNKED + "5;a\nhello\r\n0\r\n\r\n",
    # 7. a chunk that does not end where it should
    "chunk without its end": CHUNKED + "5\r\nhelloXX0\r\n\r\n",
    "chunk that ends in LF": CHUNKED + "5\r\nhello\n0\r\n\r\n",
    # 8. trailers that change the message
    "trailer Content-Length": CHUNKED + "0\r\nContent-Length: 9\r\n\r\n",
    "trailer Transfer-Encoding": CHUNKED + "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    # 9. hosts and versions
    "two hosts": GET + "Host: test\r\nHost: test\r\n\r\n",
    "HTTP/0.9": "GET /\r\n",
    "HTTP/0.9, called so": "GET / HTTP/0.9\r\n\r\n",
    "HTTP/1.2": "GET / HTTP/1.2\r\n\r\n",
    "HTTP/2.0": "GET / HTTP/2.0\r\nHost: test\r\n\r\n",
    "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http/1.1": "GET / http/1.1\r\nHost: test\r\n\r\n",
    # 10. characters
    "NUL in a value": GET + "Host: test\r\nA: b\0c\r\n\r\n",
    "NUL in a name": GET + "Host: test\r\nA\0: b\r\n\r\n",
    "control character": GET + "Host: test\r\nA: b\x01c\r\n\r\n",
    "escape": GET + "Host: test\r\nA: \x1b[0m\r\n\r\n",
    "delete": GET + "Host: test\r\nA: b\x7fc\r\n\r\n",
    "Foo@": GET + "Host: test\r\nFoo@: x\r\n\r\n",
    "a name with a space": GET + "Host: test\r\nF o: x\r\n\r\n",
    "a name that is no ASCII": GET + "Host: test\r\nF\xe9: x\r\n\r\n",
    "no name": GET + "Host: test\r\n: x\r\n\r\n",
    "no colon": GET + "Host: test\r\nFoo\r\n\r\n",
    "NUL in the URL": "GET /\0 HTTP/1.1\r\n\r\n",
    "a URL that is no ASCII": "GET /\xe9 HTTP/1.1\r\n\r\n",
    "a URL with a space": "GET /a b HTTP/1.1\r\n\r\n",
    "no URL": "GET  HTTP/1.1\r\n\r\n",
    "a method that is none": "FOO / HTTP/1.1\r\n\r\n",
    "a method in small letters": "get / HTTP/1.1\r\n\r\n",
    # 13.
    "CONNECT": "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
}
CASES = [pytest.param(text.encode("latin-1"), id=name) for name, text in BAD.items()]
CASES.append(pytest.param(HELLO, id="a TLS ClientHello"))


class Site:
    """A server, and what its handler was given to the end."""

    def __init__(self, server: http.Server) -> None:
        self.server = server
        self.port = server.port
        self.seen: list[str] = []
        self._answers = self._answer
        server.on("request", lambda request, response: self._answers(request, response))

    def answers(self, listener: Any = None) -> Any:
        """Answer with another listener, or with the site's own again."""
        self._answers = listener or self._answer
        return listener

    async def _answer(self, request: http.ServerRequest, response: http.ServerResponse) -> None:
        try:
            body = await request.read(100_000)
        except PayloadTooLarge:
            response.respond(413, [("Connection", "close")])
            return
        self.seen.append(request.url)
        if request.url == "/due":
            await asyncio.sleep(0.001)
        response.respond(200, [], body)


@asynccontextmanager
async def site(caplog: pytest.LogCaptureFixture, **limits: Any) -> AsyncIterator[Site]:
    """A site, which afterwards must serve somebody else, and be back where it was."""
    with caplog.at_level(logging.INFO):
        async with serve(**limits) as server:
            it = Site(server)
            yield it
            await until(lambda: not server.connections)
            it.answers()
            assert "/admin" not in it.seen
            async with connect(it.port) as other:
                assert (await other.ask(get("/other"))).status == 200
        assert len(caplog.records) <= 1


async def refused(raw: Raw, *statuses: int) -> None:
    """The next response is an error, and the last."""
    response = await raw.response()
    assert response.status in statuses
    assert response.header("connection") == "close"
    assert await raw.read_all() == b""


# --- whole requests


@pytest.mark.parametrize("bad", CASES)
async def test_a_bad_request_is_answered_with_400_and_is_the_last(
    bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(caplog) as it, connect(it.port) as raw:
        # Case 12: what follows in the same segment never runs.
        await raw.send(bad + get("/admin"))
        await refused(raw, 400)
        assert it.seen == []


@pytest.mark.parametrize("bad", CASES)
async def test_the_same_byte_by_byte_behind_an_answer_that_is_due(
    bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(caplog) as it, connect(it.port) as raw:
        await raw.send(get("/due"))
        await raw.dribble(bad + get("/admin"))
        assert (await raw.response()).status == 200
        await refused(raw, 400)
        assert it.seen == ["/due"]


@pytest.mark.parametrize("bad", CASES)
async def test_the_same_in_one_segment_with_an_answer_that_is_due(
    bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(caplog) as it, connect(it.port) as raw:
        await raw.send(get("/due") + bad + get("/admin"))
        assert (await raw.response()).status == 200
        await refused(raw, 400)
        assert it.seen == ["/due"]


async def test_a_client_that_asks_in_http_0_9_gets_its_answer_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site(caplog) as it, connect(it.port) as raw:
        await raw.send(b"GET /\r\n")
        await refused(raw, 400)


async def test_a_tls_hello_is_refused_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """JavaScript's anysocket tries TLS first, and waits five seconds if it is left hanging."""
    async with site(caplog, head_timeout=3600) as it, connect(it.port) as raw:
        await raw.send(HELLO)
        await refused(raw, 400)


async def test_strange_requests_that_are_none_the_less_in_order(caplog: pytest.LogCaptureFixture) -> None:
    async with site(caplog) as it, connect(it.port, limit=1 << 18) as raw:
        for good in (
            b"GET /no-host HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\n\r\n",
            b"\r\n\r\n" + get("/after-empty-lines"),
            get("/", "A: \xff", "B:", "C:  \t "),
            b"GET http://[::/ HTTP/1.1\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\n\r\n",
            request("POST", "/", "Transfer-Encoding: CHUNKED ") + chunked(b"x"),
            request("POST", "/", "Transfer-Encoding: chunked")
            + b'5;a="b c";d\r\nhello\r\n0\r\nTrailer: x\r\n\r\n',
            request("POST", "/", "Content-Length: 5 ") + b"hello",
        ):
            assert (await raw.ask(good)).status == 200
        assert (await raw.ask(b"GET / HTTP/1.0\r\n\r\n")).status == 200
        assert await raw.read_all() == b""


# --- 8, 11: size


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (b"GET /" + b"x" * 65_536, 414),
        (get("/" + "x" * 65_536), 414),
        (get("/", "A: " + "x" * 65_536), 431),
        (get("/", "A" * 65_536 + ": x"), 431),
        (get("/", *["A: b"] * 101), 431),
        (get("/", *["A: " + "b" * 200] * 99), 431),
        (request("POST", "/", "Transfer-Encoding: chunked") + b"0\r\n" + b"A: b\r\n" * 100_000, 431),
        (request("POST", "/", "Transfer-Encoding: chunked") + b"0\r\nA: " + b"b" * 1_000_000, 431),
        (request("POST", "/", "Transfer-Encoding: chunked") + b"5;" + b"b" * 1_000_000, 431),
        (request("POST", "/", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n5;" + b"b" * 1_000_000, 431),
    ],
    ids=[
        "half a URL",
        "a URL",
        "a value",
        "a name",
        "many headers",
        "many bytes of headers",
        "many trailers",
        "a trailer",
        "a chunk extension",
        "a later chunk extension",
    ],
)
async def test_what_is_too_large_is_refused(
    bad: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(caplog) as it, connect(it.port) as raw:
        sending = asyncio.ensure_future(raw.send(bad))
        response = await raw.response()
        assert response.status == status
        assert await raw.read_all() == b""
        await sending
        assert it.seen == []


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"GET /", 414),
        (b"GET / HTTP/1.1\r\nA: ", 431),
        (b"GET / HTTP/1.1\r\n", 431),
        (CHUNKED.encode() + b"0\r\nA: ", 431),
        (CHUNKED.encode() + b"5;", 431),
        (CHUNKED.encode() + b"5\r\nhello\r\n5;", 431),
    ],
    ids=["URL", "value", "name", "trailer", "extension", "later extension"],
)
async def test_what_is_too_large_byte_by_byte(
    start: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(caplog, max_head=2000) as it, connect(it.port) as raw:
        await raw.dribble(start + b"x" * 1800)
        assert len(it.server.connections) == 1
        await raw.dribble(b"x" * 1000)
        await refused(raw, status)
        assert it.seen == []


async def test_a_head_of_nearly_the_limit_is_accepted(caplog: pytest.LogCaptureFixture) -> None:
    async with site(caplog) as it, connect(it.port) as raw:
        asked = get("/" + "x" * 8000, "A: " + "b" * 8000)
        for _ in range(3):
            assert (await raw.ask(asked)).status == 200
        await raw.send(asked * 20)
        for _ in range(20):
            assert (await raw.response()).status == 200
        await raw.dribble(asked)
        assert (await raw.response()).status == 200


async def test_a_long_body_in_small_chunks_is_no_long_head(caplog: pytest.LogCaptureFixture) -> None:
    async with site(caplog, max_head=2000) as it, connect(it.port) as raw:
        body = chunked(*[b"x;y"] * 2000).replace(b"3\r\n", b"3;extension\r\n")
        await raw.send(request("POST", "/", "Transfer-Encoding: chunked"))
        for at in range(0, len(body), 700):
            await raw.send(body[at : at + 700])
            await asyncio.sleep(0)
        assert (await raw.response()).body == b"x;y" * 2000


# --- 14: responses that a handler must not split


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", "b\r\nSet-Cookie: x=y"),
        ("A", "b\nc"),
        ("A", "b\rc"),
        ("A", "b\0c"),
        ("A", "b\x7f"),
        ("A", "€"),
        ("A\r\nB", "c"),
        ("A B", "c"),
        ("A:", "c"),
        ("", "c"),
        ("É", "c"),
        ("Content-Length", "5\r\n"),
        ("Content-Length", "+5"),
        ("Content-Length", "٥"),
        ("Content-Length", "-1"),
        ("Transfer-Encoding", "gzip"),
        ("Connection", "close\r\nA: b"),
    ],
)
async def test_a_header_that_would_split_the_response_raises_before_any_byte_leaves(
    name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(caplog) as it:

        @it.answers
        def answer(request: http.ServerRequest, response: http.ServerResponse) -> None:
            with pytest.raises(ValueError):
                response.send_header(200, [("X", "y"), (name, value)])
            with pytest.raises(ValueError):
                response.respond(200, [("X", "y"), (name, value)], b"body")
            # Nothing of it has left, and another answer may.
            response.respond(200, [("Z", "z")], b"fine")

        async with connect(it.port) as raw:
            for _ in range(2):
                response = await raw.ask(get())
                assert (response.status, response.body) == (200, b"fine")
                names = [name for name, _ in response.headers]
                assert sorted(names) == ["content-length", "date", "z"]


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -200])
async def test_a_status_that_is_none_raises(status: int, caplog: pytest.LogCaptureFixture) -> None:
    async with site(caplog) as it:

        @it.answers
        def answer(request: http.ServerRequest, response: http.ServerResponse) -> None:
            with pytest.raises(ValueError, match="is no final HTTP status"):
                response.respond(status)
            response.respond(299, [], b"fine")

        async with connect(it.port) as raw:
            assert (await raw.ask(get())).status == 299


async def test_two_lengths_of_a_response_raise(caplog: pytest.LogCaptureFixture) -> None:
    async with site(caplog) as it:

        @it.answers
        def answer(request: http.ServerRequest, response: http.ServerResponse) -> None:
            for headers in (
                [("Content-Length", 4), ("content-length", 4)],
                [("Content-Length", 4), ("Transfer-Encoding", "chunked")],
            ):
                with pytest.raises(ValueError, match="one Content-Length"):
                    response.send_header(200, headers)
            with pytest.raises(ValueError, match="one Content-Length"):
                response.respond(200, [("Content-Length", 4)], b"fine")
            response.respond(200, [], b"fine")

        async with connect(it.port) as raw:
            assert (await raw.ask(get())).body == b"fine"


# --- 16: a limit for the body


async def test_a_body_beyond_the_limit_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    for asked in (
        post("/", bytes(5_000_000)),
        request("POST", "/", "Transfer-Encoding: chunked") + chunked(*[bytes(50_000)] * 100),
    ):
        async with site(caplog) as it, connect(it.port) as raw:
            # All of it is sent before the answer is looked at: no reset may come in between.
            await raw.send(asked)
            await refused(raw, 413)
            assert it.seen == []


# --- a bad end of a request whose handler is at work


async def test_a_body_that_breaks_the_rules_ends_a_response_that_has_begun(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site(caplog) as it:

        @it.answers
        async def streams(request: http.ServerRequest, response: http.ServerResponse) -> None:
            response.send_header(200)
            async for chunk in request:
                await response.send_body(chunk)
            it.seen.append("/admin")

        async with connect(it.port) as raw:
            await raw.send(CHUNKED.encode() + b"5\r\nhello\r\n")
            assert (await raw.read_until(b"5\r\nhello\r\n")).startswith(b"HTTP/1.1 200")
            await raw.send(b"XX" + get("/admin"))
            assert await raw.read_all() == b"", "no end of the response: it is broken"


async def test_a_body_that_breaks_the_rules_after_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with site(caplog) as it:
        it.answers(lambda request, response: response.respond(200, [], b"early"))
        async with connect(it.port) as raw:
            assert (await raw.ask(CHUNKED.encode() + b"5\r\nhello\r\n")).body == b"early"
            await raw.send(b"XX" + get("/admin"))
            assert await raw.read_all() == b""
        async with connect(it.port) as raw:
            await raw.send(get("/first") + CHUNKED.encode() + b"5\r\nhello\r\nXX" + get("/admin"))
            assert (await raw.response()).body == b"early"
            assert (await raw.response()).body == b"early"
            assert await raw.read_all() == b""


async def test_a_body_that_breaks_the_rules_after_its_answer_that_has_to_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first: list[http.ServerResponse] = []

    def answer(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if request.url == "/first":
            first.append(response)
        else:
            response.respond(200, [], b"second")

    async with site(caplog) as it:
        it.answers(answer)
        async with connect(it.port) as raw:
            await raw.send(get("/first") + CHUNKED.encode() + b"5\r\nhello\r\nXX" + get("/admin"))
            await until(lambda: first)
            first[0].respond(200, [], b"first")
            assert (await raw.response()).body == b"first"
            assert (await raw.response()).body == b"second"
            assert await raw.read_all() == b""
