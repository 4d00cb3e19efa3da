"""EventEmitter, and what happens when a listener fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast, overload

from wirehop.core.loops import PerLoop
from wirehop.core.steps import Steps

__all__ = ["NOBODY", "EventEmitter", "Listener", "Once", "nobody_took", "uncaught"]

Listener = Callable[..., Any]
"""A plain function or a coroutine function; what a plain one returns is ignored."""

L = TypeVar("L", bound=Listener)

NOBODY: Mapping[str, list[Any]] = MappingProxyType({})
"""The listeners of an emitter that never had one."""


class Once:
    """A listener that leaves before its first call. It compares as the listener itself."""

    __slots__ = ("listener",)

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def __eq__(self, other: object) -> bool:
        return self is other or self.listener == other

    def __hash__(self) -> int:
        return hash(self.listener)


class EventEmitter:
    """Something that events happen to (seed: Node 0.1.0, ``node.EventEmitter``).

    Listeners are called in the order in which they were added; one that is added during an
    emit waits for the next. A coroutine function is stepped at once and becomes a task only
    if it suspends. A listener that raises does not keep the others from their call: the
    error is logged and given to the ``error`` listeners, and life goes on.
    """

    __slots__ = ("_listeners", "_steps")

    _log = logging.getLogger("wirehop")
    _listeners: Mapping[str, list[Any]]
    """Not there before the first listener: most emitters never have one, and nobody pays for a
    table then. (So a subclass need not call ``__init__`` either.)"""
    _steps: Steps

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "emit" in vars(cls):
            # Whoever has an emit of his own wants to see all events.
            for name in ("emit_one", "emit_pair"):
                if name not in vars(cls):
                    setattr(cls, name, _by_emit)

    @overload
    def on(self, event: str) -> Callable[[L], L]: ...
    @overload
    def on(self, event: str, listener: L) -> L: ...
    def on(self, event: str, listener: Any = None) -> Any:
        """Add a listener, as a call or as a decorator: ``@emitter.on("event")``. Returns it."""
        if listener is None:
            return lambda decorated: self.on(event, decorated)
        if not callable(listener):
            raise TypeError(f"a listener must be callable, not {type(listener).__name__}")
        self._table().setdefault(event, []).append(listener)
        self._listener_added(event)
        return listener

    @overload
    def once(self, event: str) -> Callable[[L], L]: ...
    @overload
    def once(self, event: str, listener: L) -> L: ...
    def once(self, event: str, listener: Any = None) -> Any:
        """Add a listener for one call only, as a call or as a decorator. Returns it."""
        if listener is None:
            return lambda decorated: self.once(event, decorated)
        if not callable(listener):
            raise TypeError(f"a listener must be callable, not {type(listener).__name__}")
        self._table().setdefault(event, []).append(Once(listener))
        self._listener_added(event)
        return listener

    def off(self, event: str, listener: Listener) -> None:
        """Remove a listener, the one added last if it is there more than once."""
        listeners = self._table().get(event, [])
        for index in range(len(listeners) - 1, -1, -1):
            if listeners[index] == listener:
                del listeners[index]
                return

    def add_listener(self, event: str, listener: L) -> L:
        """Add a listener at the end of the list (the seed's name of :meth:`on`)."""
        return self.on(event, listener)

    remove_listener = off

    def remove_all_listeners(self, event: str | None = None) -> None:
        """Remove the listeners of one event, or of all."""
        if event is None:
            self._table().clear()
        else:
            self._table().pop(event, None)

    def listeners(self, event: str) -> list[Any]:
        """The live list of an event's listeners, which may be changed, as the seed has it."""
        return self._table().setdefault(event, [])

    def emit(self, event: str, *args: Any) -> bool:
        """Call the listeners of ``event``. Returns whether there was one."""
        try:
            listeners = self._listeners.get(event)
        except AttributeError:
            return False
        if not listeners:
            return False
        # A list is copied faster than a tuple is made of it.
        for listener in [*listeners]:
            if type(listener) is Once:
                if listener not in listeners:
                    continue
                listeners.remove(listener)
                listener = listener.listener
            try:
                result = listener(*args)
                if result is not None and isinstance(result, Coroutine):
                    self._start(result, event, args)
            except Exception as error:
                self._listener_failed(event, error, args)
        return True

    def emit_one(self, event: str, argument: Any) -> bool:
        """As :meth:`emit` with one argument, in less time where one listener is all there is: for what
        happens a hundred thousand times a second."""
        try:
            listeners = self._listeners[event]
        except (AttributeError, KeyError):
            return False
        if len(listeners) != 1 or type(listener := listeners[0]) is Once:
            return self.emit(event, argument)
        try:
            result = listener(argument)
            if result is not None and isinstance(result, Coroutine):
                self._start(result, event, (argument,))
        except Exception as error:
            self._listener_failed(event, error, (argument,))
        return True

    def emit_pair(self, event: str, first: Any, second: Any) -> bool:
        """:meth:`emit_one` with two arguments."""
        try:
            listeners = self._listeners[event]
        except (AttributeError, KeyError):
            return False
        if len(listeners) != 1 or type(listener := listeners[0]) is Once:
            return self.emit(event, first, second)
        try:
            result = listener(first, second)
            if result is not None and isinstance(result, Coroutine):
                self._start(result, event, (first, second))
        except Exception as error:
            self._listener_failed(event, error, (first, second))
        return True

    def _table(self) -> dict[str, list[Any]]:
        """The listeners, to be changed."""
        try:
            table = self._listeners
        except AttributeError:
            table = NOBODY
        if table is NOBODY:
            table = self._listeners = {}
        return cast(dict[str, list[Any]], table)

    def _listener_added(self, event: str) -> None:
        """For those who have something to tell a listener that comes late."""

    def _start(self, work: Coroutine[Any, Any, Any], event: str, args: tuple[Any, ...]) -> None:
        try:
            steps = self._steps
        except AttributeError:
            steps = self._steps = Steps()
        steps.start(work, lambda error: self._listener_failed(event, error, args), args)

    def _at_work(self, about: object) -> list[asyncio.Task[Any]]:
        """The listeners that were called with ``about`` and are suspended."""
        if not hasattr(self, "_steps"):
            return []
        return [task for task, args in self._steps.about.items() if any(arg is about for arg in args)]

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        """Report a listener that raised. A storey may tell its ``error`` listeners more, and does not
        blame a listener for a connection, among its ``args``, that ended under its hands."""
        self._log.error("a listener of %r failed", event, exc_info=error)
        if event == "error" or not self.emit("error", error):
            nobody_took(error)


def _by_emit(self: EventEmitter, event: str, *args: Any) -> bool:
    return self.emit(event, *args)


class _Uncaught:
    """Who else hears of an error that a listener raised and no ``error`` listener took."""

    __slots__ = ("call",)

    def __init__(self) -> None:
        self.call: Callable[[Exception], None] | None = None


uncaught = PerLoop(_Uncaught)


def nobody_took(error: Exception) -> None:
    """Tell the loop's ``uncaught``, if there is one, of an error that was logged already."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    call = uncaught.of(loop).call
    if call is not None:
        call(error)
