"""Who reads an HTTP request: our server without a socket, h11, and Node's own server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import h11
import pytest

from wirehop.errors import ConnectionClosed
from wirehop.node import http

SCRIPT = Path(__file__).parent.parent / "interop" / "node" / "http_judge.js"

OPEN = "open"
"""The end of a reading: it could go on."""

CLOSED = "closed"
"""The end of a reading: the client was to be answered, and no more."""


class Read(NamedTuple):
    """One request as somebody read it. Text is latin-1; values have no white space around them."""

    method: str
    url: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool


@dataclass(slots=True)
class Reading:
    """The requests of one connection."""

    requests: list[Read]
    end: str
    """OPEN, CLOSED, or why the next request, or the rest of the last one, was refused."""

    def is_refused(self) -> bool:
        return self.end not in (OPEN, CLOSED)

    def lacks_host(self) -> bool:
        """Whether a request of HTTP/1.1 does."""
        return any(
            read.version == "1.1" and not any(name.lower() == "host" for name, _ in read.headers)
            for read in self.requests
        )


def _headers(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    read = []
    for name, value in pairs:
        value = value.strip(" \t")
        # h11 gives this one in small letters only.
        read.append((name, value.lower() if name.lower() == "transfer-encoding" else value))
    return tuple(read)


def accepts_more(ours: Reading, judge: Reading) -> bool:
    """Whether something is in ``ours`` that ``judge`` refused."""
    if not judge.is_refused():
        return False
    if len(ours.requests) != len(judge.requests):
        return len(ours.requests) > len(judge.requests)
    if not judge.requests:
        return False
    mine, its = ours.requests[-1], judge.requests[-1]
    return (mine.complete and not its.complete) or len(mine.body) > len(its.body)


def differs(ours: Reading, judge: Reading) -> str | None:
    """How two that both accept a request understand it differently, if they do. One may be
    stricter than the other, and then has read the same up to where it refused."""
    for mine, its in zip(ours.requests, judge.requests, strict=False):
        if mine[:4] != its[:4]:
            return "the head of a request"
        if mine.complete and its.complete:
            if mine.body != its.body:
                return "a body"
            continue
        # The end of a reading is about its last request, if that is not complete.
        stops = (not mine.complete and ours.is_refused()) or (not its.complete and judge.is_refused())
        if not stops and (mine.body, mine.complete) != (its.body, its.complete):
            return "where a body ends"
        shorter, longer = sorted((mine.body, its.body), key=len)
        if not longer.startswith(shorter):
            return "a part of a body"
        return None
    if len(ours.requests) < len(judge.requests):
        return None if ours.is_refused() else "that there is another request"
    if len(ours.requests) > len(judge.requests):
        return None if judge.is_refused() else "that there is no other request"
    if (ours.end == CLOSED) != (judge.end == CLOSED):
        return "whether a request is the last"
    return None


# --- known differences


@dataclass(frozen=True, slots=True)
class Known:
    """Something that a judge reads in another way than we do, and had better not."""

    reason: str
    change: Callable[[bytes], bytes]
    """Makes of it what means the same to us, and to the judge too."""


_A_HOST = (b"Host", b"the judges want one")

H11_REFUSES = {
    "Missing mandatory Host: header": Known(
        "The seed's own tests send HTTP/1.1 without Host. (Node can be told so.)",
        lambda data: data.replace(b"\n", b"\n%b: %b\r\n" % _A_HOST, 1),
    ),
    "no request line received": Known(
        "RFC 9112, 2.2: an empty line before a request is to be ignored",
        lambda data: data.removeprefix(b"\r\n"),
    ),
}
"""By h11's words."""

_TAB = re.compile(rb"(?i)\n((?:connection|content-length):[^\r\n]*?)[ \t]*\t[ \t]*\r\n")
_CLOSE = re.compile(rb"(?i)\nconnection:[^\n]*close")
_KEEP_ALIVE = re.compile(rb"(?i)\nconnection:[^\n]*keep-alive")


def _as_1_1(data: bytes) -> bytes:
    both = _CLOSE.search(data) and _KEEP_ALIVE.search(data)
    return data.replace(b" HTTP/1.0\r\n", b" HTTP/1.1\r\n") if both else data


