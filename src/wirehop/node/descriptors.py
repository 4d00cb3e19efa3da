"""One operation on a file descriptor, off the loop: what the wrappers of ``fs`` and the actions
of a ``File`` are made of.

Each is told at the end by ``done(result, error)``, in the loop. Nothing here blocks the loop:
threads do the work, and a read from a pipe, a socket or a terminal takes one only when there is
something to read.
"""

from __future__ import annotations

import asyncio
import errno
import operator
import os
import select
import stat
from functools import partial
from typing import Any
from weakref import WeakSet

from wirehop.core.loops import PerLoop
from wirehop.node.threads import Done, Drop, Threads, Work, ordinary, patient, ready

__all__ = [
    "READ_LIMIT",
    "Path",
    "Reading",
    "begin_close",
    "begin_open",
    "check_int",
    "check_length",
    "check_path",
    "check_position",
    "flags_of",
    "read_once",
    "threads_to_write",
    "with_path",
    "write_once",
]

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

READ_LIMIT = 0x7FFF_F000
"""The most bytes of one read: Linux gives no more at once (read(2), Notes), so a larger length
is a mistake."""


_MODES = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}


def check_path(path: Path) -> Path:
    """``path``, if it can be one."""
    if b"\0" in os.fsencode(path):
        raise ValueError(f"a path has no null character: {path!r}")
    return path


def check_int(value: int, what: str) -> int:
    """``value``, if it is an int of C. Which of them mean something is for the system to say."""
    if not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not -1 << 31 <= value < 1 << 31:
        raise ValueError(f"{what} cannot be {value}")
    return value


def flags_of(mode: str) -> int:
    """The flags of open(2) for a mode of fopen(3)."""
    flags = _MODES.get(mode[:1] + mode[1:].replace("b", "", 1))
    if flags is None:
        raise ValueError(f"{mode!r} is no mode: r, r+, w, w+, a or a+")
    return flags


def check_length(length: int) -> int:
    """``length``, if one read can give as many bytes."""
    if not 0 <= operator.index(length) <= READ_LIMIT:
        raise ValueError(f"a length is from 0 to {READ_LIMIT} bytes, not {length}")
    return length


def check_position(position: int | None) -> int | None:
    """``position``, if it is None or can be one of a file."""
    if position is not None and not 0 <= operator.index(position) < 1 << 63:
        raise ValueError(f"a position is from 0 to 2**63 - 1, not {position}")
    return position


def begin_open(path: Path, flags: int, mode: int, done: Done) -> None:
    """open(2), which gives the descriptor. It is closed again if the loop has closed by then."""
    with_path(path, partial(os.open, path, flags, mode), done, drop=os.close)


def begin_close(fd: int, done: Done) -> None:
    """close(2). What waits to read from ``fd`` in this loop fails with EBADF."""
    loop = asyncio.get_running_loop()
    for reading in tuple(_waiting.of(loop)):
        if reading.fd == fd:
            # A descriptor leaves an epoll without a word when it is closed.
            reading.abandon(OSError(errno.EBADF, os.strerror(errno.EBADF)))
    ordinary.of(loop).run(partial(os.close, fd), done)


_LATER: Any = object()
"""What an ordinary thread returns instead of doing what could wait for somebody else."""


def with_path(path: Path, work: Work, done: Done, *, drop: Drop | None = None) -> None:
    """Do what opens ``path``, which waits for the other end if that is a FIFO, and for the line
    if it is a modem's."""
    loop = asyncio.get_running_loop()

    def first() -> Any:
        return _LATER if _may_wait(path) else work()

    def then(result: Any, error: Exception | None) -> None:
        if result is _LATER:
            patient.of(loop).run(work, done, drop=drop)
        else:
            done(result, error)

    def drop_first(result: Any) -> None:
        if drop is not None and result is not _LATER:
            drop(result)

    ordinary.of(loop).run(first, then, drop=drop_first)


