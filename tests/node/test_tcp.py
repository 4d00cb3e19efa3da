from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
from typing import Any

import pytest

from tests.node.recording import Recorder, pair, serving, tls, wired
from tests.raw import connect, until
from wirehop.errors import ConnectionClosed
from wirehop.node import idle, tcp


async def test_echo() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        connection.on("receive", connection.send)
        await raw.send(b"hello")
        assert await raw.read(5) == b"hello"
        data = os.urandom(3 << 20)
        sending = asyncio.ensure_future(raw.send(data))
        assert await raw.read(len(data)) == data
        await sending


async def test_connection_comes_first_and_connect_in_the_next_turn() -> None:
    async with pair() as (recorder, _):
        assert recorder.connection.ready_state == "open"
        assert recorder.connection.remote_address == "127.0.0.1"
        assert isinstance(recorder.connection.server, tcp.Server)
        await recorder.until("connect")
        assert recorder.events == [("connect", "open")]


async def test_over_tls_too_connect_comes_before_what_was_received() -> None:
    async with pair(*tls()) as (recorder, raw):
        await raw.send(b"hi")
        raw.writer.close()
        await recorder.until("disconnect")
        # TLS has no half-open connections.
        assert recorder.events == [
            ("connect", "open"),
            ("receive", b"hi", "open"),
            ("eof", "writeOnly"),
            ("disconnect", False, "closed"),
        ]


async def test_one_write_answers_what_was_received_at_once() -> None:
    async with pair() as (recorder, raw):
        output = recorder.connection.output
        writes = []
        flush = type(output).flush
        patched = type(
            "Patched",
            (type(output),),
            {"__slots__": (), "flush": lambda self: (writes.append(len(self._chunks)), flush(self))},
        )
        output.__class__ = patched
        for name in (b"one ", b"two ", b"three"):
            recorder.connection.on("receive", lambda data, name=name: recorder.connection.send(name))
        await raw.send(b"?")
        assert await raw.read(13) == b"one two three"
        assert writes == [3]


# --- half-close, as in the seed


async def test_eof_leaves_the_connection_open_for_writing() -> None:
    async with pair() as (recorder, raw):
        raw.finish()
        await recorder.until("eof")
        connection = recorder.connection
        assert recorder.events[-1] == ("eof", "writeOnly")
        connection.send(b"still here")
        assert await raw.read(10) == b"still here"
        assert connection.ready_state == "writeOnly"
        connection.close()
        assert connection.ready_state == "closed", "EOF was received already"
        assert await raw.read_all() == b""
        await recorder.until("disconnect")
        assert recorder.events == [
            ("connect", "open"),
            ("eof", "writeOnly"),
            ("disconnect", False, "closed"),
        ]


async def test_close_in_the_eof_listener_ends_the_connection() -> None:
    async with pair() as (recorder, raw):
        recorder.connection.on("eof", recorder.connection.close)
        raw.finish()
        await recorder.until("disconnect")
        assert recorder.events[-1] == ("disconnect", False, "closed")


async def test_close_leaves_the_connection_open_for_reading() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        connection.send(b"the end")
        connection.close()
        assert connection.ready_state == "readOnly"
        connection.close()
        assert connection.ready_state == "readOnly"
        assert await raw.read_all() == b"the end"
        await raw.send(b"really?")
        await recorder.until("receive")
        assert recorder.events[-1] == ("receive", b"really?", "readOnly")
        raw.finish()
        await recorder.until("disconnect")
        assert recorder.events[-2:] == [("eof", "closed"), ("disconnect", False, "closed")]


async def test_full_close_is_closed_at_once_and_still_sends_everything() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        data = os.urandom(8 << 20)
        connection.send(data)
        connection.full_close()
        assert connection.ready_state == "closed"
        connection.full_close()
        assert await raw.read_all() == data
        await recorder.until("disconnect")
        assert recorder.events[-1] == ("disconnect", False, "closed")


