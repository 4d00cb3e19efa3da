from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.node.recording import Recorder, nobody_accepts, serving, tls, wired
from tests.programs import free_port
from tests.raw import until
from wirehop.errors import ConnectionClosed
from wirehop.node import alive, tcp


def echo(**place: Any) -> AbstractAsyncContextManager[tcp.Server]:
    """A server that sends back what it receives, and closes with its client."""

    def connected(connection: tcp.Connection) -> None:
        connection.on("receive", connection.send)
        connection.on("eof", connection.close)

    return serving(connected, **place)


# --- connecting


async def test_a_connection_from_its_first_event_to_its_last() -> None:
    async with echo() as server:
        recorder = Recorder(tcp.create_connection(server.port))
        connection = recorder.connection
        assert connection.ready_state == "opening"
        assert connection.remote_address is connection.local_address is None
        await recorder.until("connect")
        connection.send("hello")
        assert await recorder.until_received(5) == b"hello"
        connection.close()
        await recorder.until("disconnect")
        assert recorder.events == [
            ("connect", "open"),
            ("receive", b"hello", "open"),
            ("eof", "closed"),
            ("disconnect", False, "closed"),
        ]


async def test_connect_can_be_awaited() -> None:
    async with echo() as server:
        connection = tcp.Connection()
        assert connection.ready_state == "closed"
        recorder = Recorder(connection)
        await connection.connect(server.port)
        assert recorder.events == [("connect", "open")]
        connection.force_close()


async def test_a_connection_as_a_context() -> None:
    async with echo() as server:
        async with tcp.create_connection(server.port) as connection:
            recorder = Recorder(connection)
            connection.send(b"x")
            assert await recorder.until_received(1) == b"x"
        assert connection.ready_state == "closed"
        await recorder.until("disconnect")
        with pytest.raises(ConnectionClosed):
            async with connection:
                pass
        await connection.connect(server.port)
        async with connection as open_already:
            assert open_already is connection
        await recorder.until("disconnect", 2)


async def test_a_name_of_this_machine() -> None:
    async with echo() as server:
        connection = tcp.Connection()
        await connection.connect(server.port, "localhost")
        assert connection.remote_address == "127.0.0.1"
        connection.force_close()


async def test_ipv4_is_preferred_and_the_other_addresses_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    tried = []
    create_connection = loop.create_connection

    async def addresses(host: str, port: int, **options: Any) -> list[Any]:
        assert host == "both.test"
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 2)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    async def create(factory: Any, host: str, port: int, **options: Any) -> Any:
        tried.append(host)
        if host != "::1":
            raise ConnectionRefusedError(f"nobody at {host}")
        return await create_connection(factory, "127.0.0.1", port, **options)

    async with echo() as server:
        monkeypatch.setattr(loop, "getaddrinfo", addresses)
        monkeypatch.setattr(loop, "create_connection", create)
        connection = tcp.Connection()
        await connection.connect(server.port, "both.test")
        assert tried == ["127.0.0.2", "127.0.0.1", "::1"]
        connection.force_close()


async def test_the_first_of_several_failures_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    tried = []

    async def addresses(host: str, port: int, **options: Any) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 2)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        ]

    async def create(factory: Any, host: str, port: int, **options: Any) -> Any:
        tried.append(host)
        raise ConnectionRefusedError(f"nobody at {host}")

    monkeypatch.setattr(loop, "getaddrinfo", addresses)
    monkeypatch.setattr(loop, "create_connection", create)
    with pytest.raises(ConnectionRefusedError, match="nobody at fe80::1%2"):
        await tcp.Connection().connect(80, "both.test")
    assert tried == ["fe80::1%2", "::1"]


async def test_a_tls_failure_is_no_reason_to_try_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    tried = []

    async def addresses(host: str, port: int, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (1, 2)]

    async def create(factory: Any, host: str, port: int, **options: Any) -> Any:
        tried.append((host, options["server_hostname"]))
        raise ssl.SSLError("not who was wanted")

    monkeypatch.setattr(loop, "getaddrinfo", addresses)
    monkeypatch.setattr(loop, "create_connection", create)
    with pytest.raises(ssl.SSLError, match="not who was wanted"):
        await tcp.Connection().connect(443, "both.test", ssl_context=ssl.create_default_context())
    assert tried == [("127.0.0.1", "both.test")]


