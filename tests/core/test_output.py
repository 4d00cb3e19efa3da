from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from tests.raw import Raw, connect, record_writes
from wirehop.core.output import BATCH, JOIN, UNSENT, Output
from wirehop.core.sockets import unconfirmed
from wirehop.core.turns import LARGE, LEAST, SHARE
from wirehop.errors import ConnectionClosed


class Transport:
    """Takes whatever it is given, and says what the test wants it to say."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.waiting = 0
        self.high = -1
        self.closed = self.aborted = self.ended = False

    def write_eof(self) -> None:
        self.ended = True

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 5)}.get(name, default)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


def make(transport: Any, *, high: int = 1000, limit: int = 5000, timeout: float = 60.0) -> Output:
    def overflow(reason: str) -> None:
        output.lost(reason)
        output.abort()

    output = Output(
        transport,
        asyncio.get_running_loop(),
        high_water=high,
        limit=limit,
        timeout=timeout,
        overflow=overflow,
    )
    return output


@pytest.mark.parametrize("moves", [False, True])
async def test_a_half_close_that_nobody_reads_is_cut(moves: bool) -> None:
    transport = Transport()
    transport.waiting = 10
    output = make(transport, timeout=0.001)
    output.write(b"last words")
    output.write_eof()
    assert transport.writes == [b"last words"]
    assert transport.ended
    if moves:
        # All is out; the other side may go on sending as long as it likes.
        transport.waiting = 0
        await asyncio.sleep(0.02)
        assert output.closed_because is None
    else:
        while output.closed_because is None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert output.closed_because == "nothing was read for 0.001 s"
        assert transport.aborted


async def test_who_sends_in_a_loop_hears_of_the_end() -> None:
    transport = Transport()
    output = make(transport)
    transport.closed = True
    asyncio.get_running_loop().call_soon(output.lost, "Remote Connection Closed")
    with pytest.raises(ConnectionClosed, match="Remote Connection Closed"):
        while True:
            output.write(b"x")
            await output


# --- batches


async def test_a_batch_leaves_in_one_write_at_the_end_of_the_turn() -> None:
    transport = Transport()
    output = make(transport)
    output.write(b"one ")
    output.write(b"two ")
    output.writelines([b"three ", bytearray(b"four")])
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [b"one two three four"]
    output.write(b"five")
    await asyncio.sleep(0)
    assert transport.writes[1:] == [b"five"]


async def test_a_batch_is_capped() -> None:
    transport = Transport()
    output = make(transport)
    for number in range(2 * BATCH + 3):
        output.write(b"%02d " % number)
    assert [len(data) for data in transport.writes] == [3 * BATCH, 3 * BATCH]
    await asyncio.sleep(0)
    assert [len(data) for data in transport.writes] == [3 * BATCH, 3 * BATCH, 9]
    assert b"".join(transport.writes) == b"".join(b"%02d " % number for number in range(2 * BATCH + 3))


async def test_the_connections_that_wait_for_the_end_of_the_turn_are_capped() -> None:
    transports = [Transport() for _ in range(BATCH + 2)]
    outputs = [make(transport) for transport in transports]
    for output in outputs:
        output.write(b"a")
        output.write(b"b")
    assert [transport.writes for transport in transports] == [[b"ab"]] * BATCH + [[]] * 2
    outputs[0].write(b"c")
    await asyncio.sleep(0)
    assert transports[0].writes == [b"ab", b"c"]
    assert [transport.writes for transport in transports[1:]] == [[b"ab"]] * (BATCH + 1)


async def test_what_was_flushed_already_is_no_write_at_the_end_of_the_turn() -> None:
    transport = Transport()
    output = make(transport)
    output.write(b"a")
    output.flush()
    assert transport.writes == [b"a"]
    await asyncio.sleep(0)
    assert transport.writes == [b"a"]
    output.write(b"b")
    await asyncio.sleep(0)
    assert transport.writes == [b"a", b"b"]


async def test_a_transport_that_fails_costs_the_others_nothing() -> None:
    class Broken(Transport):
        def write(self, data: bytes) -> None:
            raise RuntimeError("broken")

    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, report: reports.append(report))
    transport = Transport()
    broken, sound = make(Broken()), make(transport)
    broken.write(b"lost")
    sound.write(b"kept")
    await asyncio.sleep(0)
    assert transport.writes == [b"kept"]
    assert [str(report["exception"]) for report in reports] == ["broken"]


async def test_a_large_piece_does_not_wait() -> None:
    transport = Transport()
    output = make(transport, limit=1 << 30)
    output.write(b"head")
    output.write(bytes(LARGE))
    assert b"".join(transport.writes) == b"head" + bytes(LARGE)


async def test_data_that_may_change_is_copied() -> None:
    transport = Transport()
    output = make(transport)
    data = bytearray(b"before")
    output.write(data)
    output.write(memoryview(data)[:3])
    data[:] = b"behind"
    output.flush()
    assert transport.writes == [b"beforebef"]


@pytest.mark.parametrize("wrong", [5, "text", None])
async def test_only_bytes_are_sent(wrong: Any) -> None:
    transport = Transport()
    output = make(transport)
    with pytest.raises(TypeError):
        output.write(wrong)
    output.flush()
    assert transport.writes == []


# --- backpressure


async def test_awaiting_it_waits_for_the_drain() -> None:
    output = make(Transport())
    await output
    output.pause()
    waiters = [asyncio.ensure_future(_wait(output)) for _ in range(3)]
    await asyncio.sleep(0)
    output.pause()
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    waiters[0].cancel()
    await asyncio.sleep(0)
    assert [waiter.done() for waiter in waiters] == [True, False, False], "the others wait on"
    output.resume()
    await asyncio.gather(*waiters[1:])
    await output


async def test_the_end_of_the_connection_ends_the_waiting() -> None:
    transport = Transport()
    output = make(transport)
    output.pause()
    waiter = asyncio.ensure_future(_wait(output))
    await asyncio.sleep(0)
    output.write(b"never")
    output.lost("gone")
    output.lost("gone for another reason")
    with pytest.raises(ConnectionClosed, match="^gone$"):
        await waiter
    with pytest.raises(ConnectionClosed, match="^gone$"):
        await output
    await asyncio.sleep(0)
    assert transport.writes == []
    output.resume()


async def test_who_leaves_too_much_unread_is_cut_once() -> None:
    transport = Transport()
    output = make(transport)
    transport.waiting = 5001
    output.write(b"x")
    output.flush()
    assert output.closed_because == "more than 5000 bytes were waiting to be read"
    assert transport.aborted
    output.write(b"y")
    output.flush()
    assert transport.writes == [b"x"]


async def test_who_reads_nothing_is_cut() -> None:
    transport = Transport()
    output = make(transport, timeout=0.02)
    transport.waiting = 1200
    output.pause()
    with pytest.raises(ConnectionClosed, match=r"nothing was read for 0\.02 s"):
        await output
    assert transport.aborted


async def test_who_reads_slowly_is_not_cut() -> None:
    transport = Transport()
    output = make(transport, limit=1 << 30)
    transport.waiting = 1200
    output.pause()
    for _ in range(3):
        # As much is written as is read: what waits remains the same.
        output.write(b"x" * 10)
        output.flush()
        output._on_stalled()
        assert output.closed_because is None
    output._on_stalled()
    assert output.closed_because == "nothing was read for 60 s"


async def test_who_confirms_a_little_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    # A slow network: nothing leaves the transport for long, and yet something arrives.
    transport = Transport()
    output = make(transport)
    transport.waiting = 1200
    at_the_system = [90_000]
    monkeypatch.setattr("wirehop.core.output.unconfirmed", lambda transport: at_the_system[0])
    output.pause()
    for _ in range(3):
        at_the_system[0] -= 1
        output._on_stalled()
        assert output.closed_because is None
    output._on_stalled()
    assert output.closed_because == "nothing was read for 60 s"


async def test_the_drain_ends_the_clock() -> None:
    transport = Transport()
    output = make(transport, timeout=0.01)
    output.pause()
    assert output._stalled is not None
    output.resume()
    assert output._stalled is None
    output.pause()
    output.lost("gone")
    assert output._stalled is None


async def test_closing_waits_for_a_reader_but_not_for_ever() -> None:
    transport = Transport()
    output = make(transport, timeout=0.02)
    cut = asyncio.get_running_loop().create_future()
    output._overflow = cut.set_result
    transport.waiting = 10
    output.write(b"last words")
    output.close()
    assert transport.writes == [b"last words"]
    assert transport.closed
    # Below the low water it would be forgotten, were the connection not closing.
    output.resume()
    assert await cut == "nothing was read for 0.02 s"


async def test_closing_and_aborting() -> None:
    transport = Transport()
    output = make(transport)
    output.write(b"all")
    output.close()
    assert transport.writes == [b"all"]
    assert output.is_closing()
    output.write(b"too late")
    await asyncio.sleep(0)
    assert transport.writes == [b"all"]

    transport = Transport()
    output = make(transport)
    output.write(b"lost")
    output.abort()
    await asyncio.sleep(0)
    assert transport.aborted
    assert transport.writes == []


async def test_it_stands_in_for_its_transport() -> None:
    transport = Transport()
    output = make(transport)
    assert transport.high == 1000
    assert output.get_extra_info("peername") == ("127.0.0.1", 5)
    assert output.get_extra_info("nothing", 7) == 7
    assert not output.is_closing()
    # picows would write to the socket itself if this were zero.
    assert output.get_write_buffer_size() > 0
    transport.waiting = 10
    assert output.get_write_buffer_size() > 0


async def _wait(output: Output) -> None:
    await output


# --- on a socket


class Accepted(asyncio.Protocol):
    def __init__(self, made: asyncio.Future[Accepted], options: dict[str, Any]) -> None:
        self.made = made
        self.options = options
        self.events: list[str] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.output = make(transport, **self.options)
        self.made.set_result(self)

    def pause_writing(self) -> None:
        self.events.append("pause")
        self.output.pause()

    def resume_writing(self) -> None:
        self.events.append("resume")
        self.output.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self.output.lost("the connection is lost")
        self.ended.set_result(error)


@asynccontextmanager
async def pair(
    server_tls: ssl.SSLContext | None = None, client_tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[Accepted, Raw]]:
    """An output on a real socket, and a client that only reads what it is told to."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Accepted] = loop.create_future()
    server = await loop.create_server(lambda: Accepted(made, options), "127.0.0.1", 0, ssl=server_tls)
    try:
        async with connect(server.sockets[0].getsockname()[1], tls=client_tls, limit=1024) as raw:
            accepted = await made
            try:
                yield accepted, raw
            finally:
                accepted.output.abort()
                await accepted.ended
    finally:
        server.close()


