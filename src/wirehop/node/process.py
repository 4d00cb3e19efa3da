"""Child processes as events (seed: Node 0.1.0, "Child Processes"). POSIX only, as the seed is.

A child is started by ``subprocess`` and not through the loop: there it would be a coroutine, with
neither the pid nor the reason why a program cannot be started known at the call. So it takes four
descriptors that any loop can watch in any thread: three pipes, and one that tells of the death.
The loop alone holds who watches that one. When it is closed first, the pipes are closed, the child
lives on, as the children of a program do that has ended, and a thread waits to reap it.
"""

from __future__ import annotations

import asyncio
import errno
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from subprocess import PIPE, Popen
from typing import Any, Self, cast

from wirehop.core.events import EventEmitter, nobody_took
from wirehop.node import alive
from wirehop.node.encodings import UTF8, Data, encode
from wirehop.node.pipes import PipeReader, PipeWriter

__all__ = ["SIGNALS", "Process", "create_process"]

SIGNALS: Mapping[str, int] = {name: int(number) for name, number in signal.Signals.__members__.items()}
"""The numbers of this system's signals by their names: "SIGTERM" and so on."""

Command = str | Sequence[str | os.PathLike[str]]


class Process(EventEmitter):
    """A child process, which runs from the moment that this is made.

    Events: ``output(data)`` and ``error(data)``, what it writes to its stdout and its stderr, up to
    64 KiB at a time, and None at the end of each; then ``exit(code)``. ``data`` is text, unless
    :meth:`set_encoding` says otherwise. ``exit`` comes once and last, when the child was reaped and
    both streams have ended: a grandchild that keeps them open delays it.

    ``code`` is the exit code, or 128 and the number of the signal that killed the child, as in
    shells; ``exit_code`` and ``signal`` say which, with None for the other. A child that was not
    left to us to reap has 255. ``async with`` kills what still runs at its end.

    As ``error`` is stderr, a listener that fails is only logged, and counts as one that no
    ``error`` listener takes: it ends a program of :func:`wirehop.node.run`.
    """

    _log = logging.getLogger("wirehop.node")

    def __init__(self, command: Command) -> None:
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        arguments = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        if not arguments:
            raise ValueError("a command begins with a program")
        self._child = child = _Child(arguments)
        self.pid = child.pid
        self.exit_code: int | None = None
        self.signal: int | None = None
        stdin, stdout, stderr = child.pipes
        self._stdin = PipeWriter(stdin)
        self._streams = (
            PipeReader(stdout, partial(self._on_data, "output")),
            PipeReader(stderr, partial(self._on_data, "error")),
        )
        try:
            self.resume()
            _Watch(child, _death(child), self._on_death)
        except BaseException:
            self.pause()
            with child:
                child.kill()
            raise
        alive.keep(self)

    def write(self, data: Data, encoding: str = UTF8) -> Awaitable[None]:
        """Write to the child's stdin: text in ``encoding`` ("utf8", "ascii"), bytes as they are.

        It is on its way at the call. Awaiting it waits for the drain, and raises
        ``ConnectionClosed`` when the child reads its stdin no more. Raises at the call, with
        nothing written: ``ConnectionClosed`` after :meth:`close` or when the child has ended,
        ``ValueError`` or ``TypeError`` for what cannot be encoded, ``LimitExceeded`` when more than
        64 MiB would wait for the child.
        """
        self._stdin.write(encode(data, encoding))
        return self._stdin

    def close(self) -> None:
        """Close the child's stdin once all that was written is out."""
        self._stdin.close()

    def set_encoding(self, encoding: str) -> None:
        """What ``output`` and ``error`` bring from now on: text of "utf8" or "ascii", with U+FFFD
        for what is none, or bytes with "raw". (Beyond the seed, which has utf8 only.)"""
        for stream in self._streams:
            stream.set_encoding(encoding)

    def pause(self) -> None:
        """Read no more: once its pipes are full the child waits, and ``exit`` waits as well. For
        async listeners that cannot keep up: each call holds its data until it returns. (Beyond
        the seed.)"""
        for stream in self._streams:
            stream.pause()

    def resume(self) -> None:
        """Read again."""
        for stream in self._streams:
            stream.resume()

    def kill(self, signal: int | str = signal.SIGTERM) -> None:
        """Send a signal: a number, a member of ``signal.Signals`` or a name such as "SIGUSR1".

        Raises ``ProcessLookupError`` when the child has ended, and ``ValueError`` or ``OSError``
        for a name or number that no signal has. Only the child gets it: if the command is a string
        that may be a shell, and what it runs lives on, unless the string begins with "exec".
        """
        if isinstance(signal, str):
            if signal.upper() not in SIGNALS:
                raise ValueError(f"{signal!r} is the name of no signal")
            signal = SIGNALS[signal.upper()]
        self._child.tell(signal)

    async def wait(self) -> int:
        """Wait for the exit and return the code that its event had, as awaiting the process does."""
        return await asyncio.shield(self._exited)  # One waiter that gives up must not stop others.

    def __await__(self) -> Generator[Any, None, int]:
        return self.wait().__await__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill the child and wait for its end, not for grandchildren. What was not read is dropped."""
        with suppress(ProcessLookupError):
            self.kill("SIGKILL")
        self._stdin.end()
        for stream in self._streams:
            stream.end()
        await self.wait()

    def _on_data(self, event: str, data: str | bytes | None) -> None:
        self.emit(event, data)
        if data is None:
            self._exit_if_over()

    def _on_death(self, code: int) -> None:
        self.exit_code, self.signal = (code, None) if code >= 0 else (None, -code)
        # What only lives on for more of it, as a killed shell's child, ends then too.
        self._stdin.end()
        self._exit_if_over()

    def _exit_if_over(self) -> None:
        code = self.exit_code if self.signal is None else 128 + self.signal
        if code is None or self._exited.done() or not all(s.has_ended for s in self._streams):
            return
        self._exited.set_result(code)
        self.emit("exit", code)
        alive.release(self)

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        self._log.error("a listener of %r failed", event, exc_info=error)
        nobody_took(error)


def create_process(command: Command) -> Process:
    """Start a child: a string is run by ``/bin/sh -c``, a sequence is the program and its arguments,
    without a shell. Must be called while a loop runs.

    Raises ``OSError`` when it cannot be started: no such program, too many arguments, no process or
    descriptor left. A string always has its shell: what that cannot start, it says on ``error``,
    with exit code 127 or 126.
    """
    return Process(command)


class _Child(Popen[bytes]):
    """A child as the system knows it. It is reaped and signalled under one lock, because a signal
    must not reach whoever gets the number of a child that a thread is just reaping."""

    def __init__(self, arguments: Sequence[str | os.PathLike[str]]) -> None:
        self._reaping = threading.RLock()
        super().__init__(arguments, bufsize=0, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        self.pipes = tuple(cast(io.FileIO, pipe) for pipe in (self.stdin, self.stdout, self.stderr))
        for pipe in self.pipes:
            os.set_blocking(pipe.fileno(), False)

    def poll(self) -> int | None:
        """Reap it if it has ended. (Popen's own calls one that somebody else has reaped a success.)"""
        with self._reaping:
            if self.returncode is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:
                    self.returncode = 255
                else:
                    if pid:
                        self.returncode = os.waitstatus_to_exitcode(status)
            return cast("int | None", self.returncode)

    def tell(self, number: int) -> None:
        with self._reaping:
            if self.poll() is not None:
                raise ProcessLookupError(errno.ESRCH, "the child has ended")
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Block until it has ended. What blocks only looks: the lock is held for moments."""
        with suppress(AttributeError, ChildProcessError):  # macOS has it since Python 3.13 only.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        while (code := self.poll()) is None:
            # Only where waitid() is missing, or somebody else has reaped the child.
            time.sleep(0.02)
        return code

    def __del__(self) -> None:
        """Without the warning of its super: a child may outlive its program."""

    def wait_in_thread(self, *then_close: int) -> None:
        def wait() -> None:
            self.wait()
            for fd in then_close:
                os.close(fd)

        threading.Thread(target=wait, name="wirehop-child", daemon=True).start()


class _Watch:
    """Waits for the death of a child. Held by its loop alone: freed when that is closed."""

    def __init__(self, child: _Child, fd: int, on_death: Callable[[int], None]) -> None:
        self._child = child
        self._fd = fd
        self._on_death = on_death
        asyncio.get_running_loop().add_reader(fd, self._on_readable)

    def _on_readable(self) -> None:
        # A debugger hears of it before the parent.
        if (code := self._child.poll()) is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._on_death(code)

    def __del__(self) -> None:
        os.close(self._fd)
        if self._child.poll() is None:
            for pipe in self._child.pipes:
                pipe.close()
            # At the interpreter's end no thread begins (Python 3.11 hangs): soon the system reaps.
            if not sys.is_finalizing():
                with suppress(RuntimeError):
                    self._child.wait_in_thread()


def _death(child: _Child) -> int:
    """A descriptor that becomes readable when ``child`` has ended: its pidfd or, where the system
    has none, the end of a pipe that a thread closes. Raises ``OSError``."""
    with suppress(AttributeError, OSError):
        return os.pidfd_open(child.pid)
    ended, running = os.pipe()
    try:
        child.wait_in_thread(running)
    except RuntimeError as error:
        os.close(ended)
        os.close(running)
        raise OSError(errno.EAGAIN, str(error)) from None
    return ended
