"""What a server does to a client, and what time does."""

from __future__ import annotations

import asyncio
import gc
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import pytest
import trustme

from tests.node.answering import OK, Answering, Peer, Script, always, answering, closes
from tests.raw import until
from wirehop.errors import ConnectionClosed, ProtocolError
from wirehop.node import http, tcp
from wirehop.node.http import Client, ClientLimits, ClientRequest, ClientResponse
from wirehop.node.http.response_parser import ResponseParser

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def asking(answers: Answering, **limits: Any) -> AsyncIterator[tuple[Client, list[Exception]]]:
    """A client, and the errors that it emits."""
    errors: list[Exception] = []
    async with http.create_client(answers.port, limits=ClientLimits(**limits)) as client:
        client.on("error", errors.append)
        yield client, errors


def says(response: bytes) -> Script:
    """A script that answers one request, and waits until the client leaves."""

    async def script(peer: Peer) -> None:
        await peer.answer(response)
        await peer.gone()

    return script


def leaves_after(response: bytes, *, reset: bool = False) -> Script:
    """A script that answers one request and leaves."""

    async def script(peer: Peer) -> None:
        await peer.answer(response)
        if reset:
            peer.reset()

    return script


async def waited(awaitable: Any) -> Any:
    return await awaitable


async def fails(request: ClientRequest, error: type[Exception], match: str | None = None) -> Exception:
    with pytest.raises(error, match=match) as raised:
        await request.finish()
    return raised.value


# --- bad responses


@pytest.mark.parametrize(
    "response",
    [
        b"nonsense\r\n\r\n",
        b"\0",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        # (Found by fuzzing: the chunks were the body, and it never ended.)
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\n\n",
        # An informational response has no body. (Found by fuzzing: it was one of no response.)
        b"HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n" + OK,
        b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nno" + OK,
    ],
)
async def test_what_is_no_response_fails_its_request_and_no_other(response: bytes) -> None:
    async with answering(says(response), always()) as answers, asking(answers) as (client, errors):
        first, second = client.get("/"), client.get("/")
        answer = second.finish()
        error = await fails(first, ProtocolError, "Bad Response")
        assert errors == [error]
        assert await (await answer).read() == b"ok"
        assert errors == [error]


@pytest.mark.parametrize(
    "body",
    [b"x\r\n", b"0x2\r\nok\r\n", b"2\nok\r\n", b"2\r\nokXX0\r\n\r\n", b"-1\r\n", b"10000000000000000\r\n"],
)
async def test_a_bad_body_is_never_complete(body: bytes) -> None:
    async with answering(says(CHUNKED + body), always()) as answers, asking(answers) as (client, errors):
        completed: list[bool] = []
        request = client.get("/")
        request.on("response", lambda response: response.on("complete", lambda: completed.append(True)))
        response = await request.finish()
        with pytest.raises(ProtocolError, match="Bad Response") as raised:
            await response.read()
        assert errors == [raised.value]
        assert not response.complete
        assert completed == []
        assert await (await client.get("/").finish()).read() == b"ok"


# --- limits of a response


async def test_the_size_of_a_head_is_limited_to_the_byte() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %b\r\n\r\n"
    room = 1000 - len(head % b"")
    fitting, larger = head % (b"x" * room), head % (b"x" * (room + 1))
    scripts = always(fitting), says(larger), says(b"HTTP/1.1 200 " + b"x" * 2000), says(b"\r\n" * 1000)
    async with answering(*scripts) as answers, asking(answers, max_head=1000) as (client, _):
        for method in ("GET", "HEAD"):
            assert (await client.request(method, "/").finish()).header("x") == "x" * room
        await client.get("/", [("Connection", "close")]).finish()
        for method in ("GET", "HEAD", "GET"):
            await fails(client.request(method, "/"), ProtocolError, "Head Too Large.*1000 bytes")


async def test_the_number_of_headers_is_limited() -> None:
    def head(count: int) -> bytes:
        return b"HTTP/1.1 204 No\r\n" + b"X: y\r\n" * count + b"\r\n"

    scripts = leaves_after(head(10)), says(head(11))
    async with answering(*scripts) as answers, asking(answers, max_headers=10) as (client, _):
        assert len((await client.get("/").finish()).headers) == 10
        await fails(client.get("/"), ProtocolError, "Too Many Headers.*10")


def test_a_head_is_not_counted_as_trailers() -> None:
    parser = ResponseParser("GET", ClientLimits(max_head=100), Mock())
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: %s\r\n\r\n5;" % (b"a" * 40))
    parser.feed(b"b" * 90)
    parser.feed(b"\r\nhello\r\n0\r\n\r\n")
    assert parser.complete


