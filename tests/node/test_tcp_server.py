from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.node.recording import Recorder, pair, serving, tls
from tests.raw import connect, until
from wirehop.errors import ConnectionClosed
from wirehop.node import alive, bind, tcp


async def test_the_example_of_the_seed() -> None:
    def echo(socket: tcp.Connection) -> None:
        socket.set_encoding("utf8")

        def connected() -> None:
            socket.send("hello\r\n")

        def received(data: str) -> None:
            socket.send(data)

        def eof() -> None:
            socket.send("goodbye\r\n")
            socket.close()

        socket.add_listener("connect", connected)
        socket.add_listener("receive", received)
        socket.add_listener("eof", eof)

    server = tcp.create_server(echo, backlog=1024)
    await server.listen(0, "localhost")
    async with connect(server.port) as raw:
        await raw.send("größer\r\n".encode())
        assert await raw.read_until("größer\r\n".encode()) == "hello\r\ngrößer\r\n".encode()
        raw.finish()
        assert await raw.read_all() == b"goodbye\r\n"
    await server.close()


# --- listening


async def test_port_0_picks_one_and_the_same_for_every_address() -> None:
    server = tcp.Server(lambda connection: connection.full_close())
    await server.listen(0)
    assert server.port > 0
    assert server._server is not None
    assert {sock.getsockname()[1] for sock in server._server.sockets} == {server.port}
    async with connect(server.port) as raw:
        assert await raw.read_all() == b""
    await server.close()


TWO = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{host}", 0)) for host in (1, 2)]
"""What a name stands for that has two addresses."""


async def two_addresses(*place: Any, **options: Any) -> list[Any]:
    return TWO


@pytest.mark.parametrize("tries", [0, 1, 9])
async def test_a_free_port_that_is_taken_at_another_address(
    tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_addresses)
    taken = taken_so_often(tries, monkeypatch)
    async with tcp.create_server(lambda connection: connection.full_close()) as server:
        await server.listen(0, "a.name")
        assert len(taken) == tries
        assert server.host == "127.0.0.1"
        for host in "127.0.0.1", "127.0.0.2":
            reader, writer = await asyncio.open_connection(host, server.port)
            assert await reader.read() == b""
            writer.close()


async def test_no_port_is_free_at_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_addresses)
    taken = taken_so_often(1000, monkeypatch)
    with pytest.raises(OSError, match="no port is free at every address"):
        await tcp.create_server().listen(0, "a.name")
    assert all(sock.fileno() == -1 for sock in taken)


