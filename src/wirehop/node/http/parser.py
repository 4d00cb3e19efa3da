"""Requests out of bytes: httptools parses, and what it lets pass is checked and counted here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from wirehop.node import tcp
from wirehop.node.http.limits import Limits
from wirehop.node.http.message import ServerRequest

if TYPE_CHECKING:
    from wirehop.node.http.server_connection import ServerConnection

__all__ = ["Refused", "RequestParser"]


class Refused(Exception):
    """A request that is answered with an error, of this status, and ends its connection."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestParser:
    """The requests of one connection, which is told of each as it arrives."""

    __slots__ = (
        "_connection",
        "_head_size",
        "_headers",
        "_limits",
        "_moved",
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
        self._moved = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []

    def feed(self, data: bytes) -> bytes | None:
        """Parse. When the client asked for an upgrade that is offered, that was the last request,
        and what followed it is returned. Raises :class:`Refused`."""
        parser = self._parser
        if parser is None:
            return None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError:
            raise Refused(400) from None
        if not self._moved:
            self._unparsed += len(data)
            if self._unparsed > self._limits.max_head:
                raise Refused(431)
        self._moved = False
        if self.in_head and data.endswith(b"\n") and parser.get_http_version() == "0.0":
            # A whole line without a version is HTTP/0.9, whose client waits for the answer now.
            raise Refused(400)
        return None

    def close(self) -> None:
        """Parse no more. (The parser and its callbacks refer to each other.)"""
        self._parser = None

    # --- what httptools found

    def on_message_begin(self) -> None:
        self.in_head = True
        self._head_size = 0
        self._got_on()
        self._url = b""
        self._headers = []
        self._connection.head_began()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._got_on()
        self._count_head(len(url), 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + 4)
        if not self.in_head:
            # A trailer: counted with the head, and nothing here reads it.
            return
        self._headers.append((name, value))
        if len(self._headers) > self._limits.max_headers:
            raise Refused(431)

    def on_headers_complete(self) -> None:
        self.in_head = False
        self._got_on()
        parser = self._parser
        if parser is None or self._connection.ready_state not in tcp.WRITABLE:
            # An answer to an earlier request in this batch ended the connection.
            return
        version = parser.get_http_version()
        method = parser.get_method()
        names = [name.lower() for name, _ in self._headers]
        if version not in ("1.1", "1.0") or names.count(b"host") > 1 or method == b"CONNECT":
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
            self._headers,
            has_body,
        )
        if parser.should_upgrade():
            # Decided when the parser has stopped, which it does at the end of this head.
            self.upgrade = request
            return
        expects = version == "1.1" and b"expect" in names
        if expects and (request.header("expect") or "").lower() != "100-continue":
            raise Refused(417)
        self._connection.request_began(request, parser.should_keep_alive(), expects)

    def on_body(self, body: bytes) -> None:
        self._got_on()
        self._connection.body_arrived(body)

    def on_message_complete(self) -> None:
        self._connection.request_complete()

    def _values(self, wanted: bytes) -> list[bytes]:
        return [value.strip(b" \t").lower() for name, value in self._headers if name.lower() == wanted]

    # --- upgrades

    def _upgraded(self, tail: bytes) -> bytes | None:
        request = self.upgrade
        if request is None:
            return None
        if request.has_body or not self._connection.server.listeners("upgrade"):
            return self._read_again(request, tail)
        return tail

    def _read_again(self, request: ServerRequest, tail: bytes) -> bytes | None:
        """Read a request as one that asks for no upgrade (RFC 9110, 7.8: a server may ignore
        what it does not offer). The parser would take its body for the next request."""
        self.upgrade = None
        headers = [(name, value) for name, value in request.raw_headers if name.lower() != b"upgrade"]
        lines = [b"%b: %b\r\n" % header for header in headers]
        head = f"{request.method} {request.url} HTTP/{request.http_version}\r\n".encode("latin-1")
        self._parser = httptools.HttpRequestParser(self)
        return self.feed(b"".join([head, *lines, b"\r\n", tail]))

    # --- limits

    def _got_on(self) -> None:
        self._moved = True
        self._unparsed = 0

    def _count_head(self, size: int, status: int = 431) -> None:
        self._head_size += size
        if self._head_size > self._limits.max_head:
            raise Refused(status)
