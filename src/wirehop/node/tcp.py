"""TCP as events (seed: Node 0.1.0, ``node.tcp``): what HTTP and every storey above stand on.

Unix sockets and TLS are the same, but for what :meth:`Connection.close` says of TLS.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Generator, Sequence
from typing import Any, Self, cast

from wirehop.core.events import EventEmitter, Listener, nobody_took
from wirehop.core.output import Output
from wirehop.errors import ConnectionClosed
from wirehop.node import alive, bind, encodings
from wirehop.node.dial import Attempt, Target
from wirehop.node.errand import Errand
from wirehop.node.stream import UNANNOUNCED, WRITABLE, Stream

__all__ = ["SEND_LIMIT", "WRITABLE", "Connection", "Server", "create_connection", "create_server"]

HIGH_WATER = 1 << 20
"""Bytes that the socket did not take, above which :meth:`Connection.send` waits: as much as a
fast reader empties in a moment, and little enough for thousands of slow ones."""

SEND_LIMIT = 64 << 20
"""Bytes left unread at which a connection is cut: room for the largest messages in a row."""

SEND_TIMEOUT = 10.0
"""Seconds without progress, above the high water or while closing, after which a connection is
cut: longer than any phone is between two cells, and still the end of who will never read."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for a TLS handshake, which is two round trips: who says nothing for so long costs a
server a descriptor and will not become a client."""


class Connection(Stream):
    """One connection: a client's, or a server's end of one (seed: ``node.tcp.Connection``).

    ========================= ===================================================================
    ``connect()``             it is open
    ``receive(data)``         ``bytes``, or text after :meth:`set_encoding`
    ``eof()``                 the other side sends no more; ``ready_state`` is "writeOnly", or
                              "closed" when this side had closed already
    ``drain()``               the system took all that was sent, in a later turn than that
    ``timeout()``             nothing was sent or received for ``idle_timeout`` seconds (60), and
                              again after as many more; it closes nothing
    ``disconnect(had_error)`` it is over; the last event, once
    ========================= ===================================================================

    ``ready_state`` is "opening", "open", "readOnly", "writeOnly" or "closed". ``server`` is the
    server whose end of a connection this is, or None. A connection keeps its program alive until
    it is over.
    """

    __slots__ = ("_attempt", "remote_address", "remote_port", "server")

    def __init__(self, server: Server | None = None) -> None:
        super().__init__("closed" if server is None else "opening")
        self.server = server
        self.remote_address: str | None = None
        """The IP address of the other side, or None (Unix sockets; nobody is there)."""
        self.remote_port: int | None = None
        self._attempt: Attempt | None = None

    def connect(
        self,
        port: int | None = None,
        host: str = "127.0.0.1",
        *,
        path: str | os.PathLike[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Awaitable[None]:
        """Connect to a port of a host, or to the Unix socket at ``path``.

        Each address of a name is tried, IPv4 first. ``timeout`` is in seconds and for all of it:
        name, connection and TLS handshake; without one it takes as long as the system tries, two
        minutes or so for each address. With TLS the certificate must be that of
        ``server_hostname``, which is the host if it is not given.

        May be awaited. A failure is ``disconnect(True)``, and the awaitable raises the ``OSError``
        (``TimeoutError`` and ``ssl.SSLError`` are such). Closed by this side before there is a
        connection, it raises ``ConnectionClosed``; who waits and is cancelled closes it.

        Raises ``RuntimeError`` unless the connection is over: it is when it is new, in and after
        ``disconnect``, and after :meth:`force_close`. Raises ``TypeError`` and ``ValueError`` for
        what can be no target.
        """
        target = Target(port, host, path, ssl_context, server_hostname, timeout)
        if self.server is not None or self.ready_state != "closed" or not self._is_over():
            raise RuntimeError("this connection is a server's, or not over yet")
        if not self._is_lost:
            # What is left of the one before must not speak for the next.
            self.output.transport.set_protocol(asyncio.Protocol())
            self.connection_lost(None)
        self._is_forced = False
        self._stopped = 0
        self._early = None
        self._decode = encodings.decoder(self._encoding)
        self.ready_state = "opening"
        self._attempt = Attempt(target, self._reached, self._attempt_ended, HANDSHAKE_TIMEOUT, SEND_TIMEOUT)
        alive.keep(self)
        return self._attempt

    def full_close(self) -> None:
        """Close both ends once what was sent is out. "closed" at once: nothing more is received,
        and ``disconnect`` follows. An attempt to connect is given up: ``disconnect(False)``."""
        if self._attempt is not None:
            self.ready_state = "closed"
            self._attempt.abandon()
        else:
            super().full_close()

    def force_close(self) -> None:
        """Close now: nothing more is sent or received, and no event follows, ``disconnect``
        neither."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.abandon()
        super().force_close()

    @property
    def local_address(self) -> str | None:
        """The IP address of this side, or None (Unix sockets; nobody is there)."""
        return self._local()[0]

    @property
    def local_port(self) -> int | None:
        """The port of this side, or None as for :attr:`local_address`."""
        return self._local()[1]

    def __await__(self) -> Generator[Any, None, Self]:
        """Wait until it is open; gives the connection. Raises as the awaitable of :meth:`connect`, and
        ``ConnectionClosed`` when it is over."""
        if self._attempt is not None:
            yield from self._attempt.__await__()
        elif self.ready_state == "closed":
            raise ConnectionClosed("Local Connection Closed")
        return self

    async def __aenter__(self) -> Self:
        """Wait until it is open. Raises as awaiting it."""
        return await self

    async def __aexit__(self, *exc: object) -> None:
        self.full_close()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made(transport, HIGH_WATER, SEND_LIMIT, SEND_TIMEOUT)
        if self.server is None:
            self.emit("connect")

    # --- from here on: its own business

    def _made(
        self, transport: asyncio.BaseTransport, high_water: int, send_limit: int, send_timeout: float
    ) -> None:
        self.output = Output(
            cast(asyncio.Transport, transport),
            self._loop,
            high_water=high_water,
            limit=send_limit,
            timeout=send_timeout,
            overflow=self._overflow,
        )
        self.remote_address, self.remote_port = _ip(transport.get_extra_info("peername"))
        self._began()

    def _reached(self, transport: asyncio.Transport) -> None:
        self._attempt = None
        transport.set_protocol(self)
        self.connection_made(transport)

    def _attempt_ended(self, attempt: Any, error: BaseException | None) -> None:
        # It is no longer there when it made its connection, or when that was forced to close.
        was_abandoned = attempt.is_abandoned
        if self._attempt is attempt:
            self._attempt = None
            self._disconnected(not was_abandoned)
        elif error is not None and not self._is_lost and self.output.transport is attempt.transport:
            # Who waited gave up in the very moment.
            self.output.abort()
            self.connection_lost(None)

    def _is_over(self) -> bool:
        return self._attempt is None and super()._is_over()

    def _overflow(self, reason: str) -> None:
        self._log.warning("cut %s: %s", self.remote_address, reason)
        self.ready_state = "closed"
        self.output.lost(reason)
        self.output.abort()

    def _local(self) -> tuple[str | None, int | None]:
        return (None, None) if self._is_lost else _ip(self.output.get_extra_info("sockname"))


