"""Threads for what would block the loop: the system's calls on files.

They are daemons, and not asyncio's executor: Python waits for the threads of that one when it
ends, and a thread that reads from a terminal may never come back.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

from wirehop.core.loops import PerLoop
from wirehop.errors import LimitExceeded

__all__ = ["Done", "Drop", "Threads", "Work", "ordinary", "patient", "ready"]

ORDINARY = 4
"""Threads for what only the disk is asked for: more of them would wait for the same disk."""

PATIENT = 64
"""Threads for what may wait for somebody else, as a write to a pipe does that nobody empties.
So many pipes can be stuck at once before one more has to wait for another; ordinary operations
never wait for them."""

READY = 16
"""Threads for reads of what is there already. They are soon done, unless another process has taken
it meanwhile; and they must not wait for writes that are stuck until somebody reads."""

SPARE = 4
"""Threads that stay when there is nothing to do. Starting one costs more than most operations."""

WAITING_LIMIT = 65_536
"""Operations that wait for a thread: more than any burst, and no more than some 100 MB."""

WAITING_BYTES = 64 << 20
"""Bytes that operations wait to write, all together, as for one connection. One operation may
have more when no other has any: whoever calls it holds these bytes already."""

Work = Callable[[], Any]
"""What a thread calls. It must raise nothing but an Exception."""

Done = Callable[[Any, Exception | None], None]
"""Called in the loop with what the work returned and None, or with None and what it raised."""

Drop = Callable[[Any], None]
"""Called in the thread with what the work returned, when the loop had closed by then."""


class Threads:
    """Up to ``most`` threads of one loop, started on demand. To be used in the loop's thread.

    They end when their loop is forgotten.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._size = 0
        self._idle: list[SimpleQueue[_Job | None]] = []
        self._waiting: deque[_Job] = deque()

    def run(self, work: Work, done: Done, *, drop: Drop | None = None, size: int = 0) -> None:
        """Call ``work()`` in a thread and then ``done`` in the loop, or ``drop`` if there is none
        any more. ``size`` is what the work holds to write, in bytes. With too many operations or
        bytes waiting already, the error is ``LimitExceeded``."""
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= WAITING_LIMIT:
            full = f"{WAITING_LIMIT} file operations are waiting already"
            loop.call_soon(done, None, LimitExceeded(full))
            return
        if self._size and self._size + size > WAITING_BYTES:
            full = f"more than {WAITING_BYTES} bytes would wait to be written"
            loop.call_soon(done, None, LimitExceeded(full))
            return
        job = _Job(self, loop, work, done, drop, size)
        self._size += size
        if self._idle:
            self._idle.pop().put(job)
        elif self._count < self._most:
            self._start(job)
        else:
            self._waiting.append(job)

    def _start(self, job: _Job) -> None:
        inbox: SimpleQueue[_Job | None] = SimpleQueue()
        inbox.put(job)
        try:
            Thread(target=_serve, args=(inbox,), name="wirehop-file", daemon=True).start()
        except RuntimeError as error:
            if self._count:
                self._waiting.append(job)
            else:
                self._size -= job.size
                job.loop.call_soon(job.done, None, OSError(errno.EAGAIN, str(error)))
        else:
            self._count += 1

    def _finished(
        self, job: _Job, inbox: SimpleQueue[_Job | None], result: Any, error: Exception | None
    ) -> None:
        self._size -= job.size
        if self._waiting:
            inbox.put(self._waiting.popleft())
        elif len(self._idle) < SPARE:
            self._idle.append(inbox)
        else:
            inbox.put(None)
            self._count -= 1
        job.done(result, error)

    def __del__(self) -> None:
        for inbox in self._idle:
            inbox.put(None)


class _Job:
    """One operation, on its way to a thread and back."""

    __slots__ = ("done", "drop", "loop", "size", "threads", "work")

    def __init__(
        self,
        threads: Threads,
        loop: asyncio.AbstractEventLoop,
        work: Work,
        done: Done,
        drop: Drop | None,
        size: int,
    ) -> None:
        self.threads = threads
        self.loop = loop
        self.work = work
        self.done = done
        self.drop = drop
        self.size = size

    def run(self, inbox: SimpleQueue[_Job | None]) -> bool:
        """Do it, in a thread. False if the loop has closed, so that the thread has no master."""
        result: Any = None
        error: Exception | None = None
        try:
            result = self.work()
        except OSError as failure:
            # An answer of the system, no defect. The frames of this thread say nothing about who
            # asked, and would hold what the operation has read.
            error = failure.with_traceback(None)
        except Exception as failure:
            error = failure
        try:
            self.loop.call_soon_threadsafe(self.threads._finished, self, inbox, result, error)
        except RuntimeError:
            if error is None and self.drop is not None:
                self.drop(result)
            # They would keep the loop in memory, and wait in vain.
            self.threads._waiting.clear()
            return False
        finally:
            # Or a traceback and its error would hold each other.
            del error
        return True


def _serve(inbox: SimpleQueue[_Job | None]) -> None:
    while (job := inbox.get()) is not None:
        if not job.run(inbox):
            return
        # While it waits for the next, a thread must not hold the loop of the last.
        del job


ordinary = PerLoop(lambda: Threads(ORDINARY))
"""For what a disk answers."""

ready = PerLoop(lambda: Threads(READY))
"""For reads of what is there."""

patient = PerLoop(lambda: Threads(PATIENT))
"""For what may wait without end."""
