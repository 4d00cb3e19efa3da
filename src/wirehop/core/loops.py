"""Which event loop there is, and one object of a kind for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["PerLoop", "loop_factory"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Makes the object of a loop when it is first asked for. The object must not refer to its
    loop, or neither would ever be freed."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()

    def of(self, loop: asyncio.AbstractEventLoop) -> T:
        made = self._made.get(loop)
        if made is None:
            made = self._made[loop] = self._make()
        return made


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What ``asyncio.Runner`` makes its loop with: uvloop where it is installed; None is asyncio."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