async def test_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(host: str, port: int, **options: Any) -> list[Any]:
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", none)
    with pytest.raises(socket.gaierror, match="has no address"):
        await tcp.Connection().connect(80, "none.test")


# --- failures


async def failing(connecting: Any, recorder: Recorder) -> BaseException:
    """How a connect ended that nobody should survive."""
    with pytest.raises((OSError, ValueError)) as caught:
        await connecting
    assert recorder.events == [("disconnect", True, "closed")]
    return caught.value


async def test_nothing_listens() -> None:
    recorder = Recorder(tcp.Connection())
    error = await failing(recorder.connection.connect(free_port()), recorder)
    assert isinstance(error, ConnectionRefusedError)
    with pytest.raises(ConnectionError, match="Socket is not open for writing"):
        recorder.connection.send(b"x")


@pytest.mark.parametrize("host", ["nonexistent.invalid", "a" * 64 + ".test", "\udc80.test"])
async def test_a_name_that_nobody_knows(host: str) -> None:
    recorder = Recorder(tcp.Connection())
    error = await failing(recorder.connection.connect(80, host), recorder)
    assert isinstance(error, socket.gaierror)


async def test_no_answer_within_the_timeout() -> None:
    recorder = Recorder(tcp.Connection())
    with nobody_accepts() as port:
        error = await failing(recorder.connection.connect(port, timeout=0.02), recorder)
    assert isinstance(error, TimeoutError)
    assert str(error) == "no connection within 0.02 s"


async def test_the_system_gives_up_before_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def times_out(*args: Any, **options: Any) -> Any:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", times_out)
    recorder = Recorder(tcp.Connection())
    error = await failing(recorder.connection.connect(80, timeout=60.0), recorder)
    assert str(error) == "[Errno 110] Connection timed out"


async def test_a_failure_that_nobody_awaits_is_an_event_and_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder(tcp.create_connection(free_port()))
    await recorder.until("disconnect")
    assert recorder.events == [("disconnect", True, "closed")]
    silent = tcp.create_connection(free_port())
    await until(lambda: silent.ready_state == "closed")
    recorder = silent = None  # type: ignore[assignment]
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []


async def test_what_can_be_no_target() -> None:
    connection = tcp.Connection()
    context = ssl.create_default_context()
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (TypeError, {}),
        (TypeError, {"port": 80, "path": "/tmp/x"}),
        (TypeError, {"port": "80"}),
        (ValueError, {"port": -1}),
        (ValueError, {"port": 65_536}),
        (TypeError, {"port": 80, "host": None}),
        (ValueError, {"port": 80, "host": "a\0b"}),
        (TypeError, {"path": b"/tmp/x"}),
        (ValueError, {"path": ""}),
        (ValueError, {"path": "\0abstract"}),
        (TypeError, {"port": 80, "ssl_context": True}),
        (ValueError, {"port": 80, "server_hostname": "localhost"}),
        (ValueError, {"path": "/tmp/x", "ssl_context": context}),
        (ValueError, {"port": 80, "timeout": 0}),
        (ValueError, {"port": 80, "timeout": float("nan")}),
    ]
    for error, arguments in wrong:
        with pytest.raises(error):
            connection.connect(**arguments)
        with pytest.raises(error):
            tcp.create_connection(**arguments)
    assert connection.ready_state == "closed"


# --- giving up


@pytest.mark.parametrize("how", ["close", "full_close"])
@pytest.mark.parametrize("when", ["at once", "while it waits"])
async def test_closing_while_it_connects(how: str, when: str) -> None:
    with nobody_accepts() as port:
        recorder = Recorder(tcp.Connection())
        connection = recorder.connection
        connecting = connection.connect(port)
        if when == "while it waits":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        getattr(connection, how)()
        assert connection.ready_state == "closed"
        assert recorder.events == []
        getattr(connection, how)()
        with pytest.raises(RuntimeError, match="not over yet"):
            connection.connect(port)
        with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
            await connecting
        assert recorder.events == [("disconnect", False, "closed")]


@pytest.mark.parametrize("when", ["at once", "while it waits", "after a close"])
async def test_forcing_it_closed_while_it_connects(when: str) -> None:
    async with echo() as server:
        with nobody_accepts() as port:
            recorder = Recorder(tcp.Connection())
            connecting = recorder.connection.connect(port)
            if when == "while it waits":
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            if when == "after a close":
                recorder.connection.close()
            recorder.connection.force_close()
            assert recorder.connection.ready_state == "closed"
            # At once somewhere else.
            again = recorder.connection.connect(server.port)
            with pytest.raises(ConnectionClosed, match="Local Connection Closed"):
                await connecting
            await again
        assert recorder.events == [("connect", "open")]
        recorder.connection.force_close()


