"""Bodies above the high water: kept for who may want them, dropped when nobody can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.node.serving import Held, get, post, serve
from tests.raw import connect, until
from wirehop.errors import ConnectionClosed
from wirehop.node import http

BODY = bytes(range(256)) * 4096
"""More than any high water."""


class Bodies:
    """A listener that answers when its request is complete, and says what it got."""

    def __init__(self) -> None:
        self.completes = 0
        self.pieces: list[bytes] = []

    def until_complete(self, request: http.ServerRequest, response: http.ServerResponse) -> None:
        def complete() -> None:
            self.completes += 1
            response.respond(200, [], str(len(b"".join(self.pieces))))

        request.on("complete", complete)


async def test_a_request_of_which_only_the_end_is_wanted_is_complete() -> None:
    bodies = Bodies()
    async with serve(bodies.until_complete) as server, connect(server.port) as raw:
        for _ in range(2):
            assert (await raw.ask(post("/", BODY))).body == b"0"
        assert bodies.completes == 2


async def test_a_listener_to_the_end_that_comes_when_reading_has_stopped() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        sending = asyncio.ensure_future(raw.send(post("/", BODY)))
        await held.until(1)
        await until(lambda: held.requests[0].unread() > 65_536)
        held.requests[0].on("complete", lambda: held.responses[0].respond(200))
        await sending
        assert (await raw.response()).status == 200


@pytest.mark.parametrize("how", ["listener", "read", "pieces", "task"])
@pytest.mark.parametrize("waits", [False, True])
async def test_a_body_that_is_wanted_soon_is_whole(how: str, waits: bool) -> None:
    got = bytearray()
    tasks = []

    async def take(request: http.ServerRequest) -> None:
        if waits and how != "task":
            # Until reading has stopped, and some turns more.
            await until(lambda: request.unread() > 65_536)
            await asyncio.sleep(0.01)
        if how == "listener":
            request.on("body", got.extend)
        elif how == "pieces":
            async for piece in request:
                got.extend(piece)
                await asyncio.sleep(0)
        else:
            got.extend(await request.read())

    async def takes(request: http.ServerRequest, response: http.ServerResponse) -> None:
        request.on("complete", lambda: asyncio.get_running_loop().call_soon(response.respond, 200))
        if how == "task":
            tasks.append(asyncio.create_task(take(request)))
        else:
            await take(request)

    async with serve(takes) as server, connect(server.port) as raw:
        assert (await raw.ask(post("/", BODY))).status == 200
        assert bytes(got) == BODY
        await asyncio.gather(*tasks)


async def test_a_body_that_an_async_listener_did_not_want_is_dropped_when_it_has_returned() -> None:
    bodies = Bodies()

    async def waits(request: http.ServerRequest, response: http.ServerResponse) -> None:
        bodies.until_complete(request, response)
        await until(lambda: request.unread() > 65_536)

    async with serve(waits) as server, connect(server.port) as raw:
        assert (await raw.ask(post("/", BODY))).body == b"0"
    assert bodies.completes == 1


async def test_without_a_listener_to_the_end_a_body_is_kept_until_the_answer() -> None:
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        sending = asyncio.ensure_future(raw.send(post("/", BODY)))
        await held.until(1)
        await until(lambda: held.requests[0].unread() > 65_536)
        await asyncio.sleep(0.01)
        assert await held.requests[0].read() == BODY
        held.responses[0].respond(200)
        await sending
        assert (await raw.response()).status == 200


async def test_who_reads_what_was_dropped_is_told() -> None:
    held = Held()

    def ends(request: http.ServerRequest, response: http.ServerResponse) -> None:
        request.on("complete", lambda: held(request, response))

    async with serve(ends) as server, connect(server.port) as raw:
        await raw.send(post("/", BODY))
        await held.until(1)
        late: list[bytes] = []
        held.requests[0].on("body", late.append)
        with pytest.raises(RuntimeError, match="was dropped"):
            await held.requests[0].read()
        assert late == []
        held.responses[0].respond(200)
        assert (await raw.response()).status == 200


async def test_no_body_after_the_end_was_heard() -> None:
    events: list[Any] = []
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(post("/", b"hello"))
        await held.until(1)
        request = held.requests[0]
        request.on("complete", lambda: events.append("complete"))
        await until(lambda: events)
        request.on("body", events.append)
        for _ in range(3):
            await asyncio.sleep(0)
        assert await request.read() == b"hello", "it may still be read"
        held.responses[0].respond(200)
        await raw.response()
    assert events == ["complete"]


async def test_a_listener_of_the_end_and_then_of_the_body_hear_both_in_their_order() -> None:
    events: list[Any] = []
    held = Held()
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(post("/", b"hello"))
        await held.until(1)
        await until(lambda: held.requests[0].complete)
        held.requests[0].on("complete", lambda: events.append("complete"))
        held.requests[0].on("body", events.append)
        await until(lambda: len(events) == 2)
        held.responses[0].respond(200)
        await raw.response()
    assert events == [b"hello", "complete"]


# --- the client


def large(request: http.ServerRequest, response: http.ServerResponse) -> None:
    response.respond(200, [], BODY)


async def test_a_response_whose_listener_takes_no_body_holds_up_nobody() -> None:
    statuses = []
    async with serve(large) as server, http.create_client(server.port) as client:
        for _ in range(3):
            client.get("/").finish(lambda response: statuses.append(response.status_code))
        await client.close()
    assert statuses == [200] * 3


async def test_a_response_of_which_only_the_end_is_wanted_is_complete() -> None:
    ends = []
    connections = []

    def answered(response: http.ClientResponse) -> None:
        response.on("complete", lambda: ends.append(response.status_code))

    async with serve(large) as server, http.create_client(server.port) as client:
        server.on("connection", connections.append)
        for _ in range(3):
            client.get("/").finish(answered)
        await client.close()
        assert ends == [200] * 3
        assert len(connections) == 1


async def test_a_response_that_an_async_listener_takes_late_is_whole() -> None:
    bodies = []

    async def answered(response: http.ClientResponse) -> None:
        await until(lambda: response.unread() > 65_536)
        await asyncio.sleep(0.01)
        bodies.append(await response.read())

    async def ignores(response: http.ClientResponse) -> None:
        await until(lambda: response.unread() > 65_536)

    async with serve(large) as server, http.create_client(server.port) as client:
        for listener in (answered, ignores, answered):
            client.get("/").finish(listener)
        await client.close()
    assert bodies == [BODY] * 2


@pytest.mark.parametrize("with_listener", [False, True])
async def test_a_response_that_was_awaited_may_be_read_late(with_listener: bool) -> None:
    async with serve(large) as server, http.create_client(server.port) as client:
        asked: Awaitable[http.ClientResponse]
        asked = client.get("/").finish((lambda response: None) if with_listener else None)
        response = await asked
        del asked
        response.on("complete", lambda: None)
        await until(lambda: response.unread() > 65_536)
        await asyncio.sleep(0.01)
        assert await response.read() == BODY


async def test_what_was_discarded_is_not_received_to_its_end_for_a_listener() -> None:
    def endless(request: http.ServerRequest, response: http.ServerResponse) -> None:
        if request.url == "/next":
            response.respond(200, [], "next")
            return
        response.send_header(200)
        response.send_body(BODY)

    async with serve(endless) as server, http.create_client(server.port) as client:
        response = await client.get("/").finish()
        response.on("complete", lambda: None)
        response.discard()
        assert await (await client.get("/next").finish()).read() == b"next"
        with pytest.raises(ConnectionClosed):
            await response.read()


async def test_a_body_whose_listener_comes_just_before_the_answer_keeps_what_was_there() -> None:
    held = Held()
    pieces: list[bytes] = []
    async with serve(held) as server, connect(server.port) as raw:
        await raw.send(post("/", b"one two")[:-4])
        await held.until(1)
        await until(held.requests[0].unread)
        held.requests[0].on("body", pieces.append)
        held.responses[0].respond(200)
        assert (await raw.response()).status == 200
        await raw.send(b" two" + get())
        await held.until(2)
        held.responses[1].respond(200)
        await raw.response()
    assert b"".join(pieces) == b"one two"