@pytest.mark.parametrize("rest", [b"X: y\r\n", b"X: " + b"y" * 100_000, b"1;" + b"x" * 100])
async def test_trailers_and_extensions_are_limited(rest: bytes) -> None:
    async def endless(peer: Peer) -> None:
        await peer.answer(CHUNKED + b"2\r\nok\r\n" + (b"" if rest.startswith(b"1;") else b"0\r\n"))
        try:
            while not peer.reader.at_eof():
                await peer.send(rest)
                await asyncio.sleep(0)
        except ConnectionError:
            pass

    async with answering(endless) as answers, asking(answers) as (client, _):
        response = await client.get("/").finish()
        with pytest.raises(ProtocolError, match=r"Trailers Too Large.*65536 bytes"):
            await response.read()


async def test_endless_informational_responses() -> None:
    async def endless(peer: Peer) -> None:
        await peer.request()
        try:
            while not peer.reader.at_eof():
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                await asyncio.sleep(0)
        except ConnectionError:
            pass

    async with answering(endless) as answers, asking(answers) as (client, _):
        await fails(client.get("/"), ProtocolError, "Head Too Large")


# --- more than was asked for


@pytest.mark.parametrize(
    "excess",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        OK + b"x",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
        CHUNKED + b"0\r\n\r\nmore",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokmore",
    ],
)
async def test_what_follows_a_response_is_not_taken_for_the_next(excess: bytes) -> None:
    async with answering(says(excess), always()) as answers, asking(answers) as (client, errors):
        first, second = client.get("/").finish(), client.get("/").finish()
        assert b"evil" not in await (await first).read()
        assert await (await second).read() == b"ok"
        assert errors == []


async def test_a_body_in_answer_to_head() -> None:
    scripts = says(OK), says(CHUNKED + b"0\r\n\r\n"), always()
    async with answering(*scripts) as answers, asking(answers) as (client, errors):
        for _ in range(2):
            assert await (await client.head("/").finish()).read() == b""
        assert await (await client.get("/").finish()).read() == b"ok"
        assert errors == []


async def test_bytes_without_a_request() -> None:
    go_on = asyncio.Event()

    async def babbles(peer: Peer) -> None:
        await peer.answer()
        await go_on.wait()
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        assert await peer.is_closed()

    async with answering(babbles, always()) as answers, asking(answers) as (client, errors):
        await (await client.get("/").finish()).read()
        go_on.set()
        await answers.tasks[0]
        assert await (await client.get("/").finish()).read() == b"ok"
        assert errors == []


# --- connections that end


async def test_a_server_that_cannot_be_reached() -> None:
    server = tcp.Server()
    await server.listen(0, "127.0.0.1")
    port = server.port
    await server.close()
    async with http.create_client(port) as client:
        errors: list[Exception] = []
        client.on("error", errors.append)
        requests = [client.get("/"), client.post("/"), client.get("/unfinished")]
        drained = requests[1].send_body("x")
        pending = [request.finish() for request in requests[:2]]
        for answer in pending:
            with pytest.raises(ConnectionRefusedError):
                await answer
        with pytest.raises(ConnectionRefusedError):
            await drained
        assert len(errors) == 1
        assert isinstance(errors[0], ConnectionRefusedError)
        await fails(requests[2], ConnectionRefusedError)
        await server.listen(port, "127.0.0.1")
        await server.close()
        await fails(client.get("/"), ConnectionRefusedError)
        assert len(errors) == 2


async def test_the_end_of_the_program_while_it_connects() -> None:
    async def ask() -> None:
        async with http.create_client(answers.port) as client:
            await client.get("/").finish()

    async with answering(always(OK)) as answers:
        others = asyncio.all_tasks()
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0)
        # As asyncio.run() does: whoever connects is cancelled together with whoever waits for that.
        for task in asyncio.all_tasks() - others:
            task.cancel()
        await asyncio.wait([asking], timeout=5)
        assert asking.cancelled()


async def test_an_unknown_host() -> None:
    async with http.create_client(80, "nonexistent.invalid") as client:
        await fails(client.get("/"), OSError)


