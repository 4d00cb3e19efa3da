"""How a connection is opened: a target, its addresses in turn, TLS, and a deadline."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

from wirehop.node.errand import Errand
from wirehop.node.tls import check_client_context

__all__ = ["Attempt", "Target", "host_name", "port_number", "socket_path"]


class Target:
    """Where to connect, and how: to a port of a host, or to the path of a Unix socket.

    Raises ``TypeError`` and ``ValueError`` for what can be no target.
    """

    __slots__ = ("host", "path", "port", "server_hostname", "ssl_context", "timeout")

    def __init__(
        self,
        port: int | None,
        host: str,
        path: str | os.PathLike[str] | None,
        ssl_context: ssl.SSLContext | None,
        server_hostname: str | None,
        timeout: float | None,
    ) -> None:
        if (port is None) == (path is None):
            raise TypeError("a port or a path is needed, and not both")
        self.port = 0 if port is None else port_number(port)
        self.host = host_name(host)
        self.path = path if path is None else socket_path(path)
        check_client_context(ssl_context)
        if ssl_context is None:
            if server_hostname is not None:
                raise ValueError("server_hostname is of use with ssl_context only")
        elif server_hostname is None:
            if path is not None:
                raise ValueError("TLS over a Unix socket needs a server_hostname")
            server_hostname = host
        self.ssl_context = ssl_context
        self.server_hostname = server_hostname
        if timeout is not None and not timeout > 0:
            raise ValueError(f"a timeout is more than 0 seconds, not {timeout!r}")
        self.timeout = timeout


def port_number(port: object) -> int:
    """``port``, if it is one. Raises ``TypeError`` or ``ValueError`` if not."""
    if not isinstance(port, int):
        raise TypeError(f"a port is an int, not {type(port).__name__}")
    if not 0 <= port <= 65_535:
        raise ValueError(f"a port is between 0 and 65535, not {port}")
    return port


def host_name(host: object) -> str:
    """``host``, if it may be the name of one. Raises ``TypeError`` or ``ValueError`` if not."""
    if not isinstance(host, str):
        raise TypeError(f"a host is text, not {type(host).__name__}")
    if "\0" in host:
        raise ValueError(f"{host!r} is no host")
    return host


def socket_path(path: str | os.PathLike[str]) -> str:
    """``path`` as text, if it may name a Unix socket. Raises ``TypeError`` or ``ValueError`` if
    not."""
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"a path is text, not {type(name).__name__}")
    if not name or "\0" in name:
        raise ValueError(f"{name!r} is no path")
    return name


class Attempt(Errand, asyncio.Protocol):
    """One attempt to reach a target. ``made(transport)`` is called when it has a transport, which
    then needs a protocol; never after the attempt was abandoned."""

    __slots__ = ("_made", "transport")

    def __init__(
        self,
        target: Target,
        made: Callable[[asyncio.Transport], None],
        ended: Callable[[Errand, BaseException | None], None],
        handshake_timeout: float,
        shutdown_timeout: float,
    ) -> None:
        self._made = made
        self.transport: asyncio.Transport | None = None
        """What was given to ``made``."""
        super().__init__(_dial(target, self, handshake_timeout, shutdown_timeout), ended)

    def connection_made(self, transport: Any) -> None:
        if self.is_abandoned:
            transport.abort()
        else:
            self.transport = transport
            self._made(transport)

    def abandon(self) -> None:
        if self.transport is None:
            super().abandon()
        else:
            # It is all but done. Cancelled now, uvloop would close the socket and tell nobody.
            self.is_abandoned = True


async def _dial(
    target: Target, protocol: asyncio.Protocol, handshake_timeout: float, shutdown_timeout: float
) -> None:
    tls: dict[str, Any] = {}
    if target.ssl_context is not None:
        tls = {
            "ssl": target.ssl_context,
            "server_hostname": target.server_hostname,
            # A timeout that the user gave is enough.
            "ssl_handshake_timeout": target.timeout or handshake_timeout,
            "ssl_shutdown_timeout": shutdown_timeout,
        }
    try:
        async with asyncio.timeout(target.timeout) as limit:
            if target.path is not None:
                await _dial_path(target.path, protocol, tls)
            else:
                await _dial_port(target.port, target.host, protocol, tls)
    except TimeoutError:
        # ETIMEDOUT, which the system gives, is one too.
        if limit.expired():
            raise TimeoutError(f"no connection within {target.timeout:g} s") from None
        raise


async def _dial_port(port: int, host: str, protocol: asyncio.Protocol, tls: dict[str, Any]) -> None:
    """Try the addresses of the host one after the other; the error of the first one counts."""
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for address in await _addresses(host, port):
        try:
            await loop.create_connection(lambda: protocol, address, port, **tls)
            return
        except ssl.SSLError:
            # Somebody is there, and not who was wanted.
            raise
        except OSError as error:
            failure = failure or error
    raise failure or socket.gaierror(socket.EAI_NONAME, f"{host} has no address")


async def _addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, IPv4 first as in the seed."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return [host]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no name of a host") from error
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return [_address(entry[4]) for entry in found]


def _address(sockaddr: tuple[Any, ...]) -> str:
    # An IPv6 address of one link is none without the number of its interface.
    scope = sockaddr[3] if len(sockaddr) == 4 else 0
    return f"{sockaddr[0]}%{scope}" if scope else str(sockaddr[0])


async def _dial_path(path: str, protocol: asyncio.Protocol, tls: dict[str, Any]) -> None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # Not by the loop: a Unix socket connects at once or not at all, but asyncio waits when the
        # server's backlog is full (EAGAIN), and takes the end of its wait for a connection.
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    await asyncio.get_running_loop().create_unix_connection(lambda: protocol, sock=sock, **tls)
