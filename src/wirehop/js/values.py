"""How values cross between Python and JavaScript: as numbers, booleans, None and text.

Bytes cross as text of which each character is one byte (latin-1), errors as text that begins with
``FAILED``. Integers from 2**31 on cross as floats, which both engines would wrap otherwise.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from wirehop.core import json
from wirehop.node.fs import Stats

__all__ = [
    "ESCAPE",
    "RAW",
    "TEXT",
    "crossing",
    "data",
    "failure",
    "pair_text",
    "raw_text",
    "split_pairs",
    "unescape",
    "utf16",
    "well_formed",
    "whole",
]

TEXT = 0
RAW = 1
JSON = 2
"""What text that crosses stands for: text, bytes, or an object."""

FAILED = "\x01"
"""The first character of a text that is an error, and between its parts: kind, code, message."""

ESCAPE = "\ue000"
"""See ``Engine.escapes``: a character of the private use area, so that it is a rare one."""

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_ESCAPED = re.compile(f"{ESCAPE}([01])")
_LONE = re.compile("[\ud800-\udfff]")


def utf16(text: str) -> str:
    """``text`` with the surrogates of JavaScript for each character beyond the BMP."""
    if not _ASTRAL.search(text):
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(map(chr, memoryview(units).cast("H")))


def well_formed(text: str) -> str:
    """``text`` with U+FFFD for surrogates, which stand alone wherever Python has any."""
    return _LONE.sub("\ufffd", text)


def unescape(text: str) -> str:
    """What the JavaScript side wrote with ``ESCAPE``."""
    return _ESCAPED.sub(lambda found: "\0" if found[1] == "0" else ESCAPE, text)


def raw_text(data: bytes) -> str:
    """Bytes as they cross."""
    return data.decode("latin-1")


def data(text: str, kind: int) -> bytes | str:
    """What a text that came from JavaScript stands for. Raises ``ValueError`` for a character that
    is no byte."""
    if kind != RAW:
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        found = ord(text[error.start])
        raise ValueError(f"{found} at {error.start} is no byte: raw data is integers from 0 to 255") from None


def whole(number: Any, what: str) -> int:
    """A number that came from JavaScript as an int. Raises ``TypeError`` for what is none."""
    if isinstance(number, float) and number.is_integer():
        return int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{what} must be a whole number")
    return number


def crossing(value: Any) -> tuple[int, Any]:
    """The kind and the crossing form of what an operation gave."""
    if isinstance(value, bytes):
        return RAW, raw_text(value)
    if isinstance(value, Stats):
        return JSON, json.dumps(value).decode()
    if type(value) is int and not -1 << 31 <= value < 1 << 31:
        return TEXT, float(value)
    return TEXT, value


def failure(error: BaseException) -> str:
    """An error as it crosses."""
    code = type(error).__name__
    message = str(error) or code
    if isinstance(error, OSError) and error.errno is not None:
        code = errno.errorcode.get(error.errno, code)
        # Some loops put what they tried there.
        message = os.strerror(error.errno) if error.errno in errno.errorcode else error.strerror or message
        if error.filename is not None:
            message = f"{message}: {error.filename}"
    kind = "TypeError" if isinstance(error, TypeError) else "Error"
    return FAILED.join(("", kind, code, well_formed(message)))


def pair_text(headers: list[tuple[bytes, bytes]]) -> str:
    """Headers as they cross: a line for each name and each value."""
    return b"\n".join([part for pair in headers for part in pair]).decode("latin-1")


def split_pairs(text: str) -> list[tuple[str, str]]:
    """Headers that came from JavaScript."""
    parts = text.split("\n")
    return list(zip(parts[::2], parts[1::2], strict=False))
