"""The answer to one request, as a server gives it (RFC 9110, RFC 9112)."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from time import time
from typing import TYPE_CHECKING, Any

import msgspec

from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed
from wirehop.node.encodings import UTF8, Data, encode
from wirehop.node.http.headers import Fields, Headers
from wirehop.node.http.heads import STATUS_CODES, date_line, known_head, status_line
from wirehop.node.http.message import OutgoingMessage
from wirehop.node.tcp import WRITABLE

if TYPE_CHECKING:
    from wirehop.node.http.server_connection import ServerConnection
    from wirehop.node.http.server_request import ServerRequest

__all__ = ["STATUS_CODES", "ServerResponse"]


class ServerResponse(OutgoingMessage, msgspec.Struct, eq=False, dict=True, weakref=True):
    """The answer to one request: ``send_header``, ``send_body`` as often as needed, ``finish``
    (seed: Node 0.1.0, ``node.http.ServerResponse``).

    Without a Content-Length the body goes out in chunks (HTTP/1.0: until the connection
    closes). Responses to pipelined requests leave in the order of the requests; awaiting one
    waits for its turn and then for the drain, and raises ``ConnectionClosed`` when the
    connection is over.
    """

    # A Struct is made in a third of the time that __init__ takes, and one is made for each request.
    connection: ServerConnection
    request: ServerRequest
    keep_alive: bool
    _released: bool
    status: int = 0
    finished: bool = False
    _head: bytes = b""
    _held: list[bytes] = []
    _dropped: bool = False
    _turn: Waiters | None = None
    _chunked: bool = False
    _remaining: int | None = None
    _without_body: bool = False

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
        lines = [status_line(status), *fields.lines]
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
            lines.append(date_line(int(time())))
        if not self.keep_alive:
            lines.append(b"Connection: close\r\n")
        elif self.request.http_version == "1.0":
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def send_body(self, chunk: Data, encoding: str = UTF8) -> Awaitable[None]:
        """Send a piece of the body; text in ``encoding``, which may be any codec of Python's
        beside the seed's. Awaiting it waits for the drain.

        Raises ``RuntimeError`` before :meth:`send_header` and after :meth:`finish`,
        ``ValueError`` for more bytes than the Content-Length promised, for text that the encoding
        cannot say and for an encoding that there is not, ``TypeError`` for what is neither text nor
        bytes, and for text that is to be raw.
        """
        if not self.status or self.finished:
            raise RuntimeError("send_body() belongs between send_header() and finish()")
        encoded = chunk.encode() if type(chunk) is str and encoding is UTF8 else _encoded(chunk, encoding)
        data = self._framed(encoded)
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
        if type(headers) is not list and type(headers) is not tuple:
            headers = tuple(headers)
        request = self.request
        if not self.status and self.keep_alive and request.http_version == "1.1" and request.method != "HEAD":
            head = known_head(status, headers, len(data))
            if head is not None:
                # As _end_with(), but for two calls: with those of request_began() and
                # response_finished() a tenth of what a pipelined request costs.
                connection = self.connection
                self.status = status
                if self._released and not self._dropped and connection.ready_state in WRITABLE:
                    connection.output.write(head + data)
                else:
                    self._write(head + data)
                self.finished = True
                connection.response_finished(self)
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

    def __repr__(self) -> str:
        return f"<ServerResponse {self.status or 'to come'} of {self.request.method} {self.request.url:.60}>"

    # --- called by the server and the connection

    def is_lost(self) -> bool:
        """Whether nothing of it can be sent any more."""
        return self._dropped or self.connection.ready_state not in WRITABLE

    def fail(self) -> None:
        """Who was to give it failed: a 500 if nothing of it has left, and the connection ends."""
        if self.finished or self.is_lost():
            return
        if self.has_begun():
            self.break_off()
            return
        for data in self._held:
            self._count(-len(data))
        self._held = []
        self._head = b""
        self.status = 0
        self._chunked = self._without_body = False
        self._remaining = None
        self.keep_alive = False
        self.respond(500)

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


def _encoded(chunk: Data, encoding: str) -> bytes:
    if isinstance(chunk, str):
        try:
            return chunk.encode(encoding)
        except LookupError:
            # "raw", or nothing that is known: the next line says so.
            pass
    return encode(chunk, encoding)
