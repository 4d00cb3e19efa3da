"""Requests out of bytes: httptools parses, and what it lets pass is checked and counted here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from wirehop.node.http.limits import Limits
from wirehop.node.http.server_request import ServerRequest
from wirehop.node.tcp import WRITABLE

if TYPE_CHECKING:
    from wirehop.node.http.server_connection import ServerConnection

__all__ = ["Refused", "RequestParser"]

_VERSIONS = ("1.1", "1.0")

_MEANINGFUL = frozenset(
    {b"connection", b"content-length", b"expect", b"host", b"transfer-encoding", b"upgrade"}
)
"""Headers that change how a request is read or answered."""

_NOTHING_BUT_HOST = [b"host"]

_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
"""Those that most requests have; the others are decoded each time."""

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
        "_headers",
        "_is_last",
        "_known",
        "_known_as",
        "_limits",
        "_meaningful",
        "_parser",
        "_room",
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
        # A head is counted twice: by what the parser made of it (there is room for so much more),
        # and by what it was fed since it last got anywhere, for it keeps half a header, and half a
        # trailer, however long.
        self._room = 0
        self._unparsed = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._meaningful: list[bytes] = []
        self._is_last = False
        self._as_sent: list[tuple[bytes, bytes]] | None = None
        """The headers of a request that is read a second time, which lacks some then."""
        self._known: bytes | None = None
        """What was fed last, if it was one request of nothing but a head that another may follow."""
        self._known_as: tuple[str, str, str, list[tuple[bytes, bytes]]] | None = None
        """Its method, URL, version and headers."""

    def repeat(self, data: bytes, at: int) -> int:
        """Take the next request without parsing it, if it is byte for byte the one before it, as
        with clients that are programs. Returns its size, or 0 when it has to be fed."""
        known = self._known
        if known is None or self._known_as is None:
            return 0
        # Who sends one request at a time: to compare costs a third of the call.
        if (at or data != known) and not data.startswith(known, at):
            return 0
        if self._connection.ready_state not in WRITABLE:
            return 0
        method, url, version, headers = self._known_as
        request = ServerRequest(self._connection, method, url, version, headers.copy())
        self._connection.request_began(request, True, False)
        return len(known)

    def feed(self, data: bytes, is_head: bool = False) -> bytes | None:
        """Parse; ``is_head`` says that the only end of a head in ``data`` is at its end. When the
        client asked for an upgrade that is offered, that was the last request, and what followed
        it is returned. Raises :class:`Refused`."""
        parser = self._parser
        if parser is None:
            return None
        is_whole = is_head and not self.in_head
        self._known = self._known_as = None
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
        elif is_whole:
            self._known = data
        return None

    def close(self) -> None:
        """Parse no more. (The parser and its callbacks refer to each other.)"""
        self._parser = None

    # --- what httptools found

    def on_message_begin(self) -> None:
        self.in_head = True
        self._room = self._limits.max_head
        self._unparsed = 0
        self._url = b""
        self._headers = []
        self._meaningful = []
        self._connection.head_began()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._unparsed = 0
        self._room -= len(url)
        if self._room < 0:
            raise Refused(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._room -= len(name) + len(value) + 4
        if self._room < 0:
            raise Refused(431)
        lower = name.lower()
        if self.in_head:
            self._headers.append((name, value))
            if lower in _MEANINGFUL:
                self._meaningful.append(lower)
        elif lower == b"connection":
            # A trailer: counted with the head, and nothing here reads it. But the parser would
            # heed this one, which has no meaning there (RFC 9110, 6.5.1).
            raise Refused(400)

    def on_headers_complete(self) -> None:
        self.in_head = False
        self._unparsed = 0
        parser = self._parser
        if parser is None or self._connection.ready_state not in WRITABLE:
            # An answer to an earlier request in this batch ended the connection.
            return
        method = parser.get_method()
        names = self._meaningful
        keep_alive = parser.should_keep_alive()
        version = "1.1"
        has_body = False
        # Only an HTTP/1.1 connection is kept alive without a word, and to ask the parser for the
        # version costs as much as to parse a short request.
        if not keep_alive or names != _NOTHING_BUT_HOST:
            version = parser.get_http_version()
            has_body = self._has_body(version)
        if method == b"CONNECT":
            raise Refused(400)
        if len(self._headers) > self._limits.max_headers:
            raise Refused(431)
        request = ServerRequest(
            self._connection,
            _METHODS.get(method) or method.decode("latin-1"),
            self._url.decode("latin-1"),
            version,
            self._as_sent or self._headers,
        )
        if has_body:
            request.expect_body()
        is_as_fed = self._as_sent is None
        self._as_sent = None
        if b"upgrade" in names and parser.should_upgrade():
            # Decided when the parser has stopped, which it does at the end of this head.
            self.upgrade = request
            return
        expects = version == "1.1" and b"expect" in names
        if expects and (request.header("expect") or "").lower() != "100-continue":
            raise Refused(417)
        if keep_alive and b"connection" in names and self._closes():
            keep_alive = False
            self._is_last = True
        if keep_alive and is_as_fed and not has_body and not expects:
            self._known_as = (request.method, request.url, version, request.raw_headers.copy())
        self._connection.request_began(request, keep_alive, expects)

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        self._connection.body_arrived(body)

    def on_message_complete(self) -> None:
        self._connection.body_ended()
        if self._is_last:
            self.close()

    def _has_body(self, version: str) -> bool:
        """Whether the head announces a body. Raises :class:`Refused` for a version that is not
        spoken here and where it is not certain which body, or which host, is meant."""
        names = self._meaningful
        if version not in _VERSIONS or names.count(b"host") > 1:
            raise Refused(400)
        if b"transfer-encoding" in names:
            is_chunked = self._values(b"transfer-encoding") == [b"chunked"]
            if not is_chunked or version == "1.0" or b"content-length" in names:
                raise Refused(400)
            return True
        return b"content-length" in names and self._values(b"content-length") != [b"0"]

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
