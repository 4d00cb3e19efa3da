from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from tests.node.answering import OK, Answering, Peer, always, answering, elsewhere
from tests.node.serving import serve
from tests.raw import record_writes, until
from wirehop.errors import ConnectionClosed, LimitExceeded, PayloadTooLarge
from wirehop.node import alive, http
from wirehop.node.http import Client, ClientLimits, ClientRequest, ClientResponse


async def echo(request: http.ServerRequest, response: http.ServerResponse) -> None:
    body = await request.read()
    response.respond(200, [("X-Was", f"{request.method} {request.url}")], body)


@asynccontextmanager
async def asking(answers: Answering, **limits: Any) -> AsyncIterator[Client]:
    """A client that is closed before the server looks whether its scripts are through."""
    async with http.create_client(answers.port, limits=ClientLimits(**limits)) as client:
        yield client


# --- one request


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "del_", "PATCH"])
async def test_every_method(method: str) -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        if method == "PATCH":
            request = client.request("PATCH", "/a?b=c")
        else:
            request = getattr(client, method.lower())("/a?b=c")
        assert isinstance(request, ClientRequest)
        response = await request.finish()
        assert isinstance(response, ClientResponse)
        wanted = "DELETE" if method == "del_" else method
        assert (request.method, request.path) == (wanted, "/a?b=c")
        assert response.header("x-was") == f"{wanted} /a?b=c"
        assert await response.read() == b""
        assert response.complete


async def test_what_a_response_says() -> None:
    head = (
        b"HTTP/1.1 404 Not There\r\nSet-Cookie: a\r\nset-cookie:  b \r\nX: \xe9\r\nContent-Length: 0\r\n\r\n"
    )
    async with answering(always(head)) as answers, asking(answers) as client:
        request = client.get("/")
        response = await request.finish()
        assert (response.status_code, response.http_version) == (404, "1.1")
        assert response.headers == [
            ("Set-Cookie", "a"),
            ("set-cookie", "b"),
            ("X", "\xe9"),
            ("Content-Length", "0"),
        ]
        assert response.header("SET-cookie") == "a"
        assert response.header("missing") is None
        assert response.header("missing", "default") == "default"
        assert response.client is client
        assert response.request is request


async def test_what_a_request_says() -> None:
    seen = []

    async def looks(peer: Peer) -> None:
        seen.extend([await peer.answer() for _ in range(3)])

    async with answering(looks) as answers, asking(answers) as client:
        await client.get("/a", [("X", "1"), ("x", 2), ("Connection", "keep-alive")]).finish()
        await client.post("/b", [("Host", "elsewhere:81")]).finish()
        await client.request("OPTIONS", "*").finish()
    host = f"127.0.0.1:{answers.port}"
    assert seen[0].headers == [("Host", host), ("X", "1"), ("x", "2")]
    assert seen[1].headers == [("Host", "elsewhere:81"), ("Content-Length", "0")]
    assert (seen[2].method, seen[2].path, seen[2].headers) == ("OPTIONS", "*", [("Host", host)])


async def test_with_listeners_as_in_the_seed() -> None:
    async def in_pieces(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200)
        for byte in "héllo €".encode():
            await response.send_body(bytes([byte]))
            await asyncio.sleep(0)
        response.finish()

    seen: list[Any] = []
    done = asyncio.Event()

    def listener(response: ClientResponse) -> None:
        seen.append(response.status_code)
        response.set_body_encoding("UTF8")
        response.add_listener("body", seen.append)
        response.add_listener("complete", lambda: (seen.append(response.complete), done.set()))

    async with serve(in_pieces) as server, http.create_client(server.port) as client:
        client.get("/").finish(listener)
        await done.wait()
        assert (seen[0], "".join(seen[1:-1]), seen[-1]) == (200, "héllo €", True)


async def test_half_a_character_at_the_end() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na\xe2"
    async with answering(always(response)) as answers, asking(answers) as client:
        seen: list[Any] = []
        done = asyncio.Event()

        def listener(response: ClientResponse) -> None:
            response.set_body_encoding("utf8")
            response.on("body", seen.append)
            response.once("complete", done.set)

        client.get("/").finish(listener)
        await done.wait()
        assert seen == ["a", "\ufffd"]


async def test_complete_is_told_to_who_comes_late() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        request = client.post("/")
        request.send_body("x")
        response = await request.finish()
        assert await response.read() == b"x"
        await until(lambda: response.complete)
        done = asyncio.Event()
        response.on("complete", done.set)
        await done.wait()
        # What was asked long ago is sent long since.
        await request