@pytest.fixture
def syscalls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return record_writes(monkeypatch)


async def test_one_system_call_for_a_batch_and_at_once(syscalls: list[int]) -> None:
    async with pair() as (accepted, raw):
        for number in range(10):
            accepted.output.write(b"%d" % number)
        assert syscalls == []
        await asyncio.sleep(0)
        assert syscalls == [10]
        assert accepted.output.transport.get_write_buffer_size() == 0
        assert await raw.read(10) == b"0123456789"


async def test_what_is_much_together_goes_out_as_it_is(syscalls: list[int]) -> None:
    async with pair(high=1 << 20, limit=1 << 20) as (accepted, raw):
        pieces = [bytes([letter]) * 10_000 for letter in b"abcdefghi"]
        accepted.output.writelines(pieces)
        accepted.output.flush()
        assert len(syscalls) == 1
        assert await raw.read(90_000) == b"".join(pieces)


async def test_what_a_full_socket_does_not_take_follows_in_order() -> None:
    async with pair(high=10_000, limit=1 << 30) as (accepted, raw):
        sent = bytearray()
        output = accepted.output
        number = 0
        # Until the socket is full, and then some: small pieces, joined ones and lists.
        while not accepted.events or number % 40:
            piece = b"%06d " % number * (1 if number % 3 else 4000)
            output.write(piece)
            sent += piece
            number += 1
            if number % 7 == 0:
                output.flush()
        output.flush()
        assert accepted.events == ["pause"]
        waiter = asyncio.ensure_future(_wait(output))
        for _ in range(50):
            # The socket has room again, before the transport has noticed.
            assert await raw.read(10_000) == sent[:10_000]
            del sent[:10_000]
            piece = b"%06d " % number * 1000
            output.write(piece)
            output.flush()
            sent += piece
            number += 1
        assert await raw.read(len(sent)) == sent
        await waiter
        # Once or more: the system may take something and be full again.
        assert accepted.events == ["pause", "resume"] * (len(accepted.events) // 2)
        output.write(b"and on")
        assert await raw.read(6) == b"and on"


async def test_the_largest_writes_of_all() -> None:
    async with pair(high=1 << 20, limit=1 << 30) as (accepted, raw):
        data = os.urandom(1 << 20) * 16
        accepted.output.write(data)
        assert accepted.events == ["pause"], "the socket cannot have taken all"
        assert await raw.read(len(data)) == data
        await accepted.output


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system cannot bound it")
async def test_the_system_keeps_little_for_who_never_caught_up() -> None:
    async with pair(high=10_000, limit=1 << 30) as (accepted, raw):
        output = accepted.output
        sock = output.transport.get_extra_info("socket")

        def bound() -> int:
            size = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            assert isinstance(size, int)
            return size

        output.write(b"hello")
        output.flush()
        output.write(bytes(1 << 24))
        # The rest is what its system takes for it.
        assert UNSENT < output.bytes_out - output.waiting < 1 << 21
        output.write(b"and on")
        output.flush()
        assert bound() == UNSENT
        size = len(b"hello" + b"and on") + (1 << 24)
        await raw.read(size)
        await output
        output.write(b"a reader")
        output.flush()
        assert bound() == 0
        assert await raw.read(8) == b"a reader"


async def test_what_the_other_side_did_not_confirm_is_known() -> None:
    async with pair(high=10_000, limit=1 << 30) as (accepted, raw):
        output = accepted.output
        output.write(bytes(1 << 24))
        was = unconfirmed(output.transport)
        assert 0 < was <= output.bytes_out - output.waiting
        await raw.read(1 << 24)
        await output
        # What it read last may be confirmed a little later.
        while unconfirmed(output.transport):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
        output.abort()
        await accepted.ended
        assert unconfirmed(output.transport) == 0


async def test_who_does_not_read_is_cut_at_the_limit() -> None:
    async with pair(high=10_000, limit=200_000) as (accepted, _):
        while accepted.output.closed_because is None:
            accepted.output.write(bytes(50_000))
        assert accepted.output.closed_because == "more than 200000 bytes were waiting to be read"
        await asyncio.wait([accepted.ended])


async def test_who_stops_reading_is_cut_after_the_timeout() -> None:
    async with pair(high=10_000, limit=1 << 30, timeout=0.05) as (accepted, _):
        with pytest.raises(ConnectionClosed, match=r"nothing was read for 0\.05 s"):
            while True:
                accepted.output.write(bytes(JOIN))
                await accepted.output
        assert "pause" in accepted.events


async def test_a_client_that_left_is_the_transports_business() -> None:
    async with pair() as (accepted, raw):
        raw.reset()
        await raw.writer.wait_closed()
        for _ in range(100):
            accepted.output.write(b"anybody there?")
            accepted.output.flush()
            await asyncio.sleep(0)
        await asyncio.wait([accepted.ended])
        with pytest.raises(ConnectionClosed, match="the connection is lost"):
            await accepted.output


async def test_tls_passes_the_transport(syscalls: list[int]) -> None:
    authority = trustme.CA()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    async with pair(server_tls, client_tls, high=1 << 20, limit=1 << 30) as (accepted, raw):
        data = os.urandom(300_000)
        accepted.output.write(b"in the dark")
        accepted.output.write(data)
        await accepted.output
        assert await raw.read(11 + len(data)) == b"in the dark" + data
        assert syscalls == []


# --- what all of them write in one turn


async def stream(output: Output, pieces: int, size: int) -> None:
    for _ in range(pieces):
        output.write(bytes(size))
        await output


def written(transports: list[Transport]) -> int:
    return sum(len(data) for transport in transports for data in transport.writes)


@pytest.mark.parametrize("number", [1, 2, 9, 40])
@pytest.mark.parametrize("size", [LARGE, JOIN, 3 * JOIN, 2 * SHARE])
async def test_those_who_wait_for_what_they_send_share_a_turn(number: int, size: int) -> None:
    transports = [Transport() for _ in range(number)]
    outputs = [make(transport) for transport in transports]
    await asyncio.sleep(0)
    senders = [asyncio.ensure_future(stream(output, 20, size)) for output in outputs]
    # Everybody sends once before anybody waits.
    await asyncio.sleep(0)
    was = written(transports)
    assert number * size <= was <= number * size + SHARE
    while not all(sender.done() for sender in senders):
        await asyncio.sleep(0)
        now = written(transports)
        # What is granted is as much as was sent last; the last one may be more than the rest.
        assert now - was <= 2 * SHARE + size
        was = now
    await asyncio.gather(*senders)
    await asyncio.sleep(0)
    assert written(transports) == number * 20 * size


async def test_small_pieces_count_as_batches() -> None:
    output = make(Transport())
    sender = asyncio.ensure_future(stream(output, 10_000, 10))
    turns = 0
    while not sender.done():
        await asyncio.sleep(0)
        turns += 1
    await sender
    assert turns >= 10_000 // (BATCH * SHARE // LEAST)


async def test_they_have_their_turns_in_order() -> None:
    transports = [Transport() for _ in range(5)]
    senders = [asyncio.ensure_future(stream(make(transport), 10, SHARE)) for transport in transports]
    turns = 0
    while not all(sender.done() for sender in senders):
        await asyncio.sleep(0)
        turns += 1
        counts = [len(transport.writes) for transport in transports]
        assert max(counts) - min(counts) <= 1
    assert turns >= 9 * 5
    await asyncio.gather(*senders)


async def test_who_sends_little_does_not_wait_for_those_who_send_much() -> None:
    # Nothing but what it sent: it is no batch, and not large.
    much = [asyncio.ensure_future(stream(make(Transport()), 10, SHARE)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(StopIteration):
        output = make(Transport())
        output.write(bytes(LARGE - 1))
        output.flush()
        next(output.__await__())
    await asyncio.gather(*much)


async def test_who_gives_up_waiting_keeps_nobody() -> None:
    transports = [Transport() for _ in range(3)]
    outputs = [make(transport) for transport in transports]
    senders = [asyncio.ensure_future(stream(output, 2, SHARE)) for output in outputs]
    await asyncio.sleep(0)
    senders[0].cancel()
    outputs[1].lost("gone")
    with pytest.raises(ConnectionClosed, match="gone"):
        await senders[1]
    await senders[2]
    assert [len(transport.writes) for transport in transports] == [1, 1, 2]
    assert senders[0].cancelled()


async def test_a_turn_that_wrote_its_share_is_over_with_the_turn() -> None:
    output = make(Transport())
    output.write(bytes(2 * SHARE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(StopIteration):
        next(output.__await__())