async def test_force_close_drops_what_was_not_sent_and_says_nothing() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        await recorder.until("connect")
        sending = connection.send(bytes(8 << 20))
        connection.force_close()
        assert connection.ready_state == "closed"
        with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
            await sending
        try:
            assert len(await raw.read_all()) < 8 << 20
        except ConnectionError:
            pass
        assert recorder.names() == ["connect"]


async def test_what_a_transport_says_after_force_close_is_not_passed_on() -> None:
    async with pair() as (recorder, _):
        connection = recorder.connection
        await recorder.until("connect")
        connection.force_close()
        connection.data_received(b"late")
        assert not connection.eof_received()
        connection.pause_writing()
        connection.resume_writing()
        connection.connection_lost(None)
        connection.connection_lost(OSError("late"))
        assert recorder.names() == ["connect"]


async def test_the_listeners_stay_after_force_close() -> None:
    async with pair() as (recorder, _):
        await recorder.until("connect")
        recorder.connection.force_close()
        recorder.connection.emit("eof")
        assert recorder.names() == ["connect", "eof"]


@pytest.mark.parametrize("how", ["close", "full_close", "force_close"])
async def test_sending_after_the_close_raises(how: str) -> None:
    async with pair() as (recorder, _):
        getattr(recorder.connection, how)()
        with pytest.raises(ConnectionError, match="Socket is not open for writing"):
            recorder.connection.send(b"too late")


async def test_a_connection_that_is_closed_in_its_first_turn() -> None:
    async def refused(connection: tcp.Connection) -> None:
        connection.send(b"busy")
        connection.full_close()

    server = tcp.Server(refused)
    await server.listen(0, "127.0.0.1")
    async with connect(server.port) as raw:
        assert await raw.read_all() == b"busy"
    await server.close()


async def test_a_reset_is_an_error() -> None:
    async with pair() as (recorder, raw):
        raw.reset()
        await recorder.until("disconnect")
        assert recorder.events[-1] == ("disconnect", True, "closed")
        with pytest.raises(ConnectionClosed):
            await recorder.connection.output


# --- backpressure


async def test_awaiting_send_waits_for_the_drain() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        data = os.urandom(8 << 20)
        waiting = asyncio.ensure_future(_wait(connection.send(data)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        assert await raw.read(len(data)) == data
        await waiting
        await connection.send(b"small")


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("size", [1, 70_000, 8 << 20])
async def test_drain_comes_once_whenever_all_that_was_sent_has_left(size: int, is_tls: bool) -> None:
    async with wired(*(tls() if is_tls else ())) as (far, near):
        recorder = Recorder(near.connection, "drain")
        left = []
        near.connection.on("drain", lambda: left.append(near.connection.output.waiting))
        for times in (1, 2, 3):
            near.connection.send(bytes(size - 1))
            near.connection.send(b"x")
            assert recorder.names() == ["drain"] * (times - 1), "in a later turn"
            await far.until_received(size * times)
            await recorder.until("drain", times)
        for _ in range(5):
            await asyncio.sleep(0)
        assert recorder.names() == ["drain"] * 3
        assert left == [0, 0, 0]


@pytest.mark.parametrize("size", [1, 70_000])
async def test_the_drain_of_what_was_sent_in_the_same_turn(size: int) -> None:
    async with wired() as (far, near):
        near.connection.send(bytes(size))
        recorder = Recorder(near.connection, "drain")
        await recorder.until("drain")
        await far.until_received(size)


async def test_each_drain_may_send_the_next_piece() -> None:
    async with wired() as (far, near):
        pieces = [b"%d" % number for number in range(1000, 1100)]
        whole = b"".join(pieces)

        def pump() -> None:
            if pieces:
                near.connection.send(pieces.pop(0))

        near.connection.on("drain", pump)
        pump()
        assert await far.until_received(len(whole)) == whole


async def test_who_listens_to_drain_waits_above_the_high_water_and_is_cut_as_others() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        drains = Recorder(connection, "drain")
        connection.send(bytes(256))
        await drains.until("drain")
        data = os.urandom(8 << 20)
        waiting = asyncio.ensure_future(_wait(connection.send(data)))
        for _ in range(3):
            await asyncio.sleep(0)
        assert connection.output.is_full()
        assert not waiting.done()
        assert (await raw.read(256 + len(data)))[256:] == data
        await waiting
        await drains.until("drain", 2)
        connection.send(bytes(96 << 20))
        await recorder.until("disconnect")
        assert recorder.events[-1] == ("disconnect", True, "closed")


async def test_what_waits_below_the_high_water_holds_nobody_up_who_listens_to_drain() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        drains = Recorder(connection, "drain")
        connection.output.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        size = 0
        while not (waits := connection.output.transport.get_write_buffer_size()):
            await connection.send(bytes(100_000))
            size += 100_000
            await asyncio.sleep(0)
        assert waits < 1 << 20
        assert not connection.output.is_full()
        await connection.send(b"x")
        await raw.read(size + 1)
        await drains.until("drain")


async def test_a_loop_that_awaits_each_send_goes_at_the_readers_pace() -> None:
    async with pair() as (recorder, raw):
        sent = 0

        async def send() -> None:
            nonlocal sent
            while sent < 64 << 20:
                await recorder.connection.send(bytes(100_000))
                sent += 100_000

        sending = asyncio.ensure_future(send())
        got = 0
        while got < 16 << 20:
            got += len(await raw.read(1 << 20))
            # Above what is in the buffers of the kernel, which are its own business.
            assert sent - got < (16 << 20)
        sending.cancel()
        await asyncio.wait([sending])


async def test_who_does_not_read_is_cut(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tcp, "SEND_LIMIT", 2 << 20)
    async with pair() as (recorder, _):
        connection = recorder.connection
        awaitable = connection.send(b"first")
        with caplog.at_level(logging.INFO):
            while connection.ready_state == "open":
                connection.send(bytes(1 << 20))
        with pytest.raises(ConnectionClosed, match="more than 2097152 bytes were waiting to be read"):
            await awaitable
        await recorder.until("disconnect")
        assert recorder.events[-1] == ("disconnect", True, "closed")
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("WARNING", "cut 127.0.0.1: more than 2097152 bytes were waiting to be read")
        ]
        with pytest.raises(ConnectionClosed, match="more than 2097152 bytes"):
            await awaitable


async def test_who_stops_reading_is_cut_also_while_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "SEND_TIMEOUT", 0.05)
    monkeypatch.setattr(tcp, "HIGH_WATER", 64 << 20)
    async with pair() as (recorder, _):
        # Below the high water, but more than the kernel takes.
        recorder.connection.send(bytes(32 << 20))
        recorder.connection.full_close()
        await recorder.until("disconnect")
        assert recorder.events[-1] == ("disconnect", True, "closed")


async def test_a_listener_that_fails_does_not_end_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with pair() as (recorder, raw):
        errors = []

        @recorder.connection.on("receive")
        def fails(data: bytes) -> None:
            recorder.connection.send(b"got it")
            raise ValueError("a mistake")

        recorder.connection.on("error", errors.append)
        await raw.send(b"x")
        assert await raw.read(6) == b"got it"
        assert [str(error) for error in errors] == ["a mistake"]
        assert recorder.connection.ready_state == "open"


async def _wait(awaitable: Any) -> None:
    await awaitable


# --- encodings


async def test_what_is_received_is_bytes_until_an_encoding_is_set() -> None:
    async with pair() as (recorder, raw):
        await raw.send("é1".encode())
        await recorder.until_received(3)
        recorder.connection.set_encoding("UTF8")
        await raw.send("é2".encode())
        await recorder.until("receive", 2)
        recorder.connection.set_encoding("raw")
        await raw.send("é3".encode())
        await recorder.until("receive", 3)
        assert [entry[1] for entry in recorder.events if entry[0] == "receive"] == [
            "é1".encode(),
            "é2",
            "é3".encode(),
        ]


