"""When nothing has passed a connection for a while (seed: Node 0.1.0, the "timeout" event)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from wirehop.core.deadlines import Alarm, deadlines_of

__all__ = ["IDLE_TIMEOUT", "Idle"]

IDLE_TIMEOUT = 60.0
"""Seconds without traffic after which a connection says so, as in the seed. It closes nothing."""


class Idle:
    """Calls ``call()`` each time that ``timeout`` seconds passed without traffic.

    Traffic is what :meth:`touch` was told of, and any change of ``waiting()``: the bytes that the
    socket did not take yet. While it is not started it costs nothing.
    """

    __slots__ = ("_alarm", "_call", "_last", "_loop", "_waited", "_waiting", "timeout")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, call: Callable[[], object], waiting: Callable[[], int]
    ) -> None:
        self._loop = loop
        self._call = call
        self._waiting = waiting
        self._waited = 0
        self._last = 0.0
        self._alarm: Alarm | None = None
        self.timeout: float | None = IDLE_TIMEOUT

    def set_timeout(self, seconds: float | None) -> None:
        """From now on; 0 or None is never. Raises ``ValueError`` for less than 0 and for NaN."""
        if seconds is not None and not seconds >= 0:
            raise ValueError(f"a timeout is 0 or more seconds, not {seconds!r}")
        self.timeout = seconds or None
        self.touch()
        if self._alarm is not None:
            self._alarm.by(self._due())

    def start(self) -> None:
        """The connection is open. Does nothing when it was said already."""
        if self._alarm is None:
            self._alarm = deadlines_of(self._loop).alarm(self._ring)
            self.touch()
            self._alarm.by(self._due())

    def stop(self) -> None:
        """The connection is over. It may be started again."""
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm = None

    def touch(self) -> None:
        """Something was sent or received."""
        self._last = self._loop.time()

    def _due(self) -> float:
        return self._last + (self.timeout or math.inf)

    def _ring(self, now: float) -> float:
        if now < self._due():
            return self._due()
        waiting = self._waiting()
        if waiting != self._waited:
            self._waited = waiting
            self._last = now
            return self._due()
        self._last = now
        self._call()
        return self._due()
