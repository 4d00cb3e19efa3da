from __future__ import annotations

import asyncio
import logging
import os
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.node.serving import Held, chunked, get, post, request, serve
from tests.raw import connect, record_writes, until
from wirehop.errors import ConnectionClosed, PayloadTooLarge
from wirehop.node import http


def hello(request: http.ServerRequest, response: http.ServerResponse) -> None:
    response.respond(200, [("Content-Type", "text/plain")], f"hello {request.url}")


async def echo(request: http.ServerRequest, response: http.ServerResponse) -> None:
    response.respond(200, [], await request.read())


# --- one request after the other


async def test_a_response_with_its_length() -> None:
    async with serve(hello) as server, connect(server.port) as raw:
        response = await raw.ask(get("/x"))
        assert (response.version, response.status, response.body) == ("HTTP/1.1", 200, b"hello /x")
        assert response.header("content-type") == "text/plain"
        assert response.header("content-length") == "8"
        assert response.header("transfer-encoding") is None
        assert response.header("connection") is None
        assert parsedate_to_datetime(response.header("date") or "")


async def test_a_connection_is_kept() -> None:
    async with serve(hello) as server, connect(server.port) as raw:
        for number in range(5):
            assert (await raw.ask(get(f"/{number}"))).body == b"hello /%d" % number
        assert len(server.connections) == 1


async def test_what_a_request_says() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(get("/a/b?c=d", "X-Name: first ", "x-name:second", "Empty:", "Utf: \xff"))
        await held.until(1)
        request = held.requests[0]
        assert (request.method, request.url, request.http_version) == ("GET", "/a/b?c=d", "1.1")
        assert request.headers == [
            ("Host", "test"),
            ("X-Name", "first"),
            ("x-name", "second"),
            ("Empty", ""),
            ("Utf", "\xff"),
        ]
        assert request.header("X-NAME") == "first"
        assert request.header("empty") == ""
        assert request.header("missing") is None
        assert request.header("missing", "default") == "default"
        assert request.complete
        assert not request.has_body
        assert isinstance(request.connection, http.ServerConnection)
        assert request.connection.remote_address == "127.0.0.1"


async def test_the_same_request_again_is_a_request_of_its_own() -> None:
    seen: list[tuple[str, str, list[tuple[str, str]]]] = []

    def listener(request: http.ServerRequest, response: http.ServerResponse) -> None:
        seen.append((request.method, request.url, request.headers))
        # Whoever spoils one does not spoil the next.
        request.raw_headers.clear()
        response.respond(200, [], str(len(seen)))

    async with serve(listener) as server, connect(server.port) as raw:
        same, other = get("/same", "A: b"), get("/same", "A: c")
        asked = [same, same, other, other, b"\r\n" + same, same, post("/", b"x"), same, same]
        for number, data in enumerate(asked, 1):
            assert (await raw.ask(data)).body == b"%d" % number
        await raw.send(b"".join(asked) + get("/last", "Connection: close") + same)
        for number in range(len(asked) + 1, 2 * len(asked) + 2):
            assert (await raw.response()).body == b"%d" % number
        assert await raw.read_all() == b""
    with_a, with_b = [("Host", "test"), ("A", "b")], [("Host", "test"), ("A", "c")]
    for method, url, headers in seen[: len(asked)]:
        assert (method, url) == ("POST", "/") or (url == "/same" and headers in (with_a, with_b))
    assert seen[: len(asked)] == seen[len(asked) : -1]
    assert [headers for _, _, headers in seen[2:4]] == [with_b, with_b]