def taken_so_often(tries: int, monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The ports that are free at 127.0.0.1 are taken at 127.0.0.2; who tried has these sockets."""
    taken: list[socket.socket] = []

    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            if address[0] == "127.0.0.2" and len(taken) < tries:
                taken.append(self)
                raise OSError(errno.EADDRINUSE, "taken")
            super().bind(address)

    monkeypatch.setattr("wirehop.node.bind.socket.socket", Socket)
    return taken


async def test_sockets_that_are_bound_already() -> None:
    sockets = bind.sockets_at(0, "localhost", 10)
    port = sockets[0].getsockname()[1]
    assert {sock.getsockname()[1] for sock in sockets} == {port}
    server = tcp.Server(lambda connection: connection.full_close())
    # They queue who comes before the server is there.
    async with connect(port) as raw:
        await server.listen(sockets=sockets)
        assert (server.port, server.path) == (port, None)
        assert await raw.read_all() == b""
    await server.close()
    await server.listen(port, "127.0.0.1")
    await server.close()


async def test_a_server_that_is_closed_before_it_served_its_sockets() -> None:
    sockets = bind.sockets_at(0, None, 10)
    server = tcp.Server()
    listening = server.listen(sockets=sockets)
    await server.close()
    with pytest.raises(ConnectionClosed):
        await listening
    assert [sock.fileno() for sock in sockets] == [-1] * len(sockets)


async def test_sockets_of_which_one_cannot_be_served() -> None:
    sockets = bind.sockets_at(0, "127.0.0.1", 10)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setblocking(False)
    with pytest.raises(ValueError, match="[Ss]tream"):
        await tcp.Server().listen(sockets=[*sockets, datagrams])
    await asyncio.sleep(0)
    assert datagrams.fileno() == -1


def test_where_sockets_cannot_be() -> None:
    (taken,) = bind.sockets_at(0, "127.0.0.1", 10)
    with taken, pytest.raises(OSError) as caught:
        bind.sockets_at(taken.getsockname()[1], "127.0.0.1", 10)
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError) as caught:
        bind.sockets_at(0, "203.0.113.1", 10)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    with pytest.raises(ValueError):
        bind.sockets_at(-1, None, 10)


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
    await server.listen(0, "127.0.0.1")
    await server.close()


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


async def test_closing_before_it_listens() -> None:
    server = tcp.create_server()
    listening = server.listen(0, "127.0.0.1")
    server.close()
    with pytest.raises(ConnectionClosed):
        await listening
    # In the moment when it is done.
    listening = server.listen(0, "127.0.0.1")
    await until(lambda: server.port)
    port = server.port
    server.close()
    try:
        await listening
    except ConnectionClosed:
        pass
    with pytest.raises(ConnectionRefusedError):
        await tcp.Connection().connect(port)


async def test_who_waits_for_listen_and_is_cancelled_closes() -> None:
    server = tcp.create_server()
    waiting = asyncio.ensure_future(_wait(server.listen(0, "127.0.0.1")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await server.listen(0, "127.0.0.1")
    await server.close()


@pytest.mark.parametrize("host", [None, "127.0.0.1", "localhost", "::1"])
async def test_who_connects_in_the_turn_of_the_listen_gets_in(host: str | None) -> None:
    server = tcp.create_server(lambda connection: connection.full_close())
    try:
        server.listen(0, host)
        assert server.port > 0
        client = tcp.Connection()
        await client.connect(server.port, host or "127.0.0.1")
        client.force_close()
    finally:
        await server.close()


async def test_who_connects_to_a_path_in_the_turn_of_the_listen_gets_in(tmp_path: Path) -> None:
    server = tcp.create_server(lambda connection: connection.full_close())
    server.listen(path=tmp_path / "socket")
    client = await tcp.create_connection(path=tmp_path / "socket")
    client.force_close()
    await server.close()
    assert not (tmp_path / "socket").exists()
    # One that is closed before it could serve leaves nothing either.
    server.listen(path=tmp_path / "socket")
    await server.close()
    await asyncio.sleep(0)
    assert not (tmp_path / "socket").exists()


async def test_connections_of_sockets_that_were_bound_elsewhere_send_small_pieces_at_once() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    accepted: asyncio.Future[tcp.Connection] = asyncio.get_running_loop().create_future()
    server = tcp.create_server(accepted.set_result)
    await server.listen(sockets=[sock])
    client = await tcp.create_connection(server.port)
    far = (await accepted).output.get_extra_info("socket")
    assert far.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    client.force_close()
    (await accepted).force_close()
    await server.close()


async def test_a_failure_that_nobody_awaits_is_an_error_event(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as taken:
        server = tcp.create_server()
        errors: list[OSError] = []
        server.on("error", errors.append)
        server.listen(taken.port, "127.0.0.1")
        await until(lambda: errors)
        assert [error.errno for error in errors] == [errno.EADDRINUSE]
        # It may try again.
        server.listen(taken.port, "127.0.0.1")
        await until(lambda: len(errors) == 2)
        assert caplog.records == []


async def test_a_failure_that_nobody_hears_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as taken:
        tcp.create_server().listen(taken.port, "127.0.0.1")
        await until(lambda: caplog.records)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "a server cannot listen" in caplog.text
        assert "in use" in caplog.text


async def test_a_failure_that_is_awaited_is_no_event(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as taken:
        server = tcp.create_server()
        errors: list[OSError] = []
        server.on("error", errors.append)
        for attempt in (_wait, asyncio.ensure_future):
            with pytest.raises(OSError):
                await attempt(server.listen(taken.port, "127.0.0.1"))
        assert errors == []
        assert caplog.records == []


async def test_what_can_be_no_place() -> None:
    server = tcp.create_server()
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (TypeError, {}),
        (TypeError, {"port": 0, "path": "/tmp/x"}),
        (TypeError, {"port": "http"}),
        (ValueError, {"port": 65_536}),
        (TypeError, {"port": 0, "host": b"localhost"}),
        (ValueError, {"port": 0, "host": "a\0b"}),
        (ValueError, {"path": ""}),
        (ValueError, {"path": "\0abstract"}),
        (TypeError, {"port": 0, "ssl_context": True}),
    ]
    for error, arguments in wrong:
        with pytest.raises(error):
            server.listen(**arguments)
    await server.listen(0, "127.0.0.1")
    await server.close()


async def test_a_server_that_listens_keeps_its_program_alive() -> None:
    server = tcp.create_server()
    closed = []
    await server.listen(0, "127.0.0.1")
    asyncio.get_running_loop().call_later(0.02, lambda: (closed.append(True), server.close()))
    await alive.wait_until_idle()
    assert closed == [True]


async def test_the_connections_of_a_server_keep_its_program_alive() -> None:
    server = tcp.create_server()
    events = []

    @server.on("connection")
    def connected(connection: tcp.Connection) -> None:
        server.close()
        connection.on("eof", connection.close)
        connection.on("disconnect", events.append)

    await server.listen(0, "127.0.0.1")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        asyncio.get_running_loop().call_later(0.02, client.shutdown, socket.SHUT_WR)
        await alive.wait_until_idle()
        assert events == [False]


async def test_what_cannot_listen_keeps_nothing_alive() -> None:
    async with serving() as taken:
        with pytest.raises(OSError):
            await tcp.create_server().listen(taken.port, "127.0.0.1")
        await taken.close()
        await alive.wait_until_idle()


# --- Unix sockets


async def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = tcp.create_server()
    listening = server.listen(path=path)
    assert server.path == str(path)
    await listening
    assert path.is_socket()
    assert (server.host, server.port) == ("", 0)
    await server.close()
    assert not path.exists()
    await server.listen(path=str(path))
    await server.close()
    await server.listen(0, "127.0.0.1")
    assert server.path is None
    await server.close()


async def test_a_unix_socket_that_nobody_serves_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(lambda connection: connection.full_close(), path=path):
        recorder = Recorder(tcp.Connection())
        recorder.connection.on("eof", recorder.connection.close)
        await recorder.connection.connect(path=path)
        await recorder.until("disconnect")


async def test_a_unix_socket_that_somebody_serves_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    connections: list[tcp.Connection] = []
    async with serving(connections.append, path=path):
        with pytest.raises(OSError) as caught:
            await tcp.create_server().listen(path=path)
        assert caught.value.errno == errno.EADDRINUSE
        assert caught.value.filename == str(path)
        recorder = Recorder(tcp.Connection())
        await recorder.connection.connect(path=path)
        await until(lambda: connections)
        # Nobody knocked to find out.
        assert len(connections) == 1
        recorder.connection.force_close()


@pytest.mark.parametrize("content", ["a file", "a link"])
async def test_what_is_no_socket_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s"
    if content == "a file":
        path.write_text(content)
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError) as caught:
        await tcp.create_server().listen(path=path)
    assert caught.value.errno == errno.EADDRINUSE
    assert path.is_symlink() or path.read_text() == content


async def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await tcp.create_server().listen(path=tmp_path / "no" / "s")
    with pytest.raises(OSError, match="too long"):
        await tcp.create_server().listen(path=str(tmp_path / ("s" * 200)))


async def test_the_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first, second = tcp.create_server(), tcp.create_server()
    await first.listen(path=path)
    path.unlink()
    await second.listen(path=path)
    await first.close()
    assert path.is_socket()
    path.unlink()
    await second.close()


async def test_a_relative_path_is_removed_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = tcp.create_server()
    await server.listen(path="s")
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path / "d")
    await server.close()
    assert not (tmp_path / "s").exists()


async def test_a_unix_server_that_cannot_be_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*args: Any, **options: Any) -> Any:
        raise OSError(errno.EMFILE, "too many")

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "create_unix_server", fails)
        with pytest.raises(OSError, match="too many"):
            await tcp.create_server().listen(path=tmp_path / "s")
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


# --- TLS


async def test_whoever_fails_the_handshake_is_gone_and_nobody_hears_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server_tls, client_tls = tls()
    with caplog.at_level(logging.INFO):
        connections: list[tcp.Connection] = []
        async with serving(connections.append, ssl_context=server_tls) as server:
            good = Recorder(tcp.Connection())
            async with connect(server.port) as plain, connect(server.port) as silent:
                await plain.send(b"GET / HTTP/1.1\r\n\r\n")
                await plain.read_all()
                silent.reset()
            await good.connection.connect(server.port, ssl_context=client_tls, server_hostname="localhost")
            await until(lambda: connections)
            assert len(connections) == 1
            good.connection.force_close()
        assert caplog.records == []


async def test_a_silent_client_is_gone_by_the_timeout_of_the_handshake(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tcp, "HANDSHAKE_TIMEOUT", 0.02)
    connections: list[tcp.Connection] = []
    with caplog.at_level(logging.INFO):
        async with serving(connections.append, ssl_context=tls()[0]) as server, connect(server.port) as raw:
            try:
                assert await raw.read_all() == b""
            except ConnectionError:
                pass
    assert connections == []
    assert caplog.records == []


async def test_a_handshake_that_outlives_its_server() -> None:
    server_tls, client_tls = tls()
    connections: list[tcp.Connection] = []
    server = tcp.create_server(connections.append)
    await server.listen(0, "127.0.0.1", ssl_context=server_tls)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with connect(server.port) as raw:
        with pytest.raises(ssl.SSLWantReadError):
            handshake.do_handshake()
        await raw.send(outgoing.read())
        incoming.write(await raw.reader.read(1 << 16))
        await server.close()
        handshake.do_handshake()
        await raw.send(outgoing.read())
        try:
            await raw.read_all()
        except ConnectionError:
            pass
    assert connections == []
    await alive.wait_until_idle()


async def _wait(awaitable: Any) -> None:
    await awaitable
