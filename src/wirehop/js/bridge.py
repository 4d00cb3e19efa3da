"""The way between JavaScript and storey 1: one function each way.

What JavaScript asks for are *operations*, which it calls by number; what it hears of are *events*,
by number too. Each is about one object, which both sides know by a number: JavaScript gives even
ones, Python odd ones. A number is forgotten on both sides when no event can follow any more.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Any, Protocol

from wirehop.core.events import nobody_took
from wirehop.errors import WirehopError
from wirehop.js.engines import Down, Engine
from wirehop.js.values import ESCAPE, failure, unescape
from wirehop.node import file, http, runner

__all__ = ["Bridge", "JavaScriptError", "Operations", "Part"]

SCRIPTS = (
    "bridge", "values", "events", "promise", "timers", "path", "process", "file", "tcp",
    "message", "http_server", "http_client", "globals",
)  # fmt: skip
"""The parts of the JavaScript side. They are one function, so that they share its scope."""

_INTEGERS = 1 << 31
"""From here on a number crosses as a float, which is the same key."""

Operations = Mapping[str, Callable[..., Any]]
"""What JavaScript can ask for, by name: functions of the arguments that they always get."""


class JavaScriptError(WirehopError):
    """An exception of a script that no handler took. Its text has been logged, with the stack."""


class Part(Protocol):
    """What answers some of a program's calls."""

    @property
    def operations(self) -> Operations: ...


class Bridge:
    """One program in one engine."""

    log = logging.getLogger("wirehop.js")

    def __init__(self, engine: Callable[[Down], Engine], parts: Callable[[Bridge], Iterable[Part]]) -> None:
        self.engine = engine(self._called)
        self.text = self.engine.text
        self._number = -1
        self._depth = 0
        self.calls = 0
        """Calls into JavaScript that began; while one is under way it tells it from the others."""
        self._leaving: BaseException | None = None
        self._is_over = False
        self._is_frozen = False
        own: Operations = {
            "exit": self._exit,
            "debug": lambda text: file.debug(text),
            "uncaught": self._uncaught,
            "report": lambda text: self.log.error("%s", text),
        }
        named = {**own, **{name: call for part in parts(self) for name, call in part.operations.items()}}
        self._operations = list(named.values())
        described = [(name, _are_text(call)) for name, call in named.items()]
        self._up, self._events = self._start(described)

    def _start(self, operations: list[tuple[str, list[bool]]]) -> tuple[Callable[..., Any], dict[str, int]]:
        folder = files("wirehop.js") / "script"
        text = "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
        make = self.engine.run(
            f'(function (global, down, config) {{ "use strict";\n{text}\n}})', "wirehop.js"
        )
        config = {
            "operations": operations,
            "escape": ESCAPE if self.engine.escapes else None,
            "constants": _constants(),
            "statusCodes": http.STATUS_CODES,
        }
        global_object = self.engine.run("globalThis", "wirehop.js")
        started = make(global_object, self.engine.down(), json.dumps(config))
        return started("up"), json.loads(started("events"))

    @property
    def is_busy(self) -> bool:
        """Whether JavaScript runs now."""
        return self._depth > 0

    def number(self) -> float:
        """A number for an object that Python makes."""
        self._number += 2
        return self._number if self._number < _INTEGERS else float(self._number)

    def up(self, event: str, *values: Any) -> Any:
        """Tell JavaScript of an event. What its listeners throw ends the program; so this raises
        only when the program is leaving: ``SystemExit`` or ``KeyboardInterrupt``."""
        if self._is_over:
            return None
        self.calls += 1
        self._depth += 1
        try:
            told = self._up(self._events[event], *values)
            if self._depth == 1:
                self.engine.settle()
        finally:
            self._depth -= 1
        if self._leaving is not None:
            raise self._leaving
        return told

    def end(self) -> None:
        """JavaScript hears of nothing any more."""
        self._is_over = True

    def freeze(self) -> None:
        """JavaScript, and its thread with it, stops where it asks for something. For another thread,
        which is about to end the process and must not compete with it."""
        self._is_frozen = True
        self._leaving = KeyboardInterrupt()

    def close(self) -> None:
        """Nothing is run any more."""
        self.end()
        self.engine.close()

    # --- called by JavaScript

    def _called(self, operation: int, *values: Any) -> Any:
        if self._leaving is not None:
            if self._is_frozen:
                threading.Event().wait()
            return failure(self._leaving)
        try:
            if operation < 0:
                operation = -1 - operation
                values = tuple(unescape(value) if isinstance(value, str) else value for value in values)
            return self._operations[operation](*values)
        except Exception as error:
            return failure(error)
        except BaseException as error:
            # JavaScript cannot be made to stop. It gets this as an error, and so does whatever it
            # asks for after that; then :meth:`up` raises it.
            self._leaving = error
            self._is_over = True
            return failure(error)

    def _exit(self, code: Any) -> None:
        runner.exit(int(code or 0))

    def _uncaught(self, text: str) -> None:
        if not self._is_over:
            self.fail(text)

    def fail(self, text: str) -> None:
        """End the program for an error, which is logged."""
        self._is_over = True
        self.log.error("%s", text)
        nobody_took(JavaScriptError(text))


def _are_text(operation: Callable[..., Any]) -> list[bool]:
    """For each argument of an operation whether it may be text of which nothing is known."""
    parameters = inspect.signature(operation).parameters.values()
    return [parameter.annotation not in ("int", "bool", "float", "Checked") for parameter in parameters]


def _constants() -> dict[str, int]:
    """The names that the system has for flags and signals."""
    flags = {name: value for name, value in vars(os).items() if name.startswith("O_") and type(value) is int}
    return {**flags, **{name: int(number) for name, number in signal.Signals.__members__.items()}}
