"""How a server gets its sockets: one port at every address, or the path of a Unix socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import stat
from collections.abc import Callable
from typing import Any

from wirehop.node.dial import host_name, port_number, socket_path
from wirehop.node.tls import check_server_context

__all__ = ["Place", "SocketFile", "bind_path", "bind_port", "set_backlog"]

_SAME_PORT_TRIES = 10
"""How often a free port is sought that several addresses have in common; mostly once."""

Accept = Callable[[], asyncio.BaseProtocol]


class Place:
    """Where to listen: a port of a host, or the path of a Unix socket.

    Raises ``TypeError`` and ``ValueError`` for what can be no place.
    """

    __slots__ = ("host", "path", "port")

    def __init__(
        self,
        port: int | None,
        host: str | None,
        path: str | os.PathLike[str] | None,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        if (port is None) == (path is None):
            raise TypeError("a port or a path is needed, and not both")
        self.port = 0 if port is None else port_number(port)
        self.host = host if host is None else host_name(host)
        self.path = path if path is None else socket_path(path)
        check_server_context(ssl_context)


async def bind_port(accept: Accept, port: int, host: str | None, **options: Any) -> asyncio.Server:
    """Bind every address that ``host`` stands for, with port 0 to one free port of all.

    ``options`` are those of ``loop.create_server``. The server does not accept yet.
    """
    loop = asyncio.get_running_loop()
    wanted = port
    for _ in range(_SAME_PORT_TRIES):
        try:
            server = await loop.create_server(accept, host or None, wanted, start_serving=False, **options)
        except OSError:
            if wanted == port:
                raise
            # Somebody else has it at another of the addresses.
            wanted = port
            continue
        ports = [sock.getsockname()[1] for sock in server.sockets]
        if len(set(ports)) == 1:
            return server
        server.close()
        # uvloop closes in the next turn.
        await asyncio.sleep(0)
        wanted = ports[0]
    raise OSError(errno.EADDRINUSE, "no port is free at every address")


async def bind_path(accept: Accept, path: str, **options: Any) -> tuple[asyncio.Server, SocketFile]:
    """Bind a Unix socket to ``path``, in place of a socket that nobody serves any more.

    ``options`` are those of ``loop.create_unix_server``. The server does not accept yet.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(sock, path)
        file = SocketFile(path)
    except BaseException:
        sock.close()
        raise
    try:
        server = await asyncio.get_running_loop().create_unix_server(
            accept, sock=sock, start_serving=False, **options
        )
    except BaseException:
        sock.close()
        file.remove()
        raise
    return server, file


def set_backlog(server: asyncio.Server, backlog: int) -> None:
    """Let so many connections wait to be accepted, from now on, by a server that accepts already."""
    for sock in server.sockets:
        # What the server shows has no listen().
        own = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
        try:
            own.listen(backlog)
        finally:
            own.detach()


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