async def test_characters_are_put_together_again() -> None:
    async with pair() as (recorder, raw):
        recorder.connection.set_encoding("utf8")
        text = "aé€𝄞" * 3
        await raw.dribble(text.encode())
        assert await recorder.until_received(len(text)) == text
        assert all(entry[1] for entry in recorder.events if entry[0] == "receive")


async def test_half_a_character_at_the_end_comes_before_eof() -> None:
    async with pair() as (recorder, raw):
        recorder.connection.set_encoding("utf8")
        await raw.send("ab€".encode()[:-1])
        raw.finish()
        await recorder.until("eof")
        assert recorder.received() == "ab\ufffd"
        assert recorder.events[-2:] == [("receive", "\ufffd", "open"), ("eof", "writeOnly")]


async def test_closing_at_the_half_character_of_the_end() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        connection.set_encoding("utf8")
        connection.on("receive", lambda text: connection.full_close())
        await raw.send("€".encode()[:-1])
        raw.finish()
        await recorder.until("disconnect")
        assert recorder.names() == ["connect", "receive", "disconnect"]


async def test_half_a_character_when_the_encoding_changes() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        connection.set_encoding("utf8")
        await raw.send("a€".encode()[:-1])
        await recorder.until("receive")
        connection.set_encoding("utf-8")
        assert recorder.received() == "a", "that is the same one"
        connection.set_encoding("ascii")
        assert recorder.received() == "a\ufffd"
        await raw.send(b"b\xe9")
        assert await recorder.until_received(4) == "a\ufffdb\ufffd"


async def test_what_can_be_sent() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        connection.send("é")
        connection.send("e", "ascii")
        connection.send(bytearray(b"\xff"))
        connection.send(memoryview(b"\xfe"))
        assert await raw.read(5) == b"\xc3\xa9e\xff\xfe"
        with pytest.raises(UnicodeEncodeError):
            connection.send("é", "ascii")
        with pytest.raises(TypeError):
            connection.send("é", "raw")
        with pytest.raises(ValueError, match="no encoding here"):
            connection.send("é", "latin-1")
        with pytest.raises(TypeError):
            connection.send(5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="no encoding here"):
            connection.set_encoding("latin-1")
        assert connection.ready_state == "open"


# --- what arrives before anybody is ready


async def early(listener: Any, data: bytes = b"early") -> None:
    """Have ``data`` and EOF wait in the system before the server accepts."""
    async with tcp.create_server(listener) as server:
        await server.listen(0, "127.0.0.1")
        ended = asyncio.Event()
        server.on("connection", lambda connection: connection.on("disconnect", lambda _: ended.set()))
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            await ended.wait()


async def test_connect_comes_before_what_was_there_already() -> None:
    recorders = []

    def connected(connection: tcp.Connection) -> None:
        recorders.append(Recorder(connection))
        connection.on("eof", connection.close)

    await early(connected)
    assert recorders[0].events == [
        ("connect", "open"),
        ("receive", b"early", "open"),
        ("eof", "writeOnly"),
        ("disconnect", False, "closed"),
    ]


async def test_nothing_comes_before_a_pause_of_the_first_turn_ends() -> None:
    events = []

    def connected(connection: tcp.Connection) -> None:
        def go_on() -> None:
            events.append("resumed")
            connection.resume_reading()

        connection.pause_reading()
        connection.on("connect", lambda: events.append("connect"))
        connection.on("receive", lambda data: events.append(data))
        connection.on("eof", lambda: (events.append("eof"), connection.close()))
        asyncio.get_running_loop().call_later(0.02, go_on)

    await early(connected)
    assert events == ["connect", "resumed", b"early", "eof"]