async def test_failures_that_nobody_hears_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    scripts = (closes,)
    async with (
        answering(*scripts) as answers,
        http.create_client(1) as unreachable,
        http.create_client(answers.port) as client,
    ):
        unreachable.get("/").finish()
        unreachable.post("/").send_body("x")
        client.get("/").finish(lambda response: pytest.fail("there is none"))
        await answers.done()
    gc.collect()
    assert caplog.records == []


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "response", [b"", b"H", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
async def test_a_server_that_leaves_before_its_response(response: bytes, reset: bool) -> None:
    scripts = leaves_after(response, reset=reset), always()
    async with answering(*scripts) as answers, asking(answers) as (client, errors):
        first, second = client.get("/"), client.get("/").finish()
        # A connection that is new is not tried again, and neither is what has begun.
        error = await fails(first, ConnectionClosed)
        assert errors == [error]
        assert await (await second).read() == b"ok"
        assert isinstance(error.__cause__, OSError) or not reset


@pytest.mark.parametrize(
    ("head", "reset"),
    [
        (b"Content-Length: 10\r\n\r\nhello", False),
        (b"Content-Length: 10\r\n\r\nhello", True),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", False),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", True),
        # Without a reset that is how such a body ends.
        (b"\r\nhello", True),
    ],
)
async def test_a_body_that_is_cut_short(head: bytes, reset: bool) -> None:
    go_on = asyncio.Event()

    async def cuts(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n" + head)
        await go_on.wait()
        if reset:
            peer.reset()

    async with answering(cuts, always()) as answers, asking(answers) as (client, errors):
        seen: list[Any] = []
        arrived: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()

        def listener(response: ClientResponse) -> None:
            response.on("complete", lambda: seen.append("complete"))
            arrived.set_result(response)

        client.get("/").finish(listener)
        response = await arrived
        assert await anext(response) == b"hello"
        go_on.set()
        with pytest.raises(ConnectionClosed):
            await response.read()
        with pytest.raises(ConnectionClosed):
            await anext(response)
        assert [type(error) for error in errors] == [ConnectionClosed]
        assert seen == []
        assert await (await client.get("/").finish()).read() == b"ok"


async def test_a_request_that_is_cut_short() -> None:
    async def leaves(peer: Peer) -> None:
        await peer.head()

    async with answering(leaves) as answers, asking(answers) as (client, errors):
        request = client.post("/")
        with pytest.raises(ConnectionClosed):
            while True:
                await request.send_body(b"x" * 100_000)
        await answers.done()
        await fails(request, ConnectionClosed)
        assert len(errors) == 1


async def test_a_server_that_reads_too_little_is_cut() -> None:
    async def reads_nothing(peer: Peer) -> None:
        await peer.head()
        await done.wait()

    done = asyncio.Event()
    async with answering(reads_nothing) as answers, asking(answers, send_limit=1_000_000) as (client, errors):
        request = client.post("/", [("Content-Length", 64 << 20)])
        await until(lambda: request.connection)
        with pytest.raises(ConnectionClosed, match="more than 1000000 bytes were waiting to be read"):
            await request.send_body(bytes(64 << 20))
        with pytest.raises(ConnectionClosed, match="more than 1000000 bytes"):
            await request.finish()
        assert len(errors) == 1
        done.set()


async def test_a_server_that_reads_nothing_any_more_is_cut() -> None:
    async def reads_nothing(peer: Peer) -> None:
        await peer.head()
        await done.wait()

    done = asyncio.Event()
    limits = {"high_water": 1000, "send_timeout": 0.05}
    async with answering(reads_nothing) as answers, asking(answers, **limits) as (client, errors):
        request = client.post("/", [("Content-Length", 64 << 20)])
        await until(lambda: request.connection)
        with pytest.raises(ConnectionClosed, match="nothing was read for 0.05 s"):
            # Less than the send limit, and more than the system takes.
            await request.send_body(bytes(32 << 20))
        await fails(request, ConnectionClosed)
        assert len(errors) == 1
        done.set()


# --- a kept connection that its server closes


async def test_a_kept_connection_that_was_closed_is_made_again() -> None:
    scripts = leaves_after(OK), leaves_after(OK, reset=True), always()
    async with answering(*scripts) as answers, asking(answers) as (client, errors):
        for number in range(3):
            # What may not be sent twice: it must not leave by the old connection.
            response = await client.post("/").finish()
            assert await response.read() == b"ok"
            if number < 2:
                await answers.tasks[number]
                await until(lambda: client._connection is None)
        assert errors == []


def dies_at_the_second(*, after: bytes = b"") -> Script:
    """A script that answers one request and leaves when the next is there, as a server does whose
    idle timeout ends just then."""

    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.head()
        await peer.send(after)

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_a_request_that_met_the_end_of_its_connection_is_sent_again(method: str) -> None:
    scripts = dies_at_the_second(), always(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with answering(*scripts) as answers, asking(answers) as (client, errors):
        await client.get("/").finish()
        request, behind = client.request(method, "/again"), client.get("/behind")
        assert (await request.finish()).status_code == 204
        assert (await behind.finish()).status_code == 204
        assert errors == []
        assert answers.connections == 2


async def test_it_is_sent_again_once() -> None:
    scripts = dies_at_the_second(), closes, always()
    async with answering(*scripts) as answers, asking(answers) as (client, errors):
        await client.get("/").finish()
        await fails(client.get("/again"), ConnectionClosed)
        assert len(errors) == 1
        await client.get("/").finish()


async def test_a_request_that_waits_for_its_body_is_sent_again() -> None:
    async def wants_it(peer: Peer) -> None:
        request = await peer.head()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await peer.body(request) == b"body"
        await peer.send(OK)

    scripts = dies_at_the_second(), wants_it
    async with answering(*scripts) as answers, asking(answers, continue_timeout=3600) as (client, errors):
        await client.get("/").finish()
        request = client.put("/", [("Expect", "100-continue")])
        await request.send_body("body")
        assert (await request.finish()).status_code == 200
        assert errors == []


async def test_who_waits_for_a_request_that_is_sent_again_goes_on_waiting() -> None:
    scripts = dies_at_the_second(), always()
    async with answering(*scripts) as answers, asking(answers) as (client, errors):
        first, again = client.get("/"), client.put("/again")
        drained = asyncio.gather(waited(again), waited(again))
        answer = again.finish()
        await first.finish()
        await drained
        assert (await answer).status_code == 200
        await again
        assert errors == []


async def test_who_waits_for_the_drain_when_the_connection_breaks_waits_for_the_next_turn() -> None:
    async with answering(says(OK), always()) as answers, asking(answers) as (client, errors):
        await (await client.get("/").finish()).read()
        request = client.put("/")
        answer = request.finish()
        connection = request.connection
        assert connection is not None
        connection.output.transport.abort()
        await request
        assert request.connection is not connection
        assert (await answer).status_code == 200
        assert errors == []


async def test_a_request_of_which_nothing_has_left_is_not_lost() -> None:
    async with answering(says(OK), always()) as answers, asking(answers) as (client, errors):
        await (await client.get("/").finish()).read()
        connection = client._connection
        assert connection is not None
        request = client.post("/")
        # In the same turn, before the head leaves.
        connection.eof_received()
        connection.output.transport.close()
        drained = asyncio.ensure_future(waited(request))
        assert (await request.finish()).status_code == 200
        await drained
        assert errors == []


@pytest.mark.parametrize("case", ["post", "put with a body", "begun", "informed"])
async def test_a_request_that_is_not_sent_again(case: str) -> None:
    after = {"begun": b"H", "informed": b"HTTP/1.1 100 Continue\r\n\r\n"}.get(case, b"")
    scripts = dies_at_the_second(after=after), always()
    async with answering(*scripts) as answers, asking(answers) as (client, errors):
        await client.get("/").finish()
        request = client.post("/") if case == "post" else client.put("/")
        if case == "put with a body":
            request.send_body("body")
        error = await fails(request, ConnectionClosed, "Remote Connection Closed")
        assert errors == [error]
        await client.get("/").finish()


# --- time


async def silent(peer: Peer) -> None:
    await peer.gone()


async def test_a_response_that_does_not_come() -> None:
    scripts = silent, always()
    async with answering(*scripts) as answers, http.create_client(answers.port, timeout=0.3) as client:
        answer = client.get("/").finish()
        following = client.get("/").finish()
        with pytest.raises(TimeoutError, match=r"no response within 0\.3 s"):
            await answer
        assert await (await following).read() == b"ok"


async def test_informational_responses_do_not_gain_time() -> None:
    async def babbles(peer: Peer) -> None:
        await peer.request()
        try:
            while not peer.reader.at_eof():
                await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
                await asyncio.sleep(0.005)
        except ConnectionError:
            pass

    async with answering(babbles) as answers, asking(answers, response_timeout=0.03) as (client, _):
        await fails(client.get("/"), TimeoutError, "no response within")


async def test_the_time_runs_from_the_end_of_the_request() -> None:
    async def answers_late(peer: Peer) -> None:
        request = await peer.head()
        # Longer than the timeout, while the client is not done with its request.
        await asyncio.sleep(0.5)
        finish.set()
        assert await peer.body(request) == b"x"
        await peer.send(OK)

    finish = asyncio.Event()
    async with answering(answers_late) as answers, asking(answers, response_timeout=0.3) as (client, _):
        request = client.post("/")
        request.send_body("x")
        await finish.wait()
        assert (await request.finish()).status_code == 200


async def test_a_body_that_stops() -> None:
    scripts = says(CHUNKED + b"5\r\nhello\r\n"), always()
    async with answering(*scripts) as answers, asking(answers, body_timeout=0.3) as (client, errors):
        response = await client.get("/").finish()
        with pytest.raises(TimeoutError, match=r"no more of the body within 0\.3 s"):
            await response.read()
        assert [type(error) for error in errors] == [TimeoutError]
        assert await (await client.get("/").finish()).read() == b"ok"


async def test_a_body_that_nobody_reads_is_cut_for_those_behind_it() -> None:
    async def endless(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while not peer.reader.at_eof():
                await peer.send(b"x" * 65_536)
        except ConnectionError:
            pass

    scripts = endless, always()
    async with (
        answering(*scripts) as answers,
        asking(answers, body_timeout=0.3, body_high_water=1000) as (client, _),
    ):
        response = await client.get("/").finish()
        assert await (await client.get("/").finish()).read() == b"ok"
        assert await anext(response)
        with pytest.raises(TimeoutError, match=r"nobody read the body for 0\.3 s"):
            await anext(response)


async def test_a_slow_body_that_is_read_is_not_cut() -> None:
    async def slow(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0.03)
            await peer.send(b"x")

    async with answering(slow) as answers, asking(answers, body_timeout=0.4) as (client, _):
        assert await (await client.get("/").finish()).read() == b"x" * 20


async def test_a_connection_is_not_kept_for_ever() -> None:
    async def sees_the_end(peer: Peer) -> None:
        await peer.answer()
        assert await peer.is_closed()

    scripts = sees_the_end, always()
    async with answering(*scripts) as answers, asking(answers, idle_timeout=0.01) as (client, errors):
        await client.get("/").finish()
        await answers.tasks[0]
        await client.get("/").finish()
        assert errors == []


async def test_a_connection_that_nobody_needed_after_all_is_not_kept_for_ever() -> None:
    async with answering(silent) as answers, asking(answers, idle_timeout=0.01) as (client, errors):
        request = client.post("/", [("Content-Length", 1)])
        with pytest.raises(ValueError):
            request.finish()
        client.post("/", [("Content-Length", 1)])
        await answers.done()
        assert errors == []


async def test_a_connection_that_cannot_be_made_in_time() -> None:
    tls = ssl.create_default_context()
    async with answering(silent) as answers:
        limits = ClientLimits(connect_timeout=0.03)
        async with http.create_client(answers.port, ssl_context=tls, limits=limits) as client:
            pending = [client.get("/").finish(), client.get("/").finish()]
            for answer in pending:
                with pytest.raises(TimeoutError):
                    await answer


async def test_a_server_that_does_not_answer_the_end_of_tls() -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    left = asyncio.Event()

    async def deaf(peer: Peer) -> None:
        await peer.answer()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await left.wait()
        peer.writer.transport.abort()

    async with answering(deaf, ssl=server_tls) as answers:
        client = http.create_client(
            answers.port,
            ssl_context=client_tls,
            server_hostname="localhost",
            limits=ClientLimits(close_timeout=0.02),
        )
        await (await client.get("/").finish()).read()
        await client.close()
        left.set()


async def test_no_limit_in_time() -> None:
    never = dict.fromkeys(
        ("connect_timeout", "response_timeout", "body_timeout", "continue_timeout", "idle_timeout"), math.inf
    )
    async with answering(always()) as answers, asking(answers, **never) as (client, _):
        for _ in range(2):
            assert await (await client.get("/").finish()).read() == b"ok"


# --- listeners that fail


async def test_a_listener_that_fails_does_not_hurt_the_exchange(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError

    async with answering(always()) as answers, asking(answers) as (client, _):
        client.get("/").finish(fail)

        def listener(response: ClientResponse) -> None:
            response.on("body", fail)
            response.on("complete", fail)

        client.get("/").finish(listener)
        await client.get("/").finish()
    assert answers.connections == 1
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError] * 3


async def test_an_error_listener_may_ask_again() -> None:
    async with answering(closes, always()) as answers, http.create_client(answers.port) as client:
        again: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()
        client.on("error", lambda error: client.get("/").finish(again.set_result))
        client.get("/").finish()
        assert await (await again).read() == b"ok"
