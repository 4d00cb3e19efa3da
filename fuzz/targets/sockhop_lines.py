"""Sockhop's wire: the same bytes are the same lines however they are cut, a line is a message or a
``SockhopError``, and a message that is written again is the same."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from tests.sockhop.wire.agreement import agree

from fuzz import seeds as recorded
from fuzz.choices import HEAD, cut
from wirehop.errors import PayloadTooLarge, SockhopError
from wirehop.sockhop.object_buffer import ObjectBuffer
from wirehop.sockhop.ping import SockhopPing, SockhopPong
from wirehop.sockhop.request import SockhopRequest
from wirehop.sockhop.wire import envelope
from wirehop.sockhop.wire.envelope import Kind
from wirehop.sockhop.wire.lines import Lines
from wirehop.sockhop.wire.types import NoFit, Types, json_type

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 512

TOKENS = (
    b"\n", b"\r\n", b"\n.\n", b"aab", b"aa", b"null\n", b"{}\n", b'{"type":"', b'"data":', b'"id":',
    b'"uuid":', b'"callback_id":', b'"last":true', b'"SockhopRequest"', b'"SockhopResponsePacket"',
    b'"SockhopPing"', b'"SockhopPong"', b'"_id":', b'"_created":', b'"String"', b'"Number"', b'"Object"',
    b'"Array"', b'"Date"', b'"Buffer"', b'"Widget"', b'"Point"', b'"Colour"', b'"UUID"', b'"Gauge"',
    b'{"name":"a","size":1}',
    b'{"type":"Buffer","data":[1,2]}', b'"2024-01-01T00:00:00.000Z"', b"\xff", b"\xef\xbb\xbf", b"[]",
    b"1e999",
)  # fmt: skip

_TERMINATORS = ("\n", "\r\n", "\n.\n", "aab")

_MAX_LINES = (16 << 20, 16, 64, 16 << 20)


@dataclass
class Widget:
    name: str
    size: int = 1
    made: datetime | None = None


class Point(msgspec.Struct):
    x: float
    y: float
    inner: list[Point] | None = None


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Gauge:
    """What is made by its arguments, and may refuse them."""

    def __init__(self, level: int, unit: str = "m") -> None:
        if level < 0:
            raise KeyError(level)
        self.level = level
        self.unit = unit


_TYPED = (
    '"Widget","data":{"name":"a","size":2}',
    '"Point","data":{"x":1,"y":2,"inner":[{"x":0,"y":0}]}',
    '"Colour","data":"red"',
    '"Gauge","data":{"level":-1}',
    '"Buffer","data":{"data":[1,255]}',
    '"UUID","data":"cdc33e2b-af10-4d54-be02-986cbcdaf8b0"',
    '"Date","data":"2024-01-01T00:00:00Z"',
)

_TYPES = Types([Widget, Point, Colour, Gauge, UUID, datetime, bytes])


def fuzz_one(data: bytes) -> None:
    mode, head, stream = data[:1], data[1 : 1 + HEAD], data[1 + HEAD :]
    if not stream:
        return
    how = mode[0]
    terminator = _TERMINATORS[how & 3]
    max_line = _MAX_LINES[how >> 2 & 3]
    texts = how & 16 != 0
    whole = Lines(terminator.encode(), max_line)
    lines = whole.feed(stream)
    pieces = cut(head, stream)
    split = Lines(terminator.encode(), max_line)
    cut_up = [line for piece in pieces for line in split.feed(piece)]
    assert cut_up == lines, f"cut into {pieces}: {cut_up}, as a whole {lines}"
    expected = stream.split(terminator.encode())[:-1]
    if not whole.is_too_long:
        assert lines == expected, f"{lines} instead of {expected}"
    else:
        assert lines == expected[: len(lines)], f"{lines} are not the first of {expected}"
    assert all(len(line) <= max_line for line in lines), "a line beyond the limit"
    assert all(map(agree, lines)), "what is read in one step is not what is read exactly"
    objects = [_message(line, texts) for line in lines]
    if how & 32:
        _object_buffer(terminator, max_line, texts, pieces, objects)


_UNREAD = object()


def _message(line: bytes, texts: bool) -> Any:
    try:
        value = envelope.parse(line, texts)
    except SockhopError:
        return _UNREAD
    try:
        incoming = envelope.read(value)
    except SockhopError:
        return value
    kind, name, data, id, last = incoming
    if kind in (Kind.PING, Kind.PONG):
        pong = SockhopPong(data)
        _TYPES.text(envelope.pong(pong.fields()))
        SockhopPing().conclude_with_pong(pong)
        return value
    if kind is Kind.REQUEST:
        request = SockhopRequest(id, data, name)
        assert request.uuid, "a request without an id"
    text = _TYPES.text(_written(kind, name, data, id, last))
    again = envelope.read(envelope.parse(text, texts))
    assert _TYPES.text(list(again)) == _TYPES.text(list(incoming)), f"{incoming}, read again {again}"
    try:
        loaded = _TYPES.load(name, data)
    except NoFit:
        return value
    _TYPES.text(loaded)
    return value


def _written(kind: Kind, name: Any, data: Any, id: Any, last: bool) -> dict[str, Any]:
    """What was read, written by the sender's functions."""
    if kind is Kind.REQUEST:
        return envelope.request(name, data, id)
    if kind is Kind.RESPONSE:
        return envelope.response(name, data, id, last)
    if kind is Kind.CALLBACK:
        return envelope.callback(name, data, id)
    return envelope.message(name, data, id)


def _object_buffer(
    terminator: str, max_line: int, texts: bool, pieces: list[bytes], objects: list[Any]
) -> None:
    buffer = ObjectBuffer(terminator=terminator, allow_non_objects=texts, max_line=max_line)
    errors: list[Exception] = []
    buffer.on("error", errors.append)
    got = [value for piece in pieces for value in buffer.buf2obj(piece)]
    expected = [value for value in objects if value is not _UNREAD]
    assert _TYPES.text(got) == _TYPES.text(expected), f"{got} instead of {expected}"
    too_long = [error for error in errors if isinstance(error, PayloadTooLarge)]
    assert len(errors) - len(too_long) == len(objects) - len(expected), f"{errors}"
    assert len(too_long) <= 1, "too long more than once"
    for value in got:
        try:
            line = buffer.obj2buf(value)
        except SockhopError:
            # A scalar, or a text with the terminator in it.
            assert json_type(value) not in ("Object", "Array") or terminator == "aab", f"{value!r} is refused"
            continue
        end = terminator.encode()
        assert line.endswith(end), f"{line!r} does not end"
        assert line.find(end) == len(line) - len(end), f"{line!r} ends twice"


def seeds() -> Iterator[bytes]:
    messages = list(dict.fromkeys(recorded.sockhop()))
    for number, message in enumerate(messages):
        yield bytes([32 + (number & 16), 16, 80, 170]) + message[:MAX_SIZE]
    yield bytes([32, 16, 80, 170]) + b"".join(messages[:8])[:MAX_SIZE]
    yield bytes([33, 16, 80, 170]) + b'{"a":1}\r\n[1]\r\n'
    yield bytes([35, 0, 80, 170]) + b"aaab{}aab[1]aaba"
    for data in _TYPED:
        yield bytes([32, 16, 80, 170]) + f'{{"type":{data}}}\n'.encode()
