"""An HTTP/1.1 client for one server: requests leave one after the other (RFC 9112)."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import re
import ssl
from collections import deque
from collections.abc import Awaitable
from typing import Self

from wirehop.core.deadlines import Deadlines
from wirehop.core.events import EventEmitter
from wirehop.core.steps import Steps
from wirehop.core.waiters import Moment
from wirehop.errors import ConnectionClosed, LimitExceeded
from wirehop.node import alive
from wirehop.node.dial import Target
from wirehop.node.http.client_connection import ClientConnection
from wirehop.node.http.client_request import ClientRequest
from wirehop.node.http.headers import Headers
from wirehop.node.http.limits import ClientLimits

__all__ = ["Client", "create_client"]


_HOST = re.compile(r"[!-~]+")


class Client(EventEmitter):
    """Asks one server (seed: Node 0.1.0, ``node.http.Client``). Event: ``error(exception)``, for
    each request that failed, and once when the server cannot be reached.

    Requests wait for their turn in the order in which they were made, and none is sent before
    the response to the one before is complete. The connection is made for the first request, kept
    as long as both sides allow it, and made again when it is needed. A server may close a kept
    connection just when a request leaves: one that may be asked twice (RFC 9110, 9.2.2) is then
    sent once more, unless some of its body is gone.

    A request that fails does not touch those behind it, but when the server cannot be reached all
    of them fail. A client keeps its program alive while it has requests; a connection that is
    only kept does not.
    """

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        *,
        ssl_context: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        timeout: float | None = None,
        limits: ClientLimits | None = None,
    ) -> None:
        limits = limits or ClientLimits()
        if timeout is not None:
            limits = dataclasses.replace(limits, response_timeout=timeout)
        self._connect_timeout = None if math.isinf(limits.connect_timeout) else limits.connect_timeout
        # It says now what is wrong, not when the first request fails.
        Target(port, host, None, ssl_context, server_hostname, self._connect_timeout)
        self.port = port
        self.host = host
        self.authority = _authority(host, port, 80 if ssl_context is None else 443)
        """What the Host header says."""
        self.limits = limits
        self.deadlines = Deadlines(asyncio.get_running_loop())
        self._ssl_context = ssl_context
        self._server_hostname = server_hostname
        self._queue: deque[ClientRequest] = deque()
        self._is_busy = False
        self._held = 0
        self._connection: ClientConnection | None = None
        # With those that are still closing.
        self._connections: set[ClientConnection] = set()
        self._opening = Steps()
        self._is_closing = False
        self._closed = Moment()

    def get(self, path: str, headers: Headers = ()) -> ClientRequest:
        """Ask for ``path``; see :meth:`request`."""
        return self.request("GET", path, headers)

    def head(self, path: str, headers: Headers = ()) -> ClientRequest:
        """Ask for the head of a response only; see :meth:`request`."""
        return self.request("HEAD", path, headers)

    def post(self, path: str, headers: Headers = ()) -> ClientRequest:
        """Send something to ``path``; see :meth:`request`."""
        return self.request("POST", path, headers)

    def put(self, path: str, headers: Headers = ()) -> ClientRequest:
        """Put something at ``path``; see :meth:`request`."""
        return self.request("PUT", path, headers)

    def delete(self, path: str, headers: Headers = ()) -> ClientRequest:
        """Delete what is at ``path``; see :meth:`request`."""
        return self.request("DELETE", path, headers)

    del_ = delete

    def request(self, method: str, path: str, headers: Headers = ()) -> ClientRequest:
        """A request, which is sent when it is its turn; call its ``finish()``.

        ``headers`` are pairs. Host is added if it is not there; Transfer-Encoding (which may only
        be "chunked") and Connection are set here, "close" is heeded. The method is sent as it is.

        Raises ``ValueError`` for a header, a method or a path that cannot be sent,
        ``LimitExceeded`` when too many requests wait, ``RuntimeError`` for a closed client.
        """
        if self._is_closing:
            raise RuntimeError("this client is closed")
        if len(self._queue) >= self.limits.max_queued:
            raise LimitExceeded(f"{self.limits.max_queued} requests wait for their turn already")
        request = ClientRequest(self, method, path, headers)
        alive.keep(self)
        self._queue.append(request)
        self._advance()
        return request

    def close(self) -> Awaitable[None]:
        """Close when the requests are done; there can be no others. May be awaited."""
        self._is_closing = True
        self._advance()
        return self._closed

    def abort(self) -> None:
        """Close now: the requests that are not done fail with ``ConnectionClosed``."""
        self._is_closing = True
        if self._connection is not None:
            self._connection.cut()
        self._fail_all(ConnectionClosed("Local Connection Closed"))
        for connection in list(self._connections):
            connection.force_close()
        self._advance()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Wait for the requests and close. Those that nobody finished fail, bodies that nobody
        reads are dropped, and after an error nothing is waited for."""
        if kind is not None:
            self.abort()
        for request in list(self._queue):
            if request.finished:
                request.forsake()
            else:
                self.abandon(request, ConnectionClosed("Local Connection Closed"))
        await self.close()

    # --- called by a request

    def abandon(self, request: ClientRequest, error: Exception) -> None:
        """It will never be finished."""
        if self._is_busy and self._queue[0] is request:
            self._is_busy = False
            connection, self._connection = self._connection, None
            assert connection is not None
            connection.cut()
        self._queue.remove(request)
        request.fail(error)
        self._advance()

    def make_sure_of_room(self, size: int) -> None:
        """Raise ``LimitExceeded`` when ``size`` bytes more may not wait for their turn."""
        if self._held + size > (limit := self.limits.send_limit):
            raise LimitExceeded(f"more than {limit} bytes were waiting for an earlier response")

    def hold(self, size: int) -> None:
        """Count what requests hold until it is their turn."""
        self._held += size

    # --- called by a connection

    def connected(self, connection: ClientConnection) -> None:
        """It is open."""
        self._advance()

    def exchange_over(self, connection: ClientConnection, request: ClientRequest) -> None:
        """A response is complete, and its request."""
        self._next(connection, request)

    def exchange_failed(self, connection: ClientConnection, request: ClientRequest, error: Exception) -> None:
        """There will be no response, or no more of it; the connection is of no use any more."""
        request.fail(error)
        self.emit("error", error)
        self._next(connection, request)

    def retry(self, connection: ClientConnection, request: ClientRequest) -> None:
        """The server had closed before it read the request."""
        request.was_retried = True
        request.rewind()
        self._is_busy = False
        self.connection_gone(connection)

    def connection_gone(self, connection: ClientConnection) -> None:
        """It cannot be used any more."""
        if connection is self._connection:
            self._connection = None
        self._advance()

    def connection_is_over(self, connection: ClientConnection) -> None:
        """Nothing is left of it."""
        self._connections.discard(connection)
        self.connection_gone(connection)

    # --- from here on: its own business

    def _next(self, connection: ClientConnection, request: ClientRequest) -> None:
        # An "error" listener may have aborted it all.
        if self._queue and self._queue[0] is request:
            self._queue.popleft()
            self._is_busy = False
        if connection is self._connection and connection.ready_state != "open":
            self._connection = None
        self._advance()

    def _advance(self) -> None:
        """Send the next request, if it can be sent."""
        if self._is_busy:
            return
        connection = self._connection
        if not self._queue:
            self._rest()
        elif connection is None:
            self._connect()
        elif connection.ready_state == "open":
            self._is_busy = True
            connection.begin(self._queue[0])

    def _rest(self) -> None:
        """There is nothing to do."""
        connection = self._connection
        if connection is not None:
            alive.release(connection)
        if self._is_closing:
            if connection is not None:
                self._connection = None
                connection.end()
            if not (self._connections or self._closed.is_past):
                self.deadlines.close()
                self._closed.come()
        alive.release(self)

    def _connect(self) -> None:
        connection = self._connection = ClientConnection(self)
        self._connections.add(connection)
        self._opening.start(self._open(connection), _never)

    async def _open(self, connection: ClientConnection) -> None:
        try:
            await connection.connect(
                self.port,
                self.host,
                ssl_context=self._ssl_context,
                server_hostname=self._server_hostname,
                timeout=self._connect_timeout,
            )
        except Exception as error:
            self._connections.discard(connection)
            if connection is self._connection:
                self._connection = None
                self._fail_all(error)
                self.emit("error", error)
            self._advance()
        except asyncio.CancelledError:
            # The end of asyncio.run() cancels this too, and may not wait for it in close().
            self._connections.discard(connection)
            if connection is self._connection:
                self._connection = None
                self._fail_all(ConnectionClosed("Local Connection Closed"))
            self._advance()
            raise

    def _fail_all(self, error: Exception) -> None:
        queue, self._queue = self._queue, deque()
        self._is_busy = False
        for request in queue:
            request.fail(error)


def create_client(
    port: int,
    host: str = "127.0.0.1",
    *,
    ssl_context: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    timeout: float | None = None,
    limits: ClientLimits | None = None,
) -> Client:
    """A client of the server at ``port`` of ``host``, which connects when it has a request (seed:
    Node 0.1.0, ``node.http.createClient``).

    With an ``ssl_context`` it is https, and the certificate must be that of ``server_hostname``,
    which is the host if it is not given. ``timeout``: seconds between the end of a request and
    the head of its response (300); the other limits are those of :class:`ClientLimits`. Raises
    ``TypeError`` and ``ValueError`` for what can be no server.
    """
    return Client(
        port,
        host,
        ssl_context=ssl_context,
        server_hostname=server_hostname,
        timeout=timeout,
        limits=limits,
    )


def _authority(host: str, port: int, default: int) -> str:
    """What the Host header says of a server (RFC 9110, 7.2)."""
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if ":" in host:
        # The interface of a link-local address concerns this machine only.
        host = f"[{host.partition('%')[0]}]"
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no host")
    return host if port == default else f"{host}:{port}"


def _never(error: Exception) -> None:
    """The coroutine that connects raises nothing."""
