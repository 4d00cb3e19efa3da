"""Timers (seed: Node 0.1.0, "Timers"), in seconds."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any

from wirehop.core.events import EventEmitter
from wirehop.node import alive

__all__ = ["Timer", "clear_interval", "clear_timeout", "set_interval", "set_timeout"]


class Timer(EventEmitter):
    """What :func:`set_timeout` and :func:`set_interval` give. Event: ``timeout()``.

    It keeps its program alive until it has fired for the last time or is cleared.
    """

    __slots__ = ("_handle", "_interval", "_loop", "_when")

    _log = logging.getLogger("wirehop.node")

    def __init__(self, delay: float, *, repeat: bool = False) -> None:
        """Raises ``ValueError`` for a delay that is no number of seconds. One below a millisecond
        is a millisecond."""
        if not math.isfinite(delay):
            raise ValueError(f"{delay!r} is no number of seconds")
        self._loop = asyncio.get_running_loop()
        # uvloop's clock counts milliseconds, and what it is to call at once comes after the timers
        # that are due: one of a millisecond would overtake one of none. Node 20 has the same floor.
        delay = max(0.001, delay)
        self._interval = delay if repeat else None
        self._when = self._loop.time() + delay
        self._handle: asyncio.TimerHandle | None = self._loop.call_at(self._when, self._fire)
        alive.keep(self)

    def clear(self) -> None:
        """Never fire again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            alive.release(self)

    def _fire(self) -> None:
        fired = self._handle
        self.emit("timeout")
        if self._handle is not fired:
            return
        if self._interval is None:
            self.clear()
            return
        # From when it was due, so that it does not drift; what was missed is not made up for.
        self._when = max(self._when + self._interval, self._loop.time())
        self._handle = self._loop.call_at(self._when, self._fire)


def set_timeout(callback: Callable[..., object], delay: float = 0.0, *args: Any) -> Timer:
    """Call ``callback(*args)`` once after ``delay`` seconds. It may be ``async``."""
    return _timer(Timer(delay), callback, args)


def clear_timeout(timer: Timer | None) -> None:
    """Prevent a timeout. One that has fired, or None, is no error."""
    if timer is not None:
        timer.clear()


def set_interval(callback: Callable[..., object], delay: float, *args: Any) -> Timer:
    """Call ``callback(*args)`` every ``delay`` seconds. An ``async`` one that takes longer than
    that is called again all the same."""
    return _timer(Timer(delay, repeat=True), callback, args)


clear_interval = clear_timeout


def _timer(timer: Timer, callback: Callable[..., object], args: tuple[Any, ...]) -> Timer:
    timer.on("timeout", (lambda: callback(*args)) if args else callback)
    return timer
