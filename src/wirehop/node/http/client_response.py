"""The response to one request, as a client sees it (RFC 9110, RFC 9112)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirehop.errors import PayloadTooLarge
from wirehop.node.http.message import IncomingMessage

if TYPE_CHECKING:
    from wirehop.node.http.client import Client
    from wirehop.node.http.client_connection import ClientConnection
    from wirehop.node.http.client_request import ClientRequest

__all__ = ["ClientResponse"]


class ClientResponse(IncomingMessage):
    """A response, from the moment its head is complete (seed: Node 0.1.0, ``node.http.ClientResponse``).

    Events: ``body(chunk)``, ``complete()``; a chunk is bytes unless :meth:`set_body_encoding` was
    called. Or read the body with ``await response.read()`` or ``async for chunk in response``. A
    body is kept until somebody takes it, and the requests behind it wait: who does not want the
    rest says :meth:`discard`. Of a response that nobody awaited, only listeners were given, a body
    above the high water is dropped once those have returned, unless they listen to ``body`` or
    have begun to read; it is received to its end if somebody listens to ``complete``.

    A body that is cut short is never complete: reading raises ``ConnectionClosed``,
    ``ProtocolError`` or ``TimeoutError``, which the client's ``error`` event gives too.
    """

    __slots__ = ("_connection", "_was_discarded", "client", "request", "status_code")

    def __init__(
        self,
        connection: ClientConnection,
        request: ClientRequest,
        status_code: int,
        http_version: str,
        raw_headers: list[tuple[bytes, bytes]],
    ) -> None:
        self.http_version = http_version
        self.raw_headers = raw_headers
        self._connection = connection
        self.request = request
        self.client: Client = request.client
        self.status_code = status_code
        self._was_discarded = False

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body. Raises ``PayloadTooLarge`` when it has more than ``limit`` bytes, and
        the rest is not read; and what cut the body short, if it was."""
        try:
            return await super().read(limit)
        except PayloadTooLarge:
            self.discard()
            raise

    def discard(self) -> None:
        """Nobody wants the rest of the body, unless somebody is reading it now. If that is much,
        the connection is closed rather than read."""
        self._was_discarded = True
        self._give_up("nobody wanted the rest of this body")
        self._was_read()

    # --- called by the connection

    @property
    def is_unwanted(self) -> bool:
        """Whether what arrives is for nobody."""
        return self._unwanted is not None and not self._listeners.get("body")

    @property
    def is_waste(self) -> bool:
        """Whether what arrives is for nobody, and nobody waits for its end."""
        return self.is_unwanted and (self._was_discarded or not self._listeners.get("complete"))

    def forsake(self) -> None:
        """Discard the body if nobody listens to it."""
        if not self._listeners.get("body"):
            self.discard()

    def _is_wanted(self) -> bool:
        return super()._is_wanted() or self.request.may_want(self)

    def _was_read(self) -> None:
        self._connection.body_was_read(self)
