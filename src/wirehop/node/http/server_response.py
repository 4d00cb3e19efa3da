"""The answer to one request, as a server gives it (RFC 9110, RFC 9112)."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, Any

from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed
from wirehop.node.encodings import UTF8, Data, encode
from wirehop.node.http.headers import Fields, Headers
from wirehop.node.http.message import OutgoingMessage

if TYPE_CHECKING:
    from wirehop.node.http.server_connection import ServerConnection
    from wirehop.node.http.server_request import ServerRequest

__all__ = ["STATUS_CODES", "ServerResponse"]

STATUS_CODES: dict[int, str] = {status.value: status.phrase for status in HTTPStatus}


class ServerResponse(OutgoingMessage):
    """The answer to one request: ``send_header``, ``send_body`` as often as needed, ``finish``
    (seed: Node 0.1.0, ``node.http.ServerResponse``).

    Without a Content-Length the body goes out in chunks (HTTP/1.0: until the connection
    closes). Responses to pipelined requests leave in the order of the requests; awaiting one
    waits for its turn and then for the drain, and raises ``ConnectionClosed`` when the
    connection is over.
    """

    # Not in slots: most responses never differ from these, and one is made for each request.
    status = 0
    finished = False
    _head = b""
    _dropped = False
    _turn: Waiters | None = None
    _chunked = False
    _remaining: int | None = None
    _without_body = False

    connection: ServerConnection

    def __init__(
        self, connection: ServerConnection, request: ServerRequest, keep_alive: bool, is_next: bool
    ) -> None:
        self.connection = connection
        self.request = request
        self.keep_alive = keep_alive
        self._released = is_next
        self._held: list[bytes] = []

    def send_header(self, status: int, headers: Headers = ()) -> None:
        """Set the status and the headers; they leave with the first piece of the body.

        Transfer-Encoding (which may only be "chunked") and Connection are set here; "close" is
        heeded. Raises ``ValueError`` for a header that cannot be sent, before any byte leaves,
        and ``RuntimeError`` when called twice.
        """
        if self.status:
            raise RuntimeError("the header of this response was sent already")
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no final HTTP status")
        fields = Fields(headers, without_length=status == 204)
        lines = [_status_line(status), *fields.lines]
        self.status = status
        if fields.closes:
            self.keep_alive = False
        self._without_body = status in (204, 304) or self.request.method == "HEAD"
        if fields.length is not None:
            self._remaining = fields.length
        elif status in (204, 304):
            pass
        elif self.request.http_version == "1.1":
            self._chunked = True
            lines.append(b"Transfer-Encoding: chunked\r\n")
        else:
            self.keep_alive = False
        if "date" not in fields.values:
            lines.append(_date_line(int(time())))
        if not self.keep_alive:
            lines.append(b"Connection: close\r\n")
        elif self.request.http_version == "1.0":
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def send_body(self, chunk: Data, encoding: str = UTF8) -> Awaitable[None]:
        """Send a piece of the body; text in ``encoding``, which may be any codec of Python's
        beside the seed's. Awaiting it waits for the drain.

        Raises ``RuntimeError`` before :meth:`send_header` and after :meth:`finish`, and
        ``ValueError`` for more bytes than the Content-Length promised and for text that the
        encoding cannot say.
        """
        if not self.status or self.finished:
            raise RuntimeError("send_body() belongs between send_header() and finish()")
        data = self._framed(chunk.encode(encoding) if isinstance(chunk, str) else encode(chunk))
        if data:
            self._write_on(data)
        return self

    def finish(self) -> None:
        """The response is complete. One that is shorter than it promised ends the connection."""
        if not self.status:
            raise RuntimeError("finish() comes after send_header()")
        if self.finished:
            return
        if self._chunked and not self._without_body:
            self._write_on(b"0\r\n\r\n")
        elif self._remaining and not self._without_body:
            self.keep_alive = False
        self._write_on(b"")
        self.finished = True
        self.connection.response_finished(self)

    def break_off(self) -> None:
        """End it where it is: the connection closes after what was sent, and the client sees that
        something is missing (but for HTTP/1.0 without a Content-Length, which has no way to say so)."""
        if not self.finished:
            self.keep_alive = False
            self._end_with(b"")

    def respond(self, status: int, headers: Headers = (), body: bytes | str = b"") -> None:
        """The whole response in one call, with its Content-Length."""
        data = body if type(body) is bytes else encode(body)
        headers = tuple(headers)
        request = self.request
        if not self.status and self.keep_alive and request.http_version == "1.1":
            head = _known_head(status, headers)
            if head is not None and request.method != "HEAD":
                self.status = status
                self._end_with(b"%b%d\r\n\r\n%b" % (head, len(data), data))
                return
        length = () if status in (204, 304) else (("Content-Length", len(data)),)
        self.send_header(status, (*headers, *length))
        # In one write, and with nothing left to check.
        head, self._head = self._head, b""
        self._end_with(head if self._without_body else head + data)

    def _end_with(self, data: bytes) -> None:
        self._write(data)
        self.finished = True
        self.connection.response_finished(self)

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._until_sent()
        if self._dropped:
            raise ConnectionClosed("Local Connection Closed")

    # --- called by the connection

    def has_begun(self) -> bool:
        """Whether the client has got some of it."""
        return self._released and self.status != 0 and not self._head

    def _count(self, size: int) -> None:
        self.connection.held(size)

    def _write_on(self, data: bytes) -> None:
        """Write, after the head if that has not left yet."""
        if self._head:
            data, self._head = self._head + data, b""
        self._write(data)


_KNOWN = 256
"""Heads that are kept, for a second: few programs have more that they repeat."""

_OPEN = frozenset({"access-control-allow-origin", "allow", "cache-control", "content-type", "server", "vary"})
"""Headers that repeat themselves, and that are no secret: others must not stay in memory."""

_known_heads: dict[tuple[int, tuple[tuple[str, str | int], ...]], bytes] = {}
_second = 0


def _known_head(status: int, headers: tuple[tuple[str, str | int], ...]) -> bytes | None:
    """A head up to the number of its Content-Length, for one of the many responses that have the
    same within a second; None for all others."""
    global _second
    if not _second <= time() < _second + 1:
        _second = int(time())
        _known_heads.clear()
    try:
        known = _known_heads.get((status, headers))
    except TypeError:
        # Something in them cannot be a key; what is wrong with it will be said.
        return None
    if known is not None:
        return known
    if not 200 <= status <= 999 or status in (204, 304):
        return None
    # Text only: 1 and True would be one key.
    if any(type(value) is not str or name.lower() not in _OPEN for name, value in headers):
        return None
    if len(_known_heads) >= _KNOWN:
        _known_heads.clear()
    lines = (_status_line(status), *Fields(headers).lines, _date_line(_second), b"Content-Length: ")
    head = _known_heads[status, headers] = b"".join(lines)
    return head


_status_lines: dict[int, bytes] = {}


def _status_line(status: int) -> bytes:
    line = _status_lines.get(status)
    if line is None:
        line = f"HTTP/1.1 {status} {STATUS_CODES.get(status, '')}\r\n".encode()
        _status_lines[status] = line
    return line


@lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
