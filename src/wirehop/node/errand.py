"""What was begun for somebody who may wait for its end, or may not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from wirehop.errors import ConnectionClosed

__all__ = ["Errand"]

ABANDONED = "Local Connection Closed"


class Errand:
    """A coroutine in a task of its own. Awaiting the errand waits for its end and raises what it
    raised. Nobody has to: an error that nobody awaits is silent here.

    ``ended(errand, error)`` is called in every case, before those who wait go on; ``error`` is None
    for a success. Who waits and is cancelled abandons the errand, for the others too. If it had
    succeeded just then, ``ended`` is called once more, to undo that.
    """

    __slots__ = ("_ended", "_error", "_is_done", "_task", "_waiters", "is_abandoned", "is_awaited")

    def __init__(
        self, work: Coroutine[Any, Any, None], ended: Callable[[Errand, BaseException | None], None]
    ) -> None:
        self._ended = ended
        self._error: BaseException | None = None
        self._is_done = False
        self._waiters: list[asyncio.Future[None]] = []
        self.is_abandoned = False
        self.is_awaited = False
        """Whether somebody waits, or did."""
        # By itself, and not by the loop's factory: that may run the first step now, before who
        # began the errand knows it.
        self._task = asyncio.Task(work, loop=asyncio.get_running_loop())
        # A callback, because a task that is cancelled before its first step never takes it.
        self._task.add_done_callback(self._done)

    def abandon(self) -> None:
        """Stop. Who waits gets ``ConnectionClosed``."""
        self.is_abandoned = True
        self._task.cancel()

    def __await__(self) -> Generator[Any, None, None]:
        self.is_awaited = True
        if not self._is_done:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                yield from waiter
            except asyncio.CancelledError:
                self._give_up()
                raise
        if self._error is not None:
            raise self._error

    def _give_up(self) -> None:
        if not self._is_done:
            self.abandon()
        elif self._error is None:
            # It succeeded, and who waited for that was cancelled before his turn came.
            self.is_abandoned = True
            self._error = ConnectionClosed(ABANDONED)
            self._ended(self, self._error)

    def _done(self, task: asyncio.Task[None]) -> None:
        # Asked for in any case: an exception that nobody asked for is reported as forgotten.
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or self.is_abandoned:
            # Also if it was done when it was abandoned: nobody wants it any more.
            self.is_abandoned = True
            error = ConnectionClosed(ABANDONED)
        self._error = error
        self._is_done = True
        self._ended(self, error)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
