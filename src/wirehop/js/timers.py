"""Timers of a program (seed: Node 0.1.0, "Timers")."""

from __future__ import annotations

from functools import partial

from wirehop.js.bridge import Bridge, Operations
from wirehop.node.timers import Timer

__all__ = ["Timers"]

LONGEST = 100 * 365 * 24 * 3600.0
"""Seconds. A timer of a million years is one that never fires, and event loops count it wrong."""


class Timers:
    """Starts and stops them. JavaScript has the callbacks."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._timers: dict[float, Timer] = {}

    @property
    def operations(self) -> Operations:
        return {"timerStart": self._start, "timerStop": self._stop}

    def _start(self, number: float, delay: float, repeats: bool) -> None:
        timer = Timer(min(delay / 1000, LONGEST), repeat=repeats)
        self._timers[number] = timer
        timer.on("timeout", partial(self._fired, number, repeats))

    def _fired(self, number: float, repeats: bool) -> None:
        if not repeats:
            del self._timers[number]
        self._bridge.up("timeout", number)

    def _stop(self, number: float) -> None:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.clear()
