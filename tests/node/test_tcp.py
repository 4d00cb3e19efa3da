from __future__ import annotations

import asyncio
import errno
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from tests.raw import Raw, connect
from wirehop.errors import ConnectionClosed
from wirehop.node import tcp

EVENTS = ("connect", "receive", "eof", "drain", "disconnect")


class Recorder:
    """The server's end of one connection, with everything that happened to it."""

    def __init__(self, connection: tcp.Connection) -> None:
        self.connection = connection
        self.events: list[tuple[Any, ...]] = []
        self._happened = asyncio.Event()
        for event in EVENTS:
            connection.on(event, lambda *args, event=event: self._record(event, args))

    def _record(self, event: str, args: tuple[Any, ...]) -> None:
        self.events.append((event, *args, self.connection.ready_state))
        self._happened.set()

    async def until(self, event: str) -> None:
        while event not in self.names():
            self._happened.clear()
            await self._happened.wait()

    def names(self) -> list[str]:
        return [entry[0] for entry in self.events]


@asynccontextmanager
async def pair(
    server_tls: ssl.SSLContext | None = None, client_tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Recorder, Raw]]:
    """A server's connection, and the client at its other end."""
    accepted: asyncio.Future[Recorder] = asyncio.get_running_loop().create_future()
    server = tcp.Server(lambda connection: accepted.set_result(Recorder(connection)))
    await server.listen(0, "127.0.0.1", ssl_context=server_tls)
    async with connect(server.port, tls=client_tls, limit=1024) as raw:
        recorder = await accepted
        try:
            yield recorder, raw
        finally:
            await server.close()
            recorder.connection.force_close()


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
            ("eof", "closed"),
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
        await recorder.until("drain")
        await connection.send(b"small")


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


# --- servers


async def test_port_0_picks_one_and_the_same_for_every_address() -> None:
    server = tcp.Server(lambda connection: connection.full_close())
    await server.listen(0)
    assert server.port > 0
    assert server._server is not None
    assert {sock.getsockname()[1] for sock in server._server.sockets} == {server.port}
    async with connect(server.port) as raw:
        assert await raw.read_all() == b""
    await server.close()


async def test_a_free_port_that_is_taken_at_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    create_server = loop.create_server
    asked = []

    class Fake:
        def __init__(self, *ports: int) -> None:
            self.sockets = [_Bound(port) for port in ports]

        def close(self) -> None:
            pass

    async def create(factory: Any, host: Any, port: int, **options: Any) -> Any:
        asked.append(port)
        if len(asked) == 1:
            return Fake(1111, 2222)
        if len(asked) == 2:
            raise OSError(errno.EADDRINUSE, "taken")
        return await create_server(factory, "127.0.0.1", port, **options)

    class Loop:
        pass

    fake = Loop()
    fake.create_server = create  # type: ignore[attr-defined]
    server = tcp.Server()
    monkeypatch.setattr(tcp.asyncio, "get_running_loop", lambda: fake)
    bound = await server._bind(0, None, None)
    monkeypatch.undo()
    assert asked == [0, 1111, 0]
    bound.close()


async def test_a_port_that_is_taken_raises() -> None:
    first, second = tcp.Server(), tcp.Server()
    await first.listen(0, "127.0.0.1")
    with pytest.raises(OSError) as caught:
        await second.listen(first.port, "127.0.0.1")
    assert caught.value.errno == errno.EADDRINUSE
    await first.close()
    await second.listen(first.port, "127.0.0.1")
    assert (second.host, second.port) == ("127.0.0.1", first.port)
    await second.close()


async def test_a_server_listens_once_at_a_time() -> None:
    server = tcp.Server()
    listening = server.listen(0, "127.0.0.1")
    with pytest.raises(RuntimeError, match="listens already"):
        server.listen(0, "127.0.0.1")
    await listening
    with pytest.raises(RuntimeError, match="listens already"):
        server.listen(0, "127.0.0.1")
    await server.close()
    await server.listen(0, "127.0.0.1")
    await server.close()
    await server.close()


async def test_listening_and_closing_need_not_be_awaited() -> None:
    server = tcp.Server()
    server.listen(0, "127.0.0.1")
    server.close()
    await asyncio.sleep(0)
    assert server._server is None


async def test_closing_a_server_leaves_its_connections_open() -> None:
    async with pair() as (recorder, raw):
        assert recorder.connection.server is not None
        port = recorder.connection.server.port
        await recorder.connection.server.close()
        with pytest.raises(ConnectionRefusedError):
            async with connect(port):
                pass
        recorder.connection.send(b"still here")
        assert await raw.read(10) == b"still here"


async def test_ipv6_addresses() -> None:
    server = tcp.Server()
    addresses = []

    @server.on("connection")
    def connected(connection: tcp.Connection) -> None:
        addresses.append(connection.remote_address)
        connection.full_close()

    try:
        await server.listen(0, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    reader, writer = await asyncio.open_connection("::1", server.port)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert addresses == ["::1"]
    await server.close()


class _Bound:
    def __init__(self, port: int) -> None:
        self._port = port

    def getsockname(self) -> tuple[str, int]:
        return ("0.0.0.0", self._port)


async def _wait(awaitable: Any) -> None:
    await awaitable


def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
