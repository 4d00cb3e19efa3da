"""Every error that Wirehop raises.

::

    WirehopError
    ├── ProtocolError              the remote broke the rules of a protocol
    │   └── PayloadTooLarge        ... by sending more than a stated limit
    ├── ConnectionClosed           the connection ended; also a ConnectionError
    │   └── AuthError              ... because one side refused the other
    ├── ReplyTimeout               no reply within the time given; also a TimeoutError
    ├── LimitExceeded              a limit of this side was reached, and nothing was sent
    ├── RemoteError                the remote's function failed, or it has none of that name
    ├── SockhopError               what Sockhop cannot do or read; its code is the seed's
    └── BroadcastError             some peers of a broadcast did not reply; an ExceptionGroup

A mistake of the caller raises ``TypeError``, ``ValueError`` or, where the moment is wrong,
``RuntimeError`` at the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "AuthError",
    "BroadcastError",
    "ConnectionClosed",
    "LimitExceeded",
    "PayloadTooLarge",
    "ProtocolError",
    "RemoteError",
    "ReplyTimeout",
    "SockhopError",
    "WirehopError",
]


class WirehopError(Exception):
    """The root of the tree."""


class ProtocolError(WirehopError):
    """The remote broke the rules; its connection is closed, no other is touched.

    ``reason`` is the text that a ``disconnected`` event reports, ``close_code`` the
    WebSocket close code (RFC 6455, 7.4.1) that the remote is told.
    """

    def __init__(self, reason: str, *, close_code: int = 1002, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.close_code = close_code
        self.detail = detail


class PayloadTooLarge(ProtocolError):
    """The remote sent more than a limit allows; the text names the limit."""

    def __init__(self, reason: str, *, close_code: int = 1009, detail: str = "") -> None:
        super().__init__(reason, close_code=close_code, detail=detail)


class ConnectionClosed(WirehopError, ConnectionError):
    """The connection ended before the operation was done. ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AuthError(ConnectionClosed):
    """One side refused the other, or closed, before both were authenticated."""


class ReplyTimeout(WirehopError, TimeoutError):
    """No reply came within the timeout. The connection and its other requests live on."""


class LimitExceeded(WirehopError):
    """A limit of this side was reached, and nothing was sent. The text names the limit."""


class RemoteError(WirehopError):
    """A remote function failed.

    Raise it in a function of your own to choose what the caller is told; ``details`` may be
    any JSON value. ``code`` is 404 for an unknown function and 500 for a failure, as on the
    wire, or one of your own.
    """

    def __init__(self, message: str, details: Any = None, code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.code = code


class SockhopError(WirehopError):
    """Something that Sockhop could not do, or could not read (seed: ``SockhopError``).

    ``code`` is one of the seed's, as text, or None where the seed has none:

    ================================ =======================================================
    ERR_MULTICONNECT                 ``connect()`` while it is connecting
    ERR_SOCKET_DESTROYED             the connection is over, or there is none
    ERR_NO_SOCKET                    a server was not told to whom
    ERR_BAD_DATA                     None, or a type name that the protocol has for itself
    ERR_REMOTE_CALLBACK_TYPE         no function, or a peer that knows no callbacks
    ERR_REQUEST_TYPE                 a peer that knows no requests
    ERR_RESPONSE_SEND                an answer after the last one
    ERR_RESPONSE_TIMEOUT             no answer, or no last one, in time
    ERR_OBJECTBUFFER_BAD_BUFFER      what should be bytes is none
    ERR_OBJECTBUFFER_BAD_BUFFER_DATA bytes that are no message
    ERR_OBJECTBUFFER_BAD_OBJECT      a value that cannot be sent
    ================================ =======================================================
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class BroadcastError(WirehopError, ExceptionGroup[WirehopError]):
    """Not every peer answered a broadcast: ``exceptions`` says why, ``replies`` has the rest."""

    replies: Sequence[Any] = ()

    def derive(self, excs: Sequence[Any], /) -> Any:
        """A part of the group, as ``except*`` and ``split`` make it; the replies stay."""
        part = BroadcastError(self.message, excs)
        part.replies = self.replies
        return part
