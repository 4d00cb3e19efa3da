"""Requests that wait for their reply: id -> future, with a deadline."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from wirehop.errors import LimitExceeded

__all__ = ["Pending"]

K = TypeVar("K")


class Pending(Generic[K]):
    """The replies that one connection owes us.

    There is no timer for each request: :attr:`deadline` says when :meth:`expire` is due.
    """

    __slots__ = ("_limit", "_loop", "_waiting", "deadline")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._waiting: dict[K, tuple[asyncio.Future[Any], float]] = {}
        self.deadline = math.inf
        """No request expires before this time of the loop's clock."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K, deadline: float) -> asyncio.Future[Any]:
        """Wait for the reply to ``key``. The future raises what :meth:`expire` was given."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[key] = (future, deadline)
        if deadline < self.deadline:
            self.deadline = deadline
        return future

    def check(self) -> None:
        """Raise ``LimitExceeded`` when the table is full; called before anything is sent."""
        if len(self._waiting) >= self._limit:
            raise LimitExceeded(f"{self._limit} requests are waiting for a reply already")

    def resolve(self, key: K, reply: Any) -> bool:
        """Hand a reply to whoever waits for it; False for a reply to nothing."""
        entry = self._waiting.pop(key, None)
        if entry is None or entry[0].done():
            return False
        entry[0].set_result(reply)
        return True

    def expire(self, now: float, error: Callable[[K], Exception]) -> None:
        """Fail the requests whose time is over, and forget those that were cancelled."""
        late = [key for key, (future, deadline) in self._waiting.items() if deadline <= now or future.done()]
        for key in late:
            _fail(self._waiting.pop(key)[0], error(key))
        self.deadline = min((deadline for _, deadline in self._waiting.values()), default=math.inf)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Fail all of them: the connection is gone."""
        waiting, self._waiting = self._waiting, {}
        self.deadline = math.inf
        for future, _ in waiting.values():
            _fail(future, error())


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        # Whoever did not await the reply does not want to read of it either.
        future.exception()
