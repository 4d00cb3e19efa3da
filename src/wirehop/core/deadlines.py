"""One timer of the loop for the timeouts of many connections."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from wirehop.core.loops import PerLoop

__all__ = ["Alarm", "Deadlines", "deadlines_of"]


_TICK = 0.001
"""uvloop's clock counts milliseconds: who asks for less may be woken a little too early."""

_STALE = 64
"""Entries of stopped alarms that the heap keeps at least: fewer are not worth a clean-up."""


class Alarm:
    """The next time at which one owner wants to be called.

    ``ring(now)`` returns the time of the following call, or infinity. Waking too early is
    harmless and cheap, so an owner whose deadline moves back says nothing: it is asked again.
    """

    __slots__ = ("_deadlines", "entry", "ring", "when")

    def __init__(self, deadlines: Deadlines, ring: Callable[[float], float]) -> None:
        self._deadlines = deadlines
        self.ring = ring
        self.when = math.inf
        """When it rings; set it with :meth:`by`."""
        self.entry = 0
        """The number of its entry in the heap, or 0: older entries do not count."""

    def by(self, when: float) -> None:
        """Ring at ``when`` at the latest."""
        if when < self.when:
            self._deadlines._add(self, when)

    def stop(self) -> None:
        """Ring never again, whatever :meth:`by` asks for."""
        had_entry, self.entry = self.entry, 0
        self.when = -math.inf
        self.ring = _never
        if had_entry:
            self._deadlines._left()


class Deadlines:
    """A heap of alarms under one timer of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Alarm]] = []
        self._count = 0
        self._stale = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping = False

    def alarm(self, ring: Callable[[float], float]) -> Alarm:
        """A new alarm that does not ring until it is told when."""
        return Alarm(self, ring)

    def close(self) -> None:
        """Stop all alarms."""
        heap, self._heap = self._heap, []
        for _, _, alarm in heap:
            alarm.stop()
        self._stale = 0
        self._set_timer()

    def _add(self, alarm: Alarm, when: float) -> None:
        self._count += 1
        replaced, alarm.entry = alarm.entry, self._count
        alarm.when = when
        heappush(self._heap, (when, self._count, alarm))
        if replaced:
            self._left()
        if not self._sweeping and self._heap[0][2] is alarm:
            self._set_timer()

    def _left(self) -> None:
        """An entry of the heap has become useless. Were all kept until their time, ten thousand
        short connections a second would leave a million behind."""
        self._stale += 1
        if self._stale > _STALE and self._stale * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[1] == entry[2].entry]
            heapify(self._heap)
            self._stale = 0

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = self._loop.call_at(self._heap[0][0] + _TICK, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        due = []
        while self._heap and self._heap[0][0] <= now:
            _, number, alarm = heappop(self._heap)
            if alarm.entry == number:
                due.append((number, alarm))
            else:
                self._stale -= 1
        self._sweeping = True
        try:
            for number, alarm in due:
                # An earlier one of this sweep may have stopped it, or asked for another time.
                if alarm.entry == number:
                    alarm.entry = 0
                    alarm.when = math.inf
                    self._ring(alarm, now)
        finally:
            self._sweeping = False
            self._set_timer()

    def _ring(self, alarm: Alarm, now: float) -> None:
        try:
            alarm.by(alarm.ring(now))
        except Exception as error:
            # A defect of one owner must not cost the others their deadlines.
            self._loop.call_exception_handler({"message": "an alarm failed", "exception": error})


def _never(now: float) -> float:
    return math.inf


class _Shared:
    """The alarms of a loop. Held weakly: they refer to their loop, and who uses them holds them."""

    __slots__ = ("deadlines",)

    def __init__(self) -> None:
        self.deadlines: Callable[[], Deadlines | None] = _none


def _none() -> None:
    return None


_shared = PerLoop(_Shared)


def deadlines_of(loop: asyncio.AbstractEventLoop) -> Deadlines:
    """The deadlines of a loop that all share who have none of their own."""
    shared = _shared.of(loop)
    deadlines = shared.deadlines()
    if deadlines is None:
        deadlines = Deadlines(loop)
        shared.deadlines = weakref.ref(deadlines)
    return deadlines
