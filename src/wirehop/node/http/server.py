"""An HTTP/1.1 server: it accepts connections and ends them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from typing import Any

from wirehop.core.deadlines import Deadlines
from wirehop.core.events import Listener
from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed
from wirehop.node import tcp
from wirehop.node.bind import Place
from wirehop.node.http.limits import Limits
from wirehop.node.http.server_connection import ServerConnection
from wirehop.node.http.server_request import ServerRequest
from wirehop.node.http.server_response import ServerResponse
from wirehop.node.tcp import WRITABLE

__all__ = ["Server", "create_server"]


class Server(tcp.Server):
    """Events: ``request(request, response)``, ``connection(connection)`` and, when there is a
    listener for it, ``upgrade(request, connection, tail)``: ``connection.detach()`` then gives
    the transport away, and ``tail`` is what followed the request already. An upgrade that is
    neither taken nor refused within ``head_timeout`` ends; one with a body is a plain request.

    What a listener raises is reported, unless it is a ``ConnectionClosed`` and the client has left.
    The response of its ``request``, unless there are other listeners, becomes a 500 if it has not
    begun to leave, else it is broken off; both end the connection.
    """

    def __init__(
        self, listener: Listener | None = None, *, limits: Limits | None = None, backlog: int = 1024
    ) -> None:
        super().__init__(backlog=backlog)
        self.limits = limits or Limits()
        self.deadlines = Deadlines(asyncio.get_running_loop())
        self.connections: set[ServerConnection] = set()
        self.is_closing = False
        self._emptied = Waiters()
        if listener is not None:
            self.on("request", listener)

    def close(self) -> Awaitable[None]:
        """Accept no more, and close each connection once it owes no answer."""
        self.is_closing = True
        for connection in list(self.connections):
            connection.close_when_idle()
        return super().close()

    async def closed(self) -> None:
        """Wait until the last connection is gone. Upgraded ones do not count."""
        while self.connections:
            await self._emptied

    def abort(self) -> None:
        """Cut the connections that are left."""
        for connection in list(self.connections):
            connection.force_close()

    def forget(self, connection: ServerConnection) -> None:
        """A connection ended, or was given away."""
        self.connections.discard(connection)
        if self.connections:
            return
        if self.is_closing:
            self.deadlines.close()
        self._emptied.wake()

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        if event == "request":
            self._request_failed(error, *args)
            return
        connection: ServerConnection | None = None
        if event == "upgrade":
            connection = args[1]
        elif event == "connection":
            connection = args[0]
        is_open = connection is None or connection.ready_state in WRITABLE
        # That the client has left is no mistake of a listener.
        if is_open or not isinstance(error, ConnectionClosed):
            super()._listener_failed(event, error, args)
        if event == "upgrade" and connection is not None and connection.ready_state in WRITABLE:
            connection.refuse_upgrade(args[0]).respond(500)
            connection.full_close()

    def _request_failed(self, error: Exception, request: ServerRequest, response: ServerResponse) -> None:
        if not (isinstance(error, ConnectionClosed) and (response.is_lost() or request.failed_with(error))):
            super()._listener_failed("request", error, (request, response))
        # Among several listeners another one may be about to answer.
        if len(self.listeners("request")) < 2:
            response.fail()

    async def _listen(
        self, place: Place, ssl_context: ssl.SSLContext | None, failure: OSError | None
    ) -> None:
        self.is_closing = False
        await super()._listen(place, ssl_context, failure)

    def _accept(self) -> asyncio.BaseProtocol:
        return ServerConnection(self)


def create_server(
    listener: Listener | None = None, *, limits: Limits | None = None, backlog: int = 1024
) -> Server:
    """A server that calls ``listener(request, response)`` for each request. ``backlog`` connections
    may wait to be accepted (seed: ``node.http.createServer``)."""
    return Server(listener, limits=limits, backlog=backlog)
