"""A mapping whose values leave after a while (seed: ``TimedMap``)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from wirehop.core.deadlines import deadlines_of

__all__ = ["TimedMap"]

K = TypeVar("K")
V = TypeVar("V")

log = logging.getLogger("wirehop.sockhop")

Left = Callable[[str], Any]


class TimedMap(Generic[K, V]):
    """Keys and values, each of which is removed after ``timeout`` seconds. It belongs to the loop that
    runs when it is made.

    Whoever set a value may give a plain function that is called once when it leaves, with the
    reason: "timed-out", "overwritten", "deleted" or "stopped". One timer serves all.
    """

    __slots__ = ("_alarm", "_entries", "_loop", "_timeout")

    def __init__(self, timeout: float = 30.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._entries: dict[K, tuple[V, Left | None, float]] = {}
        self._alarm = deadlines_of(self._loop).alarm(self._ring)

    def set(self, key: K, value: V, cb: Left | None = None, timeout: float | None = None) -> None:
        """Insert a value, for ``timeout`` seconds or the map's own. One that is there already
        leaves."""
        before = self._entries.pop(key, None)
        due = self._loop.time() + (timeout or self._timeout)
        self._entries[key] = (value, cb, due)
        self._alarm.by(due)
        if before is not None:
            _left(before, "overwritten")

    def get(self, key: K) -> V | None:
        """The value, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def delete(self, key: K) -> bool:
        """Remove a value. Returns whether it was there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            _left(entry, "deleted")
        return entry is not None

    def stop(self) -> None:
        """Remove all values. The map may be used again."""
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            _left(entry, "stopped")

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def _ring(self, now: float) -> float:
        late = {key: entry for key, entry in self._entries.items() if entry[2] <= now}
        for key in late:
            del self._entries[key]
        for entry in late.values():
            _left(entry, "timed-out")
        return min((due for _, _, due in self._entries.values()), default=math.inf)


def _left(entry: tuple[Any, Left | None, float], reason: str) -> None:
    if entry[1] is None:
        return
    try:
        entry[1](reason)
    except Exception as error:
        # The others leave all the same.
        log.error("a callback of a TimedMap failed", exc_info=error)
