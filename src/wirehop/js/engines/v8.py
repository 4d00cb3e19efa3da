"""V8, by the package ``stpyv8``."""

from __future__ import annotations

import re
from typing import Any

import STPyV8

from wirehop.js.engines import Down, Engine, ScriptError
from wirehop.js.values import utf16

__all__ = ["V8", "make"]

_PLACE = re.compile(r"(?P<message>.*?) \( .* @ (?P<line>\d+) : (?P<column>\d+) \)  -> ", re.DOTALL)


class V8:
    """One context of V8. What JavaScript throws into Python loses its stack here, so no function
    of the JavaScript side may throw."""

    escapes = False

    def __init__(self, down: Down) -> None:
        # It keeps about 1 KB of each function that it is given: so it is given this one.
        self._down = down
        self._engine = STPyV8.JSEngine()
        self._context = STPyV8.JSContext()
        self._context.enter()

    def run(self, source: str, name: str) -> Any:
        try:
            script = self._engine.compile(utf16(source), utf16(name))
        except (SyntaxError, STPyV8.JSError) as error:
            place = _PLACE.match(str(error))
            if place is None:
                raise ScriptError(str(error), 0, 0) from None
            raise ScriptError(place["message"], int(place["line"]), int(place["column"]) + 1) from None
        return script.run()

    def down(self) -> Any:
        return self._down

    def text(self, text: str) -> str:
        return text if text.isascii() else utf16(text)

    def settle(self) -> None:
        """V8 does it at the end of each call."""

    def close(self) -> None:
        self._context.leave()


def make(down: Down) -> Engine:
    """A new engine."""
    return V8(down)
