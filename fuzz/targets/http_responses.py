"""Responses to our HTTP client: the same bytes are the same response however they are cut, and h11
reads what we accept as we do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import h11

from fuzz import seeds as recorded
from fuzz.choices import HEAD, cut
from wirehop.errors import ProtocolError
from wirehop.node.http.limits import ClientLimits
from wirehop.node.http.response_parser import RawHeaders, ResponseParser

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 1024

TOKENS = (
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 \r\n",
    b"HTTP/1.1 304 A\r\n", b"HTTP/1.1 101 A\r\n", b"HTTP/1.1 404\r\n", b"HTTP/2 200\r\n", b"\r\n",
    b"\r\n\r\n", b"\n\n", b"\r", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Upgrade: x\r\n", b"A: b\r\n", b" folded\r\n", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n", b"5;a=b\r\n", b"gzip, chunked", b"ffffffffffffffff", b"\x00", b"\xff",
)  # fmt: skip

_METHODS = ("GET", "HEAD", "POST", "GET")

_LIMITS = (ClientLimits(), ClientLimits(max_head=64, max_headers=3))

JUDGED = 3
"""One input of four is shown to h11, which is slow."""


class _Response(NamedTuple):
    """What came of some bytes."""

    informational: list[tuple[int, RawHeaders]]
    head: tuple[int, str, RawHeaders] | None
    body: bytes
    error: bool
    excess_trailers: bool
    complete: bool
    until_close: bool
    keep_alive: bool
    has_excess: bool


class _Seen:
    """Who is told of what was found."""

    def __init__(self) -> None:
        self.informational: list[tuple[int, RawHeaders]] = []
        self.head: tuple[int, str, RawHeaders] | None = None
        self.body: list[bytes] = []

    def information_arrived(self, status: int, headers: RawHeaders) -> None:
        assert self.head is None, "an informational response behind the final one"
        self.informational.append((status, headers))

    def head_arrived(self, status: int, version: str, headers: RawHeaders) -> None:
        assert self.head is None, "two final responses"
        self.head = (status, version, headers)

    def body_arrived(self, body: bytes) -> None:
        assert self.head is not None, "a body without a head"
        self.body.append(body)


def fuzz_one(data: bytes) -> None:
    mode, head, stream = data[:1], data[1 : 1 + HEAD], data[1 + HEAD :]
    if not stream:
        return
    how = mode[0]
    method = _METHODS[how & 3]
    limits = _LIMITS[how >> 2 & 1]
    whole = _read(method, limits, [stream])
    pieces = cut(head, stream)
    cut_up = _read(method, limits, pieces)
    if whole.excess_trailers or cut_up.excess_trailers:
        # They are counted by what came without a piece of the body, so it depends on the cuts.
        return
    if cut_up.has_excess and not whole.has_excess and stream.endswith((b"\r", b"\n")):
        # An empty line behind a response, which old servers send, is overlooked when it comes with it.
        cut_up = cut_up._replace(has_excess=False)
    assert cut_up == whole, f"{method} in {pieces}: {cut_up}, as a whole {whole}"
    if how >> 3 & JUDGED == 0 and whole.head is not None and not (whole.error or limits is _LIMITS[1]):
        _judge(method, stream, whole)


def _read(method: str, limits: ClientLimits, pieces: list[bytes]) -> _Response:
    seen = _Seen()
    parser = ResponseParser(method, limits, seen)
    error = excess_trailers = False
    for piece in pieces:
        try:
            parser.feed(piece)
        except ProtocolError as found:
            error = True
            excess_trailers = found.reason == "Trailers Too Large"
            break
    assert not parser.complete or seen.head is not None, "complete without a head"
    parser.close()
    return _Response(
        seen.informational,
        seen.head,
        b"".join(seen.body),
        error,
        excess_trailers,
        parser.complete,
        parser.until_close,
        parser.keep_alive,
        parser.has_excess,
    )


def _judge(method: str, stream: bytes, ours: _Response) -> None:
    """Ours accepted it: if h11 does too, it is the same response."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(stream)
    status = None
    body = b""
    complete = False
    try:
        while True:
            event = connection.next_event()
            if type(event) is h11.Response:
                status = event.status_code
            elif type(event) is h11.Data:
                body += event.data
            elif type(event) is h11.EndOfMessage:
                complete = True
                break
            elif type(event) is not h11.InformationalResponse:
                break
    except h11.RemoteProtocolError:
        # Stricter, and what it read until then counts.
        if status is None:
            return
        assert ours.body.startswith(body), f"another body: ours {ours}, h11's {body!r}"
        return
    assert ours.head is not None
    assert status in (None, ours.head[0]), f"another status: ours {ours}, h11's {status}"
    if status is not None:
        theirs = (body, complete)
        assert theirs == (ours.body, ours.complete), f"another body: ours {ours}, h11's {theirs}"


def seeds() -> Iterator[bytes]:
    for number, stream in enumerate(recorded.http("server->client")):
        yield bytes([number & 15, 16, 80, 170]) + stream[:MAX_SIZE]
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"
    for how in range(4):
        yield bytes([how, 16, 80, 170]) + chunked
        yield bytes([how, 16, 80, 170]) + b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + chunked
        yield bytes([how, 16, 80, 170]) + b"HTTP/1.0 200 OK\r\n\r\nuntil the end"
