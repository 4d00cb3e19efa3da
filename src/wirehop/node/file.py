"""Files whose operations keep their order, and the standard streams (seed: Node 0.1.0,
``node.fs.File`` and "Helpers")."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections import deque
from functools import partial
from typing import Any, Self

from wirehop.core import json
from wirehop.core.events import EventEmitter
from wirehop.errors import LimitExceeded
from wirehop.node.actions import JOIN, Action, Write, write_all
from wirehop.node.descriptors import (
    Path,
    Reading,
    begin_close,
    begin_open,
    check_int,
    check_length,
    check_path,
    check_position,
    flags_of,
    threads_to_write,
)
from wirehop.node.encodings import UTF8, Data, Decode, decoder, encode, name
from wirehop.node.promise import Promise

__all__ = ["QUEUE_LIMIT", "File", "debug", "flush_now", "p", "print", "puts", "stderr", "stdin", "stdout"]

QUEUE_LIMIT = 64 << 20
"""Bytes that may wait in the queue of one File, as for one connection. Each action counts 256
bytes besides its data, about what it takes; so some 250,000 short lines may wait."""


class File(EventEmitter):
    """A file with a queue: what is asked for is done strictly in order, one after the other.

    So several actions can be issued at once, without waiting for ``open``. Each returns a promise,
    which settles before the next action starts. When one fails, its promise fails, ``error(exc)``
    is emitted, and the queue goes on with the next. An error that an ``error`` listener took need
    not be taken from the promise too; and that nobody reads a pipe any more is reported once.

    ``fd`` is the descriptor of a file that is open already. ``encoding`` says what ``read`` gives:
    bytes for "raw", text for "utf8" and "ascii". A File belongs to a loop only while something is
    in its queue. What a loop left there to be written when it closed is written before what the
    next one adds, but nobody is told.

    ``async with File() as file`` does what is in the queue at its end, and closes the file if it
    is open; but a read that would still have to wait for data fails with ECANCELED.

    Raises ``LimitExceeded`` at the call when more than 64 MiB would wait in the queue; one action
    may have more if it is alone. Awaiting each write keeps the queue empty.
    """

    _log = logging.getLogger("wirehop.node")

    def __init__(self, *, fd: int | None = None, encoding: str = "raw") -> None:
        self._fd = None if fd is None else check_int(fd, "fd")
        self.set_encoding(encoding)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: deque[Action] = deque()
        self._current: list[Action] = []
        """What is being done: one action, or writes that were joined."""
        self._cost = 0
        self._reading: Reading | None = None
        self._is_leaving = False
        self._is_unread = False
        """Whether it was said that nobody reads it any more."""
        self._lock = threading.RLock()
        """Held by the thread that writes: it knows alone how much it has written."""

    @property
    def fd(self) -> int | None:
        """The descriptor, or None while the file is not open."""
        return self._fd

    def set_encoding(self, encoding: str) -> None:
        """What ``read`` gives from now on: "raw", "utf8" or "ascii"."""
        self._encoding = name(encoding)
        self._decode: Decode | None = decoder(encoding)

    def open(self, path: Path, mode: str) -> Promise[int]:
        """Open the file at ``path``. Gives the descriptor.

        The modes are those of fopen(3), as POSIX has them (the seed's table mixes them up). A "b"
        in it means nothing:

        ====  ==============  ==========================  =====================
        mode  for             if there is none            if there is one
        ====  ==============  ==========================  =====================
        r     reading         fails with ENOENT           begins at its start
        r+    both            fails with ENOENT           begins at its start
        w     writing         is created                  is emptied
        w+    both            is created                  is emptied
        a     writing         is created                  writes go to its end
        a+    both            is created                  writes go to its end
        ====  ==============  ==========================  =====================

        Fails with ``RuntimeError`` while this File is open already.
        """
        return self._add(Action(partial(self._begin_open, check_path(path), flags_of(mode))))

    def close(self) -> Promise[None]:
        """Close the file, when all that was asked for before is done."""
        return self._add(Action(self._begin_close))

    def read(self, length: int, position: int | None = None) -> Promise[Any]:
        """Read up to ``length`` bytes. Gives bytes or text, and None at the end of the file.

        ``position`` counts bytes from the beginning of the file; without one the read goes on
        where the last one ended. Text is at least one character: a character of utf8 that is
        split is read to its end, or kept for the next read. A read with a position is decoded by
        itself, and what its ends split becomes U+FFFD.
        """
        length, position = check_length(length), check_position(position)
        return self._add(Action(partial(self._begin_read, length, position)))

    def write(self, data: Data, position: int | None = None, encoding: str = UTF8) -> Promise[int]:
        """Write all of ``data``, text in ``encoding``: where write(2) takes less, the rest follows.
        Gives the number of bytes.

        ``position`` counts bytes from the beginning of the file; without one the write goes to
        the file's own position. Awaiting it is the way not to fill the queue. If it fails, a part
        may have been written.
        """
        position = check_position(position)
        return self._add(Write(self._begin_write, encode(data, encoding), position))

    def print(self, data: object) -> Promise[int]:
        """Write text as utf8, or bytes, or whatever else as ``str()`` has it. Gives the number of
        bytes.

        What waits in the queue one after the other leaves together, as far as it is short. If
        that fails, it is one error, which is emitted and reported once.
        """
        return self._add(Write(self._begin_write, _printed(data), is_joined=True))

    def puts(self, data: object) -> Promise[int]:
        """:meth:`print`, and a newline."""
        return self._add(Write(self._begin_write, _printed(data) + b"\n", is_joined=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_leaving = True
        self._abandon_read()
        await self._add(Action(self._begin_leaving, cost=0))

    # --- the queue

    def _add(self, action: Action) -> Promise[Any]:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._move_to(loop)
        if self._cost and action.cost and self._cost + action.cost > QUEUE_LIMIT:
            raise LimitExceeded(f"more than {QUEUE_LIMIT} bytes would wait in the queue of this file")
        self._cost += action.cost
        promise: Promise[Any] = Promise()
        action.promise = promise
        self._queue.append(action)
        if not self._current:
            self._begin_next()
        return promise

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            if not self._loop.is_closed():
                raise RuntimeError("this File is in use by another event loop")
            writes = [action for action in self._pending() if isinstance(action, Write)]
            for write in writes:
                write.promise = None
            self._queue = deque(writes)
            self._current = []
            self._cost = sum(write.cost for write in writes)
            self._reading = None
            self._is_leaving = False
        self._loop = loop

    def _pending(self) -> list[Action]:
        return self._current + list(self._queue)

    def _begin_next(self) -> None:
        if self._queue:
            action = self._queue.popleft()
            self._current = [action]
            action.begin()
        else:
            self._loop = None

    def _finish(self, error: Exception | None, *values: Any) -> None:
        """The current action is over: settle its promise and begin the next."""
        actions = self._current
        self._cost -= sum(action.cost for action in actions)
        try:
            self._settle(actions, error, values)
        finally:
            self._current = []
            self._begin_next()

    def _settle(self, actions: list[Action], error: Exception | None, values: tuple[Any, ...]) -> None:
        failed = []
        for action in actions:
            if action.promise is None:
                continue
            if isinstance(action, Write) and (error is None or 0 < len(action.data) == action.written):
                action.promise.emit_success(len(action.data))
            elif error is None:
                action.promise.emit_success(*values)
            else:
                action.promise.emit_error(error)
                failed.append(action.promise)
        if error is not None:
            # A program that goes on printing to a reader who left would repeat it for ever.
            was_said = self._is_unread and isinstance(error, BrokenPipeError)
            self._is_unread = isinstance(error, BrokenPipeError)
            was_taken = self.emit("error", error) or was_said
            # One report of one error, and none of what a listener took.
            for promise in failed[0 if was_taken else 1 :]:
                promise.add_errback(_nothing)
            if not failed and not was_taken:
                self._log.error("what another loop left was not written", exc_info=error)

    def _refuse(self, error: Exception) -> None:
        """Fail in the next turn: whoever called must have the promise first."""
        asyncio.get_running_loop().call_soon(self._finish, error)

    # --- the actions

    def _begin_open(self, path: Path, flags: int) -> None:
        if self._fd is None:
            begin_open(path, flags, 0o666, self._has_opened)
        else:
            self._refuse(RuntimeError("this File is open already"))

    def _has_opened(self, fd: Any, error: Exception | None) -> None:
        if error is None:
            self._fd = fd
            self._is_unread = False
            self._decode = decoder(self._encoding)
        self._finish(error, fd)

    def _begin_close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is None:
            self._refuse(_not_open())
        else:
            begin_close(fd, lambda _, error: self._finish(error))

    def _begin_leaving(self) -> None:
        self._is_leaving = False
        if self._fd is None:
            asyncio.get_running_loop().call_soon(self._finish, None)
        else:
            self._begin_close()

    def _begin_read(self, length: int, position: int | None) -> None:
        if self._fd is None:
            self._refuse(_not_open())
            return
        self._reading = Reading(self._fd, length, position, partial(self._has_read, length, position))
        if self._is_leaving:
            self._abandon_read()

    def _has_read(self, length: int, position: int | None, data: Any, error: Exception | None) -> None:
        self._reading = None
        if error is not None:
            self._finish(error)
            return
        is_end = length > 0 and not data
        decode = self._decode if position is None else decoder(self._encoding)
        found = data if decode is None else decode(data, is_end or position is not None)
        if found or not length:
            self._finish(None, found)
        elif is_end:
            self._finish(None, None)
        else:
            # Half a character.
            self._begin_read(length, position)

    def _abandon_read(self) -> None:
        """Let the read that waits for data fail, and do not report it: nobody is there any more."""
        promise = self._current[0].promise if self._reading is not None else None
        if self._reading is not None and promise is not None:
            error = OSError(errno.ECANCELED, "the read was given up: its File is closing")
            if self._reading.abandon(error):
                promise.add_errback(_nothing)

    def _begin_write(self) -> None:
        fd = self._fd
        if fd is None:
            self._refuse(_not_open())
            return
        writes = [write for write in self._current if isinstance(write, Write)]
        room = JOIN - len(writes[0].data) if writes[0].is_joined else 0
        while self._queue and isinstance(write := self._queue[0], Write) and write.is_joined:
            room -= len(write.data)
            if room < 0:
                break
            self._queue.popleft()
            self._current.append(write)
            writes.append(write)
        work = partial(write_all, fd, writes, self._lock)
        threads_to_write(fd).run(work, lambda _, error: self._finish(error))

    def _flush_now(self) -> None:
        """Write what waits to be written before the file is to be closed."""
        writes = []
        for action in self._pending():
            if isinstance(action, Write):
                writes.append(action)
            elif action.begin in (self._begin_close, self._begin_leaving):
                break
        if self._fd is not None:
            write_all(self._fd, writes, self._lock)

    def _write_now(self, data: bytes) -> None:
        if self._fd is None:
            raise _not_open()
        write_all(self._fd, [Write(self._begin_write, data)], self._lock)


def _printed(data: object) -> bytes:
    return encode(data if isinstance(data, Data) else str(data))


def _not_open() -> OSError:
    return OSError(errno.EBADF, "this File is not open")


def _nothing() -> None:
    """Take an error of which somebody was told otherwise."""


stdin = File(fd=0)
"""The standard input, as bytes until ``set_encoding``."""

stdout = File(fd=1)
"""The standard output."""

stderr = File(fd=2)
"""The standard error output."""


def puts(text: object) -> Promise[int]:
    """Write ``text`` and a newline to the standard output. Outputs appear in the order of the
    calls. Gives the number of bytes."""
    return stdout.puts(text)


def print(text: object) -> Promise[int]:
    """:func:`puts` without the newline."""
    return stdout.print(text)


def p(value: Any) -> Promise[int]:
    """Write ``value`` as JSON, and a newline, to the standard output.

    Raises ``TypeError`` for what JSON cannot say and ``ValueError`` for a circular value.
    """
    return stdout.puts(json.dumps(value))


def debug(text: object) -> None:
    """Write "DEBUG: ", ``text`` and a newline to the standard error output, before anything that
    waits in its queue. Blocks the program until that is done; raises ``OSError``."""
    stderr._write_now(f"DEBUG: {text}\n".encode(errors="backslashreplace"))


def flush_now() -> None:
    """Write out what waits in the queues of the standard output and error output, at the end of a
    program. Works with or without a running loop.

    Blocks the program as long as the reader takes, without a limit: what was written before the
    end belongs to the output, however slowly somebody pages through it. Nobody needs to read it:
    a closed pipe is no error. Any other error is logged.
    """
    for stream in (stdout, stderr):
        try:
            stream._flush_now()
        except BrokenPipeError:
            pass
        except OSError as error:
            stream._log.error("output was lost at the end: %s", error)
