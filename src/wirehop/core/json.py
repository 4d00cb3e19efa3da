"""JavaScript's JSON, fast.

orjson does the work. Where Python, orjson and JavaScript disagree, JavaScript's answer wins:

==========================  ==========================================================
NaN, Infinity               encoded as ``null``
bytes                       ``{"type":"Buffer","data":[…]}``, as a Node Buffer is
datetime                    ISO 8601 in UTC with milliseconds and ``Z``
lone surrogates             travel as ``\\uXXXX``, both ways
keys that are no strings    become strings
numbers beyond a double     decoded as infinity
integers beyond 64 bits     decoded as the nearest double, encoded exactly
==========================  ==========================================================

The rare cases take the standard library's slower codec.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import orjson

__all__ = ["MAX_DEPTH", "Exact", "dumps", "loads", "plain"]

MAX_DEPTH = 1024
"""Nesting that :func:`loads` accepts; deeper text is refused, as orjson does."""

EXACT_DEPTH = 8
"""How deep :data:`Exact` may be nested."""


def _nested(depth: int) -> Any:
    integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    scalar: Any = str | integer | float | bool | None
    value: Any = scalar
    for _ in range(depth):
        value = scalar | list[value] | dict[str, value]
    return value


Exact = _nested(EXACT_DEPTH)
"""Any value of which msgspec and :func:`loads` say the same, as a type for msgspec: it makes objects of a
text without a dict in between, in half of the time, and what it refuses is for :func:`loads`. To that
end it is held to integers of 64 bits and to a depth that JSON can have anywhere."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME
_DIGITS = 20
"""Characters of an integer of 64 bits, with its sign, at most."""


def dumps(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """``value`` as JSON text without blanks, in UTF-8.

    ``default`` stands in for :func:`plain`, and should ask that for what it does not know.

    Raises ``TypeError`` for what JSON cannot say and ``ValueError`` for a circular value or one
    nested too deep.
    """
    try:
        return orjson.dumps(value, default or plain, _OPTIONS)
    except TypeError:
        return _dumps_slowly(value, default or plain)


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ``ValueError`` when it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if isinstance(text, bytes):
            text = text.decode()
        # Only these two are JSON in JavaScript's eyes and not in orjson's.
        if "\\u" in text or "infinity" in error.msg:
            return _loads_slowly(text)
        raise


def plain(value: Any) -> Any:
    """What JSON says for a value that it has no word for. Raises ``TypeError`` for others."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"type": "Buffer", "data": list(bytes(value))}
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _dumps_slowly(value: Any, default: Callable[[Any], Any]) -> bytes:
    try:
        text = json.dumps(_plain(value, default), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ValueError("a circular value, or one nested too deep, cannot be sent as JSON") from None
    return _LONE_SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text).encode()


def _plain(value: Any, default: Callable[[Any], Any]) -> Any:
    """``value`` made only of what the standard library encodes as orjson would."""
    if value is None or (isinstance(value, (str, int)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_key(key): _plain(item, default) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, default) for item in value]
    if isinstance(value, Enum):
        return _plain(value.value, default)
    if isinstance(value, UUID):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name), default)
            for field in dataclasses.fields(value)
            if not field.name.startswith("_")
        }
    return _plain(default(value), default)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, float) and key.is_integer() and abs(key) <= 2**53:
        # JavaScript has no 1.0.
        return str(int(key))
    if key is None or isinstance(key, (int, float)):
        return json.dumps(key)
    raise TypeError(f"a key of type {type(key).__name__} cannot be sent as JSON")


def _loads_slowly(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_number, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _number(digits: str) -> int | float:
    # Not int() for any more: it is slow with thousands of digits, and then refuses.
    if len(digits) <= _DIGITS:
        number = int(digits)
        if -(1 << 63) <= number < 1 << 64:
            return number
    return float(digits)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
