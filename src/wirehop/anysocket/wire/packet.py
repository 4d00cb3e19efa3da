"""The layout of a packet: what the characters of a WebSocket text message mean.

=====  =======================================================================
chars  content
=====  =======================================================================
0      ``1`` the last or only chunk, ``2`` more chunks with this number follow
1      packet type, one digit
2-5    sequence number, signed, big endian, each byte as one character
6-     a chunk of the packet's JSON text
=====  =======================================================================

A packet whose JSON text has more than 1,048,576 UTF-16 units is cut into chunks, never through
a surrogate pair. What goes out is bytes (UTF-8, as sockets want it), what comes in is text (as
WebSocket guarantees it).

A FORWARD frame is not laid out like this: it begins with ``6``, then come the ids of its receiver
and of its sender, 16 characters each, one for each byte; the rest is a frame of the link between
these two.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import TypeGuard

from wirehop.errors import ProtocolError

__all__ = [
    "CHUNK",
    "Internal",
    "PacketType",
    "encode",
    "encode_forward_head",
    "encode_head",
    "is_id",
    "nested_frame",
    "parse_forward",
    "parse_head",
]

CHUNK = 1_048_576
"""UTF-16 units of JSON text in one frame."""

INVALID = "Invalid Packet!"


class PacketType(IntEnum):
    AUTH = 1
    INTERNAL = 2
    LINK = 3
    SWITCH = 4
    HEARTBEAT = 5
    FORWARD = 6


class Internal(IntEnum):
    """The ``type`` member of an INTERNAL packet."""

    NETWORK = 1
    PROXY = 2
    RPC = 3
    RPC_NOTIFY = 4
    SYNCED_TIME = 5


_HEX_DIGITS = frozenset("0123456789abcdef")

_NUMBER = struct.Struct(">i")

_LAST = tuple(b"1%d" % kind for kind in range(len(PacketType) + 1))
_MORE = tuple(b"2%d" % kind for kind in range(len(PacketType) + 1))

# FORWARD is none of these: its frames begin with its digit and have no flag.
_FLAGS = {
    f"{flag}{kind.value}": (flag == "1", kind)
    for flag in "12"
    for kind in PacketType
    if kind is not PacketType.FORWARD
}


_KEPT = 1024
"""Heads that are kept but for the last byte of their numbers, in each direction: a peer counts from
one such head to the next, and to put one together anew takes half as long again."""

_in: dict[str, tuple[bool, PacketType, int]] = {}
_out: dict[tuple[PacketType, int], bytes] = {}
_LOW = tuple(chr(byte).encode() for byte in range(256))
_BYTES = {chr(byte): byte for byte in range(256)}


def is_id(value: object) -> TypeGuard[str]:
    """Whether ``value`` is an AnySocket id: a text of 32 lowercase hex digits."""
    return isinstance(value, str) and len(value) == 32 and _HEX_DIGITS.issuperset(value)


def encode_head(kind: PacketType, seq: int, *, last: bool = True) -> bytes:
    """Characters 0 to 5, in UTF-8: a byte of the number from 0x80 on takes two."""
    if not last:
        return _MORE[kind] + _encode_number(seq)
    try:
        return _out[kind, seq >> 8] + _LOW[seq & 0xFF]
    except KeyError:
        head = _LAST[kind] + _encode_number(seq)
    if len(_out) >= _KEPT:
        _out.clear()
    _out[kind, seq >> 8] = head[: -len(_LOW[seq & 0xFF])]
    return head


def _encode_number(seq: int) -> bytes:
    return _NUMBER.pack(seq).decode("latin-1").encode()


def encode(
    kind: PacketType, seq: int, json: bytes, seal: Callable[[int, bytes], bytes] | None = None
) -> list[bytes]:
    """The frames of one packet; ``seal(number, chunk)`` encrypts its chunks."""
    # No text has more UTF-16 units than bytes of UTF-8.
    chunks = [json] if len(json) <= CHUNK else _cut(json)
    if seal is not None:
        chunks = [seal(abs(seq), chunk) for chunk in chunks]
    head = encode_head(kind, seq)
    if len(chunks) == 1:
        return [head + chunks[0]]
    more = encode_head(kind, seq, last=False)
    return [*(more + chunk for chunk in chunks[:-1]), head + chunks[-1]]


def encode_forward_head(to: str, sender: str) -> bytes:
    """What stands before a frame that a relay is to carry from one id to another, in UTF-8."""
    return b"6" + bytes.fromhex(to + sender).decode("latin-1").encode()


def parse_forward(frame: str) -> tuple[str, str] | None:
    """The ids of the receiver and the sender of a FORWARD frame; None if it is too short or what
    stands there is no id."""
    try:
        ids = frame[1:33].encode("latin-1").hex()
    except UnicodeEncodeError:
        return None
    return (ids[:32], ids[32:]) if len(ids) == 64 else None


def nested_frame(frame: str) -> str:
    """What a FORWARD frame carries."""
    return frame[33:]


def parse_head(frame: str) -> tuple[bool, PacketType, int]:
    """Whether a frame is its packet's last, the packet's type and its number.

    Raises ``ProtocolError`` for what no peer sends.
    """
    try:
        last, kind, high = _in[frame[:5]]
        seq = high + _BYTES[frame[5]]
    except (KeyError, IndexError):
        return _parse_head(frame)
    return (last, kind, seq) if seq else _parse_head(frame)


def _parse_head(frame: str) -> tuple[bool, PacketType, int]:
    try:
        last, kind = _FLAGS[frame[:2]]
        (seq,) = _NUMBER.unpack(frame[2:6].encode("latin-1"))
    except (KeyError, struct.error):
        raise ProtocolError(INVALID, detail="no packet starts like this") from None
    except UnicodeEncodeError:
        raise ProtocolError(INVALID, detail="a sequence number has characters up to U+00FF") from None
    if seq == 0:
        raise ProtocolError(INVALID, detail="sequence number 0")
    if len(_in) >= _KEPT:
        _in.clear()
    _in[frame[:5]] = last, kind, seq & ~0xFF
    return last, kind, seq


def _cut(json: bytes) -> list[bytes]:
    if json.isascii():
        return [json[at : at + CHUNK] for at in range(0, len(json), CHUNK)]
    units = json.decode().encode("utf-16-le")
    chunks = []
    start = 0
    while start < len(units):
        end = min(start + 2 * CHUNK, len(units))
        # A chunk that ends in a high surrogate leaves it to the next.
        if end < len(units) and 0xD8 <= units[end - 1] <= 0xDB:
            end -= 2
        chunks.append(units[start:end].decode("utf-16-le").encode())
        start = end
    return chunks
