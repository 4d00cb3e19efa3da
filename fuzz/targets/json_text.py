"""JSON as every storey reads it: ``ValueError`` or a value that the standard library reads too, which
survives being written and read again."""

from __future__ import annotations

import json as judge
import math
from collections.abc import Iterator
from typing import Any

from fuzz import seeds as recorded
from wirehop.core import json

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 2048

TOKENS = (
    b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"-0",
    b"-0.0", b"0.1", b"18446744073709551615", b"18446744073709551616", b"-9223372036854775809",
    b"9007199254740993", b"{}", b"[]", b'""', b'{"a":1,"a":2}', b"[1,2]", b'"\\ud83d\\ude00"', b'"\\ud83d"',
    b'"\\ude00"', b"\\u0000", b"\\uffff", b'\\"', b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xff",
    b"\xef\xbb\xbf", b"\x00", b"\n", b" ", b"[[[[[[[[[[[[[[[[", b"]]]]]]]]]]]]]]]]", b'{"a":{"a":{"a":',
)  # fmt: skip

_UNREAD = object()

DEEP = 500
"""Brackets that open up to which the standard library is asked: it runs out of stack where orjson
does not."""


def fuzz_one(data: bytes) -> None:
    mode, octets = data[:1], data[1:]
    if not mode:
        return
    text: str | bytes = octets if mode[0] & 1 else octets.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        value = _UNREAD
    if octets.count(b"[") + octets.count(b"{") <= DEEP:
        theirs = _judge(text)
        if value is _UNREAD or theirs is _UNREAD:
            assert value is theirs, f"{text!r}: ours {value!r}, the judge's {theirs!r}"
        else:
            assert _same(value, theirs), f"{text!r}: ours {value!r}, the judge's {theirs!r}"
    if value is _UNREAD:
        return
    written = json.dumps(value)
    assert not any(byte < 0x20 for byte in written), f"{written!r} has a control character"
    again = json.loads(written)
    assert json.dumps(again) == written, f"{written!r} is another text when it was read"


def _judge(text: str | bytes) -> Any:
    try:
        if isinstance(text, bytes):
            text = text.decode()
        return judge.loads(text, parse_int=float, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _UNREAD


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two values are one to JavaScript, whose numbers are doubles."""
    if type(ours) is dict:
        return type(theirs) is dict and list(ours) == list(theirs) and all(
            _same(item, theirs[key]) for key, item in ours.items()
        )  # fmt: skip
    if type(ours) is list:
        return type(theirs) is list and len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if type(ours) is int:
        assert -(2**63) <= ours < 2**64, f"{ours} has more than 64 bits"
        return type(theirs) is float and float(ours) == theirs
    if type(ours) is float:
        return type(theirs) is float and (ours == theirs or (math.isnan(ours) and math.isnan(theirs)))
    return type(ours) is type(theirs) and bool(ours == theirs)


def seeds() -> Iterator[bytes]:
    for number, text in enumerate(dict.fromkeys(recorded.values())):
        yield bytes([number & 1]) + text[:MAX_SIZE]
    yield from (bytes([1]) + token for token in TOKENS)
    yield bytes([0]) + b'["\\ud83d",18446744073709551616,-9223372036854775809]'
