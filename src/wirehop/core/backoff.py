"""Delays between attempts to connect again, with jitter."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]

DOUBLINGS = 4
"""The longest delay is the interval doubled so often, 16 times as long."""

LONGEST = 30.0
"""Seconds; or the interval itself, if that is longer: a server that is back after an hour should
not stay alone for another."""


class Backoff:
    """The delays of one client, in seconds.

    Each is random between 0 and a bound ("full jitter"): the clients that one crash disconnected
    together do not come back together. The bound is ``interval`` for the first delay, doubles with
    each failure up to 16 times the interval or 30 s, whichever is less, and is back at ``interval``
    after a connection that held for longer than the bound of then.
    """

    __slots__ = ("_bound", "_interval", "_longest", "_random")

    def __init__(self, interval: float, random: Callable[[], float] = random.random) -> None:
        self._interval = interval
        self._longest = max(interval, min(interval * 2**DOUBLINGS, LONGEST))
        self._bound = interval
        self._random = random

    def delay(self) -> float:
        """How long to wait before the next attempt."""
        delay = self._bound * self._random()
        self._bound = min(self._bound * 2, self._longest)
        return delay

    def held(self, seconds: float) -> None:
        """A connection ended that had held for so long."""
        if seconds > self._bound:
            self._bound = self._interval
