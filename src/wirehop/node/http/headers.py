"""Headers, as both sides send them and read them (RFC 9110, 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["TOKEN", "Fields", "Header", "Headers", "content_length", "pairs", "text"]

Header = tuple[str, str]
"""Name and value, as they were sent."""

Headers = Iterable[tuple[str, str | int]]
"""What can be sent as headers: pairs, of which a value may be a number."""

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""What a method or the name of a header is made of (RFC 9110, 5.6.2)."""

_MEANINGFUL = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""Headers that change how a message is sent."""

_NOT_IN_A_VALUE = re.compile("[^\t\x20-\x7e\x80-\xff]")


class Fields:
    """The headers of a message that is to be sent, checked, and what they say about its body.

    ``lines`` has them as they go out. Not among them are Connection and Transfer-Encoding, which
    the sender sets: ``closes`` tells whether "close" was asked for, ``chunked`` whether a
    Transfer-Encoding was, ``length`` is the Content-Length or None. ``values`` has the value of
    each header under its name in lower case, the last one if it is repeated.

    Raises ``ValueError`` for a header that cannot be sent: a character that none may have, a
    Transfer-Encoding other than "chunked", a Content-Length that is no number, more than one of
    the two, more than one Host.
    """

    __slots__ = ("chunked", "closes", "length", "lines", "values")

    def __init__(self, headers: Headers, *, without_length: bool = False) -> None:
        self.lines: list[bytes] = []
        self.length: int | None = None
        self.chunked = False
        self.closes = False
        self.values: dict[str, str] = {}
        framings = 0
        for name, value in headers:
            value = str(value)
            lower, line = _line(name, value)
            if lower not in _MEANINGFUL:
                pass
            elif lower == "content-length":
                self.length = content_length(value)
                framings += 1
                if without_length:
                    continue
            elif lower == "transfer-encoding":
                if value.lower() != "chunked":
                    raise ValueError(f"{value!r} is no Transfer-Encoding that is spoken here")
                framings += not self.chunked
                self.chunked = True
                continue
            elif lower == "connection":
                self.closes = self.closes or "close" in value.lower()
                continue
            elif lower == "host" and "host" in self.values:
                raise ValueError("a message has one Host")
            self.lines.append(line)
            self.values[lower] = value
        if framings > 1:
            raise ValueError("a message has one Content-Length, or a Transfer-Encoding")


def _line(name: str, value: str) -> tuple[str, bytes]:
    """The name in lower case, and the header as it goes out."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no header name")
    if _NOT_IN_A_VALUE.search(value):
        raise ValueError(f"the value of {name} has a character that no header may have: {value!r}")
    return name.lower(), f"{name}: {value}\r\n".encode("latin-1")


def content_length(value: str) -> int:
    """A Content-Length as a number; ``ValueError`` for anything but digits."""
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"{value!r} is no Content-Length")
    return int(value)


def text(value: bytes) -> str:
    """A header's value as it is read: blanks after it do not count (RFC 9110, 5.5)."""
    return value.decode("latin-1").rstrip(" \t")


def pairs(raw_headers: Iterable[tuple[bytes, bytes]]) -> list[Header]:
    """Headers as they are read: name and value of each, in their order."""
    return [(name.decode("latin-1"), text(value)) for name, value in raw_headers]