async def test_who_waits_and_is_cancelled_gives_up() -> None:
    with nobody_accepts() as port:
        recorder = Recorder(tcp.Connection())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(recorder.connection.connect(port), 0.01)
        await recorder.until("disconnect")
        assert recorder.events == [("disconnect", False, "closed")]


@pytest.mark.parametrize("waits", [1, 3])
async def test_who_is_cancelled_in_the_turn_of_the_success_gives_up_too(waits: int) -> None:
    accepted: list[tcp.Connection] = []
    async with tcp.Server(accepted.append) as server:
        await server.listen(0, "127.0.0.1")
        recorder = Recorder(tcp.Connection())
        attempt: Any = recorder.connection.connect(server.port)
        waiting = [asyncio.ensure_future(attempt) for _ in range(waits)]
        # Its callback comes right behind the attempt's own, and before those who wait are woken.
        attempt._task.add_done_callback(lambda task: waiting[0].cancel())
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError, *[ConnectionClosed] * (waits - 1)]
        await recorder.until("disconnect")
        assert recorder.connection.ready_state == "closed"
        # And the same connection can connect again.
        await recorder.connection.connect(server.port)
        recorder.connection.full_close()
        await recorder.until("disconnect")
    for theirs in accepted:
        theirs.full_close()
    await until(lambda: all(theirs._is_over() for theirs in accepted))


async def test_who_is_cancelled_in_the_turn_in_which_it_listens_closes() -> None:
    server = tcp.Server()
    listening: Any = server.listen(0, "127.0.0.1")
    waiting = asyncio.ensure_future(listening)
    listening._task.add_done_callback(lambda task: waiting.cancel())
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(ConnectionRefusedError):
        await tcp.Connection().connect(server.port)
    await server.listen(0, "127.0.0.1")
    server.close()


async def test_of_those_who_wait_one_gives_up_for_all() -> None:
    with nobody_accepts() as port:
        connecting = tcp.Connection().connect(port)
        waiting = [asyncio.ensure_future(connecting) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError, ConnectionClosed, ConnectionClosed]
        with pytest.raises(ConnectionClosed):
            await connecting


async def test_a_connection_that_is_made_after_it_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[asyncio.Transport] = []

    class Transport:
        aborted = False

        def abort(self) -> None:
            self.aborted = True

    transport: Any = Transport()
    recorder = Recorder(tcp.Connection())

    async def create(factory: Any, host: str, port: int, **options: Any) -> Any:
        recorder.connection.force_close()
        factory().connection_made(transport)
        made.append(transport)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create)
    with pytest.raises(ConnectionClosed):
        await recorder.connection.connect(80)
    assert made[0] is transport
    assert transport.aborted
    assert recorder.events == []


async def test_closing_in_the_connect_listener() -> None:
    async with echo() as server:
        for how, events in (
            ("close", ["connect", "eof", "disconnect"]),
            ("full_close", ["connect", "disconnect"]),
            ("force_close", ["connect"]),
        ):
            recorder = Recorder(tcp.Connection())
            recorder.connection.on("connect", getattr(recorder.connection, how))
            await recorder.connection.connect(server.port)
            if how != "force_close":
                await recorder.until("disconnect")
            assert recorder.names() == events


# --- again


async def test_the_same_connection_again_and_again() -> None:
    async with echo() as server:
        recorder = Recorder(tcp.Connection())
        connection = recorder.connection
        with pytest.raises(ConnectionRefusedError):
            await connection.connect(free_port())
        for count in range(1, 4):
            await connection.connect(server.port)
            connection.send(b"x")
            await recorder.until("receive", count)
            connection.close()
            await recorder.until("disconnect", count + 1)
        assert recorder.names() == ["disconnect"] + ["connect", "receive", "eof", "disconnect"] * 3


async def test_only_what_is_over_connects_again() -> None:
    async with echo() as server, wired() as (far, near):
        for recorder in (far, near):
            with pytest.raises(RuntimeError, match="not over yet"):
                recorder.connection.connect(server.port)
        near.connection.full_close()
        assert near.connection.ready_state == "closed"
        with pytest.raises(RuntimeError, match="not over yet"):
            near.connection.connect(server.port)
        await near.until("disconnect")
        await near.connection.connect(server.port)
        far.connection.force_close()
        with pytest.raises(RuntimeError, match="a server's"):
            far.connection.connect(server.port)


