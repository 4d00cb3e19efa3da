"""Scripts in Python and their modules (seed: Node 0.1.0, "Modules"); in which order what of them is
called is in :mod:`wirehop.node.loading`."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from wirehop.node import runner
from wirehop.node.loading import Loading, ModuleError

__all__ = ["Exports", "ModuleError", "include", "require", "run_script"]

_MINE = "__wirehop_module__"


class Exports:
    """What a module exports, as attributes. Empty until the module is loaded."""

    def __init__(self, *sinks: dict[str, Any]) -> None:
        object.__setattr__(self, "_sinks", sinks)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._sinks[0][name]
        except KeyError:
            raise AttributeError(f"the module exports no {name!r} (yet?)") from None

    def __setattr__(self, name: str, value: Any) -> None:
        for sink in self._sinks:
            sink[name] = value

    def __delattr__(self, name: str) -> None:
        for sink in self._sinks:
            sink.pop(name, None)

    def __dir__(self) -> list[str]:
        return sorted(self._sinks[0])

    def __repr__(self) -> str:
        return f"<Exports {', '.join(name for name in self._sinks[0] if not name.startswith('__'))}>"


class _Module(Loading):
    """A file in Python that is loading or loaded."""

    def __init__(self, source: str, parent: _Module | None, remote: bool) -> None:
        super().__init__(source, parent, remote)
        # A dot would make its folders packages.
        module = ModuleType("__main__" if parent is None else source.replace(".", "_"))
        self.namespace = module.__dict__
        self.namespace.update(
            {
                "__file__": source,
                "__filename__": source,
                _MINE: self,
                "require": self.require,
                "include": self.include,
            }
        )
        # Whatever looks a class's module up finds it (dataclasses, pickle).
        sys.modules[module.__name__] = module

    def export_to(self, exports: Exports) -> None:
        self.exports = exports
        self.namespace["exports"] = exports

    # --- what a script calls

    def require(self, path: str) -> Exports:
        """Load a module; what it exports is there when ``on_load`` is called. Raises
        ``RuntimeError`` from ``on_load`` on, and ``ModuleError`` for what may not be loaded."""
        child = self._child(path)
        child.export_to(Exports({}))
        self.start(child)
        return child.exports

    def include(self, path: str) -> None:
        """Load a module whose exports become names of this one."""
        child = self._child(path)
        mine = object.__getattribute__(self.exports, "_sinks")
        child.export_to(Exports(*mine, *(() if self.namespace in mine else (self.namespace,))))
        self.start(child)

    def _child(self, path: str) -> _Module:
        return _Module(self.source_of(path), self, self.allows_remote)

    # --- loading

    async def on_load(self) -> None:
        on_load = self.namespace.get("on_load")
        if callable(on_load):
            result = on_load()
            if inspect.isawaitable(result):
                await result

    async def execute(self, text: str) -> None:
        # For tracebacks: some sources are no files.
        linecache.cache[self.source] = (len(text), None, text.splitlines(True), self.source)
        # Not with what this module has from __future__.
        code = compile(text, self.source, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = builtins.eval(code, self.namespace)
        if isinstance(result, Coroutine):
            await result

    def exit_hooks(self) -> Iterator[Callable[[], object]]:
        """The ``on_exit`` of this module and of what it loaded, children first."""
        for child in self.children:
            yield from child.exit_hooks()
        on_exit = self.namespace.get("on_exit")
        if callable(on_exit):
            yield on_exit


def run_script(path: str, *, allow_remote_modules: bool = False) -> None:
    """Run a Python script inside the hidden event loop, as :func:`wirehop.node.run` does.

    The script finds ``exports``, ``require``, ``include`` and ``__filename__``, may define
    ``on_load`` and ``on_exit``, and may ``await`` at its top level.
    """
    file = Path(path).resolve()
    root = _Module(str(file), None, allow_remote_modules)
    root.export_to(Exports(root.namespace))
    sys.path.insert(0, str(file.parent))
    runner.run(root.load, exit_hooks=root.exit_hooks)


def require(path: str) -> Exports:
    """:meth:`require` for the file that calls this, which must be run by ``wirehop run``."""
    return _caller().require(path)


def include(path: str) -> None:
    """:meth:`include` for the file that calls this, which must be run by ``wirehop run``."""
    _caller().include(path)


def _caller() -> _Module:
    module = sys._getframe(2).f_globals.get(_MINE)
    if not isinstance(module, _Module):
        raise RuntimeError("require() and include() work in scripts that `wirehop run` runs")
    return module
