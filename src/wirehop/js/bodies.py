"""The bodies of messages that arrive, piece by piece (seed: Node 0.1.0, "body" and "complete")."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from wirehop.core.steps import Steps
from wirehop.js.bridge import Bridge, Operations
from wirehop.js.values import RAW, TEXT, raw_text
from wirehop.node import encodings
from wirehop.node.http import ClientResponse
from wirehop.node.http.message import IncomingMessage

__all__ = ["Bodies"]


Over = Callable[[], None]


def _nothing() -> None:
    """Nobody waits for it."""


class _Body:
    """One that is read."""

    def __init__(self, message: IncomingMessage, over: Over, encoding: str) -> None:
        self.message = message
        self.over = over
        self.set_encoding(encoding)

    def set_encoding(self, encoding: str) -> None:
        self.decode = encodings.decoder(encoding)


class Bodies:
    """Reads a body when JavaScript listens to it. Read and not listened to, because then it is told
    also when the rest will not come."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._messages: dict[float, tuple[IncomingMessage, Over]] = {}
        self._bodies: dict[float, _Body] = {}
        self._reading = Steps()

    @property
    def operations(self) -> Operations:
        return {"bodyRead": self._read, "bodyEncoding": self._set_encoding, "bodyDiscard": self._discard}

    def offer(self, number: float, message: IncomingMessage, over: Over = _nothing) -> None:
        """JavaScript may ask for the body of this message, until :meth:`withdraw`. ``over()`` is
        called when that is read, lost or not wanted."""
        self._messages[number] = (message, over)

    def withdraw(self, number: float) -> None:
        """Nobody will ask for that body, unless it is being read already."""
        self._messages.pop(number, None)

    def _read(self, number: float, encoding: str) -> None:
        offered = self._messages.pop(number, None)
        if offered is None:
            self._bridge.up("bodyLost", number)
            return
        body = self._bodies[number] = _Body(*offered, encoding)
        self._reading.start(self._pieces(number, body), partial(self._lost, number))

    async def _pieces(self, number: float, body: _Body) -> None:
        async for chunk in body.message:
            self._piece(number, chunk if body.decode is None else body.decode(chunk, False))
        if body.decode is not None:
            self._piece(number, body.decode(b"", True))
        del self._bodies[number]
        body.over()
        self._bridge.up("complete", number)

    def _piece(self, number: float, piece: bytes | str) -> None:
        if not piece:
            return
        if isinstance(piece, str):
            self._bridge.up("body", number, TEXT, self._bridge.text(piece))
        else:
            self._bridge.up("body", number, RAW, raw_text(piece))

    def _lost(self, number: float, error: Exception) -> None:
        # Who is to be told of the reason is told by the client or the connection.
        self._bodies.pop(number).over()
        self._bridge.up("bodyLost", number)

    def _set_encoding(self, number: float, encoding: str) -> None:
        body = self._bodies.get(number)
        if body is not None:
            body.set_encoding(encoding)

    def _discard(self, number: float) -> None:
        message, over = self._messages.pop(number)
        if isinstance(message, ClientResponse):
            message.discard()
        over()
