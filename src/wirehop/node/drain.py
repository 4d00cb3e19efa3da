"""When all that was sent has left (seed: Node 0.1.0, ``node.tcp.Connection``, "drain")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wirehop.core.output import Output

__all__ = ["Drain"]


class Drain:
    """Calls ``empty()`` once whenever something was sent and the system has taken all of it, in a later
    turn. With TLS what the transport below it still holds, 64 KiB at most, counts as taken."""

    __slots__ = ("_empty", "_is_looking", "_loop", "_output", "_owes")

    def __init__(self, loop: asyncio.AbstractEventLoop, empty: Callable[[], None]) -> None:
        self._loop = loop
        self._empty = empty
        self._output: Output | None = None
        self._owes = False
        self._is_looking = False

    def begin(self, output: Output) -> None:
        """That is what things are sent to from now on; it calls :meth:`left` when it is empty."""
        self._output = output
        self._owes = False
        output.tell_empty()

    def sent(self) -> None:
        """Something was."""
        self._owes = True
        self._look_soon()

    def left(self) -> None:
        """All that the socket did not take at once has left."""
        self._owes = True
        self._look()

    def _look(self) -> None:
        output = self._output
        if not self._owes or output is None:
            return
        if not output.waiting:
            self._owes = False
            self._empty()
        elif output.is_queued:
            # It leaves at the end of this turn, and then maybe without a word.
            self._look_soon()

    def _look_soon(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_soon(self._look_now)

    def _look_now(self) -> None:
        self._is_looking = False
        self._look()