class Server(EventEmitter):
    """Accepts connections (seed: ``node.tcp.Server``).

    Events: ``connection(connection)``, which comes before the connection's own ``connect``, and
    ``error(exception)`` when it could not listen and nobody awaited that. A server that listens
    keeps its program alive.
    """

    _log = logging.getLogger("wirehop.node")

    def __init__(self, listener: Listener | None = None, *, backlog: int = 1024) -> None:
        self._backlog = backlog
        self._server: asyncio.Server | bind.Bound | None = None
        self._listening: Errand | None = None
        self._file: bind.SocketFile | None = None
        self.host = ""
        self.port = 0
        self.path: str | None = None
        """Where its Unix socket is, or None."""
        if listener is not None:
            self.on("connection", listener)

    def listen(
        self,
        port: int | None = None,
        host: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        sockets: Sequence[socket.socket] = (),
    ) -> Awaitable[None]:
        """Accept connections on ``port`` (0 picks one) of ``host``, or of every address; or on a
        Unix socket at ``path``, which replaces a socket that nobody serves any more; or on
        ``sockets`` that are bound already, which it takes over.

        Who connects from now on gets in, and ``host`` and ``port`` say where; for the name of a host,
        which has to be looked up, only when this was awaited. Awaiting it raises ``OSError`` when it
        cannot be. If nobody waits for it a failure is an ``error`` event, or logged when nobody
        listens to that, and ends the program with 1. Closed before it is done, it raises
        ``ConnectionClosed``; who waits and is cancelled closes it.

        Raises ``RuntimeError`` while it listens already, ``TypeError`` and ``ValueError`` for what
        is no place to listen.
        """
        place = bind.Place(port, host, path, ssl_context, sockets)
        if self._listening is not None:
            raise RuntimeError("this server listens already")
        self.path = place.path
        failure: OSError | None = None
        try:
            self._file = bind.bind_now(place, self._backlog)
            if place.sockets:
                self._is_at(place.sockets[0])
        except OSError as error:
            failure = error

        def ended(errand: Errand, error: BaseException | None) -> None:
            self._listen_ended(errand, error)
            if error is not None:
                # It may never have begun with them.
                for sock in place.sockets:
                    sock.close()

        self._listening = Errand(self._listen(place, ssl_context, failure), ended)
        alive.keep(self)
        return self._listening

    def close(self) -> Awaitable[None]:
        """Accept no more. The connections that are open stay so."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.abandon()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._file is not None:
            self._file.remove()
            self._file = None
        alive.release(self)
        closed = asyncio.get_running_loop().create_future()
        closed.set_result(None)
        return closed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _listen(
        self, place: bind.Place, ssl_context: ssl.SSLContext | None, failure: OSError | None
    ) -> None:
        if failure is not None:
            raise failure
        # For asyncio's loop it is also how often it tries to accept in one turn: with no descriptor
        # left it would fail, and log, as often, every second.
        options: dict[str, Any] = {"backlog": 1}
        if ssl_context is not None:
            options |= {
                "ssl": ssl_context,
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT,
                "ssl_shutdown_timeout": SEND_TIMEOUT,
            }
        if place.path is not None:
            self._server = await bind.bind_path(self._accept, place.sockets[0], **options)
        else:
            if not place.sockets:
                place.sockets = await bind.sockets_of(place, self._backlog)
                self._is_at(place.sockets[0])
            self._server = await bind.bind_sockets(self._accept, place.sockets, **options)
        await self._server.start_serving()
        bind.set_backlog(self._server, self._backlog)

    def _listen_ended(self, errand: Errand, error: BaseException | None) -> None:
        if error is None or self._listening is not errand:
            return
        self._listening = None
        self.close()
        if errand.is_awaited or errand.is_abandoned or self.emit("error", error):
            return
        self._log.error("a server cannot listen: %s", error)
        if isinstance(error, Exception):
            nobody_took(error)

    def _is_at(self, sock: Any) -> None:
        name = sock.getsockname()
        self.host, self.port = name[:2] if isinstance(name, tuple) else ("", 0)

    def _accept(self) -> asyncio.BaseProtocol:
        return _Accepted(self)


class _Accepted(Connection):
    """The server's end of a connection, which the server's listeners see first."""

    __slots__ = ()

    server: Server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # TLS may have data already, which belongs after "connect".
        self._stopped = UNANNOUNCED
        super().connection_made(transport)
        if self.server._server is None:
            # It was accepted already, and the server was closed since.
            self.force_close()
            return
        self.server.emit("connection", self)
        self._loop.call_soon(self._announce)

    def _announce(self) -> None:
        if self.ready_state != "closed":
            self.emit("connect")
        self._let_flow(UNANNOUNCED)


def create_server(listener: Listener | None = None, *, backlog: int = 1024) -> Server:
    """A server that calls ``listener(connection)`` for each connection. ``backlog`` connections
    may wait to be accepted (seed: ``node.tcp.createServer``)."""
    return Server(listener, backlog=backlog)


def create_connection(
    port: int | None = None,
    host: str = "127.0.0.1",
    *,
    path: str | os.PathLike[str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    timeout: float | None = None,
) -> Connection:
    """A connection that is connecting already, and may be awaited until it is open (seed:
    ``node.tcp.createConnection``); the arguments are those of :meth:`Connection.connect`."""
    connection = Connection()
    connection.connect(
        port,
        host,
        path=path,
        ssl_context=ssl_context,
        server_hostname=server_hostname,
        timeout=timeout,
    )
    return connection


def _ip(name: Any) -> tuple[str | None, int | None]:
    """Address and port of a socket's name, which is text for Unix sockets, and None for a remote
    that has left already."""
    return (name[0], name[1]) if isinstance(name, tuple) else (None, None)
