"""A client of typed objects (seed: ``SockhopClient``)."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Self, Unpack

from wirehop.core.backoff import Backoff
from wirehop.errors import ConnectionClosed, SockhopError
from wirehop.node import alive
from wirehop.node.dial import Target
from wirehop.sockhop.carrier import CLOSE_TIMEOUT
from wirehop.sockhop.endpoint import Each, Endpoint, Giving
from wirehop.sockhop.link import Link
from wirehop.sockhop.options import LinkOptions, Options, positive
from wirehop.sockhop.request import SockhopRequest
from wirehop.sockhop.streams import SockhopResponseReadableStream, SockhopResponseWriteableStream
from wirehop.sockhop.tls import client_tls

__all__ = ["SockhopClient"]

CONNECT_TIMEOUT = 5.0
"""Seconds for one attempt to connect, as in the seed."""

RECONNECT_INTERVAL = 2.0
"""Seconds, as in the seed: the bound of the first delay before connecting again."""

log = logging.getLogger("wirehop.sockhop")


class SockhopClient(Endpoint):
    """Connects to a server, and exchanges objects with it.

    ======================= =================================================================
    ``connect(sock)``       there is a connection
    ``receive(obj, meta)``  the server sent an object; see :class:`Meta`
    ``request(req, res)``   it wants an answer: ``res.send(...)``
    ``disconnect(sock)``    the connection is closed
    ``error(error)``        what the server sent cannot be read, a listener failed, or an attempt
                            to connect that nobody waits for
    ======================= =================================================================

    The server is at the Unix socket ``path``, or else at ``port`` of ``address``. TLS is on with
    ``ssl``, with any of ``ssl_options`` (those of Node's ``tls.connect``: ca, cert, key, passphrase,
    servername, reject_unauthorized, ciphers), with an ``ssl_context``, and with ``ca``, the path of
    a PEM file with whom to trust. The other options are those of
    :class:`wirehop.sockhop.options.Options`.

    A client that reconnects waits before each attempt for a random part of
    ``auto_reconnect_interval`` seconds; that bound doubles with every failure up to 16 times, or 30
    s, and is what it was after a connection that held.

    ``async with`` connects and disconnects.
    """

    DESTROYED = "Client unable to send() - socket has been destroyed"

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] | None = None,
        address: str = "127.0.0.1",
        port: int = 50000,
        ssl: bool = False,
        ssl_options: Mapping[str, Any] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ca: str | os.PathLike[str] | None = None,
        auto_reconnect_interval: float = RECONNECT_INTERVAL,
        connect_timeout: float = CONNECT_TIMEOUT,
        **options: Unpack[LinkOptions],
    ) -> None:
        super().__init__(Options(**options))
        self.path = path
        self.address = address
        self.port = port
        context, name = client_tls(ssl, ssl_options, ssl_context, ca)
        if context is not None and name is None:
            name = "localhost" if path is not None else address
        self._target: dict[str, Any] = {
            "port": None if path is not None else port,
            "host": address,
            "path": path,
            "ssl_context": context,
            "server_hostname": name if context is not None else None,
            "timeout": positive("connect_timeout", connect_timeout),
        }
        # For its complaints, before anybody connects.
        Target(**self._target)
        self._backoff = Backoff(positive("auto_reconnect_interval", auto_reconnect_interval))
        self._link: Link | None = None
        self._all: set[Link] = set()
        """Those of which something is left: at most one that is no closed one."""
        self._reconnects = False
        self._switch: bool | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._starting: list[asyncio.Future[None]] = []
        self._has_told = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None and self._link.ready_state == "open"

    @property
    def auto_reconnect_active(self) -> bool:
        """Whether it connects again when the connection is lost."""
        return self._reconnects

    def _set_auto_reconnect(self, auto_reconnect: bool) -> None:
        raise AttributeError("The .auto_reconnect setter has been deprecated in v2")

    auto_reconnect = property(
        None, _set_auto_reconnect, doc="Cannot be set, as in the seed: see :meth:`connect` and :meth:`start`."
    )

    # --- connecting and disconnecting

    def connect(self, auto_reconnect: bool = False) -> Awaitable[Self]:
        """Connect, with one attempt that begins at the call. Awaiting it waits for the connection,
        and gives the client; who waits and is cancelled gives the attempt up.

        When it succeeds, ``auto_reconnect`` says whether the client connects again from then on;
        so a plain ``connect()`` of a connected client switches that off.

        The awaitable raises ``OSError`` (mostly ``ConnectionRefusedError``, ``TimeoutError`` after
        ``connect_timeout``, or ``ssl.SSLError``), and ``ConnectionClosed`` when :meth:`disconnect` was
        faster. If nobody awaits it that is an ``error`` event. Raises ``SockhopError`` with
        ERR_MULTICONNECT while it is connecting.
        """
        link = self._link
        if link is not None and link.ready_state == "open":
            self._reconnects = auto_reconnect
            return Giving(None, self)
        if link is not None and link.ready_state == "opening":
            raise SockhopError(
                "You have already called connect() once. Still trying to connect!", "ERR_MULTICONNECT"
            )
        self._switch = auto_reconnect
        return Giving(self._attempt(), self)

    def start(self) -> Awaitable[Self]:
        """Connect, and stay connected: try at once, and again until :meth:`disconnect`. Awaiting it
        waits for the next connection, for as long as that takes, and gives the client; who waits
        and is cancelled before stops the client."""
        self._reconnects = True
        self._switch = None
        if self._link is None or self._link.ready_state == "closed":
            self._attempt()
        return _Started(self)

    def disconnect(self, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """Disconnect, at the call, and stop reconnecting and pinging. What was sent goes out first,
        ``timeout`` seconds long. Awaiting waits until nothing is left of the connection, and
        ``disconnect`` was emitted; also of one that the server closed, and which has something on its
        way. Does nothing when there is none."""
        self._reconnects = False
        self._ping_delay = 0.0
        self._stop_timer()
        self._link = None
        leaving = [link.end(timeout) for link in list(self._all)]
        self._set_started()
        return Each(leaving)

    def get_bound_address(self) -> str | None:
        """The address of this side, or the path of the server's socket; None when not connected."""
        if self._link is None or not self.connected:
            return None
        return self._link.local_address or os.fspath(self.path or "")

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(self, *exc: object) -> None:
        await self.disconnect()

    # --- sending

    def send(self, obj: Any, callback: Callable[..., Any] | None = None) -> Awaitable[None]:
        """Send an object; it is on its way at the call, or while connecting as soon as there is a
        connection. Awaiting waits for the drain.

        ``callback(value, meta)``, or ``callback(value)``, is called when the server calls its
        ``meta.callback``; it may be async. It is forgotten when the connection ends.

        Raises ``SockhopError``: ERR_SOCKET_DESTROYED when it is neither connected nor connecting,
        ERR_BAD_DATA for None and reserved type names, ERR_OBJECTBUFFER_BAD_OBJECT for what JSON
        cannot say, ERR_REMOTE_CALLBACK_TYPE for what is no function, and for callbacks with json
        peers. Raises ``LimitExceeded`` for too many callbacks, and for too much that waits for the
        connection.
        """
        return self._open_link().post(obj, callback)

    def request(
        self, obj: Any, *, timeout: float | None = None, idle_timeout: float | None = None
    ) -> SockhopResponseReadableStream:
        """Ask the server; the request is on its way as with :meth:`send`. Returns the stream of what
        it answers, which may be awaited for the drain.

        The stream ends by an error when its last packet has not come after ``timeout`` seconds
        (None and 0: the option ``response_timeout``), or none for ``idle_timeout`` seconds. Raises as
        :meth:`send`, and ERR_REQUEST_TYPE with json peers.
        """
        return self._open_link().ask(obj, timeout, idle_timeout)

    def ping(self, delay: float = 0) -> None:
        """Ping the server each ``delay`` seconds while connected; 0 stops it. When none of the last
        pings was answered, the connection is closed. Raises ``SockhopError`` with json peers, which
        do not answer."""
        self._set_ping(delay)
        if self._link is not None:
            self._link.ping(delay)

    # --- what links report

    def _opened(self, link: Link) -> None:
        if self._switch is not None:
            self._reconnects = self._switch
        self._has_told = False
        if self._ping_delay:
            link.ping(self._ping_delay)
        self.emit("connect", link)
        link.send_queue()
        self._set_started()

    def _failed(self, link: Link, error: BaseException | None, was_awaited: bool) -> None:
        self._detach(link)
        if was_awaited or not isinstance(error, Exception):
            return
        if isinstance(error, ConnectionRefusedError) and self._reconnects:
            return
        # Of attempts without end, the first failure is told.
        if not (self._reconnects and self._has_told):
            self._has_told = True
            self._complain(None, error)

    def _closed(self, link: Link) -> None:
        self._backoff.held(link.now() - link.began)
        self._detach(link)
        self.emit("disconnect", link)

    def _over(self, link: Link) -> None:
        self._all.discard(link)

    def _requested(self, link: Link, req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
        self.emit("request", req, res)

    # --- from here on: its own business

    def _open_link(self) -> Link:
        if self._link is None:
            raise SockhopError(self.DESTROYED, "ERR_SOCKET_DESTROYED")
        return self._link

    def _respond(self, uuid: Any, value: Any, last: bool) -> Awaitable[None]:
        return self._open_link()._respond(uuid, value, last)

    def _attempt(self) -> Awaitable[None]:
        self._stop_timer()
        link = self._link = Link(self)
        attempt = link.connect(**self._target)
        self._all.add(link)
        return attempt

    def _attempt_again(self) -> None:
        self._timer = None
        self._switch = None
        self._attempt()
        alive.release(self)

    def _detach(self, link: Link) -> None:
        """A link is closed. Unless there is another, it is time to think of one."""
        if self._link is not link:
            return
        self._link = None
        if self._reconnects:
            alive.keep(self)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._backoff.delay(), self._attempt_again)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            alive.release(self)

    def _set_started(self) -> None:
        starting, self._starting = self._starting, []
        for waiter in starting:
            if not waiter.done():
                waiter.set_result(None)


class _Started:
    """Waits for a connection, and gives the client."""

    __slots__ = ("_client",)

    def __init__(self, client: Any) -> None:
        self._client = client

    def __await__(self) -> Generator[Any, None, Any]:
        client = self._client
        while not client.connected:
            if not client.auto_reconnect_active:
                raise ConnectionClosed("Local Connection Closed")
            waiter = asyncio.get_running_loop().create_future()
            client._starting.append(waiter)
            try:
                yield from waiter
            except asyncio.CancelledError:
                client.disconnect()
                raise
        return client
