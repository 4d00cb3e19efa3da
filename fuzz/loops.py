"""An event loop whose clock stands still, and a transport whose other end is the target.

What is fuzzed needs the loop for futures, timers and "soon"; with this one nothing depends on the
machine, and a turn costs no system call.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVarTuple

from tests.node import http_judges as judges

__all__ = ["StillLoop", "Wire", "running"]

Arguments = TypeVarTuple("Arguments")


class StillLoop(asyncio.AbstractEventLoop):
    """Runs what is to be called soon when it is told to; timers ring when ``now`` is moved on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ready: list[asyncio.Handle] = []
        self._timers: list[asyncio.TimerHandle] = []

    def turn(self) -> None:
        """Run what is ready, and what that makes ready."""
        while self._ready:
            ready, self._ready = self._ready, []
            for handle in ready:
                if not handle.cancelled():
                    handle._run()

    def forget(self) -> None:
        """Drop every timer, and what is ready."""
        self._ready.clear()
        self._timers.clear()

    def ring(self) -> None:
        """Move on to when the next timer is due, and run it."""
        timers = [timer for timer in self._timers if not timer.cancelled()]
        if timers:
            first = min(timers, key=lambda timer: timer.when())
            timers.remove(first)
            self.now = max(self.now, first.when())
            self._ready.append(first)
        self._timers = timers
        self.turn()

    # --- what asyncio asks of a loop

    def time(self) -> float:
        return self.now

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers.append(timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A callback failed, which is a defect."""
        error = context.get("exception")
        raise AssertionError(f"a callback failed: {context}") from error


@contextmanager
def running(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """``loop`` is the running one within."""
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(None)


class _Socket:
    """What protocols ask the socket of a transport."""

    family = socket.AF_INET

    def fileno(self) -> int:
        return -1

    def setsockopt(self, level: int, option: int, value: int) -> None: ...

    def getsockopt(self, level: int, option: int) -> int:
        return 0


class Wire(judges.Wire):
    """Takes what is written, never lets anybody wait, and has a socket that protocols may ask."""

    def __init__(self) -> None:
        super().__init__({"socket": _Socket()})
