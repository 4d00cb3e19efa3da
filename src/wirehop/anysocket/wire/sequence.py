"""Sequence numbers: the next of ours, and which of the remote's were seen."""

from __future__ import annotations

__all__ = ["LAST", "Seen", "following"]

LAST = 0x7FFFFFFF
"""After this number comes 1; zero is never used."""

GAP = 4096
"""How many numbers may be missing at once. JavaScript lets a packet of several chunks be
overtaken by smaller ones, so a gap means that many megabytes are on their way."""

BEHIND = 1 << 20
"""A number up to this far back is old; one further back is a jump ahead."""


def following(seq: int) -> int:
    """The number after ``seq``."""
    return 1 if seq >= LAST else seq + 1


class Seen:
    """Lets each number of the remote pass once, in nearly any order."""

    __slots__ = ("_missing", "_next")

    def __init__(self) -> None:
        self._next = 1
        self._missing: dict[int, None] = {}

    def first_time(self, seq: int) -> bool:
        """Whether the packet with this (positive) number is new; it is old from then on."""
        if seq == self._next:
            self._next = following(seq)
            return True
        if seq in self._missing:
            del self._missing[seq]
            return True
        ahead = (seq - self._next) % LAST
        if ahead >= LAST - BEHIND:
            return False
        for back in range(min(ahead, GAP), 0, -1):
            self._missing[(seq - back - 1) % LAST + 1] = None
        while len(self._missing) > GAP:
            del self._missing[next(iter(self._missing))]
        self._next = following(seq)
        return True