@pytest.mark.parametrize("over_tls", [False, True])
async def test_after_force_close_it_connects_again_at_once(over_tls: bool) -> None:
    server_tls, client_tls = tls() if over_tls else (None, None)
    name = "localhost" if over_tls else None
    async with echo(ssl_context=server_tls) as server:
        recorder = Recorder(tcp.Connection())
        connection = recorder.connection
        lost = []

        class Watched(tcp.Connection):
            __slots__ = ()

            def connection_lost(self, error: Exception | None) -> None:
                lost.append(error)
                super().connection_lost(error)

        connection.__class__ = Watched
        await connection.connect(server.port, ssl_context=client_tls, server_hostname=name)
        connection.send(bytes(8 << 20))
        connection.force_close()
        assert lost == []
        connecting = connection.connect(server.port, ssl_context=client_tls, server_hostname=name)
        assert lost == [None], "once for each connection, and in their order"
        await connecting
        connection.send(b"again")
        assert await recorder.until_received(5) == b"again"
        assert recorder.names()[:2] == ["connect", "connect"]
        assert "disconnect" not in recorder.names()
        assert lost == [None]
        connection.force_close()
        await until(lambda: len(lost) == 2)


@pytest.mark.parametrize("how", ["force_close", "full_close"])
async def test_half_a_character_of_the_last_time_is_forgotten(how: str) -> None:
    texts = ["aé".encode()[:2], "bé".encode()]

    def connected(connection: tcp.Connection) -> None:
        connection.send(texts.pop(0))
        connection.on("eof", connection.close)

    async with serving(connected) as server:
        recorder = Recorder(tcp.Connection())
        connection = recorder.connection
        connection.set_encoding("utf8")
        for count in (1, 2):
            await connection.connect(server.port)
            await recorder.until_received(2 * count - 1)
            getattr(connection, how)()
            if how == "full_close":
                await recorder.until("disconnect", count)
        assert recorder.received() == "abé"


async def test_a_pause_before_there_is_a_connection_holds_too() -> None:
    async with serving(lambda connection: connection.send(b"welcome")) as server:
        recorder = Recorder(tcp.Connection())
        connection = recorder.connection
        connection.connect(server.port)
        connection.pause_reading()
        await recorder.until("connect")
        paused = asyncio.Event()
        asyncio.get_running_loop().call_later(0.02, paused.set)
        await paused.wait()
        assert recorder.received() == b""
        connection.resume_reading()
        assert await recorder.until_received(7) == b"welcome"
        connection.force_close()


async def test_a_pause_does_not_outlive_its_connection() -> None:
    async with echo() as server:
        recorder = Recorder(tcp.Connection())
        connection = recorder.connection
        await connection.connect(server.port)
        connection.pause_reading()
        connection.full_close()
        await recorder.until("disconnect")
        await connection.connect(server.port)
        connection.send(b"x")
        assert await recorder.until_received(1) == b"x"
        connection.force_close()


async def test_a_timeout_is_set_for_every_connection_of_the_object() -> None:
    async with echo() as server:
        recorder = Recorder(tcp.Connection(), "timeout", "disconnect")
        connection = recorder.connection
        connection.set_timeout(0.01)
        for count in (1, 2):
            await connection.connect(server.port)
            await recorder.until("timeout", count)
            connection.full_close()
            await recorder.until("disconnect", count)
        assert recorder.names() == ["timeout", "disconnect"] * 2


# --- Unix sockets and TLS


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with echo(path=tmp_path / "s") as server:
        recorder = Recorder(tcp.create_connection(path=tmp_path / "s"))
        connection = recorder.connection
        await recorder.until("connect")
        assert connection.remote_address is connection.remote_port is None
        assert connection.local_address is connection.local_port is None
        connection.send(b"hello")
        assert await recorder.until_received(5) == b"hello"
        connection.close()
        assert connection.ready_state == "readOnly"
        await recorder.until("disconnect")
        assert recorder.names() == ["connect", "receive", "eof", "disconnect"]
        assert server.path == str(tmp_path / "s")


async def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    recorder = Recorder(tcp.Connection())
    error = await failing(recorder.connection.connect(path=tmp_path / "s"), recorder)
    assert isinstance(error, FileNotFoundError)