async def test_connection_close_is_heeded_from_both_sides() -> None:
    def closes(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.respond(200, [("Connection", "close")] if request.url == "/close" else [])

    async with serve(closes) as server:
        for asked in (get("/", "Connection: close"), get("/close")):
            async with connect(server.port) as raw:
                response = await raw.ask(asked)
                assert response.header("connection") == "close"
                assert await raw.read_all() == b""
        await until(lambda: not server.connections)


async def test_http_1_0_closes_unless_it_asks_for_more() -> None:
    async with serve(hello) as server:
        async with connect(server.port) as raw:
            response = await raw.ask(get("/", version="1.0"))
            assert response.header("connection") == "close"
            assert response.body == b"hello /"
            assert await raw.read_all() == b""
        async with connect(server.port) as raw:
            for _ in range(2):
                response = await raw.ask(get("/", "Connection: keep-alive", version="1.0"))
                assert response.header("connection") == "keep-alive"


async def test_http_1_0_gets_a_body_of_unknown_length_until_the_end() -> None:
    def streams(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200, [("Transfer-Encoding", "chunked")])
        response.send_body("one ")
        response.send_body(b"two")
        response.finish()

    async with serve(streams) as server, connect(server.port) as raw:
        await raw.send(get("/", "Connection: keep-alive", version="1.0"))
        response = await raw.response()
        assert response.header("transfer-encoding") is None
        assert response.header("connection") == "close"
        assert response.body == b"one two"


async def test_chunks() -> None:
    async def streams(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200)
        response.send_body("é")
        await asyncio.sleep(0)
        response.send_body(b"")
        await response.send_body(memoryview(b"x" * 1000))
        response.send_body("\xe9", "latin-1")
        response.finish()
        response.finish()

    async with serve(streams) as server, connect(server.port) as raw:
        for _ in range(2):
            response = await raw.ask(get())
            assert response.header("transfer-encoding") == "chunked"
            assert response.header("content-length") is None
            assert response.body == "é".encode() + b"x" * 1000 + b"\xe9"


@pytest.mark.parametrize("how", ["length", "chunks", "respond"])
async def test_head_has_the_headers_of_get_and_no_body(how: str) -> None:
    def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if how == "respond":
            response.respond(200, [("X", "y")], b"body")
            return
        response.send_header(200, [("X", "y")] + ([("Content-Length", "4")] if how == "length" else []))
        response.send_body(b"body")
        response.finish()

    async with serve(answers) as server, connect(server.port) as raw:
        got = await raw.ask(get())
        head = await raw.ask(get(method="HEAD"), "HEAD")
        assert [pair for pair in head.headers if pair[0] != "date"] == [
            pair for pair in got.headers if pair[0] != "date"
        ]
        assert got.body == b"body"
        assert (await raw.ask(get())).body == b"body"


@pytest.mark.parametrize("status", [204, 304])
async def test_responses_that_have_no_body(status: int) -> None:
    def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if request.url == "/respond":
            response.respond(status, [], b"not sent")
            return
        response.send_header(status, [("Content-Length", 5)] if request.url == "/length" else [])
        response.send_body(b"not s")
        response.finish()

    async with serve(answers) as server, connect(server.port) as raw:
        for path in ("/respond", "/stream", "/length", "/respond"):
            response = await raw.ask(get(path))
            assert response.status == status
            assert response.header("transfer-encoding") is None
            length = "5" if path == "/length" and status == 304 else None
            assert response.header("content-length") == length


async def test_without_a_listener_there_is_nothing() -> None:
    async with serve() as server, connect(server.port) as raw:
        assert (await raw.ask(get())).status == 404


async def test_the_last_listener_may_be_added_later_and_fail(caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as server, connect(server.port) as raw:

        @server.on("request")
        def fails(request: http.ServerRequest, response: http.ServerResponse) -> None:
            raise ValueError("a mistake")

        server.on("request", hello)
        with caplog.at_level(logging.CRITICAL):
            assert (await raw.ask(get())).status == 200


# --- what cannot be sent


async def test_a_response_is_used_in_its_order() -> None:
    def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        with pytest.raises(RuntimeError, match="between"):
            response.send_body(b"early")
        with pytest.raises(RuntimeError, match="after send_header"):
            response.finish()
        response.send_header(200, [("Content-Length", 5)])
        with pytest.raises(RuntimeError, match="already"):
            response.send_header(200)
        response.send_body(b"hel")
        with pytest.raises(ValueError, match="longer than its Content-Length by 1 bytes"):
            response.send_body(b"lo!")
        with pytest.raises(TypeError):
            response.send_body(5)  # type: ignore[arg-type]
        response.send_body(b"lo")
        response.finish()
        with pytest.raises(RuntimeError, match="between"):
            response.send_body(b"late")

    async with serve(answers) as server, connect(server.port) as raw:
        assert (await raw.ask(get())).body == b"hello"
        assert (await raw.ask(get())).body == b"hello"


async def test_a_body_that_is_too_short_ends_the_connection() -> None:
    def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200, [("Content-Length", 5)])
        response.send_body(b"hel")
        response.finish()

    async with serve(answers) as server, connect(server.port) as raw:
        await raw.send(get())
        assert (await raw.read_all()).endswith(b"\r\n\r\nhel")


@pytest.mark.parametrize("length", [None, 10])
async def test_a_response_that_is_broken_off_ends_the_connection(length: int | None) -> None:
    def answer(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200, [] if length is None else [("Content-Length", length)])
        response.send_body("half")
        response.break_off()
        response.break_off()
        response.finish()

    async with serve(answer) as server, connect(server.port) as raw:
        await raw.send(get("/1") + get("/2"))
        await raw.read_until(b"\r\n\r\n")
        # No last chunk, and no second answer.
        assert await raw.read_all() == (b"4\r\nhalf\r\n" if length is None else b"half")


# --- pipelining


async def test_one_write_answers_all_that_one_batch_of_input_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(hello) as server, connect(server.port) as raw:
        await raw.ask(get("/warm"))
        writes = record_writes(monkeypatch)
        await raw.send(b"".join(get(f"/{number}") for number in range(16)))
        for number in range(16):
            assert (await raw.response()).body == b"hello /%d" % number
        assert len(writes) == 1


async def test_one_write_also_for_what_async_handlers_answer_in_one_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = asyncio.Event()

    async def waits(request: http.ServerRequest, response: http.ServerResponse) -> None:
        await go.wait()
        hello(request, response)

    async with serve(waits) as server, connect(server.port) as raw:
        await raw.send(b"".join(get(f"/{number}") for number in range(8)))
        await until(lambda: [len(connection._responses) for connection in server.connections] == [8])
        writes = record_writes(monkeypatch)
        go.set()
        for number in range(8):
            assert (await raw.response()).body == b"hello /%d" % number
        assert len(writes) == 1


async def test_answers_leave_in_the_order_of_the_requests() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(b"".join(get(f"/{number}") for number in range(4)))
        await held.until(4)
        third = asyncio.ensure_future(_wait(held.responses[2]))
        held.responses[2].send_header(200, [("Content-Length", 2)])
        held.responses[2].send_body(b"2")
        held.responses[3].respond(200, [], b"3")
        held.responses[1].respond(200, [], b"1")
        await asyncio.sleep(0)
        assert not third.done(), "it waits for its turn"
        held.responses[0].respond(200, [], b"0")
        await third
        for number in range(2):
            assert (await raw.response()).body == b"%d" % number
        assert (await raw.read_until(b"\r\n\r\n2")).startswith(b"HTTP/1.1 200")
        held.responses[2].send_body(b"!")
        held.responses[2].finish()
        assert await raw.read(1) == b"!"
        assert (await raw.response()).body == b"3"
        await raw.send(get("/4"))
        await held.until(5)
        held.responses[4].respond(200, [], b"4")
        assert (await raw.response()).body == b"4"


async def test_pipelined_requests_arrive_byte_by_byte() -> None:
    async with serve(echo) as server, connect(server.port) as raw:
        await raw.dribble(post("/", b"one") + request("POST", "/", "Transfer-Encoding: chunked"))
        await raw.dribble(chunked(b"tw", b"o") + post("/", b"three"))
        assert [(await raw.response()).body for _ in range(3)] == [b"one", b"two", b"three"]


async def test_above_max_pipelined_nothing_more_is_read() -> None:
    held = Held()
    async with serve(held, max_pipelined=4) as server, connect(server.port) as raw:
        count = 2000
        sending = asyncio.ensure_future(raw.send(get("/long-enough-to-fill-a-step") * count))
        await held.until(4)
        answered = 0
        most = 0
        while answered < count:
            await held.until(answered + 1)
            most = max(most, len(held.responses) - answered)
            held.responses[answered].respond(200, [], b"%d" % answered)
            assert (await raw.response()).body == b"%d" % answered
            answered += 1
        await sending
        # One step of the parser may go beyond it; one read, of 256 KiB, would hold all of them.
        assert 4 <= most < 64


async def test_synchronous_answers_to_more_than_a_step_stay_in_order() -> None:
    async with serve(hello, max_pipelined=2) as server, connect(server.port) as raw:
        sending = asyncio.ensure_future(raw.send(b"".join(get(f"/{n}") for n in range(3000))))
        for number in range(3000):
            assert (await raw.response()).body == b"hello /%d" % number
        await sending


async def test_what_waits_for_an_earlier_answer_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    held = Held()
    async with serve(held, send_limit=100_000) as server, connect(server.port) as raw:
        await raw.send(get() + get())
        await held.until(2)
        held.responses[1].send_header(200)
        with caplog.at_level(logging.WARNING):
            for _ in range(20):
                last = held.responses[1].send_body(bytes(10_000))
        with pytest.raises(ConnectionClosed, match="more than 100000 bytes were waiting for an earlier"):
            await last
        assert len(caplog.records) == 1
        await until(lambda: not server.connections)


async def test_what_was_held_and_sent_counts_no_more() -> None:
    held = Held()
    async with serve(held, send_limit=100_000) as server, connect(server.port) as raw:
        for number in range(0, 10, 2):
            await raw.send(get() + get())
            await held.until(number + 2)
            held.responses[number + 1].respond(200, [], bytes(60_000))
            held.responses[number].respond(200)
            assert (await raw.response()).body == b""
            assert (await raw.response()).body == bytes(60_000)


async def test_a_response_that_closes_ends_those_after_it() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(get("/0") + get("/1"))
        await held.until(2)
        sent = held.responses[1]
        sent.respond(200, [], b"never sent")
        held.responses[0].respond(200, [("Connection", "close")], b"last")
        with pytest.raises(ConnectionClosed):
            await sent
        assert (await raw.response()).body == b"last"
        assert await raw.read_all() == b""


# --- bodies of requests


async def test_reading_a_body() -> None:
    async with serve(echo) as server, connect(server.port, limit=1 << 20) as raw:
        for body in (b"", b"x", os.urandom(300_000)):
            sending = asyncio.ensure_future(raw.send(post("/", body)))
            assert (await raw.response()).body == body
            await sending
            await raw.send(request("POST", "/", "Transfer-Encoding: chunked") + chunked(body or b"x", b"y"))
            assert (await raw.response()).body == (body or b"x") + b"y"


async def test_bytes_that_are_no_text_arrive_intact_wherever_they_are_split() -> None:
    async with serve(echo) as server, connect(server.port) as raw:
        body = b"\xff" + "é".encode() + bytes(range(256))
        head = request("POST", "/", f"Content-Length: {len(body)}")
        await raw.dribble(head + body)
        assert (await raw.response()).body == body


async def test_a_limit_for_the_body() -> None:
    async def reads(request: http.ServerRequest, response: http.ServerResponse) -> None:
        try:
            response.respond(200, [], await request.read(10))
        except PayloadTooLarge:
            response.respond(413)

    async with serve(reads) as server, connect(server.port) as raw:
        assert (await raw.ask(post("/", b"x" * 10))).status == 200
        assert (await raw.ask(post("/", b"x" * 11))).status == 413
        assert (await raw.ask(post("/", b"x" * 10))).status == 200
        chunks = request("POST", "/", "Transfer-Encoding: chunked")
        assert (await raw.ask(chunks + chunked(b"x" * 6, b"y" * 4))).status == 200
        assert (await raw.ask(chunks + chunked(b"x" * 6, b"y" * 5))).status == 413
        assert (await raw.ask(get())).status == 200


async def test_pieces_of_a_body_as_they_come() -> None:
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def streams(request: http.ServerRequest, response: http.ServerResponse) -> None:
        async for chunk in request:
            await pieces.put(chunk)
        await pieces.put(None)
        response.respond(200)

    async with serve(streams) as server, connect(server.port) as raw:
        await raw.send(request("POST", "/", "Content-Length: 9"))
        for piece in (b"one", b"two", b"six"):
            await raw.send(piece)
            assert await pieces.get() == piece
        assert await pieces.get() is None
        assert (await raw.response()).status == 200


async def test_pieces_of_a_body_as_events() -> None:
    events: list[Any] = []

    def listens(request: http.ServerRequest, response: http.ServerResponse) -> None:
        request.on("body", events.append)

        @request.on("complete")
        def complete() -> None:
            events.append("complete")
            response.respond(200)

    async with serve(listens) as server, connect(server.port) as raw:
        assert (await raw.ask(post("/", b"all of it"))).status == 200
        assert events == [b"all of it", "complete"]
        events.clear()
        assert (await raw.ask(get())).status == 200
        assert events == ["complete"]


async def test_a_request_without_a_body_is_complete_before_the_next_one_begins() -> None:
    events: list[str] = []

    def listens(request: http.ServerRequest, response: http.ServerResponse) -> None:
        events.append(f"request {request.url}")

        def complete() -> None:
            events.append(f"complete {request.url}")

        if request.url == "/added":
            request.on("complete", complete)
        else:
            # As Node 0.1.0 has it: what listeners() gives may be changed.
            request.listeners("complete").append(complete)
        response.respond(200)

    async with serve(listens) as server, connect(server.port) as raw:
        await raw.send(get("/added") + get("/listed") + get("/listed") + get("/added"))
        for _ in range(4):
            assert (await raw.response()).status == 200
        urls = ["/added", "/listed", "/listed", "/added"]
        assert events == [f"{event} {url}" for url in urls for event in ("request", "complete")]


async def test_who_asks_late_hears_that_a_request_without_a_body_is_complete() -> None:
    async def listens(request: http.ServerRequest, response: http.ServerResponse) -> None:
        await asyncio.sleep(0)
        complete = asyncio.Event()
        request.on("complete", complete.set)
        await complete.wait()
        response.respond(200, body=repr(request))

    async with serve(listens) as server, connect(server.port) as raw:
        for _ in range(2):
            assert (await raw.ask(get("/late"))).body == b"<ServerRequest GET /late>"


async def test_a_request_that_asks_for_an_upgrade_is_complete() -> None:
    complete = asyncio.Event()
    async with serve() as server, connect(server.port) as raw:

        @server.on("upgrade")
        def upgrade(request: http.ServerRequest, connection: http.ServerConnection, tail: bytes) -> None:
            assert request.complete
            request.on("complete", complete.set)

        await raw.send(get("/", "Connection: Upgrade", "Upgrade: test"))
        await complete.wait()


async def test_a_body_that_is_not_read_is_not_received() -> None:
    held = Held()
    async with serve(held, body_high_water=100_000) as server, connect(server.port) as raw:
        body = os.urandom(64 << 20)
        sending = asyncio.ensure_future(raw.send(post("/", body)))
        await held.until(1)
        # Until nothing moves any more: what is on its way then is in the kernel's buffers.
        unread, request = -1, held.requests[0]
        while unread != request.unread():
            unread = request.unread()
            for _ in range(20):
                await asyncio.sleep(0)
        assert 100_000 < request.unread() < 100_000 + 2 * 65_536
        assert not sending.done()
        got = bytearray()
        async for chunk in request:
            got += chunk
            assert request.unread() < 100_000 + 2 * 65_536
        assert got == body
        held.responses[0].respond(200)
        assert (await raw.response()).status == 200
        await sending


async def test_tiny_chunks_count_for_more_than_their_size() -> None:
    held = Held()
    async with serve(held, body_high_water=10_000) as server, connect(server.port) as raw:
        head = request("POST", "/", "Transfer-Encoding: chunked")
        await raw.send(head)
        await held.until(1)
        sending = asyncio.ensure_future(raw.send(chunked(*[b"x"] * 200_000)))
        await until(lambda: held.requests[0].unread() > 10_000)
        assert len(held.requests[0]._body) < 65_536 / 6 + 1
        assert len(await held.requests[0].read()) == 200_000
        await sending


async def test_only_one_reads_a_body() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(post("/", b"x" * 10)[:-5])
        await held.until(1)
        first = asyncio.ensure_future(held.requests[0].read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="somebody else"):
            await held.requests[0].read()
        await raw.send(b"x" * 5)
        assert await first == b"x" * 10


async def test_a_reader_may_give_up_and_another_go_on() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(post("/", b"x" * 10)[:-5])
        await held.until(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                async for _ in held.requests[0]:
                    pass
        await raw.send(b"y" * 5)
        assert await held.requests[0].read() == b"y" * 5


async def test_a_client_that_leaves_while_its_body_is_read() -> None:
    failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def reads(request: http.ServerRequest, response: http.ServerResponse) -> None:
        try:
            await request.read()
        except ConnectionClosed as error:
            failed.set_result(error)
        assert request.connection.ready_state == "closed"
        response.send_header(200)
        sent = response.send_body(b"nobody reads this")
        response.finish()
        with pytest.raises(ConnectionClosed):
            await sent

    async with serve(reads) as server:
        async with connect(server.port) as raw:
            await raw.send(post("/", b"x" * 10)[:-5])
        assert str(await failed) == "Remote Connection Closed"
        await until(lambda: not server.connections)


async def test_an_early_answer_lets_the_rest_of_the_body_pass() -> None:
    held = Held()
    async with serve(held, body_high_water=10_000) as server, connect(server.port) as raw:
        body = bytes(8 << 20)
        sending = asyncio.ensure_future(raw.send(post("/", body)))
        await held.until(1)
        # Reading has been paused by now.
        await until(lambda: held.requests[0].unread() > 10_000)
        held.responses[0].respond(200, [], b"enough")
        assert (await raw.response()).body == b"enough"
        await sending
        with pytest.raises(ConnectionClosed, match="before this body was read"):
            await held.requests[0].read()
        await raw.send(get())
        await held.until(2)
        held.responses[1].respond(200)
        assert (await raw.response()).status == 200


async def test_a_body_that_is_read_after_the_answer_is_whole_or_an_error() -> None:
    async def answers_first(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if request.url == "/reading":
            reading = asyncio.ensure_future(request.read())
            await asyncio.sleep(0)
            response.respond(202)
            bodies[request.url] = await reading
            return
        response.respond(202)
        try:
            bodies[request.url] = await request.read()
        except ConnectionClosed:
            bodies[request.url] = None

    bodies: dict[str, bytes | None] = {}
    async with serve(answers_first) as server, connect(server.port) as raw:
        assert (await raw.ask(post("/late", b"whole"))).status == 202
        assert (await raw.ask(get("/nothing"))).status == 202
        await raw.send(post("/reading", b"whole")[:-4])
        assert (await raw.response()).status == 202
        await raw.send(b"hole")
        await until(lambda: len(bodies) == 3)
        assert bodies == {"/late": None, "/nothing": b"", "/reading": b"whole"}


async def test_an_early_answer_that_closes_reaches_a_client_that_is_still_sending() -> None:
    def refuses(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.respond(403, [("Connection", "close")], b"not from you")

    async with serve(refuses) as server, connect(server.port) as raw:
        # Were the socket closed at once, what is in it unread would make this a reset.
        await raw.send(post("/", bytes(20 << 20)))
        response = await raw.response()
        assert (response.status, response.body) == (403, b"not from you")
        assert await raw.read_all() == b""


async def test_expect_100() -> None:
    async with serve(echo) as server, connect(server.port) as raw:
        await raw.send(request("POST", "/", "Content-Length: 5", "Expect: 100-continue"))
        assert await raw.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await raw.send(b"hello")
        assert (await raw.response()).body == b"hello"
        # HTTP/1.0 has no expectations.
        assert (await raw.ask(get("/", "Expect: something", version="1.0"))).status == 200
    async with serve(echo) as server, connect(server.port) as raw:
        response = await raw.ask(post("/", b"", "Expect: something-else"))
        assert response.status == 417
        assert await raw.read_all() == b""


# --- the ends of connections


async def test_a_client_that_has_said_all_gets_its_answers() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(get("/0") + get("/1"))
        raw.finish()
        await held.until(2)
        connection = held.requests[0].connection
        await until(lambda: connection.ready_state == "writeOnly")
        held.responses[1].respond(200, [], b"1")
        held.responses[0].respond(200, [], b"0")
        assert (await raw.response()).body == b"0"
        response = await raw.response()
        assert (response.body, response.header("connection")) == (b"1", "close")
        assert await raw.read_all() == b""


@pytest.mark.parametrize("half", [b"GET /half HTTP", post("/half", b"12345")[:-1]], ids=["head", "body"])
async def test_a_client_that_has_said_half_gets_the_answers_to_the_rest(half: bytes) -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(get("/whole") + half)
        raw.finish()
        await held.until(1)
        connection = held.requests[0].connection
        await until(lambda: connection.ready_state == "writeOnly")
        held.responses[0].respond(200, [], b"whole")
        assert (await raw.response()).body == b"whole"
        assert await raw.read_all() == b""
        if half.startswith(b"POST"):
            with pytest.raises(ConnectionClosed):
                await held.requests[1].read()
            held.responses[1].respond(200)


async def test_a_client_that_says_nothing_more_is_let_go() -> None:
    async with serve(hello) as server:
        for data in (b"", get(), b"GET / HT", post("/", b"12345")[:-1]):
            async with connect(server.port) as raw:
                await raw.send(data)
                raw.finish()
                await raw.read_all()
            await until(lambda: not server.connections)


async def test_a_handler_whose_client_is_gone() -> None:
    held = Held()
    async with serve(held) as server:
        async with connect(server.port) as raw:
            await raw.send(get("/0") + get("/1"))
            await held.until(2)
            waits = asyncio.ensure_future(_wait(held.responses[1]))
            await asyncio.sleep(0)
            raw.reset()
        await until(lambda: not server.connections)
        with pytest.raises(ConnectionClosed):
            await waits
        for response in held.responses:
            response.send_header(200)
            for _ in range(100):
                last = response.send_body(bytes(1000))
            assert response._held == []
            response.finish()
            with pytest.raises(ConnectionClosed):
                await last


async def test_closing_a_server_waits_for_the_answers_that_are_due() -> None:
    held = Held()
    async with serve(held) as server:
        async with connect(server.port) as idle, connect(server.port) as busy, connect(server.port) as half:
            await busy.send(get("/0") + get("/1"))
            await half.send(post("/", b"12345")[:-1])
            await held.until(3)
            await until(lambda: len(server.connections) == 3)
            await server.close()
            assert await idle.read_all() == b""
            waiting = [asyncio.ensure_future(server.closed()) for _ in range(2)]
            for index, response in enumerate(held.responses):
                if held.requests[index].method == "GET":
                    response.respond(200, [], held.requests[index].url)
            assert (await busy.response()).body == b"/0"
            response = await busy.response()
            assert (response.body, response.header("connection")) == (b"/1", "close")
            assert await busy.read_all() == b""
            assert not any(waiter.done() for waiter in waiting)
            await half.send(b"5")
            posted = next(r for r in held.requests if r.method == "POST")
            assert await posted.read() == b"12345"
            held.responses[held.requests.index(posted)].respond(200)
            assert (await half.response()).status == 200
            assert await half.read_all() == b""
        await asyncio.gather(*waiting)
        await server.closed()


async def test_closing_a_server_ends_who_is_answered_early_once_it_is_silent() -> None:
    async with serve(hello) as server:
        async with connect(server.port) as raw:
            await raw.send(post("/", b"12345")[:-1])
            assert (await raw.response()).status == 200
            await server.close()
            await raw.send(b"5")
            assert await raw.read_all() == b""
        await server.closed()


async def test_a_closed_server_may_listen_again() -> None:
    async with serve(hello) as server:
        await server.close()
        await server.listen(0, "127.0.0.1")
        async with connect(server.port) as raw:
            for _ in range(2):
                assert (await raw.ask(get())).header("connection") is None


async def test_abort_cuts_what_is_left() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(post("/", b"12345")[:-1])
        await held.until(1)
        reading = asyncio.ensure_future(held.requests[0].read())
        await asyncio.sleep(0)
        await server.close()
        server.abort()
        await server.closed()
        with pytest.raises(ConnectionClosed):
            await reading
        with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
            await held.responses[0]
        assert await raw.read_all() == b""


async def test_closed_does_not_wait_where_there_is_nothing() -> None:
    async with serve() as server:
        await server.closed()


async def test_nothing_is_left_of_many_connections() -> None:
    async with serve(hello) as server:
        for _ in range(300):
            async with connect(server.port) as raw:
                await raw.ask(get())
        await until(lambda: not server.connections)
        assert len(server.deadlines._heap) < 150


# --- timeouts


async def test_a_head_that_does_not_come_is_closed_in_silence() -> None:
    async with serve(hello, head_timeout=0.05) as server, connect(server.port) as raw:
        assert await raw.read_all() == b""


async def test_half_a_head_is_answered_with_408() -> None:
    async with serve(hello, head_timeout=0.05) as server, connect(server.port) as raw:
        await raw.send(b"GET / HTTP/1.1\r\nHost:")
        response = await raw.response()
        assert (response.status, response.header("connection")) == (408, "close")
        assert await raw.read_all() == b""


async def test_half_a_body_is_answered_with_408() -> None:
    async with serve(echo, request_timeout=0.05) as server, connect(server.port) as raw:
        await raw.send(post("/", b"12345")[:-1])
        assert (await raw.response()).status == 408
        assert await raw.read_all() == b""


async def test_an_idle_connection_is_closed() -> None:
    async with serve(hello, idle_timeout=0.05) as server, connect(server.port) as raw:
        assert (await raw.ask(get())).status == 200
        assert await raw.read_all() == b""


async def test_a_handler_may_take_its_time() -> None:
    async def slow(request: http.ServerRequest, response: http.ServerResponse) -> None:
        await request.read()
        await asyncio.sleep(0.4)
        response.respond(200)

    timeouts = {"head_timeout": 0.2, "request_timeout": 0.2, "idle_timeout": 0.2}
    async with serve(slow, **timeouts) as server, connect(server.port) as raw:
        assert (await raw.ask(post("/", b"x"))).status == 200
        assert await raw.read_all() == b""


async def test_answers_that_are_due_go_out_before_a_timeout_does() -> None:
    held = Held()
    async with serve(held, head_timeout=0.2) as server, connect(server.port) as raw:
        await raw.send(get("/0") + b"GET /half")
        await held.until(1)
        await asyncio.sleep(0.4)
        held.responses[0].respond(200, [], b"0")
        assert (await raw.response()).body == b"0"
        assert (await raw.response()).status == 408
        assert await raw.read_all() == b""


async def test_who_goes_on_sending_after_an_early_answer_is_cut() -> None:
    def refuses(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.respond(403, [("Connection", "close")])

    async with serve(refuses, linger_timeout=0.05) as server, connect(server.port) as raw:
        await raw.send(post("/", b"12345")[:-1])
        assert (await raw.response()).status == 403
        assert await raw.read_all() == b""
        # It does not leave.
        await until(lambda: not server.connections)


async def test_a_client_that_does_not_read_its_answers_is_let_go() -> None:
    def large(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.respond(200, [("Connection", "close")], bytes(16 << 20))

    async with serve(large, send_timeout=0.05) as server, connect(server.port, limit=1024) as raw:
        await raw.send(get())
        await raw.read_until(b"\r\n")
        await until(lambda: not server.connections)


async def test_a_client_that_reads_too_little_is_cut() -> None:
    held = Held()
    async with serve(held, send_limit=100_000) as server, connect(server.port, limit=1024) as raw:
        await raw.send(get())
        await held.until(1)
        held.responses[0].respond(200, [], bytes(32 << 20))
        with pytest.raises(ConnectionClosed, match="more than 100000 bytes were waiting to be read"):
            await held.responses[0]
        await until(lambda: not server.connections)


async def test_awaiting_a_response_waits_above_the_high_water() -> None:
    held = Held()
    async with serve(held, high_water=1000) as server, connect(server.port, limit=1024) as raw:
        await raw.send(get())
        await held.until(1)
        held.responses[0].send_header(200, [("Content-Length", 32 << 20)])
        drained = asyncio.ensure_future(held.responses[0].send_body(bytes(32 << 20)))
        await raw.read_until(b"\r\n\r\n")
        assert not drained.done()
        await raw.read(32 << 20)
        await drained
        held.responses[0].finish()


# --- upgrades

UPGRADE = ("Connection: Upgrade", "Upgrade: chat")


class Chat(asyncio.Protocol):
    """What takes a connection over."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.got += data
        if data.endswith(b"\n"):
            self.transport.write(b"you said " + self.got)
            self.got = b""

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(None)

    def take(self, request: http.ServerRequest, connection: http.ServerConnection, tail: bytes) -> None:
        self.connection = connection
        self.request = request
        self.transport = connection.detach()
        self.transport.set_protocol(self)
        self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        if tail:
            self.data_received(tail)


async def test_an_upgrade_gets_the_socket_and_what_followed_the_request() -> None:
    async with serve(hello) as server:
        chat = Chat()
        server.on("upgrade", chat.take)
        async with connect(server.port) as raw:
            await raw.ask(get())
            await raw.send(get("/chat", *UPGRADE) + b"first ")
            assert (await raw.response()).status == 101
            assert (chat.request.url, chat.request.header("upgrade")) == ("/chat", "chat")
            await raw.send(b"then\n")
            assert await raw.read_until(b"\n") == b"you said first then\n"
            assert chat.connection.ready_state == "closed"
            await server.closed()
        await chat.ended
        assert server.connections == set()


async def test_a_long_tail_of_an_upgrade_arrives_whole() -> None:
    async with serve(hello) as server:
        chat = Chat()
        server.on("upgrade", chat.take)
        async with connect(server.port) as raw:
            data = os.urandom(200_000).replace(b"\n", b"") + b"\n"
            sending = asyncio.ensure_future(raw.send(get("/chat", *UPGRADE) + data))
            assert (await raw.response()).status == 101
            assert await raw.read(9 + len(data)) == b"you said " + data
            await sending
        await chat.ended


async def test_an_upgrade_waits_for_the_answers_before_it() -> None:
    held = Held()
    async with serve(held, head_timeout=0.2, request_timeout=0.2) as server:
        chat = Chat()
        server.on("upgrade", chat.take)
        async with connect(server.port) as raw:
            await raw.send(get("/0") + get("/1") + get("/chat", *UPGRADE) + b"tail\n")
            await held.until(2)
            await asyncio.sleep(0.4)
            held.responses[1].respond(200, [], b"1")
            assert not hasattr(chat, "request")
            held.responses[0].respond(200, [], b"0")
            assert (await raw.response()).body == b"0"
            assert (await raw.response()).body == b"1"
            assert (await raw.response()).status == 101
            assert await raw.read_until(b"\n") == b"you said tail\n"
            # Reading had been paused.
            await raw.send(b"more\n")
            assert await raw.read_until(b"\n") == b"you said more\n"
        await chat.ended


async def test_an_upgrade_waits_until_the_answers_before_it_are_out() -> None:
    held = Held()
    async with serve(held) as server:
        chat = Chat()
        server.on("upgrade", chat.take)
        async with connect(server.port, limit=1024) as raw:
            await raw.send(get("/0") + get("/chat", *UPGRADE) + b"tail\n")
            await held.until(1)
            body = os.urandom(8 << 20)
            held.responses[0].respond(200, [], body)
            waits = asyncio.ensure_future(_wait(held.responses[0]))
            assert (await raw.response()).body == body
            await waits
            assert (await raw.response()).status == 101
            assert await raw.read_until(b"\n") == b"you said tail\n"
        await chat.ended


async def test_an_upgrade_that_nobody_offers_is_a_plain_request() -> None:
    async with serve(hello) as server, connect(server.port) as raw:
        await raw.send(get("/1", *UPGRADE) + get("/2") + get("/3", *UPGRADE))
        for number in (1, 2, 3):
            response = await raw.response()
            assert (response.body, response.header("connection")) == (b"hello /%d" % number, None)


async def test_an_upgrade_with_a_body_is_a_plain_request() -> None:
    """The parser takes what follows the head for the other protocol, and then for a request."""
    smuggled = get("/smuggled")
    chunks = request("POST", "/", "Transfer-Encoding: chunked", *UPGRADE) + chunked(smuggled)
    for offered in (False, True):
        async with serve(echo) as server, connect(server.port) as raw:
            if offered:
                server.on("upgrade", pytest.fail)
            for asked in (post("/", smuggled, *UPGRADE), chunks):
                await raw.send(asked)
                assert (await raw.response()).body == smuggled
            await raw.dribble(post("/", smuggled, *UPGRADE))
            assert (await raw.response()).body == smuggled


async def test_an_upgrade_that_is_refused() -> None:
    def refuse(request: http.ServerRequest, connection: http.ServerConnection, tail: bytes) -> None:
        connection.refuse_upgrade(request).respond(426, [("Upgrade", "chat")], b"no")

    async with serve(hello) as server:
        server.on("upgrade", refuse)
        async with connect(server.port) as raw:
            response = await raw.ask(get("/", *UPGRADE) + b"tail")
            assert (response.status, response.body) == (426, b"no")
            assert response.header("connection") == "close"
            assert await raw.read_all() == b""


async def test_an_upgrade_that_nobody_takes_ends() -> None:
    async with serve(hello, head_timeout=0.05) as server:
        server.on("upgrade", lambda *_: None)
        async with connect(server.port) as raw:
            await raw.send(get("/", *UPGRADE))
            assert await raw.read_all() == b""


async def test_an_upgrade_whose_listener_fails_is_refused() -> None:
    def fails(request: http.ServerRequest, connection: http.ServerConnection, tail: bytes) -> None:
        raise ValueError("a mistake")

    errors: list[Exception] = []
    async with serve(hello) as server:
        server.on("upgrade", fails)
        server.on("error", errors.append)
        async with connect(server.port) as raw:
            await raw.send(get("/", *UPGRADE))
            assert (await raw.read_all()).startswith(b"HTTP/1.1 500 ")
    assert [str(error) for error in errors] == ["a mistake"]


async def test_a_client_that_leaves_before_its_upgrade() -> None:
    held = Held()
    async with serve(held) as server:
        server.on("upgrade", pytest.fail)
        async with connect(server.port) as raw:
            await raw.send(get("/0") + get("/chat", *UPGRADE))
            await held.until(1)
            connection = held.requests[0].connection
            raw.reset()
            held.responses[0].respond(200, [("Connection", "close")])
        await until(lambda: not server.connections)
        assert connection.ready_state == "closed"


async def _wait(awaitable: Any) -> None:
    await awaitable