def threads_to_write(fd: int) -> Threads:
    """The threads for a write to ``fd``: ordinary ones if it is on a disk."""
    loop = asyncio.get_running_loop()
    epoll = _watch(fd)
    if epoll is None:
        return ordinary.of(loop)
    epoll.close()
    return patient.of(loop)


class Reading:
    """One read, which begins at once: read(2), or pread(2) with a position. It gives bytes, none
    at the end of the file.

    While there is nothing to read it waits without a thread: the descriptor is watched by an
    epoll of its own, which the loop watches. The loop itself would have but one reader for each
    descriptor, and uvloop makes what it watches non-blocking, also for the parent process that
    shares it. The read itself is a thread's all the same: what was there may have gone to another
    process meanwhile. A system without epoll keeps a thread waiting.
    """

    __slots__ = ("__weakref__", "_done", "_epoll", "_length", "_loop", "_position", "fd")

    def __init__(self, fd: int, length: int, position: int | None, done: Done) -> None:
        self.fd = fd
        self._loop = asyncio.get_running_loop()
        self._length = length
        self._position = position
        self._done = done
        # What has positions never waits, and to read nothing takes no time.
        epoll = None if position is not None or not length else _watch(fd)
        self._epoll: select.epoll | None = None
        if epoll is None:
            self._read(ordinary.of(self._loop))
        elif isinstance(epoll, _Unwatched):
            self._read(patient.of(self._loop))
        elif epoll.poll(0):
            epoll.close()
            self._read(ready.of(self._loop))
        else:
            self._epoll = epoll
            self._loop.add_reader(epoll.fileno(), self._ready)
            _waiting.of(self._loop).add(self)

    def abandon(self, error: OSError) -> bool:
        """Fail with ``error`` if it still waits for data. Returns whether it did."""
        if self._epoll is None:
            return False
        self._stop_waiting(self._epoll)
        self._loop.call_soon(self._done, None, error)
        return True

    def _ready(self) -> None:
        assert self._epoll is not None
        self._stop_waiting(self._epoll)
        self._read(ready.of(self._loop))

    def _stop_waiting(self, epoll: select.epoll) -> None:
        self._epoll = None
        self._loop.remove_reader(epoll.fileno())
        epoll.close()
        _waiting.of(self._loop).discard(self)

    def _read(self, threads: Threads) -> None:
        threads.run(partial(read_once, self.fd, self._length, self._position), self._done)


_waiting: PerLoop[WeakSet[Reading]] = PerLoop(WeakSet)
"""The reads that wait for data. The loop holds them, as its readers."""


class _Unwatched:
    """Stands for the epoll of a descriptor that may have to wait, but cannot be watched."""

    def close(self) -> None:
        """There is nothing to close."""


def _watch(fd: int) -> select.epoll | _Unwatched | None:
    """What can be read when ``fd`` can; None if that is always so, as for a file on a disk."""
    try:
        epoll = select.epoll()
    except (AttributeError, OSError):
        # No epoll on this system, or no descriptor left for one.
        return _Unwatched()
    try:
        epoll.register(fd, select.EPOLLIN)
    except PermissionError:
        epoll.close()
        return None
    except (OSError, ValueError):
        # No such descriptor: the operation will say so.
        epoll.close()
        return _Unwatched()
    return epoll


# --- in a thread


def read_once(fd: int, length: int, position: int | None) -> bytes:
    """One read(2) that waits for data, also where somebody else who shares the descriptor has
    made it one that does not."""
    while True:
        try:
            return os.read(fd, length) if position is None else os.pread(fd, length, position)
        except BlockingIOError:
            _wait_for(fd, select.POLLIN)


def write_once(fd: int, data: bytes | memoryview, position: int | None) -> int:
    """One write(2) that waits for room, also where somebody else who shares the descriptor has
    made it one that does not. Returns the number of bytes written."""
    while True:
        try:
            return os.write(fd, data) if position is None else os.pwrite(fd, data, position)
        except BlockingIOError:
            _wait_for(fd, select.POLLOUT)


def _wait_for(fd: int, event: int) -> None:
    poll = select.poll()
    poll.register(fd, event)
    poll.poll()


def _may_wait(path: Path) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
