"""Engines that run JavaScript. None of them is needed by anything else of Wirehop."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata
from typing import Any, Protocol

from wirehop.errors import WirehopError

__all__ = ["ENGINES", "Down", "Engine", "EngineMissing", "ScriptError", "find", "installed"]

ENGINES = {"v8": "stpyv8", "quickjs": "quickjs-ng"}
"""The engines by their names, the first choice first, and the package of each."""

Down = Callable[..., Any]
"""What JavaScript calls. It takes and gives numbers, booleans, None and text, and never raises:
QuickJS would lose what was raised."""


class EngineMissing(WirehopError):
    """The engine that was asked for, or any, is not installed."""


class ScriptError(Exception):
    """A script that is not JavaScript. ``line`` and ``column`` begin at 1; 0 is unknown."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column

    def shown(self, name: str, text: str, before: int) -> str:
        """What a person is told of a file that has this error: where, the line, a mark, and what.
        ``before`` characters were put before ``text``, in its first line."""
        lines = text.split("\n")
        line = lines[self.line - 1] if 0 < self.line <= len(lines) else ""
        column = self.column - (before if self.line == 1 else 0)
        return f"{name}:{self.line}\n{line}\n{' ' * (column - 1)}^\n{self}"


class Engine(Protocol):
    """One engine with one global object. It belongs to the thread that makes it."""

    escapes: bool
    """Whether text with a NUL cannot leave JavaScript as it is: the JavaScript side then puts
    ``values.ESCAPE`` before a "0" for it, and before a "1" for that character itself, and a number
    below zero for the operation, which is -1 less that."""

    def __init__(self, down: Down) -> None: ...

    def run(self, source: str, name: str) -> Any:
        """Run a script and give its value: a number, a boolean, None, text, or what can only be
        called and given back to JavaScript. Raises :class:`ScriptError`."""

    def down(self) -> Any:
        """``down`` as what can be given to JavaScript."""

    def text(self, text: str) -> str:
        """``text`` as it has to be given to this engine: :meth:`run` does that by itself."""

    def settle(self) -> None:
        """Run what JavaScript's promises put off, unless the engine does that by itself."""

    def close(self) -> None:
        """Nothing is run any more."""


def installed() -> dict[str, str]:
    """The engines that are there, with the versions of their packages."""
    found = {}
    for name, package in ENGINES.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def find(name: str | None = None) -> Callable[[Down], Engine]:
    """The engine of that name, or the first that is installed.

    Raises ``ValueError`` for a name that no engine has, :class:`EngineMissing` when it, or every
    one, is not installed.
    """
    if name is not None and name not in ENGINES:
        raise ValueError(f"{name!r} is no engine: {' or '.join(ENGINES)}")
    there = installed()
    chosen = name or next(iter(there), None)
    if chosen is None:
        raise EngineMissing("JavaScript needs an engine, which `pip install 'wirehop[js]'` installs")
    if chosen not in there:
        raise EngineMissing(
            f"the engine {chosen} is not installed: `pip install {ENGINES[chosen]}`"
            f" (`pip install 'wirehop[js]'` installs what suits this system)"
        )
    try:
        module = importlib.import_module(f"wirehop.js.engines.{chosen}")
    except ImportError as error:
        raise EngineMissing(f"the engine {chosen} cannot be loaded: {error}") from error
    make: Callable[[Down], Engine] = module.make
    return make