async def test_a_pause_and_a_resume_in_the_first_turn() -> None:
    events = []

    def connected(connection: tcp.Connection) -> None:
        connection.pause_reading()
        connection.resume_reading()
        for event in ("connect", "receive", "eof"):
            connection.on(event, lambda *args, event=event: events.append(event))
        connection.on("eof", connection.full_close)

    await early(connected)
    assert events == ["connect", "receive", "eof"]


async def test_half_closed_before_the_client_did_in_the_first_turn() -> None:
    recorders = []

    def connected(connection: tcp.Connection) -> None:
        recorders.append(Recorder(connection))
        connection.close()

    await early(connected)
    assert recorders[0].events == [
        ("connect", "readOnly"),
        ("receive", b"early", "readOnly"),
        ("eof", "closed"),
        ("disconnect", False, "closed"),
    ]


async def test_half_closed_when_there_is_nothing_but_an_eof() -> None:
    recorders = []

    def connected(connection: tcp.Connection) -> None:
        recorders.append(Recorder(connection))
        connection.close()

    await early(connected, b"")
    assert recorders[0].events == [
        ("connect", "readOnly"),
        ("eof", "closed"),
        ("disconnect", False, "closed"),
    ]


# --- pauses


async def test_a_paused_connection_receives_nothing_and_loses_nothing() -> None:
    async with wired() as (far, near):
        far.connection.pause_reading()
        far.connection.pause_reading()
        sending = asyncio.ensure_future(_wait(near.connection.send(bytes(24 << 20))))
        await until(lambda: near.connection.output.transport.get_write_buffer_size())
        # The other way is open.
        far.connection.send(b"one moment")
        assert await near.until_received(10) == b"one moment"
        assert far.received() == b""
        assert not sending.done()
        far.connection.resume_reading()
        far.connection.resume_reading()
        await sending
        assert await far.until_received(24 << 20) == bytes(24 << 20)


async def test_a_pause_in_a_listener_holds_the_rest_and_the_eof() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        connection.on("receive", lambda data: connection.pause_reading())
        await raw.send(bytes(1 << 20))
        raw.finish()
        await recorder.until("receive")
        connection.send(b"?")
        assert await raw.read(1) == b"?"
        while recorder.names()[-1] != "eof":
            before = len(recorder.events)
            connection.resume_reading()
            await until(lambda before=before: len(recorder.events) > before)
        assert recorder.received() == bytes(1 << 20)
        assert len(recorder.events) > 3


async def test_pausing_what_is_closed_does_nothing() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        connection.on("eof", connection.close)
        raw.finish()
        await recorder.until("disconnect")
        connection.pause_reading()
        connection.resume_reading()
        assert recorder.names() == ["connect", "eof", "disconnect"]


async def test_a_pause_after_the_eof_does_not_bring_it_again() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        raw.finish()
        await recorder.until("eof")
        connection.pause_reading()
        connection.resume_reading()
        connection.send(b"!")
        assert await raw.read(1) == b"!"
        assert recorder.names() == ["connect", "eof"]


@pytest.mark.parametrize("over_tls", [False, True])
async def test_nothing_is_received_after_a_full_close(over_tls: bool) -> None:
    async with wired(*(tls() if over_tls else ())) as (far, near):
        # It stays until the client has read this.
        near.connection.pause_reading()
        far.connection.send(bytes(16 << 20))
        far.connection.full_close()
        assert far.connection.ready_state == "closed"
        near.connection.send(b"too late")
        near.connection.on("receive", near.connection.send)
        near.connection.resume_reading()
        await far.until("disconnect")
        assert "receive" not in far.names()
        assert "eof" not in far.names()


