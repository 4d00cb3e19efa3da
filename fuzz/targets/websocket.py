"""WebSocket frames to a server, through picows and what stands on it: however the bytes are cut, what
comes of them is what RFC 6455 describes, and nothing follows the end.

picows looks one frame ahead: of two that come together the first is not given if the second breaks the
rules. That much may be missing behind which the connection is closed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from fuzz import seeds as recorded
from fuzz.choices import HEAD, cut
from fuzz.loops import StillLoop, Wire, running
from wirehop.anysocket.options import PeerOptions
from wirehop.anysocket.transports import Connection
from wirehop.anysocket.transports import ws as transport

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 512

TOKENS = (
    b"\x81\x80\x00\x00\x00\x00", b"\x81\x81\x00\x00\x00\x00a", b"\x01\x80\x00\x00\x00\x00",
    b"\x01\x81\x00\x00\x00\x00a", b"\x00\x80\x00\x00\x00\x00", b"\x80\x80\x00\x00\x00\x00",
    b"\x80\x81\x00\x00\x00\x00b", b"\x89\x80\x00\x00\x00\x00", b"\x89\x82\x00\x00\x00\x00hi",
    b"\x8a\x80\x00\x00\x00\x00", b"\x88\x80\x00\x00\x00\x00", b"\x88\x82\x00\x00\x00\x00\x03\xe8",
    b"\x88\x82\x00\x00\x00\x00\x03\xe7", b"\x88\x81\x00\x00\x00\x00\x03", b"\x82\x80\x00\x00\x00\x00",
    b"\x83\x80\x00\x00\x00\x00", b"\xc1\x80\x00\x00\x00\x00", b"\x81\xfe\x00\x7e\x00\x00\x00\x00",
    b"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00a", b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", b"\x81\x01a", b"\x89\xfe\x00\x7e", b"\x01\x02\x03\x04",
    b"\xff", b"\xc3", b"\xa9", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\x11\x00\x00\x00\x01{}",
)  # fmt: skip

_LIMIT = 256
"""Bytes of a message at most."""

_FRAGMENT = 64
"""Bytes that a fragment counts beside its own."""

_OPTIONS = PeerOptions(max_frame_size=_LIMIT, max_message_size_before_auth=MAX_SIZE)

_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

_LOOP = StillLoop()  # type: ignore[abstract]


class _Taken(NamedTuple):
    """What came of some bytes."""

    texts: list[str]
    pongs: list[bytes]
    is_over: bool | None
    """Whether it is closed. None: it may be, but what breaks the rules is not there as a whole."""


class _Receiver:
    """In the place of a peer."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.has_failed = False
        self.is_lost = False

    def connection_made(self, connection: Connection) -> None:
        connection.trust()

    def frame_received(self, frame: str) -> None:
        assert not self.has_failed, "a message behind a failure"
        assert not self.is_lost, "a message behind the end"
        self.texts.append(frame)

    def connection_failed(self, reason: str, code: int, detail: str) -> None:
        assert not self.has_failed, "failed twice"
        self.has_failed = True

    def connection_cut(self, reason: str) -> None:
        raise AssertionError(f"cut, although it reads: {reason}")

    def connection_lost(self) -> None:
        assert not self.is_lost, "lost twice"
        self.is_lost = True


def fuzz_one(data: bytes) -> None:
    head, stream = data[:HEAD], data[HEAD:]
    if not stream:
        return
    pieces = cut(head, stream)
    with running(_LOOP):
        taken = _take(pieces)
        _LOOP.forget()
    described = _described(stream)
    assert _is_as(taken, described), f"{pieces}: {taken} instead of {described}"


def _is_as(taken: _Taken, described: _Taken) -> bool:
    if not taken.is_over:
        same = (taken.texts, taken.pongs) == (described.texts, described.pongs)
        return same and described.is_over is not True
    missing = len(described.texts) - len(taken.texts) + len(described.pongs) - len(taken.pongs)
    return (
        described.is_over is not False
        and missing <= 1
        and taken.texts == described.texts[: len(taken.texts)]
        and taken.pongs == described.pongs[: len(taken.pongs)]
    )


