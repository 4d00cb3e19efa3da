"""The layout of anysocket's packets: heads, FORWARD, chunks, numbers, base64, and calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.anysocket.wire.calling import agree

from fuzz import seeds as recorded
from fuzz.choices import Choices
from wirehop.anysocket.wire import packet
from wirehop.anysocket.wire.chunks import SMALLEST, Partials
from wirehop.anysocket.wire.packer import Packer
from wirehop.anysocket.wire.packet import PacketType
from wirehop.anysocket.wire.sequence import GAP, LAST, Seen
from wirehop.errors import PayloadTooLarge, ProtocolError

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 256

TOKENS = (
    b"11", b"12", b"13", b"14", b"15", b"16", b"21", b"22", b"23", b"6", b"17", b"01", b"\x00\x00\x00\x01",
    b"\xc3\xbf\xc3\xbf\xc3\xbf\xc3\xbf", b"\xc3\xbf", b"\xc4\x80", b"\x7f\xc3\xbf\xc3\xbf\xc3\xbf", b"{}",
    b'{"a":1}', b"1", b"2", b"\xf0\x9f\x98\x80", b"\xe4\xb8\xad", b"=", b"==", b"AAAA", b"+/", b"-_",
    b"\x00" * 16, b'"type":3', b'"method":[', b'"params":[', b'"bin":[', b'"0"', b"1e400", b"-0",
    b"18446744073709551616", b"[[[[[[[[", b"\\ud800",
)  # fmt: skip

_KINDS = tuple(kind for kind in PacketType if kind is not PacketType.FORWARD)

_CHUNK = 16
"""UTF-16 units of a chunk here, instead of a mebibyte: what is cut is small."""

_WIDE = 248
"""Of the bytes that say how far the next number is, those that leave more out than is remembered."""


def fuzz_one(data: bytes) -> None:
    if data:
        _WAYS[data[0] % len(_WAYS)](data[1:])


def _head(data: bytes) -> None:
    frame = data.decode(errors="replace")
    try:
        last, kind, seq = packet.parse_head(frame)
    except ProtocolError:
        return
    assert packet.encode_head(kind, seq, last=last).decode() == frame[:6], "another head"


def _forward(data: bytes) -> None:
    frame = data.decode(errors="replace")
    ids = packet.parse_forward(frame)
    if ids is None:
        return
    to, sender = ids
    assert packet.is_id(to), f"{to!r} is no id"
    assert packet.is_id(sender), f"{sender!r} is no id"
    again = packet.encode_forward_head(to, sender).decode() + packet.nested_frame(frame)
    assert again == "6" + frame[1:], "another frame"


def _chunks(data: bytes) -> None:
    """What is cut into chunks is put together again, with others between."""
    choices = Choices(data)
    kind = _KINDS[choices.byte() % len(_KINDS)]
    seq = choices.byte() + 1
    whole, chunk = packet.CHUNK, _CHUNK
    text = choices.rest().decode(errors="replace")
    packet.CHUNK = chunk
    try:
        frames = [frame.decode() for frame in packet.encode(kind, seq, text.encode())]
    finally:
        packet.CHUNK = whole
    partials = Partials(4, 30.0)
    limit = len(text) + SMALLEST * len(frames)
    for index, frame in enumerate(frames):
        last, its_kind, its_seq = packet.parse_head(frame)
        assert (last, its_kind, its_seq) == (frame is frames[-1], kind, seq), "another head"
        part = frame[6:]
        assert len(part.encode("utf-16-le")) <= 2 * chunk, f"a chunk of {part!r}"
        other = partials.collect(False, kind, seq + 1, "x", limit, float(index))
        assert other is None, "a packet without its end is complete"
        got = partials.collect(last, kind, seq, part, limit, float(index))
        assert (got == text) if last else (got is None), f"{got!r} of {text!r}"
    assert set(partials) == {seq + 1}, "an open packet is forgotten, or one that is complete is kept"


def _partials(data: bytes) -> None:
    """Chunks in any order, beside what a plain reading of the rules says."""
    choices = Choices(data)
    partials = Partials(2, 30.0)
    limit = 3 * SMALLEST
    model: dict[int, tuple[PacketType, str, int, float]] = {}
    now = 0.0
    while choices:
        what, number = choices.byte(), choices.byte()
        last, kind, seq = what & 1 == 1, _KINDS[what >> 1 & 1], number & 3
        text = "x" * (number >> 2 & 7)
        now += what >> 3
        known = model.get(seq)
        size = (known[2] if known else 0) + (len(text) if last else max(len(text), SMALLEST))
        fails = (known is not None and known[0] is not kind) or size > limit
        fails = fails or (known is None and not last and len(model) == 2)
        try:
            got = partials.collect(last, kind, seq, text, limit, now)
        except PayloadTooLarge:
            assert fails, "a limit that was not reached"
            return
        except ProtocolError:
            assert known is not None, "a packet that began has a type"
            assert known[0] is not kind, "its type did not change"
            return
        assert not fails, "accepted beyond a limit"
        whole = (known[1] if known else "") + text
        if last:
            model.pop(seq, None)
        else:
            model[seq] = (kind, whole, size, now + 30.0)
        assert got == (whole if last else None), f"{got!r} instead of {whole!r}"
        assert set(partials) == set(model), "other packets are open"
        if model:
            assert partials.deadline() == min(entry[3] for entry in model.values()), "another deadline"


def _packer(data: bytes) -> None:
    assert Packer.unpack(Packer.pack(data)) == data, "packed and unpacked"
    text = data.decode(errors="replace")
    try:
        octets = Packer.unpack(text)
    except ValueError:
        return
    assert Packer.unpack(Packer.pack(octets)) == octets, "unpacked, packed and unpacked"


def _numbers(data: bytes) -> None:
    """A number passes once, in nearly any order."""
    choices = Choices(data)
    seen = Seen()
    start = 1
    if choices.byte() & 1:
        # Close to where they begin again, which is too far for one jump.
        start = LAST - 40
        for seq in (LAST // 2, start - 1):
            assert seen.first_time(seq), f"a jump to {seq} did not pass"
    passed: set[int] = set()
    at = highest = start - 1
    knows_all = True
    while choices:
        step = choices.byte()
        at = max(start, at + (step - 96 if step < _WIDE else GAP * (step - _WIDE + 1)))
        first = seen.first_time((at - 1) % LAST + 1)
        assert not (first and at in passed), f"{at} passed twice"
        if at > highest or knows_all:
            assert first or at in passed, f"{at} is new and did not pass"
        highest = max(highest, at)
        passed.add(at)
        # Where more is missing the oldest are forgotten.
        knows_all = knows_all and highest - start + 1 - len(passed) <= GAP


def _call(data: bytes) -> None:
    assert agree(data.decode(errors="replace")), "what is read in one step is not what is read exactly"


_WAYS: tuple[Callable[[bytes], None], ...] = (
    _head,
    _forward,
    _chunks,
    _partials,
    _packer,
    _numbers,
    _call,
)


def seeds() -> Iterator[bytes]:
    for number, text in enumerate(recorded.packets()):
        octets = text.encode(errors="replace")[:MAX_SIZE]
        yield bytes([1 if text.startswith("6") else 0]) + octets
        if text[1:2] == "2":
            yield bytes([6]) + octets[6:]
        if number % 8 == 0:
            yield bytes([2, number & 7, number & 0xFF]) + octets
    yield bytes([3]) + bytes(range(32))
    yield bytes([4]) + b"AQIDBA=="
    yield bytes([5, 1]) + bytes([97, 98, 97, 94, 97, 200])
    yield bytes([5, 0]) + bytes([97, 97, 99, 95, 97, 96])
