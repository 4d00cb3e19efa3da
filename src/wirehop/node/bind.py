"""How a server gets its sockets: one port at every address, the path of a Unix socket, or sockets that
somebody else has bound."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Callable, Sequence
from typing import Any

from wirehop.node.dial import host_name, port_number, socket_path
from wirehop.node.tls import check_server_context

__all__ = [
    "Bound",
    "Place",
    "SocketFile",
    "bind_now",
    "bind_path",
    "bind_sockets",
    "set_backlog",
    "sockets_at",
    "sockets_of",
]

_SAME_PORT_TRIES = 10
"""How often a free port is sought that several addresses have in common; mostly once."""

_PASSIVE: dict[str, Any] = {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}

_IP = (socket.AF_INET, socket.AF_INET6)

Accept = Callable[[], asyncio.BaseProtocol]


class Place:
    """Where to listen: a port of a host, the path of a Unix socket, or sockets that are bound.

    Raises ``TypeError`` and ``ValueError`` for what can be no place.
    """

    __slots__ = ("host", "path", "port", "sockets")

    def __init__(
        self,
        port: int | None,
        host: str | None,
        path: str | os.PathLike[str] | None,
        ssl_context: ssl.SSLContext | None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        if (port is not None) + (path is not None) + bool(sockets) != 1:
            raise TypeError("a port or a path is needed, or sockets, and only one of them")
        self.sockets = sockets
        self.port = 0 if port is None else port_number(port)
        self.host = host if host is None else host_name(host)
        self.path = path if path is None else socket_path(path)
        check_server_context(ssl_context)


def bind_now(place: Place, backlog: int) -> SocketFile | None:
    """Give ``place`` sockets that listen already, if it can be done without a word from anybody else:
    for a path, whose file is returned, for addresses, for "localhost" and for every address of the
    machine, but not for the name of a host. Raises ``OSError``."""
    if place.path is not None:
        sock, file = listen_at_path(place.path, backlog)
        place.sockets = [sock]
        return file
    if not place.sockets and is_known(place.host):
        place.sockets = sockets_at(place.port, place.host, backlog)
    return None


def is_known(host: str | None) -> bool:
    """Whether a host's addresses are known without a resolver."""
    if not host or host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def listen_at_path(path: str, backlog: int) -> tuple[socket.socket, SocketFile]:
    """A Unix socket that listens at ``path``, in place of one that nobody serves any more."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _bind(sock, path)
        file = SocketFile(path)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock, file


async def bind_path(accept: Accept, sock: socket.socket, **options: Any) -> asyncio.Server:
    """Serve a Unix socket that is bound already. The server does not accept yet. ``options`` are those
    of ``loop.create_unix_server``."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(accept, sock=sock, start_serving=False, **options)


def set_backlog(server: asyncio.Server | Bound, backlog: int) -> None:
    """Let so many connections wait to be accepted, from now on, by a server that accepts already."""
    for sock in server.sockets:
        # What the server shows has no listen().
        own = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
        try:
            own.listen(backlog)
        finally:
            own.detach()


class Bound:
    """Servers of one socket each, as one."""

    def __init__(self, servers: Sequence[asyncio.Server]) -> None:
        self._servers = servers

    @property
    def sockets(self) -> tuple[Any, ...]:
        return tuple(sock for server in self._servers for sock in server.sockets)

    async def start_serving(self) -> None:
        for server in self._servers:
            await server.start_serving()

    def close(self) -> None:
        for server in self._servers:
            server.close()


async def bind_sockets(accept: Accept, sockets: Sequence[socket.socket], **options: Any) -> Bound:
    """Serve sockets that are bound already; they are the server's then. The server does not accept
    yet. ``options`` are those of ``loop.create_server``."""
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    try:
        for sock in sockets:
            if sock.family in _IP and sock.type == socket.SOCK_STREAM:
                # Connections inherit it; asyncio sees to it only where a socket says that it is TCP.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = await loop.create_server(accept, sock=sock, start_serving=False, **options)
            servers.append(server)
    except BaseException:
        Bound(servers).close()
        for sock in sockets[len(servers) :]:
            sock.close()
        raise
    return Bound(servers)


def sockets_at(port: int, host: str | None, backlog: int) -> list[socket.socket]:
    """Sockets that listen on ``port`` (0 picks one for all) at every address that ``host`` stands for,
    None for every one of the machine. At once, as the seed's ``listen``: who connects waits until
    somebody accepts. So it blocks while a name is looked up.

    Raises ``OSError`` when it cannot be, ``TypeError`` and ``ValueError`` for what is no place.
    """
    place = Place(port, host, None, None)
    return _at_one_port(socket.getaddrinfo(place.host or None, place.port, **_PASSIVE), place.port, backlog)


async def sockets_of(place: Place, backlog: int) -> list[socket.socket]:
    """As :func:`sockets_at`, without blocking."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(place.host or None, place.port, **_PASSIVE)
    return _at_one_port(found, place.port, backlog)


def _at_one_port(found: Sequence[Any], port: int, backlog: int) -> list[socket.socket]:
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
    for _ in range(_SAME_PORT_TRIES):
        try:
            return _listening(addresses, port, backlog)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free at every address")


def _listening(addresses: dict[tuple[Any, Any], None], port: int, backlog: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses:
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                # The system knows the address and not its family.
                continue
            sockets.append(sock)
            sock.setblocking(False)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind((address[0], port, *address[2:]))
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL or len(addresses) == 1:
                    reason = (error.strerror or str(error)).lower()
                    where = (address[0], port)
                    raise OSError(error.errno, f"cannot listen at {where!r}: {reason}") from None
                sockets.pop().close()
                continue
            sock.listen(backlog)
            port = sock.getsockname()[1]
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


class SocketFile:
    """The file of a Unix socket that was bound just now."""

    __slots__ = ("_id", "_path")

    def __init__(self, path: str) -> None:
        # The program may be somewhere else when it closes.
        self._path = os.path.abspath(path)
        self._id = _id(path)

    def remove(self) -> None:
        """Remove the file, unless it is gone or somebody else's by now."""
        try:
            if _id(self._path) == self._id:
                os.unlink(self._path)
        except OSError:
            pass


def _id(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _bind(sock: socket.socket, path: str) -> None:
    # Not by the loop, which would take the file from a server that lives.
    try:
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if not _is_stale(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path) from None
        os.unlink(path)
        sock.bind(path)


def _is_stale(path: str) -> bool:
    """Whether ``path`` is the file of a socket that no process has open."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    # The wrong type of socket: to a server that lives it is no connection, only an error.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED
