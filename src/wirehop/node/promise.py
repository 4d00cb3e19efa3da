"""The end of one operation, as an event or to be awaited (seed: Node 0.1.0, ``node.Promise``)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Generator
from typing import Any, Generic, Self, TypeVar, cast

from wirehop.core.events import EventEmitter, Listener, Once
from wirehop.errors import WirehopError
from wirehop.node import alive

__all__ = ["Promise"]

T = TypeVar("T")


class Promise(EventEmitter, Generic[T]):
    """Emits ``success(*values)`` or ``error(exception)``, once; and it can be awaited.

    Awaiting it returns the value (None without one, a tuple of several) or raises the error. A
    listener that is added when the promise has settled is called in the next turn of the loop. A
    listener need not take the values, as the seed's errbacks do not. An error
    that nobody hears is reported once, when the promise is forgotten. A promise that has not
    settled keeps its program alive.
    """

    _log = logging.getLogger("wirehop.node")

    __slots__ = ("_heard", "_loop", "_outcome", "_waiters")

    def __init__(self) -> None:
        # First: without a loop the next line raises, and this promise is forgotten.
        self._outcome: tuple[str, tuple[Any, ...]] | None = None
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []
        self._heard = False
        alive.keep(self)

    def add_callback(self, listener: Listener) -> Self:
        """Call ``listener`` with the values on success. Returns the promise."""
        self.on("success", listener)
        return self

    def add_errback(self, listener: Listener) -> Self:
        """Call ``listener`` with the error, if it takes one. Returns the promise."""
        self.on("error", listener)
        return self

    def emit_success(self, *values: Any) -> bool:
        """Settle: the operation is complete. False when it was settled already."""
        return self._settle("success", values)

    def emit_error(self, error: BaseException | None = None) -> bool:
        """Settle: the operation failed. False when it was settled already."""
        return self._settle("error", (error or WirehopError("the operation failed"),))

    @property
    def has_settled(self) -> bool:
        """Whether it has emitted its one event."""
        return self._outcome is not None

    # --- an emitter of two events, of which one comes, and once

    def _listener_added(self, event: str) -> None:
        if event not in ("success", "error"):
            self.remove_all_listeners(event)
            raise ValueError(f"a promise has no event {event!r}: success or error")
        if self._outcome is not None:
            late = self._table().pop(event)
            if event == self._outcome[0]:
                self._heard = True
                self._loop.call_soon(self._call, late, *self._outcome)

    def emit(self, event: str, *args: Any) -> bool:
        if event == "success":
            return self.emit_success(*args)
        if event == "error":
            return self.emit_error(*args)
        raise ValueError(f"a promise has no event {event!r}: success or error")

    def _settle(self, event: str, values: tuple[Any, ...]) -> bool:
        if self._outcome is not None:
            return False
        self._outcome = (event, values)
        listeners = self._table().pop(event, [])
        self.remove_all_listeners()
        self._call(listeners, event, values)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
        # Last: what the listeners began is kept already.
        alive.release(self)
        return True

    def _call(self, listeners: list[Listener], event: str, values: tuple[Any, ...]) -> None:
        if listeners:
            self._heard = True
            self._table()[event] = [_fitting(listener, values) for listener in listeners]
            super().emit(event, *values)
            self.remove_all_listeners()

    # --- awaited

    def __await__(self) -> Generator[Any, None, T]:
        if self._outcome is None:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            yield from waiter
        assert self._outcome is not None
        event, values = self._outcome
        if event == "error":
            self._heard = True
            raise values[0]
        return cast(T, values[0] if len(values) == 1 else values or None)

    def __del__(self) -> None:
        if self._outcome is not None and self._outcome[0] == "error" and not self._heard:
            self._log.error("a promise failed and nobody was told", exc_info=self._outcome[1][0])

    def __repr__(self) -> str:
        return f"<Promise {'pending' if self._outcome is None else self._outcome[0]}>"


def _fitting(listener: Listener | Once, values: tuple[Any, ...]) -> Listener:
    """``listener``, or what calls it without the values that it does not take."""
    if isinstance(listener, Once):
        listener = listener.listener
    try:
        signature = inspect.signature(listener)
    except ValueError:
        # Some functions written in C have none.
        return listener
    try:
        signature.bind(*values)
    except TypeError:
        try:
            signature.bind()
        except TypeError:
            # It fits nothing; calling it says best what is wrong.
            return listener
        return lambda *_: listener()
    return listener