async def test_a_unix_socket_whose_backlog_is_full_is_no_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = []
        while True:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            if waiting[-1].connect_ex(path):
                break
        recorder = Recorder(tcp.Connection())
        error = await failing(recorder.connection.connect(path=path), recorder)
        assert isinstance(error, BlockingIOError)
        for sock in waiting:
            sock.close()


async def test_tls_over_a_unix_socket(tmp_path: Path) -> None:
    server_tls, client_tls = tls()
    async with echo(path=tmp_path / "s", ssl_context=server_tls):
        recorder = Recorder(tcp.Connection())
        await recorder.connection.connect(
            path=tmp_path / "s", ssl_context=client_tls, server_hostname="localhost"
        )
        recorder.connection.send(b"hello")
        assert await recorder.until_received(5) == b"hello"
        recorder.connection.full_close()
        await recorder.until("disconnect")


@pytest.mark.parametrize("case", ["a stranger", "another name"])
async def test_a_certificate_that_is_not_trusted(case: str, caplog: pytest.LogCaptureFixture) -> None:
    server_tls, client_tls = tls()
    async with echo(ssl_context=server_tls) as server:
        recorder = Recorder(tcp.Connection())
        context = tls()[1] if case == "a stranger" else client_tls
        name = "localhost" if case == "a stranger" else None
        with caplog.at_level(logging.INFO):
            connecting = recorder.connection.connect(server.port, ssl_context=context, server_hostname=name)
            error = await failing(connecting, recorder)
        assert isinstance(error, ssl.SSLCertVerificationError)
        # The server goes on as if nothing had been.
        good = Recorder(tcp.Connection())
        await good.connection.connect(server.port, ssl_context=client_tls, server_hostname="localhost")
        good.connection.send(b"x")
        assert await good.until_received(1) == b"x"
        good.connection.force_close()
        assert caplog.records == []


async def test_tls_with_somebody_who_does_not_speak_it() -> None:
    client_tls = tls()[1]
    async with serving(lambda connection: connection.full_close()) as server:
        recorder = Recorder(tcp.Connection())
        connecting = recorder.connection.connect(server.port, "localhost", ssl_context=client_tls)
        assert isinstance(await failing(connecting, recorder), OSError)


async def test_giving_up_in_the_tls_handshake() -> None:
    connected = asyncio.Event()
    async with serving(lambda connection: connected.set()) as server:
        recorder = Recorder(tcp.Connection())
        connecting = recorder.connection.connect(server.port, "localhost", ssl_context=tls()[1])
        await connected.wait()
        recorder.connection.close()
        with pytest.raises(ConnectionClosed):
            await connecting
        assert recorder.events == [("disconnect", False, "closed")]


@pytest.mark.parametrize("timeout", [None, 0.02])
async def test_a_tls_handshake_that_is_never_answered(
    timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "HANDSHAKE_TIMEOUT", 0.02)
    async with serving() as server:
        recorder = Recorder(tcp.Connection())
        connecting = recorder.connection.connect(
            server.port, "localhost", ssl_context=tls()[1], timeout=timeout
        )
        error = await failing(connecting, recorder)
        assert isinstance(error, TimeoutError if timeout else ConnectionAbortedError)


# --- what keeps a program alive


