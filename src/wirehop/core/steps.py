"""Run a coroutine at once, and make it a task only when it suspends.

A listener that never awaits anything unfinished then costs no task, which is worth up to 40%
of the throughput of small messages. Python 3.12 has this built in (eager tasks). For 3.11 the
first step runs in the name of a *carrier*: a real task that is parked. If the coroutine
finishes, the carrier lends its name to the next one; if it suspends, the carrier carries it to
its end. So ``asyncio.current_task()``, ``asyncio.timeout()`` and context variables behave as in
any task, before and after the first suspension.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Set
from typing import Any

__all__ = ["Failed", "Steps", "is_cancelling"]

Failed = Callable[[Exception], None]
"""Called with what a coroutine raised. A cancelled coroutine is no failure."""

Work = Coroutine[Any, Any, Any]


def is_cancelling() -> bool:
    """Whether the running task was told to cancel. If not, a ``CancelledError`` in it comes from what
    it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Steps:
    """The coroutines of one owner: started at once, kept referenced while they are suspended."""

    def __init__(self) -> None:
        self.about: dict[asyncio.Task[Any], tuple[Any, ...]] = {}
        """What those are about that are suspended."""

    @property
    def tasks(self) -> Set[asyncio.Task[Any]]:
        """Those that are suspended."""
        return self.about.keys()

    def start(self, work: Work, failed: Failed, about: tuple[Any, ...] = ()) -> None:
        """Run ``work`` up to its first suspension now, and the rest in a task.

        Must be called while a loop runs.
        """
        task = self._begin(work, failed)
        if task is not None:
            self.about[task] = about
            task.add_done_callback(lambda done: self._end(done, failed))

    def cancel(self, but: Set[asyncio.Task[Any] | None] = frozenset()) -> None:
        """Cancel whatever is suspended, ``but`` these."""
        for task in self.tasks - but:
            task.cancel()

    def _begin(self, work: Work, failed: Failed) -> asyncio.Task[Any] | None:
        raise NotImplementedError  # pragma: no cover - one of the two classes below has it

    def _end(self, task: asyncio.Task[Any], failed: Failed) -> None:
        self.about.pop(task, None)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            failed(error)


if sys.version_info >= (3, 12):

    class Steps(_Steps):
        __doc__ = _Steps.__doc__

        def _begin(self, work: Work, failed: Failed) -> asyncio.Task[Any] | None:
            task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
            if not task.done():
                return task
            self._end(task, failed)
            return None

else:
    import contextvars

    class Steps(_Steps):
        __doc__ = _Steps.__doc__

        def __init__(self) -> None:
            super().__init__()
            self._spare: _Carrier | None = None

        def _begin(self, work: Work, failed: Failed) -> asyncio.Task[Any] | None:
            loop = asyncio.get_running_loop()
            # Taken while in use: the first step may start another coroutine.
            carrier, self._spare = self._spare, None
            here = contextvars.copy_context()
            if carrier is None or carrier.loop is not loop or not _agree(carrier.context, here):
                carrier = _Carrier(loop, here.copy())
            outer = asyncio.current_task(loop)
            if outer is not None:
                asyncio._leave_task(loop, outer)
            asyncio._enter_task(loop, carrier.task)
            try:
                awaited = carrier.context.run(work.send, None)
            except StopIteration:
                pass
            except asyncio.CancelledError:
                pass
            except Exception as error:
                failed(error)
            else:
                carrier.load(work, awaited)
                return carrier.task
            finally:
                asyncio._leave_task(loop, carrier.task)
                if outer is not None:
                    asyncio._enter_task(loop, outer)
            if _agree(carrier.context, here) and not carrier.task.cancelling():
                # It left nothing that the next one could see.
                self._spare = carrier
            return None

        def _end(self, task: asyncio.Task[Any], failed: Failed) -> None:
            carrier = task.get_coro()
            assert isinstance(carrier, _Carrier)
            # They refer to each other, and only the collector would free them.
            del carrier.task
            super()._end(task, failed)

    class _Carrier(Coroutine[Any, Any, Any]):
        """A parked task and what it runs: nothing, until it has something to carry.

        No ``async def``: that would miss a cancellation that comes before its first step.
        """

        __slots__ = ("_awaited", "_resumed", "_wake", "_work", "context", "loop", "task")

        def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
            self.loop = loop
            self.context = context
            self._work: Work | None = None
            self._awaited: Any = None
            self._resumed = False
            self._wake = loop.create_future()
            self.task: asyncio.Task[Any] = loop.create_task(self, context=self.context)
            # Documented for those who implement tasks ("Extending asyncio"): a parked carrier
            # does nothing, so no one should wait for it, cancel it or hear of its end.
            asyncio._unregister_task(self.task)
            self.task._log_destroy_pending = False  # type: ignore[attr-defined]

        def load(self, work: Work, awaited: Any) -> None:
            """Carry ``work``, whose first step ended in ``awaited``."""
            self._work = work
            self._awaited = awaited
            self.task._log_destroy_pending = True  # type: ignore[attr-defined]
            asyncio._register_task(self.task)
            # A first step that cancelled its own task has cancelled the wake too.
            if not self._wake.done():
                self._wake.set_result(None)

        def send(self, value: Any) -> Any:
            if self._work is None:
                return next(self._wake.__await__())
            if self._resumed:
                return self._work.send(value)
            self._resumed = True
            return self._awaited

        def throw(self, *error: Any) -> Any:
            if self._work is None:
                raise error[0]
            if not self._resumed:
                self._resumed = True
                # As a task does that is cancelled while it waits: what it waits for goes first.
                if isinstance(self._awaited, asyncio.Future) and self._awaited.cancel():
                    return self._awaited
            return self._work.throw(*error)

        def close(self) -> None:
            if self._work is not None:
                self._work.close()

        def __await__(self) -> Any:
            raise NotImplementedError  # pragma: no cover - only its task runs it

    def _agree(one: contextvars.Context, other: contextvars.Context) -> bool:
        """Whether all variables are the same in both."""
        return len(one) == len(other) and all(
            name in one and one[name] is value for name, value in other.items()
        )
