"""One HTTP request and its response, as a server sees them (RFC 9110, RFC 9112)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from wirehop.core.events import EventEmitter
from wirehop.errors import ConnectionClosed, PayloadTooLarge
from wirehop.node.tcp import WRITABLE

if TYPE_CHECKING:
    from wirehop.node.http.server_connection import ServerConnection

__all__ = ["STATUS_CODES", "Header", "ServerRequest", "ServerResponse"]

STATUS_CODES: dict[int, str] = {status.value: status.phrase for status in HTTPStatus}

Header = tuple[str, str]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_A_VALUE = re.compile("[^\t\x20-\x7e\x80-\xff]")


_PIECE = 64
"""Bytes that a piece of a body costs beside its content: many tiny ones count too."""


class ServerRequest(EventEmitter):
    """A request, from the moment its head is complete.

    Events: ``body(chunk)``, ``complete()``; listeners must be there before the ``request``
    listener first waits. Or read the body with ``await request.read()`` or ``async for chunk in
    request``: what has not been read yet is kept, and above a high water the connection is not
    read either. Once the response is finished a body that nobody is reading is dropped.
    """

    __slots__ = (
        "_body",
        "_failure",
        "_unread",
        "_unwanted",
        "_waiter",
        "complete",
        "connection",
        "has_body",
        "http_version",
        "method",
        "raw_headers",
        "url",
    )

    def __init__(
        self,
        connection: ServerConnection,
        method: str,
        url: str,
        http_version: str,
        raw_headers: list[tuple[bytes, bytes]],
        has_body: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.url = url
        self.http_version = http_version
        self.raw_headers = raw_headers
        self.has_body = has_body
        """Whether the head announces a body (which may turn out to be empty)."""
        self.complete = False
        self._body: list[bytes] = []
        self._unread = 0
        self._unwanted = False
        self._failure: str | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def headers(self) -> list[Header]:
        """Name and value of each header, as they were sent and in their order."""
        return [(name.decode("latin-1"), _text(value)) for name, value in self.raw_headers]

    def header(self, name: str, default: str | None = None) -> str | None:
        """The value of the first header of that name, whatever its case."""
        wanted = name.lower().encode("latin-1")
        for key, value in self.raw_headers:
            if len(key) == len(wanted) and key.lower() == wanted:
                return _text(value)
        return default

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body. Raises ``PayloadTooLarge`` when it has more than ``limit`` bytes,
        and ``ConnectionClosed`` when the client left before it was complete."""
        chunks = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if limit is not None and size > limit:
                raise PayloadTooLarge("Body Too Large", detail=f"more than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """What has arrived since the last time. Raises ``RuntimeError`` while somebody else
        reads."""
        while not self._body:
            if self._failure is not None:
                raise ConnectionClosed(self._failure)
            if self.complete:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("somebody else reads this body already")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = b"".join(self._body)
        self._forget()
        self.connection.body_was_read()
        return chunk

    # --- called by the connection

    def unread(self) -> int:
        """How much memory is held by what nobody has read yet."""
        return self._unread

    def feed(self, chunk: bytes) -> None:
        if self.emit("body", chunk):
            return
        if self._unwanted:
            self._failure = "the response was finished before this body was read"
            return
        self._body.append(chunk)
        self._unread += len(chunk) + _PIECE
        self._wake()

    def end(self) -> None:
        self.complete = True
        self.emit("complete")
        self._wake()

    def discard(self) -> None:
        """The response is finished: the rest is kept for nobody but who is reading it now."""
        if not self.complete and self._waiter is None:
            self._unwanted = True
            if self._body:
                self._forget()
                self._failure = "the response was finished before this body was read"

    def fail(self, reason: str) -> None:
        if not self.complete:
            self._failure = reason
            self._wake()

    def _forget(self) -> None:
        self._body.clear()
        self._unread = 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ServerResponse:
    """The answer to one request: ``send_header``, ``send_body`` as often as needed, ``finish``.

    Without a Content-Length the body goes out in chunks (HTTP/1.0: until the connection
    closes). Responses to pipelined requests leave in the order of the requests; awaiting one
    waits for its turn and then for the drain, and raises ``ConnectionClosed`` when the
    connection is over.
    """

    __slots__ = (
        "_chunked",
        "_dropped",
        "_head",
        "_held",
        "_released",
        "_remaining",
        "_turn",
        "_without_body",
        "connection",
        "finished",
        "keep_alive",
        "request",
        "status",
    )

    def __init__(self, connection: ServerConnection, request: ServerRequest, keep_alive: bool) -> None:
        self.connection = connection
        self.request = request
        self.keep_alive = keep_alive
        self.status = 0
        self.finished = False
        self._head = b""
        self._held: list[bytes] = []
        self._released = False
        self._dropped = False
        self._turn: asyncio.Future[None] | None = None
        self._chunked = False
        self._remaining: int | None = None
        self._without_body = False

    def send_header(self, status: int, headers: Iterable[tuple[str, str | int]] = ()) -> None:
        """Set the status and the headers; they leave with the first piece of the body.

        Transfer-Encoding (which may only be "chunked") and Connection are set here; "close" is
        heeded. Raises ``ValueError`` for a header that cannot be sent, before any byte leaves,
        and ``RuntimeError`` when called twice.
        """
        if self.status:
            raise RuntimeError("the header of this response was sent already")
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no final HTTP status")
        lines = [_status_line(status)]
        lengths = []
        closes = chunked = dated = False
        for name, value in headers:
            line = _header_line(name, str(value))
            lower = name.lower()
            if lower == "content-length":
                lengths.append(_length(value))
                if status == 204:
                    continue
            elif lower == "transfer-encoding":
                if str(value).lower() != "chunked":
                    raise ValueError(f"{value!r} is no Transfer-Encoding that is spoken here")
                chunked = True
                continue
            elif lower == "connection":
                closes = closes or "close" in str(value).lower()
                continue
            elif lower == "date":
                dated = True
            lines.append(line)
        if len(lengths) + chunked > 1:
            raise ValueError("a response has one Content-Length, or a Transfer-Encoding")
        self.status = status
        if closes:
            self.keep_alive = False
        self._without_body = status in (204, 304) or self.request.method == "HEAD"
        if lengths:
            self._remaining = lengths[0]
        elif status in (204, 304):
            pass
        elif self.request.http_version == "1.1":
            self._chunked = True
            lines.append(b"Transfer-Encoding: chunked\r\n")
        else:
            self.keep_alive = False
        if not dated:
            lines.append(_date_line())
        if not self.keep_alive:
            lines.append(b"Connection: close\r\n")
        elif self.request.http_version == "1.0":
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def send_body(self, chunk: bytes | str, encoding: str = "utf-8") -> Awaitable[None]:
        """Send a piece of the body. Awaiting it waits for the drain.

        Raises ``RuntimeError`` before :meth:`send_header` and after :meth:`finish`, and
        ``ValueError`` for more bytes than the Content-Length promised.
        """
        if not self.status or self.finished:
            raise RuntimeError("send_body() belongs between send_header() and finish()")
        data = chunk.encode(encoding) if isinstance(chunk, str) else chunk
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        if self._remaining is not None and not self._without_body:
            if len(data) > self._remaining:
                excess = len(data) - self._remaining
                raise ValueError(f"the body is longer than its Content-Length by {excess} bytes")
            self._remaining -= len(data)
        if data and not self._without_body:
            if self._chunked:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            self._write(data)
        return self

    def finish(self) -> None:
        """The response is complete. One that is shorter than it promised ends the connection."""
        if not self.status:
            raise RuntimeError("finish() comes after send_header()")
        if self.finished:
            return
        if self._chunked and not self._without_body:
            self._write(b"0\r\n\r\n")
        elif self._remaining and not self._without_body:
            self.keep_alive = False
        self._write(b"")
        self.finished = True
        self.connection.response_finished(self)

    def respond(
        self, status: int, headers: Iterable[tuple[str, str | int]] = (), body: bytes | str = b""
    ) -> None:
        """The whole response in one call, with its Content-Length."""
        data = body.encode() if isinstance(body, str) else body
        length = [] if status in (204, 304) else [("Content-Length", len(data))]
        self.send_header(status, [*headers, *length])
        self.send_body(data)
        self.finish()

    def __await__(self) -> Generator[Any, None, None]:
        if not self._released and not self._dropped:
            if self._turn is None:
                self._turn = asyncio.get_running_loop().create_future()
            yield from asyncio.shield(self._turn).__await__()
        yield from self.connection.output.__await__()
        if self._dropped:
            raise ConnectionClosed("Local Connection Closed")

    # --- called by the connection

    def release(self) -> None:
        """It is this response's turn to use the connection."""
        self._released = True
        held, self._held = self._held, []
        for data in held:
            self.connection.held(-len(data))
            self.connection.output.write(data)
        self._wake()

    def drop(self) -> None:
        """Nothing more of it will be sent."""
        self._dropped = True
        self._held.clear()
        self._wake()

    def has_begun(self) -> bool:
        """Whether the client has got some of it."""
        return self._released and self.status != 0 and not self._head

    def _write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        if not data or self._dropped or self.connection.ready_state not in WRITABLE:
            return
        if self._released:
            self.connection.output.write(data)
        else:
            self._held.append(data)
            self.connection.held(len(data))

    def _wake(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


def _text(value: bytes) -> str:
    return value.decode("latin-1").rstrip(" \t")


def _length(value: str | int) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no Content-Length")
    return int(text)


def _header_line(name: str, value: str) -> bytes:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no header name")
    if _NOT_IN_A_VALUE.search(value):
        raise ValueError(f"the value of {name} has a character that no header may have: {value!r}")
    return f"{name}: {value}\r\n".encode("latin-1")


_status_lines: dict[int, bytes] = {}


def _status_line(status: int) -> bytes:
    line = _status_lines.get(status)
    if line is None:
        line = f"HTTP/1.1 {status} {STATUS_CODES.get(status, '')}\r\n".encode()
        _status_lines[status] = line
    return line


_date: tuple[int, bytes] = (0, b"")


def _date_line() -> bytes:
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _date[1]
