"""QuickJS, by the package ``quickjs-ng`` (whose module has the name of an older package)."""

from __future__ import annotations

import re
from typing import Any

import quickjs

from wirehop.js.engines import Down, Engine, ScriptError
from wirehop.js.values import well_formed

__all__ = ["QuickJS", "make"]

STACK_SIZE = 4 << 20
"""Bytes of stack for JavaScript, of the 8 MiB that a main thread usually has: what runs below it,
and a program that is deeper in Python already, need the rest."""

_PLACE = re.compile(r"<input>:(?P<line>\d+):(?P<column>\d+)")


class QuickJS:
    """One context of QuickJS. A function that it is given is a global name for a moment."""

    escapes = True

    def __init__(self, down: Down) -> None:
        self._context = quickjs.Context()
        self._context.set_max_stack_size(STACK_SIZE)
        self._context.add_callable("$down", down)
        self._down = self._context.eval("(() => { const it = $down; delete globalThis.$down; return it; })()")

    def run(self, source: str, name: str) -> Any:
        # Compiled only: what is thrown here is a mistake in the language.
        try:
            return self._context.eval(well_formed(source))
        except quickjs.JSException as error:
            message, _, stack = str(error).partition("\n")
            place = _PLACE.search(stack)
            line, column = (int(place["line"]), int(place["column"])) if place else (0, 0)
            raise ScriptError(message, line, column) from None

    def down(self) -> Any:
        return self._down

    def text(self, text: str) -> str:
        return text if text.isascii() else well_formed(text)

    def settle(self) -> None:
        job = self._context.execute_pending_job
        while job():
            pass

    def close(self) -> None:
        """Nothing to do: the context goes with this object."""


def make(down: Down) -> Engine:
    """A new engine."""
    return QuickJS(down)
