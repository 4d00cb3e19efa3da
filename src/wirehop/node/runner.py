"""The hidden event loop: a program runs inside it and ends when nothing is pending (seed: Node
0.1.0, "DESCRIPTION" and "onExit()")."""

from __future__ import annotations

import asyncio
import inspect
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, NoReturn

from wirehop.core.events import uncaught
from wirehop.core.loops import PerLoop, loop_factory
from wirehop.node import alive, file

__all__ = ["Reported", "exit", "run"]

Hook = Callable[[], object]

INTERRUPTED = 130
"""The status of a program that SIGINT ended, as shells report it."""


class Reported(Exception):
    """Raised by an exit hook that failed and has said so itself."""


class _Program:
    """What :func:`run` runs."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.exit_hooks: Callable[[], Iterable[Hook]] = tuple
        self.has_exited = False
        self.was_told = False
        """Whether :func:`exit` was called, or ``sys.exit``."""
        self._task: asyncio.Task[Any] | None = None
        self._hooks: Iterator[Hook] = iter(())
        self._unfinished: Awaitable[object] | None = None
        self.must_finish = False
        """Whether there may be hooks that were not called, or not to their end."""

    async def work(self, main: Callable[[], object]) -> None:
        """Run ``main``, then whatever it began."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        uncaught.of(loop).call = self._listener_raised
        loop.set_exception_handler(self._loop_reports)
        try:
            result = main()
            if inspect.isawaitable(result):
                await result
            await alive.wait_until_idle()
        except asyncio.CancelledError:
            # By end(), or else by the SIGINT that asyncio's runner made of it.
            if self.status is None:
                self.status = INTERRUPTED
        if not self.has_exited:
            self.leave(self.status or 0)

    def leave(self, status: int) -> None:
        """Call the hooks, up to the first one that is ``async``; the status is theirs if one of them
        fails. :meth:`finish` does the rest."""
        self._begin_to_leave(status)
        self._call_hooks()

    def left_by(self, error: SystemExit) -> None:
        """Somebody called ``sys.exit``; :meth:`finish` calls the hooks."""
        if self.was_told:
            # By exit(), which has set the status.
            return
        self.was_told = True
        if self.has_exited:
            # In the turn in which nothing was pending any more.
            self.status = self.status or _status(error)
            return
        self.must_finish = True
        self._begin_to_leave(_status(error))
        if self._task is not None:
            self._task.cancel()

    def through(self, run: Callable[[], object]) -> None:
        """Run the loop, out of which somebody may leave."""
        try:
            run()
        except SystemExit as error:
            self.left_by(error)

    async def finish(self) -> None:
        """Call the hooks that are left, one after the other."""
        self._call_hooks()
        while self._unfinished is not None:
            unfinished, self._unfinished = self._unfinished, None
            try:
                await unfinished
            except (Exception, SystemExit) as error:
                self._hook_failed(error)
            self._call_hooks()

    def _begin_to_leave(self, status: int) -> None:
        self.has_exited = True
        self.status = status
        self._hooks = iter(self.exit_hooks())

    def _call_hooks(self) -> None:
        while self._unfinished is None and (hook := next(self._hooks, None)) is not None:
            try:
                result = hook()
            except (Exception, SystemExit) as error:
                self._hook_failed(error)
            else:
                if inspect.isawaitable(result):
                    self._unfinished = result
                    self.must_finish = True

    def _hook_failed(self, error: BaseException) -> None:
        if isinstance(error, SystemExit):
            self.status = _status(error)
            return
        if not isinstance(error, Reported):
            traceback.print_exception(error)
        self.status = self.status or 1

    def end(self, status: int) -> None:
        """End soon, with this status, and call no hooks: they may rely on what just failed."""
        self.has_exited = True
        self.status = status
        if self._task is not None:
            self._task.cancel()

    def forget(self) -> None:
        """Refer to nothing of the loop any more."""
        self._task = None
        self.exit_hooks = tuple
        self._hooks = iter(())

    def _listener_raised(self, error: Exception) -> None:
        # It was logged, with its traceback, by whoever called the listener.
        self.end(1)

    def _loop_reports(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(error := context.get("exception"), SystemExit):
            # Raised inside of a callback that uvloop guards.
            self.left_by(error)
            return
        loop.default_exception_handler(context)
        # What a remote can cause comes from a transport, and ends nothing but that.
        if context.get("exception") is not None and not {"transport", "protocol"} & context.keys():
            self.end(1)


def _status(error: SystemExit) -> int:
    """What Python would make of it: a text is an error, and shown."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    sys.stderr.write(f"{error.code}\n")
    return 1


_programs = PerLoop(_Program)


def run(main: Callable[[], object], *, exit_hooks: Callable[[], Iterable[Hook]] = tuple) -> None:
    """Call ``main`` inside an event loop, and return when nothing is pending: no server,
    connection, child, timer, promise, file operation or task.

    ``main`` may be ``async``. What it raises is raised here. An error in a listener that no
    ``error`` listener takes is logged and ends the program: ``SystemExit(1)`` is raised, as
    ``SystemExit(code)`` is for :func:`exit`, and 130 for SIGINT.

    ``exit_hooks()`` gives what to call at the end, also when :func:`exit` or ``sys.exit`` was called,
    but not after an uncaught error. They are called one after the other; an ``async`` one is run to
    its end, and only such a one can still do I/O. An error of one is printed, and makes the status 1;
    the others are called all the same.
    """
    runner = asyncio.Runner(loop_factory=loop_factory())
    program = _programs.of(runner.get_loop())
    program.exit_hooks = exit_hooks
    try:
        program.through(lambda: runner.run(program.work(main)))
        if program.must_finish:
            loop = runner.get_loop()
            # uvloop may yet have to stop because of what ended while SystemExit passed it.
            loop.call_soon(loop.stop)
            program.through(loop.run_forever)
            program.through(lambda: runner.run(program.finish()))
    except KeyboardInterrupt:
        # A second SIGINT, while the first one was being heeded.
        program.status = INTERRUPTED
    finally:
        program.forget()
        file.flush_now()
        with warnings.catch_warnings():
            # What is pending is dropped on purpose, and would complain.
            warnings.simplefilter("ignore", ResourceWarning)
            runner.close()
    if program.status or program.was_told:
        raise SystemExit(program.status)


def exit(code: int = 0) -> NoReturn:
    """End the program now: call its ``on_exit`` hooks, and raise ``SystemExit(code)``. From the first
    hook on that is ``async`` they are run after that.

    What follows the call is not run, and what is pending is dropped. Raises ``RuntimeError``
    when the program is exiting already.
    """
    program = _programs.of(asyncio.get_running_loop())
    if program.has_exited:
        raise RuntimeError("the program is exiting already")
    program.was_told = True
    program.leave(code)
    status = program.status or 0
    program.end(status)
    raise SystemExit(status)
