"""Waiting for what happens once for all who wait.

A plain future would do, were it not that cancelling one waiter cancels the future under all the
others. Here each waiter has a shield of its own, and nothing is made before somebody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

__all__ = ["Moment", "Raises", "Waiters"]


class Waiters:
    """Those who await the next :meth:`wake`. One that gives up disturbs none of the others."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None

    def __await__(self) -> Generator[Any, None, None]:
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()
        yield from asyncio.shield(self._future).__await__()

    def wake(self) -> None:
        future, self._future = self._future, None
        if future is not None:
            future.set_result(None)


class Moment:
    """Something that comes once; awaiting it later ends at once. Any number may await it, or none."""

    __slots__ = ("_waiters", "is_past")

    def __init__(self) -> None:
        self._waiters = Waiters()
        self.is_past = False

    def __await__(self) -> Generator[Any, None, None]:
        if not self.is_past:
            yield from self._waiters.__await__()

    def come(self) -> None:
        self.is_past = True
        self._waiters.wake()


class Raises:
    """Raises an error in whoever awaits it, and says nothing to anybody else."""

    __slots__ = ("_error",)

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        raise self._error
