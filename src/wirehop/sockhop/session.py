"""One client, as its server sees it (seed: ``SockhopSession``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from wirehop.core.events import EventEmitter
from wirehop.sockhop.carrier import CLOSE_TIMEOUT
from wirehop.sockhop.link import Link
from wirehop.sockhop.streams import SockhopResponseReadableStream

if TYPE_CHECKING:
    from wirehop.sockhop.server import SockhopServer

__all__ = ["SockhopSession"]


class SockhopSession(EventEmitter):
    """What a server makes for each connection. Extend it, and give the class to the server as
    ``session_type``: its attributes are the place for what belongs to one client."""

    def __init__(self, sock: Link, server: SockhopServer) -> None:
        self._sock = sock
        self._server = server

    @property
    def sock(self) -> Link:
        """The connection."""
        return self._sock

    @property
    def server(self) -> SockhopServer:
        """The server."""
        return self._server

    def send(self, obj: Any, callback: Callable[..., Any] | None = None) -> Awaitable[None]:
        """As :meth:`SockhopServer.send`."""
        return self._server.send(self._sock, obj, callback)

    def request(
        self, obj: Any, *, timeout: float | None = None, idle_timeout: float | None = None
    ) -> SockhopResponseReadableStream:
        """As :meth:`SockhopServer.request`."""
        return self._server.request(self._sock, obj, timeout=timeout, idle_timeout=idle_timeout)

    def kill(self, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """As :meth:`SockhopServer.kill_socket`."""
        return self._server.kill_socket(self._sock, timeout)

    async def start(self) -> None:
        """Override it for what has to be done before the server's ``connect`` event; nothing is
        received until then. If it raises, the connection is closed."""

    async def end(self) -> None:
        """Override it for what has to be done when the connection is closed; the server's
        ``disconnect`` event comes afterwards. What was sent before may still be on its way."""

    def _respond(self, uuid: Any, value: Any, last: bool) -> Awaitable[None]:
        return self._sock._respond(uuid, value, last)
