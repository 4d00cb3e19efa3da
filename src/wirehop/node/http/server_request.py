"""A request, as a server sees it (RFC 9110, RFC 9112)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from wirehop.core.events import NOBODY
from wirehop.node.http.message import IncomingMessage
from wirehop.node.http.uri import Uri, parse

if TYPE_CHECKING:
    from wirehop.node.http.server_connection import ServerConnection

__all__ = ["ServerRequest"]


class ServerRequest(IncomingMessage, msgspec.Struct, eq=False, dict=True, weakref=True):
    """A request, from the moment its head is complete (seed: Node 0.1.0, ``node.http.ServerRequest``).

    Events: ``body(chunk)``, ``complete()``; a chunk is bytes unless :meth:`set_body_encoding` was
    called. Or read the body with ``await request.read()`` or ``async for chunk in request``: what
    has not been read yet is kept, and above a high water the connection is not read either. Once
    the response is finished a body that nobody is reading is dropped. So is one above the high
    water if there is a listener to ``complete``, none to ``body``, nobody has begun to read, and
    no ``async`` listener is still at work with the request.
    """

    # A Struct is made in half of the time that __init__ takes, and one is made for each request.
    connection: ServerConnection
    method: str
    url: str
    http_version: str
    raw_headers: list[tuple[bytes, bytes]]
    has_body: bool = False
    """Whether the head announces a body (which may turn out to be empty)."""
    complete: bool = True
    _listeners: Mapping[str, list[Any]] = NOBODY
    _is_unheard: bool = True
    _uri: Uri | None = None

    @property
    def uri(self) -> Uri:
        """``url`` in its parts; what the request did not say is None."""
        if self._uri is None:
            self._uri = parse(self.url)
        return self._uri

    def __repr__(self) -> str:
        return f"<ServerRequest {self.method} {self.url:.60}>"

    # --- called by the connection and the response

    def expect_body(self) -> None:
        """The head announces one."""
        self.has_body = True
        self.complete = self._is_unheard = False

    def discard(self) -> None:
        """The response is finished: the rest is kept for nobody but who is reading it now."""
        self._give_up("the response was finished before this body was read")

    def _is_wanted(self) -> bool:
        # Without a word for its end, whoever answers later may want it: the answer ends that.
        if super()._is_wanted() or not self._listeners.get("complete"):
            return True
        return self.is_at_hand(self.connection.server)

    def _was_read(self) -> None:
        self.connection.throttle()
