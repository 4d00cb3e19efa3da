"""The parser of requests: the same bytes are the same requests however they are cut, and nothing but
``Refused`` escapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from fuzz import seeds as recorded
from fuzz.choices import HEAD, cut
from wirehop.node.http.limits import Limits
from wirehop.node.http.parser import Refused, RequestParser
from wirehop.node.http.server_connection import END_OF_HEAD, ServerConnection
from wirehop.node.http.server_request import ServerRequest

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 1024

TOKENS = (
    b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n", b"CONNECT a:1 HTTP/1.1\r\n",
    b" HTTP/1.1\r\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\r", b"Host: a\r\n", b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n", b"Upgrade: x\r\n",
    b"Expect: 100-continue\r\n", b"A: b\r\n", b" folded\r\n", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n", b"5;a=b\r\n", b';a="b"', b"chunked, identity", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"ffffffffffffffff", b"\x00", b"\xff",
)  # fmt: skip

_LIMITS = (Limits(), Limits(max_head=64, max_headers=3))


def fuzz_one(data: bytes) -> None:
    mode, head, stream = data[:1], data[1 : 1 + HEAD], data[1 + HEAD :]
    if not stream:
        return
    how = mode[0]
    limits = _LIMITS[how & 1]
    offers_upgrades = how & 2 != 0
    whole = _Asked(limits, offers_upgrades).read([stream])
    cut_up = _Asked(limits, offers_upgrades).read(cut(head, stream))
    assert cut_up == whole, f"in pieces {cut_up}, as a whole {whole}"


class _Asked:
    """What the parser finds, in the place of a connection that answers every request at once."""

    def __init__(self, limits: Limits, offers_upgrades: bool) -> None:
        self.ready_state = "open"
        self.server = self
        self._upgrades = [None] if offers_upgrades else []
        self._found: list[Any] = []
        self._body: list[bytes] | None = None
        self._is_last = False
        self._parser = RequestParser(cast(ServerConnection, self), limits)

    def read(self, pieces: list[bytes]) -> list[Any]:
        parser = self._parser
        given_away: list[bytes] = []
        for piece in pieces:
            at = 0
            while at < len(piece) and self.ready_state == "open":
                if self._body is None and (size := parser.repeat(piece, at)):
                    at += size
                    continue
                end = -1 if self._body is not None else piece.find(END_OF_HEAD, at)
                to = len(piece) if end < 0 else end + len(END_OF_HEAD)
                try:
                    tail = parser.feed(piece[at:to], end >= 0)
                except Refused:
                    # With which status depends on what is noticed first. Behind the last
                    # request anything may come.
                    if self.ready_state == "open":
                        self._found.append("refused")
                        self.ready_state = "closed"
                else:
                    if tail is not None:
                        self.ready_state = "upgraded"
                        given_away.append(tail)
                at = to
            if self.ready_state == "upgraded":
                given_away.append(piece[at:])
        parser.close()
        found = self._found
        if self.ready_state == "upgraded":
            assert parser.upgrade is not None
            found.append((parser.upgrade.url, parser.upgrade.raw_headers, b"".join(given_away)))
        if self._body is not None:
            found.append(("half", b"".join(self._body)))
        return found

    # --- what a parser needs of a connection

    def listeners(self, event: str) -> list[None]:
        return self._upgrades

    def head_began(self) -> None:
        assert self._body is None, "a head in a body"

    def request_began(self, request: ServerRequest, keep_alive: bool, expects: bool) -> None:
        assert self._body is None, "a request in a body"
        self._found.append((request.method, request.url, request.http_version, request.raw_headers))
        self._found.append((keep_alive, expects))
        self._is_last = not keep_alive
        if request.has_body:
            self._body = []
        else:
            self._ended()

    def body_arrived(self, body: bytes) -> None:
        if self.ready_state == "open":
            assert self._body is not None, "a body of no request"
            self._body.append(body)

    def body_ended(self) -> None:
        if self._body is not None:
            self._found.append(b"".join(self._body))
            self._body = None
            self._ended()

    def _ended(self) -> None:
        if self._is_last:
            self.ready_state = "closed"


def seeds() -> Iterator[bytes]:
    for number, stream in enumerate(recorded.http("client->server")):
        yield bytes([number & 2, 16, 80, 170]) + stream[:MAX_SIZE]
