"""A listener of a server that fails: what is reported, and what its client gets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.node.serving import get, post, serve
from tests.raw import connect, until
from wirehop.errors import ConnectionClosed
from wirehop.node import http

CLOSED = ConnectionClosed("Remote Connection Closed")
"""As an upstream raises it."""


def either(fail: Any, is_async: bool) -> Any:
    """A listener that is plain, or one that fails after it has waited."""
    if not is_async:
        return fail

    async def later(*args: Any) -> None:
        await asyncio.sleep(0)
        fail(*args)

    return later


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", [ValueError("a mistake"), CLOSED])
@pytest.mark.parametrize("begun", ["nothing", "head", "length"])
async def test_a_request_that_was_not_answered_gets_500(begun: str, error: Exception, is_async: bool) -> None:
    def fails(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if begun != "nothing":
            response.send_header(204, [("Content-Length", "0")] if begun == "length" else [("X", "y")])
        raise error

    errors: list[Exception] = []
    async with serve(either(fails, is_async)) as server, connect(server.port) as raw:
        server.on("error", errors.append)
        response = await raw.ask(get())
        assert (response.status, response.body) == (500, b"")
        assert response.header("connection") == "close"
        assert response.header("x") is None
        assert await raw.read_all() == b""
    assert errors == [error]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_response_that_has_begun_is_broken_off(is_async: bool) -> None:
    def fails(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200)
        response.send_body("some")
        raise ValueError("a mistake")

    errors: list[Exception] = []
    async with serve(either(fails, is_async)) as server, connect(server.port) as raw:
        server.on("error", errors.append)
        await raw.send(get())
        rest = await raw.read_all()
        assert rest.endswith(b"\r\n\r\n4\r\nsome\r\n"), "without its last chunk"
    assert len(errors) == 1


async def test_what_was_held_for_its_turn_becomes_500_too() -> None:
    first: list[http.ServerResponse] = []

    def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if request.url == "/first":
            first.append(response)
            return
        response.send_header(200)
        response.send_body("some")
        raise ValueError("a mistake")

    async with serve(answers) as server, connect(server.port) as raw:
        server.on("error", lambda error: None)
        await raw.send(get("/first") + get("/second"))
        await until(lambda: first)
        first[0].respond(200, [], "first")
        assert (await raw.response()).body == b"first"
        response = await raw.response()
        assert (response.status, response.body) == (500, b"")
        assert await raw.read_all() == b""


async def test_an_answer_that_is_complete_stays() -> None:
    def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.respond(200, [], "all")
        raise ValueError("a mistake")

    async with serve(answers) as server, connect(server.port) as raw:
        server.on("error", lambda error: None)
        for _ in range(2):
            assert (await raw.ask(get())).body == b"all"


async def test_a_client_that_left_is_no_mistake() -> None:
    ended: list[Exception] = []
    errors: list[Exception] = []

    async def reads(request: http.ServerRequest, response: http.ServerResponse) -> None:
        try:
            await request.read()
        except ConnectionClosed as error:
            ended.append(error)
            raise

    async def sends(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200)
        try:
            while True:
                await response.send_body(bytes(1 << 20))
        except ConnectionClosed as error:
            ended.append(error)
            raise

    for times, (listener, data) in enumerate(((reads, post("/", b"x" * 10)[:-5]), (sends, get())), 1):
        async with serve(listener) as server:
            server.on("error", errors.append)
            async with connect(server.port) as raw:
                await raw.send(data)
                await until(lambda: server.connections)
            await until(lambda times=times: len(ended) == times)
    await asyncio.sleep(0)
    assert errors == []


async def test_a_body_that_was_refused_is_no_mistake_of_who_reads_it_after_the_answer() -> None:
    errors: list[Exception] = []
    ended = asyncio.Event()
    responses: list[http.ServerResponse] = []

    async def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if request.url == "/first":
            responses.append(response)
            return
        reading = asyncio.ensure_future(request.read())
        await asyncio.sleep(0)
        response.respond(200)
        try:
            await reading
        finally:
            ended.set()

    async with serve(answers) as server, connect(server.port) as raw:
        server.on("error", errors.append)
        # The connection waits for the first answer when the second body turns out to be none.
        await raw.send(get("/first") + b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await until(lambda: responses)
        await asyncio.sleep(0.01)
        await raw.send(b"no chunk\r\n")
        await ended.wait()
        responses[0].respond(200)
        await raw.read_all()
    assert errors == []


async def test_a_server_s_connections_have_their_own_connect_after_connection() -> None:
    events: list[Any] = []

    def connected(connection: http.Connection) -> None:
        events.append("connection")
        connection.on("connect", lambda: events.append((connection.ready_state, connection.remote_address)))

    async with serve(lambda request, response: response.respond(200)) as server:
        server.on("connection", connected)
        async with connect(server.port) as raw:
            await raw.ask(get())
            await raw.ask(get())
    assert events == ["connection", ("open", "127.0.0.1")]


async def test_a_server_of_http_has_a_backlog() -> None:
    assert http.create_server(backlog=7)._backlog == 7


@pytest.mark.parametrize(
    ("text", "encoding", "error"),
    [
        ("x", "raw", TypeError),
        ("x", "binary", TypeError),
        ("é", "ascii", ValueError),
    ],
)
async def test_text_that_cannot_be_sent(text: str, encoding: str, error: type[Exception]) -> None:
    def answers(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.send_header(200)
        with pytest.raises(error):
            response.send_body(text, encoding)
        response.send_body("é", "UTF-8")
        response.finish()

    async with serve(answers) as server, connect(server.port) as raw:
        assert (await raw.ask(get())).body == "é".encode()
