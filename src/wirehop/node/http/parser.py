"""Requests out of bytes: httptools parses, and what it lets pass is checked and counted here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from wirehop.node import tcp
from wirehop.node.http.limits import Limits
from wirehop.node.http.server_request import ServerRequest

if TYPE_CHECKING:
    from wirehop.node.http.server_connection import ServerConnection

__all__ = ["Refused", "RequestParser"]

_VERSIONS = ("1.1", "1.0")

_MEANINGFUL = frozenset(
    {b"connection", b"content-length", b"expect", b"host", b"transfer-encoding", b"upgrade"}
)
"""Headers that change how a request is read or answered."""

_UNCOUNTED = 256
"""Bytes of a head that are in no URL and no header, as the version and white space are: so much
more may wait to be parsed than may be parsed, or the limit would depend on how a head is cut."""


class Refused(Exception):
    """A request that is answered with an error, of this status, and ends its connection."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestParser:
    """The requests of one connection, which is told of each as it arrives."""

    __slots__ = (
        "_as_sent",
        "_connection",
        "_head_size",
        "_headers",
        "_is_last",
        "_limits",
        "_meaningful",
        "_parser",
        "_unparsed",
        "_url",
        "in_head",
        "upgrade",
    )

    def __init__(self, connection: ServerConnection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self.in_head = False
        """Whether a head has begun and is not complete."""
        self.upgrade: ServerRequest | None = None
        """The request whose upgrade made :meth:`feed` return."""
        # A head is counted twice: by what the parser made of it, and by what it was fed since it
        # last got anywhere, for it keeps half a header, and half a trailer, however long.
        self._head_size = 0
        self._unparsed = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._meaningful: list[bytes] = []
        self._is_last = False
        self._as_sent: list[tuple[bytes, bytes]] | None = None
        """The headers of a request that is read a second time, which lacks some then."""

    def feed(self, data: bytes) -> bytes | None:
        """Parse. When the client asked for an upgrade that is offered, that was the last request,
        and what followed it is returned. Raises :class:`Refused`."""
        parser = self._parser
        if parser is None:
            return None
        # Whatever the parser finds sets it back to 0.
        self._unparsed += len(data)
        while (upgraded := self._parse(parser, data)) is not None:
            request, self.upgrade = self.upgrade, None
            if request is None:
                return None
            tail = data[upgraded:]
            if not request.has_body and self._connection.server.listeners("upgrade"):
                self.upgrade = request
                return tail
            parser = self._parser = httptools.HttpRequestParser(self)
            data = self._again(request) + tail
        if self._unparsed > self._limits.max_head + _UNCOUNTED:
            raise Refused(431)
        if self.in_head:
            # Other versions are refused now: the client may wait for that, as one of HTTP/0.9 does
            # after a line without a version. (Until there is one, the last request's is told.)
            version = parser.get_http_version()
            if version not in _VERSIONS and (version != "0.0" or data.endswith(b"\n")):
                raise Refused(400)
        return None

    def close(self) -> None:
        """Parse no more. (The parser and its callbacks refer to each other.)"""
        self._parser = None

    # --- what httptools found

    def on_message_begin(self) -> None:
        self.in_head = True
        self._head_size = 0
        self._unparsed = 0
        self._url = b""
        self._headers = []
        self._meaningful = []
        self._connection.head_began()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._unparsed = 0
        self._head_size += len(url)
        if self._head_size > self._limits.max_head:
            raise Refused(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._limits.max_head:
            raise Refused(431)
        lower = name.lower()
        if not self.in_head:
            # A trailer: counted with the head, and nothing here reads it. But the parser would
            # heed this one, which has no meaning there (RFC 9110, 6.5.1).
            if lower == b"connection":
                raise Refused(400)
            return
        if lower in _MEANINGFUL:
            self._meaningful.append(lower)
        self._headers.append((name, value))
        if len(self._headers) > self._limits.max_headers:
            raise Refused(431)

    def on_headers_complete(self) -> None:
        self.in_head = False
        self._unparsed = 0
        parser = self._parser
        if parser is None or self._connection.ready_state not in tcp.WRITABLE:
            # An answer to an earlier request in this batch ended the connection.
            return
        version = parser.get_http_version()
        method = parser.get_method()
        names = self._meaningful
        if version not in _VERSIONS or names.count(b"host") > 1 or method == b"CONNECT":
            raise Refused(400)
        has_body = b"content-length" in names and self._values(b"content-length") != [b"0"]
        if b"transfer-encoding" in names:
            is_chunked = self._values(b"transfer-encoding") == [b"chunked"]
            if not is_chunked or version == "1.0" or b"content-length" in names:
                raise Refused(400)
            has_body = True
        request = ServerRequest(
            self._connection,
            method.decode("latin-1"),
            self._url.decode("latin-1"),
            version,
            self._as_sent or self._headers,
            has_body,
        )
        self._as_sent = None
        if b"upgrade" in names and parser.should_upgrade():
            # Decided when the parser has stopped, which it does at the end of this head.
            self.upgrade = request
            return
        expects = version == "1.1" and b"expect" in names
        if expects and (request.header("expect") or "").lower() != "100-continue":
            raise Refused(417)
        keep_alive = parser.should_keep_alive()
        if keep_alive and b"connection" in names and self._closes():
            keep_alive = False
            self._is_last = True
        self._connection.request_began(request, keep_alive, expects)

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        self._connection.body_arrived(body)

    def on_message_complete(self) -> None:
        self._connection.request_complete()
        if self._is_last:
            self.close()

    def _values(self, wanted: bytes) -> list[bytes]:
        return [value.strip(b" \t").lower() for name, value in self._headers if name.lower() == wanted]

    def _closes(self) -> bool:
        """Whether the client will not go on (RFC 9112, 9.3: "close" outweighs "keep-alive", which
        httptools has the other way round in HTTP/1.0)."""
        options = b",".join(self._values(b"connection")).split(b",")
        return b"close" in [option.strip(b" \t") for option in options]

    # --- upgrades

    def _parse(self, parser: httptools.HttpRequestParser, data: bytes) -> int | None:
        """Returns where the head of a request for an upgrade ended, if there was one."""
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            at: int = upgrade.args[0]
            return at
        except httptools.HttpParserCallbackError as error:
            # What a callback raised; but while another exception is handled, it is that one.
            raise error.__context__ or error from None
        except httptools.HttpParserError:
            raise Refused(400) from None
        return None

    def _again(self, request: ServerRequest) -> bytes:
        """The head of a request as one that asks for no upgrade (RFC 9110, 7.8: a server may ignore
        what it does not offer). The parser would take its body for the next request."""
        self._as_sent = request.raw_headers
        headers = [(name, value) for name, value in request.raw_headers if name.lower() != b"upgrade"]
        lines = [b"%b: %b\r\n" % header for header in headers]
        first = f"{request.method} {request.url} HTTP/{request.http_version}\r\n".encode("latin-1")
        return b"".join([first, *lines, b"\r\n"])
