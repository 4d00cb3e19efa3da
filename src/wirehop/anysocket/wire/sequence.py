"""Sequence numbers: the next of ours, and which of the remote's were seen."""

from __future__ import annotations

from bisect import bisect_right

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
    """Lets each number of the remote pass once, in nearly any order.

    What is missing is kept as ranges, so that a jump costs no more than a step, whoever makes many.
    """

    __slots__ = ("_ends", "_missing", "_starts", "upcoming")

    def __init__(self) -> None:
        self.upcoming = 1
        """The number that follows all that were seen. It is counted on where the numbers begin again,
        so that what is later is always higher."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._missing = 0

    def first_time(self, seq: int) -> bool:
        """Whether the packet with this (positive) number is new; it is old from then on."""
        ahead = (seq - self.upcoming) % LAST
        if not ahead:
            self.upcoming += 1
            return True
        if self._missing and self._fill(self.upcoming + ahead - LAST):
            return True
        if ahead >= LAST - BEHIND:
            return False
        self._jump(ahead)
        return True

    def _fill(self, at: int) -> bool:
        """Take a number out of those that are missing, if it is one of them."""
        index = bisect_right(self._starts, at) - 1
        if index < 0 or at >= self._ends[index]:
            return False
        start, end = self._starts[index], self._ends[index]
        rest = [part for part in ((start, at), (at + 1, end)) if part[0] < part[1]]
        self._starts[index : index + 1] = [part[0] for part in rest]
        self._ends[index : index + 1] = [part[1] for part in rest]
        self._missing -= 1
        return True

    def _jump(self, ahead: int) -> None:
        """Leave numbers out; of all that are missing the oldest are forgotten beyond the limit."""
        after = self.upcoming + ahead
        gap = min(ahead, GAP)
        self._starts.append(after - gap)
        self._ends.append(after)
        self._missing += gap
        self.upcoming = after + 1
        excess = self._missing - GAP
        if excess <= 0:
            return
        self._missing = GAP
        whole = 0
        while (size := self._ends[whole] - self._starts[whole]) <= excess:
            excess -= size
            whole += 1
        del self._starts[:whole], self._ends[:whole]
        self._starts[0] += excess
