"""What holds for every target: no input takes longer than it may."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["LIMIT", "TooSlow", "Watch"]

LIMIT = 0.1
"""Seconds of the processor that one input may take: what a busy process should be kept from its other
connections for, at most."""


class TooSlow(AssertionError):
    """An input took more than :data:`LIMIT`."""


class Watch:
    """Calls a target, and knows which input took longest."""

    __slots__ = ("_fuzz_one", "_noted", "slowest", "slowest_input")

    def __init__(
        self, fuzz_one: Callable[[bytes], None], noted: Callable[[float, bytes], None] | None = None
    ) -> None:
        """``noted(seconds, data)`` is called for each input that took longest so far."""
        self._fuzz_one = fuzz_one
        self._noted = noted
        self.slowest = 0.0
        self.slowest_input = b""

    def __call__(self, data: bytes) -> None:
        start = time.perf_counter()
        self._fuzz_one(data)
        seconds = time.perf_counter() - start
        if seconds > self.slowest:
            self._slow(data, seconds)

    def _slow(self, data: bytes, seconds: float) -> None:
        # Another process, or the garbage of a thousand inputs before it, may have taken the time:
        # it counts what the input takes every time, and of the processor.
        for _ in range(3):
            start = time.thread_time()
            self._fuzz_one(data)
            seconds = min(seconds, time.thread_time() - start)
            if seconds <= self.slowest:
                return
        if seconds > LIMIT:
            raise TooSlow(f"{seconds * 1000:.0f} ms for {len(data)} bytes")
        self.slowest = seconds
        self.slowest_input = data
        if self._noted is not None:
            self._noted(seconds, data)