NODE_DIFFERS = [
    Known(
        "RFC 9110, 5.5: white space around a value is no part of it. Node 20 overlooks a Connection "
        "and refuses a Content-Length that has a tab behind its value",
        lambda data: _TAB.sub(rb"\n\1\r\n", data),
    ),
    Known(
        "RFC 9112, 9.3: close outweighs keep-alive. In HTTP/1.0 Node has it the other way round",
        _as_1_1,
    ),
]


# --- ours


class Wire(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self, extra: dict[str, Any] | None = None) -> None:
        super().__init__(extra)
        self.sent = bytearray()
        self.is_paused = False
        self.is_over = False
        """Whether no more can be written."""
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_over
        self.sent += data

    def write_eof(self) -> None:
        self.is_over = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.is_over = self._closing = True

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class Ours:
    """Our server, which answers each request when it is complete. Used while a loop runs."""

    def __init__(self, **limits: Any) -> None:
        self.server = http.Server(self._asked, limits=http.Limits(**limits))
        self.unread: list[bytes] = []
        """The pieces that came after the connection was closed, or given to an upgrade."""
        self._seen: list[tuple[http.ServerRequest, list[bytes]]] = []

    def _asked(self, request: http.ServerRequest, response: http.ServerResponse) -> None:
        body: list[bytes] = []
        self._seen.append((request, body))
        request.on("body", body.append)
        request.on("complete", lambda: response.respond(200))

    def read(self, pieces: list[bytes]) -> Reading:
        """What it makes of a connection that sends these pieces."""
        try:
            return self._read(pieces)
        except Exception as error:
            error.add_note(f"input {b''.join(pieces)!r} in {len(pieces)} pieces")
            raise

    def _read(self, pieces: list[bytes]) -> Reading:
        self._seen = []
        self.unread = []
        wire = Wire()
        connection = http.ServerConnection(self.server)
        connection.connection_made(wire)
        for piece in pieces:
            if connection.ready_state == "closed":
                self.unread.append(piece)
                continue
            assert not wire.is_paused, "this handler never lets anybody wait"
            connection.data_received(piece)
        connection.output.flush()
        end = _end(wire, sum(request.complete for request, _ in self._seen))
        if connection.ready_state != "closed" or wire.is_closing():
            connection.connection_lost(None)
        return Reading([_read(request, body) for request, body in self._seen], end)


class Dawdler:
    """Our server with a handler that takes its time, on a client that obeys the flow control."""

    def __init__(self, random: Random, **limits: Any) -> None:
        self.server = http.Server(self._asked, limits=http.Limits(**limits))
        self._random = random
        self._seen: list[tuple[http.ServerRequest, list[bytes]]] = []
        self._answered = 0
        self._news = 0

    async def _asked(self, request: http.ServerRequest, response: http.ServerResponse) -> None:
        body: list[bytes] = []
        self._seen.append((request, body))
        await self._dawdle()
        try:
            async for chunk in request:
                body.append(chunk)
                await self._dawdle()
        except ConnectionClosed:
            return
        await self._dawdle()
        response.respond(200)
        self._answered += 1

    async def _dawdle(self) -> None:
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 5))):
            await asyncio.sleep(0)
        self._news += 1

    async def read(self, pieces: list[bytes]) -> Reading:
        """What it makes of a connection that sends these pieces."""
        try:
            return await self._read(pieces)
        except Exception as error:
            error.add_note(f"input {b''.join(pieces)!r} in {len(pieces)} pieces")
            raise

    async def _read(self, pieces: list[bytes]) -> Reading:
        self._seen = []
        self._answered = 0
        wire = Wire()
        connection = http.ServerConnection(self.server)
        connection.connection_made(wire)
        for piece in pieces:
            while wire.is_paused and await self._goes_on():
                pass
            if wire.is_closing():
                break
            assert not wire.is_paused, "everybody waits for somebody else"
            connection.data_received(piece)
            await self._dawdle()
        while await self._goes_on():
            pass
        end = _end(wire, self._answered)
        connection.connection_lost(None)
        while await self._goes_on():
            pass
        return Reading([_read(request, body) for request, body in self._seen], end)

    async def _goes_on(self) -> bool:
        """Whether a handler did something in some turns of the loop: more than any of them waits."""
        before = self._news
        for _ in range(10):
            await asyncio.sleep(0)
        return self._news != before