async def test_a_late_listener_gets_what_was_kept_before_the_end_is_there() -> None:
    async def in_two(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await heard.wait()
        await peer.send(b"cd")
        await peer.is_closed()

    heard = asyncio.Event()
    async with answering(in_two) as answers, asking(answers) as client:
        response = await client.get("/").finish()
        await until(response.unread)
        seen: list[bytes] = []
        done = asyncio.Event()
        response.on("complete", done.set)
        response.on("body", lambda chunk: (seen.append(chunk), heard.set()))
        await done.wait()
        assert seen == [b"ab", b"cd"]


async def test_listeners_that_come_late_get_what_was_kept() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        request = client.post("/")
        request.send_body("hé")
        response = await request.finish()
        await until(lambda: response.complete)
        seen: list[Any] = []
        done = asyncio.Event()
        response.set_body_encoding("utf8")

        @response.on("body")
        def body(chunk: str) -> None:
            seen.append(chunk)

        @response.once("complete")
        def complete() -> None:
            seen.append("complete")
            done.set()

        assert seen == []
        await done.wait()
        assert seen == ["hé", "complete"]
        response.on("complete", lambda: seen.append("again"))
        assert await response.read() == b""
        assert seen == ["hé", "complete"]


async def test_what_arrives_while_a_late_listener_waits_keeps_its_place() -> None:
    more = asyncio.Event()

    async def in_two(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await more.wait()
        await peer.send(b"cd")
        await peer.is_closed()

    async with answering(in_two) as answers, asking(answers) as client:
        response = await client.get("/").finish()
        await until(response.unread)
        seen: list[bytes] = []
        # The list is live: nobody notices who is put there.
        response.listeners("body").append(seen.append)
        more.set()
        await until(lambda: response.complete)
        await until(lambda: len(b"".join(seen)) == 4)
        assert b"".join(seen) == b"abcd"


@pytest.mark.parametrize("size", [0, 1, 100_000, 3 << 20])
async def test_bodies_both_ways(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def streams(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(
            200, [] if request.header("content-length") is None else [("Content-Length", size)]
        )
        async for chunk in request:
            await response.send_body(chunk)
        response.finish()

    async def send(request: ClientRequest) -> None:
        for at in range(0, size, 65_536):
            await request.send_body(memoryview(body)[at : at + 65_536])
        request.finish()

    async with serve(streams) as server, http.create_client(server.port) as client:
        for headers in ([], [("Content-Length", size)], [("Transfer-Encoding", "Chunked")]):
            request = client.put("/", headers)
            arrived: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()
            request.on("response", arrived.set_result)
            sending = asyncio.create_task(send(request))
            assert await (await arrived).read() == body
            await sending
        assert len(server.connections) == 1


# --- how a request is framed


async def framed(*requests: Any) -> list[tuple[str | None, str | None, bytes]]:
    """What the server gets of requests: Content-Length, Transfer-Encoding and body."""
    seen = []

    async def looks(peer: Peer) -> None:
        for _ in requests:
            request = await peer.answer()
            framing = request.header("content-length"), request.header("transfer-encoding")
            seen.append((*framing, request.body))

    async with answering(looks) as answers, asking(answers) as client:
        for ask in requests:
            request = ask(client)
            await request.finish()
    return seen


def with_body(request: ClientRequest, *chunks: Any) -> ClientRequest:
    for chunk in chunks:
        request.send_body(*chunk if isinstance(chunk, tuple) else (chunk,))
    return request


async def test_a_body_has_a_length_or_goes_in_chunks() -> None:
    seen = await framed(
        lambda client: client.get("/"),
        lambda client: client.delete("/"),
        lambda client: client.put("/"),
        lambda client: with_body(client.post("/"), b""),
        lambda client: with_body(client.post("/"), "h\xe9", b"", bytearray(b"llo"), ("!", "ASCII")),
        lambda client: with_body(client.post("/", [("Content-Length", 3)]), b"a", b"bc"),
        lambda client: client.post("/", [("content-length", "0")]),
        lambda client: client.get("/", [("Transfer-Encoding", "chunked")]),
        lambda client: with_body(client.get("/"), b"x"),
    )
    assert seen == [
        (None, None, b""),
        (None, None, b""),
        ("0", None, b""),
        ("0", None, b""),
        (None, "chunked", "h\xe9llo!".encode()),
        ("3", None, b"abc"),
        ("0", None, b""),
        (None, "chunked", b""),
        (None, "chunked", b"x"),
    ]


@pytest.mark.parametrize(
    ("method", "encoding"), [("GET", None), ("DELETE", None), ("POST", "chunked"), ("PUT", "chunked")]
)
async def test_a_head_leaves_before_the_request_is_finished(method: str, encoding: str | None) -> None:
    arrived = asyncio.Event()

    async def looks(peer: Peer) -> None:
        request = await peer.head()
        assert request.header("transfer-encoding") == encoding
        assert request.header("content-length") is None
        arrived.set()
        assert await peer.body(request) == (b"x" if encoding else b"")
        await peer.send(OK)
        await peer.is_closed()

    async with answering(looks) as answers, asking(answers) as client:
        request = client.request(method, "/")
        await arrived.wait()
        if encoding:
            request.send_body("x")
        else:
            request.send_body("")
            with pytest.raises(RuntimeError, match="announced no body"):
                request.send_body("x")
        assert (await request.finish()).status_code == 200


async def test_a_head_with_a_length_leaves_at_once() -> None:
    arrived = asyncio.Event()

    async def looks(peer: Peer) -> None:
        request = await peer.head()
        arrived.set()
        assert await peer.body(request) == b"hello"
        await peer.send(OK)
        await peer.is_closed()

    async with answering(looks) as answers, asking(answers) as client:
        request = client.post("/", [("Content-Length", 5)])
        await arrived.wait()
        request.send_body("hello")
        assert await (await request.finish()).read() == b"ok"


async def test_head_and_body_leave_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(always()) as answers, asking(answers) as client:
        # The first request waits for the connection.
        await client.get("/").finish()
        writes = record_writes(monkeypatch)
        await client.get("/").finish()
        assert len(writes) == 1
        request = client.post("/")
        request.send_body("hello")
        await request.finish()
        assert len(writes) == 2


async def test_what_a_body_may_not_be() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        request = client.post("/", [("Content-Length", 3)])
        request.send_body("ab")
        with pytest.raises(ValueError, match="longer than its Content-Length by 1"):
            request.send_body("cd")
        with pytest.raises(ValueError, match="no encoding"):
            request.send_body("c", "latin-1")
        with pytest.raises(UnicodeEncodeError):
            request.send_body("\xe9", "ascii")
        with pytest.raises(TypeError):
            request.send_body("c", "raw")
        with pytest.raises(TypeError):
            request.send_body(5)  # type: ignore[arg-type]
        request.send_body("c")
        answer = request.finish()
        with pytest.raises(RuntimeError, match="before finish"):
            request.send_body("")
        with pytest.raises(RuntimeError, match="finished already"):
            request.finish()
        assert await (await answer).read() == b"abc"


async def test_a_body_that_is_too_short_fails_its_request_and_no_other() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        short = client.post("/", [("Content-Length", 3)])
        second = client.get("/2")
        third = client.post("/3", [("Content-Length", 3)])
        last = client.get("/4")
        short.send_body("ab")
        drained = short.send_body("")
        for request, missing in ((short, 1), (third, 3)):
            with pytest.raises(ValueError, match=f"shorter than its Content-Length by {missing} bytes"):
                request.finish()
        with pytest.raises(ValueError, match="shorter"):
            await drained
        answers = [second.finish(), last.finish()]
        assert [(await answer).header("x-was") for answer in answers] == ["GET /2", "GET /4"]


async def test_a_body_that_is_too_short_ends_its_connection_when_its_head_has_left() -> None:
    async def looks(peer: Peer) -> None:
        await peer.head()
        arrived.set()
        assert await peer.is_closed()

    arrived = asyncio.Event()
    async with answering(looks, always()) as answers, asking(answers) as client:
        short = client.post("/", [("Content-Length", 3)])
        following = client.get("/").finish()
        await arrived.wait()
        with pytest.raises(ValueError, match="shorter"):
            short.finish()
        assert await (await following).read() == b"ok"


@pytest.mark.parametrize(
    "headers",
    [
        [("X", "a\r\nEvil: b")],
        [("X\r\nEvil", "b")],
        [("X", "a\nb")],
        [("X", "\0")],
        [("X", "\u20ac")],
        [("X:", "a")],
        [("", "a")],
        [("Content-Length", "5x")],
        [("Content-Length", -1)],
        [("Content-Length", "1"), ("Content-Length", "1")],
        [("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "gzip")],
        [("Host", "a"), ("host", "b")],
    ],
)
async def test_headers_that_cannot_be_sent(headers: list[tuple[str, Any]]) -> None:
    async with http.create_client(1) as client:
        with pytest.raises(ValueError):
            client.get("/", headers)


@pytest.mark.parametrize(
    "path",
    ["", "a", "/a b", "/a\r\nX: y", "/\n", "/\0", "/\x7f", "/\xe9", "/a#b", "*a", "//a\t", "http:/x", "?a"],
)
async def test_paths_that_cannot_be_asked(path: str) -> None:
    async with http.create_client(1) as client:
        with pytest.raises(ValueError, match="is no path"):
            client.get(path)


@pytest.mark.parametrize("method", ["", "GET /", "G\r\nET", "CONNECT", "GE\xe9"])
async def test_methods_that_cannot_be_asked(method: str) -> None:
    async with http.create_client(1) as client:
        with pytest.raises(ValueError, match="is no method"):
            client.request(method, "/")


@pytest.mark.parametrize("path", ["/", "//a", "/a?b=%20&c=\"'<>|{}", "http://elsewhere/a", "*"])
async def test_paths_that_can_be_asked(path: str) -> None:
    async def looks(peer: Peer) -> None:
        assert (await peer.answer()).path == path

    async with answering(looks) as answers, asking(answers) as client:
        await client.get(path).finish()


@pytest.mark.parametrize(
    ("port", "host", "tls", "authority"),
    [
        (80, "example.com", False, "example.com"),
        (443, "example.com", False, "example.com:443"),
        (443, "example.com", True, "example.com"),
        (80, "example.com", True, "example.com:80"),
        (8080, "::1", False, "[::1]:8080"),
        (80, "fe80::1%eth0", False, "[fe80::1]"),
        (80, "b\xfccher.example", False, "xn--bcher-kva.example"),
    ],
)
async def test_the_host_header(port: int, host: str, tls: bool, authority: str) -> None:
    context = ssl.create_default_context() if tls else None
    async with http.create_client(port, host, ssl_context=context) as client:
        assert client.authority == authority


@pytest.mark.parametrize(
    ("port", "host", "options"),
    [
        (65_536, "a", {}),
        ("80", "a", {}),
        (80, "", {}),
        (80, "a b", {}),
        (80, "a\r\nb", {}),
        (80, "a\0", {}),
        (80, None, {}),
        (80, "\xe9" * 70, {}),
        (80, "a", {"ssl_context": True}),
        (80, "a", {"server_hostname": "b"}),
    ],
)
async def test_what_can_be_no_server(port: Any, host: Any, options: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        http.create_client(port, host, **options)


# --- one after the other


async def test_nothing_connects_before_the_first_request() -> None:
    async with answering(always()) as answers, asking(answers) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", answers.port)
        await until(lambda: answers.connections)
        writer.close()
        await writer.wait_closed()
        assert client.port == answers.port
    assert answers.connections == 1


async def test_requests_leave_in_order_and_none_before_its_turn() -> None:
    async def one_by_one(peer: Peer) -> None:
        for number in range(5):
            assert (await peer.head()).path == f"/{number}"
            # All were made in one turn: had a second one left, it would be here with the first.
            assert peer.nothing_more_came()
            await peer.send(OK)

    async with answering(one_by_one) as answers, asking(answers) as client:
        requests = [client.get(f"/{number}") for number in range(5)]
        # In another order, which does not matter.
        pending = [request.finish() for request in reversed(requests)]
        assert [await (await answer).read() for answer in pending] == [b"ok"] * 5


async def test_a_connection_is_kept() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        for number in range(5):
            request = client.post(f"/{number}")
            request.send_body(str(number))
            assert await (await request.finish()).read() == b"%d" % number
        assert len(server.connections) == 1


async def test_bodies_wait_for_their_turn() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        first = client.post("/1")
        second = client.post("/2")
        drain = asyncio.ensure_future(waited(second.send_body("second")))
        answer = second.finish()
        await first.send_body("first")
        assert not drain.done()
        assert await (await first.finish()).read() == b"first"
        assert await (await answer).read() == b"second"
        await drain


async def waited(awaitable: Any) -> Any:
    return await awaitable


async def test_what_waits_for_its_turn_is_limited() -> None:
    limits = ClientLimits(send_limit=1000)
    async with serve(echo) as server, http.create_client(server.port, limits=limits) as client:
        first = client.get("/")
        second = client.post("/")
        second.send_body(b"x" * 900)
        with pytest.raises(LimitExceeded, match="more than 1000 bytes"):
            second.send_body(b"y" * 101)
        third = client.post("/")
        with pytest.raises(LimitExceeded):
            third.send_body(b"y" * 101)
        await first.finish()
        assert await (await second.finish()).read() == b"x" * 900
        third.send_body(b"z" * 900)
        assert await (await third.finish()).read() == b"z" * 900


async def test_a_request_that_failed_holds_nothing_any_more() -> None:
    async with http.create_client(1, limits=ClientLimits(send_limit=1000)) as client:
        for _ in range(3):
            request = client.post("/")
            request.send_body(b"x" * 900)
            with pytest.raises(ConnectionRefusedError):
                await request.finish()


async def test_how_many_wait_is_limited() -> None:
    async with answering(always()) as answers, asking(answers, max_queued=2) as client:
        requests = [client.get("/"), client.get("/")]
        with pytest.raises(LimitExceeded, match="2 requests"):
            client.get("/")
        for request in requests:
            await request.finish()
        await client.get("/").finish()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, CLOSE\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
    ],
)
async def test_a_connection_that_the_server_does_not_keep(response: bytes) -> None:
    async def once(peer: Peer) -> None:
        await peer.answer(response)
        if b"Length" in response:
            assert await peer.is_closed()

    async with answering(once, once, once) as answers, asking(answers) as client:
        pending = [client.get("/").finish() for _ in range(3)]
        assert [await (await answer).read() for answer in pending] == [b"ok"] * 3
    assert answers.connections == 3


async def test_an_old_server_that_keeps_its_connection() -> None:
    response = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    async with answering(always(response)) as answers, asking(answers) as client:
        for _ in range(2):
            answer = await client.get("/").finish()
            assert (answer.http_version, await answer.read()) == ("1.0", b"ok")


async def test_a_connection_that_the_client_does_not_keep() -> None:
    async def once(peer: Peer) -> None:
        assert (await peer.answer()).header("connection") == "close"
        assert await peer.is_closed()

    async with answering(once, always()) as answers, asking(answers) as client:
        await client.get("/", [("Connection", "close")]).finish()
        await client.get("/").finish()


# --- responses without a body, and with one that ends with the connection


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"200 OK\r\nContent-Length: 1000"),
        ("HEAD", b"200 OK\r\nTransfer-Encoding: chunked"),
        ("HEAD", b"200 OK"),
        ("HEAD", b"404 Not Found\r\nContent-Length: 0"),
        ("GET", b"204 No Content"),
        ("GET", b"304 Not Modified\r\nContent-Length: 1000"),
        ("GET", b"304 Not Modified\r\nTransfer-Encoding: chunked"),
        ("POST", b"200 OK\r\nContent-Length: 0"),
    ],
)
async def test_responses_without_a_body_leave_the_connection_as_it_was(method: str, head: bytes) -> None:
    async def answers_twice(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 %b\r\n\r\n" % head)
        # Byte by byte, too.
        await peer.request()
        await peer.dribble(b"HTTP/1.1 %b\r\n\r\n" % head)
        await peer.answer()

    async with answering(answers_twice) as answers, asking(answers) as client:
        for _ in range(2):
            response = await client.request(method, "/").finish()
            assert response.status_code == int(head[:3])
            assert await response.read() == b""
        assert await (await client.get("/").finish()).read() == b"ok"


async def test_a_body_until_the_end_of_the_connection() -> None:
    async def slowly(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            await peer.send(b"x" * 1000)

    async with answering(slowly, always()) as answers, asking(answers) as client:
        response = await client.get("/").finish()
        assert await response.read() == b"x" * 100_000
        assert response.complete
        assert await (await client.get("/").finish()).read() == b"ok"


@pytest.mark.parametrize("byte_by_byte", [False, True])
async def test_chunks_with_everything(byte_by_byte: bool) -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
        b"3;name=value\r\nabc\r\n0002\r\nde\r\n0\r\nX: y\r\nZ: " + b"z" * 100 + b"\r\n\r\n"
    )

    async def answers_twice(peer: Peer) -> None:
        await peer.request()
        await (peer.dribble if byte_by_byte else peer.send)(response)
        await peer.answer()

    async with answering(answers_twice) as answers, asking(answers) as client:
        answer = await client.get("/").finish()
        assert await answer.read() == b"abcde"
        assert answer.header("x") is None
        assert await (await client.get("/").finish()).read() == b"ok"


# --- reading a body, or not


async def test_a_body_that_nobody_reads_is_kept_up_to_the_high_water() -> None:
    size = 8 << 20
    sent = 0

    async def much(peer: Peer) -> None:
        nonlocal sent
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 16):
            await peer.send(b"x" * 65_536)
            sent += 65_536
        await peer.answer()

    async with answering(much) as answers, asking(answers, body_high_water=1000) as client:
        response = await client.get("/").finish()
        await until(lambda: response.unread() > 1000)
        unread = response.unread()
        # A round trip with another server: there was time to read more.
        async with serve(echo) as server, http.create_client(server.port) as other:
            await other.get("/").finish()
        assert response.unread() == unread < 1 << 20
        assert sent < size
        total = 0
        async for chunk in response:
            total += len(chunk)
        assert total == size
        assert await (await client.get("/").finish()).read() == b"ok"


async def test_read_with_a_limit() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        for limit in (4, 5):
            request = client.post("/")
            request.send_body("hello")
            response = await request.finish()
            if limit == 5:
                assert await response.read(limit) == b"hello"
            else:
                with pytest.raises(PayloadTooLarge, match="more than 4 bytes"):
                    await response.read(limit)
        assert len(server.connections) == 1


@pytest.mark.parametrize("how", ["discard", "limit", "nobody", "cancelled", "listener"])
async def test_what_nobody_wants_does_not_hold_up_the_next(how: str) -> None:
    def endless(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if request.url == "/next":
            response.respond(200, [], "next")
            return
        response.send_header(200)
        response.send_body(b"x" * (4 << 20))

    async with serve(endless) as server, http.create_client(server.port) as client:
        request = client.get("/")
        if how == "nobody":
            request.finish()
        elif how == "cancelled":
            task = asyncio.ensure_future(waited(request.finish()))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            del task
        elif how == "listener":
            request.finish(lambda response: response.discard())
        else:
            response = await request.finish()
            if how == "discard":
                await until(response.unread)
                response.discard()
            else:
                with pytest.raises(PayloadTooLarge):
                    await response.read(1000)
            await until(lambda: response.unread() == 0)
            with pytest.raises(ConnectionClosed, match="nobody wanted"):
                await response.read()
        assert await (await client.get("/next").finish()).read() == b"next"


async def test_a_little_that_nobody_wants_keeps_the_connection() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        for _ in range(3):
            request = client.post("/")
            request.send_body(b"x" * 10_000)
            request.finish()
        await client.get("/").finish()
        assert len(server.connections) == 1


async def test_a_listener_gets_what_was_discarded_too() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        request = client.post("/")
        request.send_body(b"x" * 1000)
        seen: list[bytes] = []
        done = asyncio.Event()

        def listener(response: ClientResponse) -> None:
            response.on("body", seen.append)
            response.on("complete", done.set)
            response.discard()

        request.finish(listener)
        await done.wait()
        assert b"".join(seen) == b"x" * 1000


async def test_several_may_wait_for_one_response() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        answer = client.get("/").finish()
        given_up = asyncio.ensure_future(waited(answer))
        others = [asyncio.ensure_future(waited(answer)) for _ in range(2)]
        await asyncio.sleep(0)
        given_up.cancel()
        first, second = await asyncio.gather(*others)
        assert first is second is await answer
        assert given_up.cancelled()


# --- Expect: 100-continue and the other informational responses

EXPECT = [("Expect", "100-Continue"), ("Content-Length", 4)]


async def test_a_body_waits_for_the_servers_word() -> None:
    async def says_it(peer: Peer) -> None:
        request = await peer.head()
        assert request.headers[1:] == [("Content-Length", "4"), ("Expect", "100-continue")]
        assert peer.nothing_more_came()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        assert await peer.body(request) == b"body"
        await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
        await peer.answer()

    seen: list[Any] = []
    async with answering(says_it) as answers, asking(answers, continue_timeout=3600) as client:
        request = client.post("/", EXPECT)
        request.on("continue", lambda: seen.append("continue"))
        request.on("information", lambda status, headers: seen.append((status, headers)))
        await request.send_body("body")
        assert seen == [(103, [("Link", "</a>")]), "continue"]
        assert await (await request.finish()).read() == b"ok"
        assert seen[2:] == [(102, [])]
        assert await (await client.get("/").finish()).read() == b"ok"


async def test_the_word_comes_when_the_request_is_finished_already() -> None:
    async with serve(echo) as server, http.create_client(server.port) as client:
        request = client.put("/", [("Expect", "100-continue")])
        request.send_body("body")
        assert await (await request.finish()).read() == b"body"


@pytest.mark.parametrize("finished", [False, True])
async def test_a_server_that_never_says_it(finished: bool) -> None:
    async def silent(peer: Peer) -> None:
        assert (await peer.answer()).body == b"body"

    async with answering(silent) as answers, asking(answers, continue_timeout=0.01) as client:
        request = client.post("/", EXPECT)
        if finished:
            request.send_body("body")
        else:
            await request.send_body("body")
        assert await (await request.finish()).read() == b"ok"


@pytest.mark.parametrize("finished", [False, True])
async def test_a_server_that_does_not_want_the_body(finished: bool) -> None:
    async def refuses(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
        assert await peer.is_closed(), "the body left all the same"

    async with answering(refuses, always()) as answers, asking(answers, continue_timeout=3600) as client:
        request = client.post("/", EXPECT)
        if finished:
            request.send_body("body")
            response = await request.finish()
        else:
            await request.send_body("bod")
            await request.send_body("y")
            response = await request.finish()
        assert (response.status_code, await response.read()) == (417, b"no")
        assert await (await client.get("/").finish()).read() == b"ok"


async def test_who_has_no_body_expects_nothing() -> None:
    async with answering(always()) as answers, asking(answers, continue_timeout=3600) as client:
        for headers in ([("Expect", "100-continue")], [("Expect", "100-continue"), ("Content-Length", 0)]):
            assert (await client.post("/", headers).finish()).status_code == 200

    async def looks(peer: Peer) -> None:
        assert (await peer.answer()).header("expect") is None
        assert (await peer.answer()).header("expect") == "the unexpected"

    async with answering(looks) as answers, asking(answers) as client:
        await client.get("/", [("Expect", "100-continue")]).finish()
        await client.get("/", [("Expect", "the unexpected")]).finish()


# --- a response that comes before its request is complete


async def test_an_early_response_and_a_connection_that_stays() -> None:
    async def early(peer: Peer) -> None:
        request = await peer.head()
        await peer.send(OK)
        assert await peer.body(request) == b"all of it"
        await peer.answer()

    async with answering(early) as answers, asking(answers) as client:
        request = client.post("/")
        arrived: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()
        request.on("response", arrived.set_result)
        response = await arrived
        assert await response.read() == b"ok"
        await request.send_body("all of ")
        request.send_body("it")
        assert await request.finish() is response
        assert await (await client.get("/").finish()).read() == b"ok"


@pytest.mark.parametrize("end", ["close", "unasked", "eof", "reset"])
async def test_an_early_response_and_a_connection_that_ends(end: str) -> None:
    go_on = asyncio.Event()

    async def early(peer: Peer) -> None:
        await peer.head()
        if end == "close":
            await peer.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            await peer.gone()
            return
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await go_on.wait()
        if end == "unasked":
            await peer.send(b"?")
            await peer.gone()
        elif end == "reset":
            peer.reset()

    async with answering(early, always()) as answers, asking(answers) as client:
        errors: list[Exception] = []
        client.on("error", errors.append)
        request = client.post("/")
        arrived: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()
        request.on("response", arrived.set_result)
        following = client.get("/").finish()
        response = await arrived
        assert await response.read() == b""
        go_on.set()
        assert await (await following).read() == b"ok"
        # Nobody needs to know that the rest goes nowhere.
        await request.send_body("the rest")
        assert await request.finish() is response
        assert errors == []


# --- the end of a client


async def test_close_waits_for_the_requests() -> None:
    async with serve(echo) as server:
        client = http.create_client(server.port)
        answers = [client.get("/").finish() for _ in range(3)]
        closed = client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.get("/")
        await closed
        assert [(await answer).status_code for answer in answers] == [200] * 3
        await until(lambda: not server.connections)
        await client.close()


async def test_close_need_not_be_awaited() -> None:
    async with serve(echo) as server:
        client = http.create_client(server.port)
        await client.get("/").finish()
        client.close()
        await until(lambda: not server.connections)
        http.create_client(server.port).close()


async def test_a_listener_may_ask_again_and_again() -> None:
    seen: list[str | None] = []
    done = asyncio.Event()

    async with serve(echo) as server, http.create_client(server.port) as client:

        def listener(response: ClientResponse) -> None:
            seen.append(response.header("x-was"))

            def complete() -> None:
                if len(seen) < 5:
                    client.get(f"/{len(seen)}").finish(listener)
                else:
                    done.set()

            response.on("complete", complete)

        client.get("/0").finish(listener)
        await done.wait()
        assert seen == [f"GET /{number}" for number in range(5)]
        assert len(server.connections) == 1


async def test_leaving_the_block_waits_for_what_was_asked_and_for_nothing_else() -> None:
    def much(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200)
        response.send_body(b"x" * (4 << 20))

    async with serve(much) as server:
        async with http.create_client(server.port) as client:
            unread = await client.get("/").finish()
            held = client.get("/").finish()
            unfinished = client.post("/")
        assert (await held).status_code == 200
        for response in (unread, await held):
            with pytest.raises(ConnectionClosed):
                await response.read()
        with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
            await unfinished.finish()
        with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
            await unfinished


async def test_leaving_the_block_lets_listeners_and_readers_go_on() -> None:
    size = 1 << 20

    def much(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.respond(200, [], b"x" * size)

    async with serve(much) as server:
        got: list[bytes] = []
        async with http.create_client(server.port) as client:
            reading = asyncio.ensure_future((await client.get("/").finish()).read())
            client.get("/").finish(lambda response: response.on("body", got.append))
            waiting = asyncio.ensure_future(waited(client.get("/").finish()))
            whole = asyncio.ensure_future(read_of(waiting))
            await asyncio.sleep(0)
        assert len(await reading) == len(b"".join(got)) == len(await whole) == size
        got.clear()
        async with http.create_client(server.port) as client:
            response = await client.get("/").finish()
            response.on("body", got.append)
        assert len(b"".join(got)) == size


async def test_leaving_the_block_gives_up_what_is_half_asked() -> None:
    async def looks(peer: Peer) -> None:
        await peer.head()
        arrived.set()
        assert await peer.is_closed()

    arrived = asyncio.Event()
    async with answering(looks) as answers:
        async with asking(answers) as client:
            request = client.post("/", [("Content-Length", 3)])
            await arrived.wait()
        with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
            await request.finish()


async def read_of(answer: asyncio.Future[ClientResponse]) -> bytes:
    return await (await answer).read()


async def test_an_error_in_the_block_ends_all() -> None:
    async with serve(lambda request, response: None) as server:
        pending = []
        with pytest.raises(ZeroDivisionError):
            async with http.create_client(server.port) as client:
                pending = [client.get("/").finish(), client.get("/").finish()]
                await until(lambda: server.connections)
                raise ZeroDivisionError
        for answer in pending:
            with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
                await answer


@pytest.mark.parametrize("when", ["new", "connecting", "asked", "idle"])
async def test_abort(when: str) -> None:
    async with serve(lambda request, response: request.url == "/" and response.respond(200)) as server:
        client = http.create_client(server.port)
        if when == "idle":
            await client.get("/").finish()
        elif when != "new":
            answer = client.get("/never").finish()
            if when == "asked":
                await until(lambda: server.connections)
        client.abort()
        if when in ("connecting", "asked"):
            with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
                await answer
        await client.close()
        with pytest.raises(RuntimeError):
            client.get("/")


@pytest.mark.parametrize("rest", [b"nonsense", b"1\r\nx\r\n", b"0\r\n\r\n"])
@pytest.mark.parametrize("event", ["response", "body", "complete", "continue", "error"])
async def test_abort_in_a_listener(event: str, rest: bytes) -> None:
    async def says(peer: Peer) -> None:
        await peer.request()
        if event == "error":
            await peer.send(b"nonsense\r\n\r\n")
        informed = b"HTTP/1.1 100 Continue\r\n\r\n" * 2
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        end = b"0\r\n\r\n" if event == "complete" else b""
        # What follows is not looked at any more, be it good or bad.
        await peer.send(informed + head + b"1\r\nx\r\n" + end + rest)
        await peer.gone()

    async with answering(says) as answers:
        client = http.create_client(answers.port)
        seen: list[Any] = []
        aborted = asyncio.Event()

        def abort(*args: Any) -> None:
            seen.append(args)
            client.abort()
            aborted.set()

        def listener(response: ClientResponse) -> None:
            response.on(event, abort)

        client.on("error", abort if event == "error" else seen.append)
        request = client.get("/")
        request.on(event, abort)
        request.finish(listener)
        behind = client.get("/").finish()
        await aborted.wait()
        with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
            await behind
        await client.close()
        assert len(seen) == 1


# --- what keeps a program alive


async def test_a_kept_connection_does_not_keep_the_program() -> None:
    with elsewhere(echo) as port:
        client = http.create_client(port)
        for path in ("/1", "/2"):
            seen: list[ClientResponse] = []
            client.get(path).finish(seen.append)
            await alive.wait_until_idle()
            assert [response.header("x-was") for response in seen] == [f"GET {path}"]
        client.abort()
        await client.close()


async def test_what_a_listener_began_keeps_the_program() -> None:
    with elsewhere(echo) as port:
        client = http.create_client(port)
        seen: list[str | None] = []

        def listener(response: ClientResponse) -> None:
            seen.append(response.header("x-was"))
            if len(seen) < 3:
                response.on("complete", lambda: client.get("/").finish(listener))

        client.get("/").finish(listener)
        await alive.wait_until_idle()
        assert len(seen) == 3
        await client.close()


async def test_a_client_that_failed_or_was_closed_does_not_keep_the_program() -> None:
    client = http.create_client(1)
    failed: list[Exception] = []
    client.on("error", failed.append)
    client.get("/").finish()
    await alive.wait_until_idle()
    assert len(failed) == 1
    client.get("/").finish()
    client.abort()
    await alive.wait_until_idle()
    unfinished = http.create_client(1)
    unfinished.get("/")
    await unfinished.__aexit__(None, None, None)
    await alive.wait_until_idle()


# --- TLS


async def test_https() -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    async with serve(echo, tls=server_tls) as server:
        async with http.create_client(
            server.port, ssl_context=client_tls, server_hostname="localhost"
        ) as client:
            for _ in range(2):
                request = client.post("/")
                request.send_body(b"x" * 100_000)
                assert await (await request.finish()).read() == b"x" * 100_000
            assert len(server.connections) == 1
        async with http.create_client(server.port, ssl_context=client_tls) as client:
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.get("/").finish()
        async with http.create_client(server.port) as client:
            with pytest.raises(ConnectionClosed):
                await client.get("/").finish()


# --- what the server's side has of the same


async def test_the_uri_of_a_request() -> None:
    seen: list[http.Uri] = []

    def listener(request: http.ServerRequest, response: http.ServerResponse) -> None:
        assert request.uri is request.uri
        seen.append(request.uri)
        response.respond(200)

    async with serve(listener) as server, http.create_client(server.port) as client:
        await client.get("/status?name=ryan").finish()
        await client.get("http://proxy/x").finish()
    assert (seen[0].path, seen[0].params, seen[0].protocol) == ("/status", {"name": "ryan"}, None)
    assert (seen[1].path, seen[1].host) == ("/x", "proxy")


async def test_the_body_of_a_request_as_text() -> None:
    seen: list[Any] = []

    def listener(request: http.ServerRequest, response: http.ServerResponse) -> None:
        with pytest.raises(ValueError):
            request.set_body_encoding("latin-1")
        request.set_body_encoding("utf8")
        request.on("body", seen.append)
        request.on("complete", lambda: response.respond(200))

    async with serve(listener) as server, http.create_client(server.port) as client:
        request = client.post("/")
        for byte in "h\xe9\u20ac".encode():
            await request.send_body(bytes([byte]))
        request.send_body(b"\xe2\x82")
        await request.finish()
    assert "".join(seen) == "h\xe9\u20ac\ufffd"
    assert "" not in seen


async def test_a_text_body_can_be_read_as_bytes() -> None:
    async def listener(request: http.ServerRequest, response: http.ServerResponse) -> None:
        request.set_body_encoding("utf8")
        response.respond(200, [], await request.read())

    async with serve(listener) as server, http.create_client(server.port) as client:
        request = client.post("/")
        request.send_body(b"\xff\xe9")
        assert await (await request.finish()).read() == b"\xff\xe9"
