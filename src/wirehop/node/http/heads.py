"""Status lines, dates, and whole heads of responses that repeat themselves."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time

from wirehop.node.http.headers import Fields

__all__ = ["STATUS_CODES", "date_line", "known_head", "status_line"]

STATUS_CODES: dict[int, str] = {status.value: status.phrase for status in HTTPStatus}

Pairs = list[tuple[str, str | int]] | tuple[tuple[str, str | int], ...]

_KNOWN = 256
"""Heads that are kept, for a second: few programs have more that they repeat."""

_OPEN = frozenset({"access-control-allow-origin", "allow", "cache-control", "content-type", "server", "vary"})
"""Headers that repeat themselves, and that are no secret: others must not stay in memory."""

_NOTHING: tuple[int, int, Pairs, bytes] = (0, 0, (), b"")

_heads: dict[tuple[int, int, Pairs], bytes] = {}
_last = _NOTHING
"""What was asked for last, and most often is again: to compare costs less than to look it up."""
_from = _until = 0.0
"""The second of :func:`time` for which they are good. Floats: to compare one with an int is slow."""


def known_head(status: int, headers: Pairs, length: int) -> bytes | None:
    """A whole head, for one of the many responses that have the same within a second; None for
    all others."""
    global _from, _last, _until
    if not _from <= time() < _until:
        _from = float(int(time()))
        _until = _from + 1
        _heads.clear()
        _last = _NOTHING
    else:
        # Taken once: another thread may have a loop of its own.
        last = _last
        if last[0] == length and last[1] == status and last[2] == headers:
            return last[3]
    key = status, length, tuple(headers)
    try:
        head = _heads.get(key)
    except TypeError:
        # Something in them cannot be a key; what is wrong with it will be said.
        return None
    if head is None:
        # Text only: 1 and True would be one key.
        if any(type(value) is not str or name.lower() not in _OPEN for name, value in headers):
            return None
        if not 200 <= status <= 999 or status in (204, 304):
            return None
        if len(_heads) >= _KNOWN:
            _heads.clear()
        lines = (status_line(status), *Fields(headers).lines, date_line(int(_from)))
        head = _heads[key] = b"%bContent-Length: %d\r\n\r\n" % (b"".join(lines), length)
    # A copy, for whoever has the list may change it.
    _last = length, status, headers[:], head
    return head


_status_lines: dict[int, bytes] = {}


def status_line(status: int) -> bytes:
    line = _status_lines.get(status)
    if line is None:
        line = f"HTTP/1.1 {status} {STATUS_CODES.get(status, '')}\r\n".encode()
        _status_lines[status] = line
    return line


@lru_cache(maxsize=1)
def date_line(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
