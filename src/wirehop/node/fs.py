"""Files as the system has them (seed: Node 0.1.0, "POSIX Wrappers").

Each wrapper begins at the call and returns a promise, which may be awaited. There is no
guaranteed order between them: await one before the next that depends on it, or use
:class:`File`. What the system refuses fails the promise with its ``OSError``. What can be no
path, descriptor, length or position raises ``TypeError`` or ``ValueError`` at the call. When
65,536 operations wait for their turn already, one more fails with ``LimitExceeded``. An operation
that has begun goes on when whoever awaits it is cancelled. None of them blocks the loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from os import O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY
from typing import Any

from wirehop.errors import LimitExceeded
from wirehop.node.descriptors import (
    READ_LIMIT,
    Path,
    Reading,
    begin_close,
    begin_open,
    check_int,
    check_length,
    check_path,
    check_position,
    read_once,
    threads_to_write,
    with_path,
    write_once,
)
from wirehop.node.encodings import Data, Decode, decoder, encode
from wirehop.node.file import File
from wirehop.node.promise import Promise
from wirehop.node.threads import Done, Work, ordinary

__all__ = [
    "CAT_LIMIT",
    "O_APPEND",
    "O_CLOEXEC",
    "O_CREAT",
    "O_DIRECTORY",
    "O_EXCL",
    "O_NOCTTY",
    "O_NOFOLLOW",
    "O_NONBLOCK",
    "O_RDONLY",
    "O_RDWR",
    "O_SYNC",
    "O_TRUNC",
    "O_WRONLY",
    "READ_LIMIT",
    "File",
    "Path",
    "Stats",
    "cat",
    "close",
    "exists",
    "open",
    "read",
    "rename",
    "rmdir",
    "stat",
    "unlink",
    "write",
]

# Where a system has no such flag, it cannot be asked for.
O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
O_NOCTTY: int = getattr(os, "O_NOCTTY", 0)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
O_SYNC: int = getattr(os, "O_SYNC", 0)

CAT_LIMIT = 1 << 29
"""The most bytes that :func:`cat` reads unless told otherwise: 512 MiB, as much as a string of
JavaScript can hold. A device without an end (``/dev/zero``) stops here and not when memory does."""

_CHUNK = 1 << 18
"""Bytes that :func:`cat` reads and decodes in one step: the loop may run after each."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What stat(2) says of a file. ``size`` is in bytes, ``blocks`` in units of 512 bytes; the
    times are aware datetimes in UTC, to the microsecond. ``p(stats)`` prints it."""

    dev: int
    ino: int
    mode: int
    nlink: int
    uid: int
    gid: int
    rdev: int
    size: int
    blksize: int
    blocks: int
    atime: datetime
    mtime: datetime
    ctime: datetime


def rename(path1: Path, path2: Path) -> Promise[None]:
    """See rename(2): what is at ``path2`` is replaced."""
    return _wrap(partial(os.rename, check_path(path1), check_path(path2)), _succeed_without)


def stat(path: Path) -> Promise[Stats]:
    """See stat(2); a symbolic link is followed."""
    return _wrap(partial(_stat, check_path(path)))


def unlink(path: Path) -> Promise[None]:
    """See unlink(2)."""
    return _wrap(partial(os.unlink, check_path(path)), _succeed_without)


def rmdir(path: Path) -> Promise[None]:
    """See rmdir(2)."""
    return _wrap(partial(os.rmdir, check_path(path)), _succeed_without)


def exists(path: Path) -> Promise[bool]:
    """Whether stat(2) finds something at ``path``. False too for a link that leads nowhere, and
    for what is in a directory that may not be searched."""
    return _wrap(partial(_exists, check_path(path)))


def open(path: Path, flags: int, mode: int = 0o666) -> Promise[int]:
    """See open(2). Gives the descriptor, which programs that are started do not inherit.

    ``flags`` is one of O_RDONLY, O_WRONLY and O_RDWR, together with others; ``mode`` has the
    permissions of a file that is created, less the umask.
    """
    path, flags, mode = check_path(path), check_int(flags, "flags"), check_int(mode, "mode")
    return _begin(partial(begin_open, path, flags, mode))


def close(fd: int) -> Promise[None]:
    """See close(2). A read that waits for data from ``fd`` fails with EBADF."""
    return _begin(partial(begin_close, check_int(fd, "fd")), _succeed_without)


def read(fd: int, length: int, position: int | None = None, encoding: str = "raw") -> Promise[Any]:
    """See read(2) and, with a position, pread(2). Gives up to ``length`` bytes, or text, and None
    at the end of the file.

    ``position`` counts bytes from the beginning of the file; without one the read is at the
    file's own position, and moves it. As "utf8" or "ascii" each read is decoded by itself, and a
    character that its end splits becomes U+FFFD: :func:`cat` and ``File.read`` keep it whole.
    """
    fd, length, position = check_int(fd, "fd"), check_length(length), check_position(position)
    decode = decoder(encoding)

    def settle(promise: Promise[Any], data: Any, error: Exception | None) -> None:
        if length and not data:
            data = None
        elif decode is not None:
            data = decode(data, True)
        _succeed(promise, data, error)

    return _begin(partial(Reading, fd, length, position), settle)


def write(fd: int, data: Data, position: int | None = None, encoding: str = "utf8") -> Promise[int]:
    """See write(2) and, with a position, pwrite(2): one of them, which may write less than all.
    Gives the number of bytes written.

    ``position`` counts bytes from the beginning of the file; without one the write is at the
    file's own position, and moves it. Where a file was opened with O_APPEND, Linux appends
    whatever the position. Fails with ``LimitExceeded`` when 64 MiB wait to be written already.
    """
    fd, position = check_int(fd, "fd"), check_position(position)
    data = encode(data, encoding)
    work = partial(write_once, fd, data, position)
    return _begin(partial(threads_to_write(fd).run, work, size=len(data)))


def cat(path: Path, encoding: str = "utf8", *, limit: int = CAT_LIMIT) -> Promise[Any]:
    """What is in the file at ``path``: text, or bytes if ``encoding`` is "raw".

    Reads to the end, whatever size the file claims to have: those of ``/proc`` claim none. Fails
    with ``LimitExceeded`` when there are more than ``limit`` bytes.
    """
    path = check_path(path)
    work = partial(_cat, path, decoder(encoding), limit)
    return _begin(partial(with_path, path, work))


# --- in a thread


def _stat(path: Path) -> Stats:
    found = os.stat(path)
    return Stats(
        dev=found.st_dev,
        ino=found.st_ino,
        mode=found.st_mode,
        nlink=found.st_nlink,
        uid=found.st_uid,
        gid=found.st_gid,
        rdev=found.st_rdev,
        size=found.st_size,
        blksize=found.st_blksize,
        blocks=found.st_blocks,
        atime=_time(found.st_atime_ns),
        mtime=_time(found.st_mtime_ns),
        ctime=_time(found.st_ctime_ns),
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _time(nanoseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        # A file may claim any year; a datetime cannot.
        return (datetime.max if nanoseconds > 0 else datetime.min).replace(tzinfo=UTC)


def _exists(path: Path) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _cat(path: Path, decode: Decode | None, limit: int) -> bytes | str:
    pieces: list[Any] = []
    size = 0
    fd = os.open(path, O_RDONLY)
    try:
        while chunk := read_once(fd, _CHUNK, None):
            size += len(chunk)
            if size > limit:
                raise LimitExceeded(f"{os.fsdecode(path)} has more than {limit} bytes")
            pieces.append(chunk if decode is None else decode(chunk, False))
    finally:
        os.close(fd)
    if decode is None:
        return b"".join(pieces)
    pieces.append(decode(b"", True))
    return "".join(pieces)


# --- promises

Settle = Callable[[Promise[Any], Any, Exception | None], None]


def _succeed(promise: Promise[Any], result: Any, error: Exception | None) -> None:
    if error is None:
        promise.emit_success(result)
    else:
        promise.emit_error(error)


def _succeed_without(promise: Promise[Any], result: Any, error: Exception | None) -> None:
    """Settle with no parameters on success, as the seed says of some."""
    if error is None:
        promise.emit_success()
    else:
        promise.emit_error(error)


def _begin(begin: Callable[[Done], object], settle: Settle = _succeed) -> Promise[Any]:
    """Begin what calls ``done(result, error)`` at its end. Returns the promise of that."""
    # First: without a loop there is no promise either.
    asyncio.get_running_loop()
    promise: Promise[Any] = Promise()
    begin(partial(settle, promise))
    return promise


def _wrap(work: Work, settle: Settle = _succeed) -> Promise[Any]:
    threads = ordinary.of(asyncio.get_running_loop())
    return _begin(partial(threads.run, work), settle)