async def test_a_connection_keeps_its_program_alive_until_disconnect() -> None:
    loop = asyncio.get_running_loop()
    events = []

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop.call_later(0.02, writer.close)
        await reader.read()

    server = await asyncio.start_server(leave, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = tcp.create_connection(port)
    connection.on("eof", connection.close)

    @connection.on("disconnect")
    def disconnected(had_error: bool) -> None:
        events.append("disconnect")
        if len(events) == 1:
            # What a listener begins is kept too.
            connection.connect(port)

    await alive.wait_until_idle()
    assert events == ["disconnect", "disconnect"]
    server.close()


@pytest.mark.parametrize("when", ["opening", "open"])
async def test_what_is_forced_to_close_keeps_nothing_alive(when: str) -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    connection = tcp.Connection()
    connecting = connection.connect(server.sockets[0].getsockname()[1])
    if when == "open":
        await connecting
    closed = []
    asyncio.get_running_loop().call_soon(lambda: (connection.force_close(), closed.append(True)))
    await alive.wait_until_idle()
    assert closed == [True]
    server.close()


# --- the scenarios of Node's own suite


@pytest.mark.parametrize(
    ("listen_host", "connect_host"), [("localhost", "localhost"), (None, "127.0.0.1"), ("::1", "::1")]
)
async def test_ping_pong(listen_host: str | None, connect_host: str) -> None:
    rounds = 1000
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    count = 0
    states: set[str] = set()
    server_ends = []

    def serve(connection: tcp.Connection) -> None:
        assert connection.remote_address is not None
        if listen_host != "::1":
            assert connection.remote_address == "127.0.0.1"
        connection.set_encoding("utf8")
        connection.set_timeout(0)

        @connection.on("receive")
        def ping(data: str) -> None:
            states.add(connection.ready_state)
            assert "PING" in data
            connection.send("PONG")

        @connection.on("eof")
        def eof() -> None:
            server_ends.append(connection.ready_state)
            connection.close()

        @connection.on("disconnect")
        def disconnect(had_error: bool) -> None:
            server_ends.append((had_error, connection.ready_state))
            assert connection.server is not None
            connection.server.close()

    server = tcp.create_server(serve)
    try:
        await server.listen(0, listen_host)
    except OSError:
        pytest.skip("this machine has no IPv6")
    client = tcp.create_connection(server.port, connect_host)
    client.set_encoding("utf8")
    client_states = []

    @client.on("connect")
    def connected() -> None:
        assert client.ready_state == "open"
        client.send("PING")

    @client.on("receive")
    def pong(data: str) -> None:
        nonlocal count
        assert data == "PONG"
        count += 1
        client_states.append(client.ready_state)
        if count <= rounds:
            client.send("PING")
        if count == rounds:
            client.close()

    client.on("disconnect", done.set_result)
    assert await done is False
    await until(lambda: len(server_ends) == 2)
    assert count == rounds + 1
    assert client_states == ["open"] * rounds + ["readOnly"]
    assert states == {"open"}
    assert server_ends == ["writeOnly", (False, "closed")]
    with pytest.raises(ConnectionRefusedError):
        await tcp.Connection().connect(server.port, connect_host)


async def test_reconnecting_in_the_disconnect_listener() -> None:
    times = 50
    received = []
    ended = asyncio.get_running_loop().create_future()
    server_ends = []
    errors = []

    def serve(connection: tcp.Connection) -> None:
        connection.on("connect", lambda: connection.send("hello\r\n"))
        connection.on("eof", connection.close)
        connection.on("disconnect", server_ends.append)
        connection.on("error", errors.append)

    server = tcp.create_server(serve)
    await server.listen(0)
    client = tcp.create_connection(server.port)
    client.set_encoding("UTF8")
    disconnects = []

    @client.on("receive")
    def receive(chunk: str) -> None:
        received.append(chunk)
        client.full_close()

    @client.on("disconnect")
    def disconnect(had_error: bool) -> None:
        disconnects.append((had_error, client.ready_state))
        if len(disconnects) <= times:
            client.connect(server.port)
        else:
            server.close()
            ended.set_result(None)

    await ended
    await until(lambda: len(server_ends) == times + 1)
    assert disconnects == [(False, "closed")] * (times + 1)
    assert received == ["hello\r\n"] * (times + 1)
    assert server_ends == [False] * (times + 1)
    assert errors == []


@pytest.mark.parametrize("turns", range(8))
async def test_who_gives_up_at_any_moment_can_close_and_connect_again(turns: int) -> None:
    """In one turn there is a connection already, and its attempt has not ended yet."""
    accepted: list[tcp.Connection] = []
    async with tcp.Server(accepted.append) as server:
        await server.listen(0, "127.0.0.1")
        connection = tcp.Connection()
        waiting = asyncio.ensure_future(connection.connect(server.port))  # type: ignore[arg-type]
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        connection.full_close()
        await until(connection._is_over)
        await connection.connect(server.port)
        connection.full_close()
        await until(connection._is_over)
    for theirs in accepted:
        theirs.full_close()
    await until(lambda: all(theirs._is_over() for theirs in accepted))


async def test_a_connection_may_be_awaited() -> None:
    async with serving() as server:
        connection = await tcp.create_connection(server.port, "127.0.0.1")
        assert connection.ready_state == "open"
        assert await connection is connection
        connection.force_close()
        with pytest.raises(ConnectionClosed):
            await connection
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        await tcp.create_connection(port, "127.0.0.1")
