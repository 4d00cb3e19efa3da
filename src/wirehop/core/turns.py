"""What the connections of a loop share in each of its turns: one flush at its end, and a measure of
how much is written in it by those who wait for what they send.

Who sends in a loop and awaits each send has nothing to wait for while its socket takes everything,
and a reader that keeps up takes everything: nobody else would be served. (Measured with one such
reader of 64 KiB pieces: the p99 of somebody who asks beside it is 100 to 2,400 ms without this and
0.3 to 3 ms with it. The reader of a WebSocket has as much as without, one of HTTP or Sockhop up to
a quarter less.) To yield after so many bytes does not help where many send: all of them share every
turn then. So what they write is counted together, and they are served in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from wirehop.core.loops import PerLoop

if TYPE_CHECKING:
    from wirehop.core.output import Output

__all__ = ["LARGE", "LEAST", "SHARE", "Turn", "turns"]

LARGE = 16_384
"""Bytes that are counted when they leave together. A piece of this size does not wait for a batch."""

LEAST = 4096
"""What a full batch counts at least, however small its pieces are: to make them takes time as well.
(With four times as much a client with 256 requests under way has 8% less, because some of those
wait for the next turn.)"""

SHARE = 65_536
"""Bytes of one turn after which who waits for what it sent goes on in a later one. It takes 0.05 to
0.3 ms to write them."""


class Turn:
    """One for each loop. It does not refer to its loop, or neither would ever be freed."""

    __slots__ = ("_is_counting", "_spent", "_waiting", "outputs")

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        """Those that have something for the end of this turn."""
        self._spent = 0
        self._is_counting = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def spend(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        """So many bytes were written."""
        self._spent += size
        if not self._is_counting:
            self._is_counting = True
            self._begin_later(loop)

    def share(self, size: int, loop: asyncio.AbstractEventLoop) -> Generator[Any, None, None]:
        """Wait until it is one's turn to write about ``size`` bytes: not at all, as long as this turn
        has not written its share."""
        if self._spent >= SHARE:
            future = loop.create_future()
            self._waiting.append((size, future))
            yield from future

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._waiting
        self._spent = granted = 0
        while waiting and granted < SHARE:
            size, future = waiting.popleft()
            # One that gave up has no part in it.
            if not future.done():
                future.set_result(None)
                granted += size
        self._is_counting = bool(waiting)
        if waiting:
            self._begin_later(loop)

    def _begin_later(self, loop: asyncio.AbstractEventLoop) -> None:
        # Every second turn: what was read in one is answered in the next, before more is written.
        loop.call_soon(loop.call_soon, self._begin, loop)


turns = PerLoop(Turn)
