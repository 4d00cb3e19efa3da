"""Ctrl-C for a program that does not return to the loop.

Python's own handler of SIGINT runs between two steps of Python in the main thread: never, while
JavaScript runs there. But who handles a signal writes its number to a descriptor at once; a thread
reads that, passes it on to the event loop, whose descriptor it was, and sees that the program ends.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress
from typing import Protocol

from wirehop.node import file, runner

__all__ = ["GRACE", "Watchdog"]

GRACE = 0.25
"""Seconds in which JavaScript may come to the end of what it is doing, and the program to its own
end, with its exit hooks: longer than a call takes that does no more than it should."""


class _Watched(Protocol):
    calls: int

    @property
    def is_busy(self) -> bool: ...

    def freeze(self) -> None: ...


class Watchdog:
    """Ends the process with status 130 when JavaScript, after a SIGINT, stays in one call for
    :data:`GRACE`. What was printed is written out, but no exit hook is called: the program is in the
    middle of something.

    Does nothing outside of the main thread, which gets no signals.
    """

    def __init__(self, program: _Watched) -> None:
        self._program = program
        self._reader = self._writer = -1
        if threading.current_thread() is not threading.main_thread():
            return
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        # One of our own: the loop closes its descriptor, and its number may become another one's.
        self._loop = os.dup(before) if before >= 0 else -1
        self._thread = threading.Thread(target=self._watch, name="wirehop-sigint", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        if self._writer < 0:
            return
        # The loop whose descriptor was there before has ended, and that with it.
        if (other := signal.set_wakeup_fd(-1)) not in (self._writer, -1):
            signal.set_wakeup_fd(other)
        writer, self._writer = self._writer, -1
        os.close(writer)
        self._thread.join()

    def _watch(self) -> None:
        while signals := os.read(self._reader, 64):
            self._pass_on(signals)
            if signal.SIGINT in signals:
                self._see_it_end()
                break
        os.close(self._reader)
        if self._loop >= 0:
            os.close(self._loop)

    def _see_it_end(self) -> None:
        # Also when it was not busy: what is due may begin before the loop heeds the signal.
        before = -1
        while True:
            readable, _, _ = select.select([self._reader], [], [], GRACE)
            if readable:
                if not (signals := os.read(self._reader, 64)):
                    return
                self._pass_on(signals)
            elif self._program.is_busy and self._program.calls == before:
                self._program.freeze()
                file.flush_now()
                os._exit(runner.INTERRUPTED)
            else:
                before = self._program.calls

    def _pass_on(self, signals: bytes) -> None:
        if self._loop >= 0:
            # It may have ended by itself in this moment.
            with suppress(OSError):
                os.write(self._loop, signals)