async def test_20_mib_both_ways_at_the_pace_of_a_slow_reader() -> None:
    size, piece = 20 << 20, 64 << 10
    async with wired() as (far, near):
        loop = asyncio.get_running_loop()
        highest = {far: 0, near: 0}
        for recorder in highest:
            # Or the systems take all of it between them.
            sock = recorder.connection.output.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, piece)

        def measure(recorder: Recorder) -> None:
            waiting = recorder.connection.output.transport.get_write_buffer_size()
            highest[recorder] = max(highest[recorder], waiting)

        @far.connection.on("receive")
        async def echo(data: bytes) -> None:
            far.connection.pause_reading()
            sending = far.connection.send(data)
            far.connection.output.flush()
            measure(far)
            await sending
            far.connection.resume_reading()

        @near.connection.on("receive")
        def slowly(data: bytes) -> None:
            near.connection.pause_reading()
            loop.call_later(0.001, near.connection.resume_reading)

        data = os.urandom(piece)
        for _ in range(size // piece):
            await near.connection.send(data)
            measure(near)
        near.connection.close()
        assert await near.until_received(size) == data * (size // piece)
        # A read of the loop may be larger than a piece of ours.
        assert all(0 < most <= tcp.HIGH_WATER + (256 << 10) for most in highest.values())


# --- idle


async def test_a_timeout_is_said_again_and_again_and_closes_nothing() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        assert connection.idle_timeout == 60.0
        watch = Recorder(connection, "timeout")
        connection.set_timeout(0.01)
        assert connection.idle_timeout == 0.01
        await watch.until("timeout", 3)
        assert watch.events[0] == ("timeout", "open")
        connection.send(b"still here")
        assert await raw.read(10) == b"still here"
        raw.finish()
        await watch.until("timeout", 5)
        assert watch.events[-1] == ("timeout", "writeOnly")


async def test_closing_in_the_timeout_listener() -> None:
    async with pair() as (recorder, raw):
        recorder.connection.once("timeout", recorder.connection.full_close)
        recorder.connection.idle_timeout = 0.01
        assert await raw.read_all() == b""
        await recorder.until("disconnect")
        assert recorder.events[-1] == ("disconnect", False, "closed")


async def test_no_timeout_once_it_is_closed() -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        watch = Recorder(connection, "timeout")
        other = asyncio.Event()
        # It takes long: nobody reads it.
        connection.send(bytes(16 << 20))
        connection.set_timeout(0.01)
        connection.full_close()
        asyncio.get_running_loop().call_later(0.05, other.set)
        await other.wait()
        assert watch.events == []
        assert len(await raw.read_all()) == 16 << 20


async def test_what_is_sent_and_what_is_received_is_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair() as (recorder, raw):
        connection = recorder.connection
        await recorder.until("connect")
        connection.set_timeout(60.0)
        touched = []
        touch = idle.Idle.touch
        monkeypatch.setattr(idle.Idle, "touch", lambda self: (touched.append(True), touch(self)))
        connection.send(b"x")
        assert await raw.read(1) == b"x"
        assert len(touched) == 1
        await raw.send(b"y")
        await recorder.until("receive")
        assert len(touched) == 2


@pytest.mark.parametrize("never", [0, None])
async def test_no_timeout_where_none_is_wanted(never: float | None) -> None:
    async with wired() as (far, near):
        never_called = Recorder(far.connection, "timeout")
        far.connection.set_timeout(0.01)
        far.connection.set_timeout(never)
        assert far.connection.idle_timeout is None
        near_called = Recorder(near.connection, "timeout")
        near.connection.set_timeout(0.03)
        await near_called.until("timeout", 2)
        assert never_called.events == []


async def test_what_is_no_timeout() -> None:
    async with pair() as (recorder, _):
        for seconds in (-1, float("nan")):
            with pytest.raises(ValueError, match="0 or more seconds"):
                recorder.connection.set_timeout(seconds)


async def test_a_timeout_listener_as_a_decorator() -> None:
    async with pair() as (recorder, _):
        heard = asyncio.Event()

        @recorder.connection.on("timeout")
        def on() -> None:
            heard.set()

        once = asyncio.Event()

        @recorder.connection.once("timeout")
        async def only_once() -> None:
            once.set()

        recorder.connection.set_timeout(0.01)
        await heard.wait()
        await once.wait()


# --- addresses


async def test_the_addresses_of_both_ends() -> None:
    async with wired() as (far, near):
        assert far.connection.remote_address == far.connection.local_address == "127.0.0.1"
        assert far.connection.remote_port == near.connection.local_port
        assert far.connection.local_port == near.connection.remote_port
        assert far.connection.server is not None
        assert far.connection.local_port == far.connection.server.port
        assert near.connection.server is None
        near.connection.full_close()
        await near.until("disconnect")
        assert near.connection.local_address is None
        assert near.connection.local_port is None
        assert near.connection.remote_address == "127.0.0.1"


async def test_small_pieces_do_not_wait_for_the_acknowledgement_of_others() -> None:
    async with wired() as (far, near):
        for recorder in (far, near):
            sock = recorder.connection.output.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# --- TLS


async def test_tls_both_ways() -> None:
    async with wired(*tls()) as (far, near):
        far.connection.on("receive", far.connection.send)
        data = os.urandom(3 << 20)
        await near.connection.send(data)
        assert await near.until_received(len(data)) == data
        near.connection.close()
        assert near.connection.ready_state == "closed", "TLS has no half-close"
        await near.until("disconnect")
        await far.until("disconnect")
        assert near.events[-1] == ("disconnect", False, "closed")
        assert far.events[-2:] == [("eof", "writeOnly"), ("disconnect", False, "closed")]


async def test_what_is_sent_at_the_eof_of_tls_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    async with wired(*tls()) as (far, near):

        @far.connection.on("eof")
        def goodbye() -> None:
            far.connection.send("goodbye\r\n")
            far.connection.close()

        near.connection.full_close()
        await far.until("disconnect")
        assert far.events[-1] == ("disconnect", False, "closed")
        assert caplog.records == []


async def test_what_was_sent_before_the_end_of_tls_arrives() -> None:
    server_tls, client_tls = tls()

    def connected(connection: tcp.Connection) -> None:
        connection.on("receive", lambda data: connection.send(b"reply"))
        connection.on("eof", lambda: connection.send(b", goodbye"))

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with serving(connected, ssl_context=server_tls) as server, connect(server.port) as raw:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        while not incoming.eof:
            await raw.send(outgoing.read())
            incoming.write(await raw.reader.read(1 << 16))
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        # All at once: the server reads the message and the end in one turn.
        client.write(b"hi")
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        await raw.send(outgoing.read())
        incoming.write(await raw.read_all())
        received = b""
        while len(received) < 14:
            received += client.read(14)
        assert received == b"reply, goodbye"


# --- nothing is left


async def test_many_short_connections_leave_nothing_behind() -> None:
    def left() -> tuple[int, int]:
        gc.collect()
        connections = sum(isinstance(thing, tcp.Connection) for thing in gc.get_objects())
        return len(os.listdir("/proc/self/fd")), connections

    closed = 0

    def connected(connection: tcp.Connection) -> None:
        def disconnected(had_error: bool) -> None:
            nonlocal closed
            closed += 1

        connection.on("disconnect", disconnected)
        connection.on("timeout", connection.close)
        connection.on("eof", connection.close)

    async with tcp.create_server(connected) as server:
        await server.listen(0, "127.0.0.1")
        before = left()

        async def visit(how: str) -> None:
            connection = tcp.Connection()
            await connection.connect(server.port)
            connection.on("timeout", connection.close)
            getattr(connection, how)()

        for _ in range(50):
            await asyncio.gather(*(visit(how) for how in ("close", "full_close", "force_close") * 2))
        await until(lambda: closed == 300)
        del connected
        await until(lambda: left() == before)
