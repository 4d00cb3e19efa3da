"""One response out of bytes: httptools parses, and what it lets pass is checked and counted here."""

from __future__ import annotations

from typing import Protocol

import httptools

from wirehop.errors import ProtocolError
from wirehop.node.http.limits import ClientLimits

__all__ = ["Receiver", "ResponseParser"]

RawHeaders = list[tuple[bytes, bytes]]


class Receiver(Protocol):
    """Who is told of what was found."""

    def information_arrived(self, status: int, headers: RawHeaders) -> None: ...
    def head_arrived(self, status: int, version: str, headers: RawHeaders) -> None: ...
    def body_arrived(self, body: bytes) -> None: ...


class ResponseParser:
    """The response to one request: any number of informational ones (1xx), and the final one."""

    __slots__ = (
        "_head_size",
        "_headers",
        "_limits",
        "_method",
        "_moved",
        "_parser",
        "_receiver",
        "_unparsed",
        "complete",
        "has_excess",
        "in_head",
        "keep_alive",
        "until_close",
    )

    def __init__(self, method: str, limits: ClientLimits, receiver: Receiver) -> None:
        self._method = method
        self._limits = limits
        self._receiver: Receiver | None = receiver
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._head_size = 0
        self._headers: RawHeaders = []
        # Trailers and extensions of chunks are counted by what the parser was fed since it last
        # got anywhere: it keeps half a trailer, however long.
        self._unparsed = 0
        self._moved = False
        self.in_head = True
        self.complete = False
        self.keep_alive = False
        """Whether the server takes another request on this connection."""
        self.until_close = False
        """Whether the end of the connection is the end of the body."""
        self.has_excess = False
        """Whether the server sent more than its response."""

    @property
    def has_begun(self) -> bool:
        """Whether a single byte has arrived."""
        return self._head_size > 0

    def feed(self, data: bytes) -> None:
        """Parse. Raises ``ProtocolError`` for what is no response, or beyond a limit."""
        at = 0
        while at < len(data) and self._parser is not None and not self.complete:
            end = len(data)
            if self.in_head:
                end = min(end, at + self._limits.max_head - self._head_size)
                if end == at:
                    raise ProtocolError("Head Too Large", detail=f"more than {self._limits.max_head} bytes")
                if self._method == "HEAD":
                    # Line by line: the parser would take what follows the head for a body.
                    end = data.find(b"\n", at, end) + 1 or end
                self._head_size += end - at
            self._parse(self._parser, data[at:end])
            at = end
        if at < len(data):
            self.has_excess = True

    def close(self) -> None:
        """Parse no more. (The parser and its callbacks refer to each other.)"""
        self._parser = None
        self._receiver = None

    def _parse(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        self._moved = False
        try:
            parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            if not self.complete:
                raise ProtocolError("Bad Response", detail=str(error)) from None
            self.has_excess = True
        if not (self._moved or self.in_head or self.complete):
            self._unparsed += len(data)
            if self._unparsed > self._limits.max_head:
                raise ProtocolError("Trailers Too Large", detail=f"more than {self._limits.max_head} bytes")

    # --- what httptools found

    def on_message_begin(self) -> None:
        if self.complete:
            self.has_excess = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            # A trailer, which nothing here reads.
            return
        self._headers.append((name, value))
        if len(self._headers) > self._limits.max_headers:
            raise ProtocolError("Too Many Headers", detail=f"more than {self._limits.max_headers}")

    def on_headers_complete(self) -> None:
        parser, receiver = self._parser, self._receiver
        if parser is None or receiver is None or self.complete:
            return
        status = parser.get_status_code()
        version = parser.get_http_version()
        headers, self._headers = self._headers, []
        if version not in ("1.1", "1.0") or status < 100 or status == 101:
            # Nobody asked for 101: there is no upgrade here.
            raise ProtocolError("Bad Response", detail=f"status {status} of HTTP/{version}")
        if status < 200:
            receiver.information_arrived(status, headers)
            return
        self.in_head = False
        # What this was fed was a head, which has a limit of its own.
        self._moved = True
        self._read_framing(status, version, headers)
        receiver.head_arrived(status, version, headers)

    def on_body(self, body: bytes) -> None:
        if self.in_head:
            # Of an informational response, which has none whatever its headers say (RFC 9112, 6.3).
            raise ProtocolError("Bad Response", detail="an informational response with a body")
        self._moved = True
        self._unparsed = 0
        # The parser goes on with what may be a second response.
        if self._receiver is not None and not self.complete:
            self._receiver.body_arrived(body)

    def on_message_complete(self) -> None:
        if not self.in_head:
            self.complete = True

    def _read_framing(self, status: int, version: str, headers: RawHeaders) -> None:
        """How the body ends, and whether the connection stays (RFC 9112, 6.3 and 9.3)."""
        codings = _values(headers, b"transfer-encoding")
        lengths = _values(headers, b"content-length")
        options = _values(headers, b"connection")
        self.keep_alive = b"close" not in options and (version == "1.1" or b"keep-alive" in options)
        # The parser does not know the coding with a tab behind it, and would take the chunks for the body.
        is_odd = any(name.lower() == b"transfer-encoding" and b"\t" in value for name, value in headers)
        if codings and (codings != [b"chunked"] or is_odd or lengths or version == "1.0"):
            # It would be read in one way here and in another elsewhere.
            raise ProtocolError("Bad Response", detail="its body ends in two ways, or in one unknown here")
        if self._method == "HEAD" or status in (204, 304):
            self.complete = self._method == "HEAD"
        elif not (codings or lengths):
            self.until_close = True
            self.keep_alive = False


def _values(headers: RawHeaders, wanted: bytes) -> list[bytes]:
    """The members of a header that is a list, in lower case."""
    values = [value for name, value in headers if name.lower() == wanted]
    return [member.strip(b" \t").lower() for value in values for member in value.split(b",")]