def _read(request: http.ServerRequest, body: list[bytes]) -> Read:
    return Read(
        request.method,
        request.url,
        request.http_version,
        _headers(request.headers),
        b"".join(body),
        request.complete,
    )


_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")


def _end(wire: Wire, answered: int) -> str:
    statuses = [status for status in _STATUS.findall(wire.sent) if status != b"100"]
    refusals: list[str] = [status.decode() for status in statuses[answered:]]
    assert statuses[:answered] == [b"200"] * answered, "each complete request is answered, in order"
    assert len(refusals) <= 1, "what follows a refusal is not read"
    assert not refusals or wire.is_over, "a refusal is the last"
    if refusals:
        return refusals[0]
    return CLOSED if wire.is_over else OPEN


# --- h11


def h11_reads(data: bytes) -> Reading:
    """What h11 makes of it, which is helped over what :data:`H11_REFUSES`."""
    reading = Reading([], OPEN)
    while True:
        # A new one for each request: h11 keeps no connection of HTTP/1.0.
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        head: h11.Request | None = None
        body = b""
        complete = False
        try:
            while not complete:
                event = connection.next_event()
                if type(event) is h11.Request:
                    head = event
                elif type(event) is h11.Data:
                    body += event.data
                elif type(event) is h11.EndOfMessage:
                    complete = True
                else:
                    break
        except h11.RemoteProtocolError as error:
            known = H11_REFUSES.get(str(error))
            if known is not None and (changed := known.change(data)) != data:
                data = changed
                continue
            reading.end = str(error)
        if head is not None:
            reading.requests.append(_from_h11(head, body, complete))
        if head is None or not complete:
            return reading
        if not _is_kept(head):
            reading.end = CLOSED
            return reading
        data = connection.trailing_data[0]


def _from_h11(head: h11.Request, body: bytes, complete: bool) -> Read:
    headers = head.headers.raw_items()
    if headers and headers[0] == _A_HOST:
        del headers[0]
    return Read(
        head.method.decode("latin-1"),
        head.target.decode("latin-1"),
        head.http_version.decode("latin-1"),
        _headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers),
        body,
        complete,
    )


def _is_kept(head: h11.Request) -> bool:
    """Whether another request may follow (RFC 9112, 9.3)."""
    values = [value for name, value in head.headers if name == b"connection"]
    options = {option.strip().lower() for value in values for option in value.split(b",")}
    if b"close" in options:
        return False
    return head.http_version == b"1.1" or b"keep-alive" in options


# --- Node


class Node:
    """Node's server, in one process for all that it is asked."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def read(self, inputs: list[tuple[bytes, bool]]) -> Iterator[Reading]:
        """What it makes of each; with True it is told that a request may lack its Host."""
        # A thread, or both sides might wait for the other to read.
        writer = threading.Thread(target=self._write, args=(inputs,))
        writer.start()
        try:
            for _ in inputs:
                yield self._answer()
        finally:
            writer.join()

    def _write(self, inputs: list[tuple[bytes, bool]]) -> None:
        assert self._process.stdin is not None
        for data, may_lack_host in inputs:
            self._process.stdin.write(struct.pack(">BI", may_lack_host, len(data)) + data)
        self._process.stdin.flush()

    def _answer(self) -> Reading:
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        return Reading([_from_node(read) for read in answer["requests"]], answer["end"])


def _from_node(read: dict[str, Any]) -> Read:
    headers = read["headers"]
    return Read(
        read["method"],
        read["url"],
        read["version"],
        _headers(zip(headers[::2], headers[1::2], strict=True)),
        read["body"].encode("latin-1"),
        read["complete"],
    )


@contextmanager
def node() -> Iterator[Node]:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    with subprocess.Popen(["node", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Node(process)
        finally:
            process.kill()
