"""Bytes as choices: what a target is to do, and how a stream arrives."""

from __future__ import annotations

__all__ = ["Choices", "cut"]

HEAD = 3
"""Bytes before a stream that say how it is cut."""

SINGLES = 16
"""Below this the first of them is the size of all pieces, 0 for 1."""

MANY = 96
"""Streams up to this size may arrive in pieces of one size: longer ones would take too long."""


class Choices:
    """Reads an input from its beginning; behind its end everything is zero."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there is more."""
        return self._at < len(self._data)

    def byte(self) -> int:
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def take(self, size: int) -> bytes:
        """The next bytes, or fewer at the end."""
        at = self._at
        self._at = at + size
        return self._data[at : at + size]

    def short(self) -> bytes:
        """As many bytes as the next one says."""
        return self.take(self.byte())

    def rest(self) -> bytes:
        return self.take(len(self._data))


def cut(head: bytes, stream: bytes) -> list[bytes]:
    """A stream in pieces, none of them empty: ``head`` has :data:`HEAD` bytes that say where.

    Mostly there are three, for what goes wrong in more goes wrong in three.
    """
    size, first, second = head
    total = len(stream)
    if size < SINGLES and total <= MANY:
        size = size or 1
        return [stream[at : at + size] for at in range(0, total, size)]
    if first > second:
        first, second = second, first
    # A quarter of a kibibyte is as far as a byte can say.
    one, two = (first * total + size) >> 8, (second * total + size) >> 8
    return [piece for piece in (stream[:one], stream[one:two], stream[two:]) if piece]