def _take(pieces: list[bytes]) -> _Taken:
    receiver = _Receiver()
    connection = transport.WSConnection(receiver, _OPTIONS)
    socket: Any = transport._Socket(connection, _OPTIONS, None)
    wire = Wire()
    socket.connection_made(wire)
    transport._feed(socket, _HANDSHAKE, b"")
    connection.output.flush()
    assert wire.sent.startswith(b"HTTP/1.1 101 "), "the handshake was refused"
    wire.sent.clear()
    for piece in pieces:
        if wire.is_closing():
            break
        transport._feed(socket, piece, b"")
        _LOOP.turn()
    connection.output.flush()
    is_over = wire.is_closing() or receiver.has_failed
    socket.connection_lost(None)
    assert receiver.is_lost, "nobody was told of the end"
    return _Taken(receiver.texts, _pongs(bytes(wire.sent)), is_over)


def _pongs(sent: bytes) -> list[bytes]:
    """The payloads of the Pongs that were sent; all frames of a server that has no messages are
    short, and a Close is the last."""
    pongs = []
    at = 0
    is_closed = False
    while at < len(sent):
        assert not is_closed, f"sent behind a Close: {sent!r}"
        first, size = sent[at : at + 2]
        assert first in (0x88, 0x8A), f"sent what nobody asked for: {sent!r}"
        assert size <= 125, f"a control frame of {size} bytes"
        is_closed = first == 0x88
        if not is_closed:
            pongs.append(sent[at + 2 : at + 2 + size])
        at += 2 + size
    assert at == len(sent), f"half a frame: {sent!r}"
    return pongs


def _described(stream: bytes) -> _Taken:
    """What a stream of frames says (RFC 6455, 5)."""
    texts: list[str] = []
    pongs: list[bytes] = []
    message: bytes | None = None
    at = counted = 0
    while len(stream) - at >= 2:
        first, second = stream[at : at + 2]
        at += 2
        opcode, size = first & 15, second & 127
        is_last, is_masked, is_control = first >= 128, second >= 128, opcode >= 8
        is_wrong = not is_masked or first & 0x70 or opcode not in (0, 1, 8, 9, 10)
        if is_wrong or (is_control and (size > 125 or not is_last)):
            return _Taken(texts, pongs, None)
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(stream) - at < width:
                break
            size = int.from_bytes(stream[at : at + width], "big")
            at += width
            if size < (126 if width == 2 else 1 << 16) or size > _LIMIT:
                return _Taken(texts, pongs, None)
        if len(stream) - at < 4 + size:
            break
        mask, payload = stream[at : at + 4], stream[at + 4 : at + 4 + size]
        at += 4 + size
        payload = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
        if opcode == 8:
            return _Taken(texts, pongs, True)
        if is_control:
            if opcode == 9:
                pongs.append(payload)
            continue
        if (opcode == 0) == (message is None):
            return _Taken(texts, pongs, True)
        if message is not None or not is_last:
            counted = (counted if message is not None else 0) + size + _FRAGMENT
            if counted > _LIMIT:
                return _Taken(texts, pongs, True)
        message = (message or b"") + payload
        if is_last:
            try:
                texts.append(message.decode())
            except UnicodeDecodeError:
                return _Taken(texts, pongs, True)
            message = None
    return _Taken(texts, pongs, False)


def _frame(text: bytes, first: int = 0x81) -> bytes:
    size = len(text)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([first]) + length + b"\0\0\0\0" + text


def seeds() -> Iterator[bytes]:
    for number, text in enumerate(recorded.packets()):
        octets = text.encode(errors="replace")[:200]
        if number % 3 == 0:
            half = len(octets) // 2
            pieces = _frame(octets[:half], 0x01) + _frame(b"hi", 0x89) + _frame(octets[half:], 0x80)
            yield bytes([16, 90, 170]) + pieces
        else:
            yield bytes([16, 90, 170]) + _frame(octets)
    yield from (bytes([16, 90, 170]) + token for token in TOKENS)
