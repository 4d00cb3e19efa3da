"""A program in JavaScript and its modules (seed: Node 0.1.0, "Modules")."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from wirehop.js import engines
from wirehop.js.bodies import Bodies
from wirehop.js.bridge import Bridge, Operations, Part
from wirehop.js.engines import Down, Engine, ScriptError
from wirehop.js.files import Files
from wirehop.js.http_client import HttpClients
from wirehop.js.http_server import HttpServers
from wirehop.js.processes import Processes
from wirehop.js.results import Results
from wirehop.js.sockets import Sockets
from wirehop.js.timers import Timers
from wirehop.js.watchdog import Watchdog
from wirehop.node import ARGV, runner
from wirehop.node.loading import Loading

__all__ = ["run_script"]

HEAD = (
    "(() => { var onLoad, onExit; return function (exports, require, include, __filename, $hooks) {"
    " $hooks(() => onLoad, () => onExit); $hooks = undefined; "
)
"""What stands before a file, in its first line, so that the numbers of lines are its own. An onLoad
that the file declares is its own; one that it only assigns is not everybody's."""

TAIL = "\n}})()"


class _Module(Loading):
    """A file in JavaScript that is loading or loaded."""

    def __init__(self, modules: _Modules, source: str, parent: _Module | None, is_included: bool) -> None:
        super().__init__(source, parent, modules.allows_remote)
        self._bridge = modules.bridge
        self.number = modules.bridge.number()
        self._bridge.up(
            "moduleNew",
            self.number,
            self._bridge.text(source),
            None if parent is None else parent.number,
            is_included,
        )

    async def execute(self, text: str) -> None:
        # A first line for a shell is a comment.
        body = "//" + text if text.startswith("#!") else text
        script = HEAD + body + TAIL
        try:
            run = self._bridge.engine.run(script, self.source)
        except ScriptError as error:
            self._bridge.fail(error.shown(self.source, body, len(HEAD)))
        else:
            self._bridge.up("moduleRun", self.number, run, self._bridge.text(script))

    async def on_load(self) -> None:
        self._bridge.up("moduleLoaded", self.number)

    def exit_hooks(self) -> Iterator[Callable[[], object]]:
        """The ``onExit`` of this module and of what it loaded, children first."""
        for child in self.children:
            yield from child.exit_hooks()
        yield self._exit

    def _exit(self) -> None:
        problem = self._bridge.up("moduleExits", self.number)
        if problem is not None:
            self._bridge.log.error("%s", problem)
            raise runner.Reported


class _Modules:
    """Makes modules when JavaScript asks for them."""

    def __init__(self, bridge: Bridge, allows_remote: bool) -> None:
        self.bridge = bridge
        self.allows_remote = allows_remote
        self._modules: dict[float, _Module] = {}

    @property
    def operations(self) -> Operations:
        return {"moduleRequire": self._require}

    def root(self, source: str) -> _Module:
        """The program itself."""
        return self._known(_Module(self, source, None, False))

    def _require(self, parent: float, path: str, is_included: bool) -> float:
        asking = self._modules[parent]
        child = self._known(_Module(self, asking.source_of(path), asking, is_included))
        asking.start(child)
        return child.number

    def _known(self, module: _Module) -> _Module:
        self._modules[module.number] = module
        return module


class _Program:
    """What :func:`run_script` runs."""

    def __init__(self, engine: Callable[[Down], Engine], source: str, allows_remote: bool) -> None:
        self._engine = engine
        self._source = source
        self._allows_remote = allows_remote
        self._bridge: Bridge | None = None
        self._watchdog: Watchdog | None = None
        self._root: _Module | None = None

    async def main(self) -> None:
        """Load it. In the loop: what it makes belongs to that."""
        bridge = self._bridge = Bridge(self._engine, self._parts)
        self._watchdog = Watchdog(bridge)
        bridge.up("begin", json.dumps(ARGV), len(HEAD))
        self._root = self._modules.root(self._source)
        await self._root.load()

    def exit_hooks(self) -> Iterator[Callable[[], object]]:
        if self._root is not None:
            yield from self._root.exit_hooks()
        if self._bridge is not None:
            # What is due yet comes too late.
            yield self._bridge.end

    def close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._bridge is not None:
            self._bridge.close()

    def _parts(self, bridge: Bridge) -> list[Part]:
        results = Results(bridge)
        sockets = Sockets(bridge)
        bodies = Bodies(bridge)
        self._modules = _Modules(bridge, self._allows_remote)
        return [
            self._modules,
            results,
            sockets,
            bodies,
            Timers(bridge),
            Files(bridge, results),
            Processes(bridge),
            HttpServers(bridge, sockets, bodies),
            HttpClients(bridge, bodies),
        ]


def run_script(path: str, *, engine: str | None = None, allow_remote_modules: bool = False) -> None:
    """Run a script in JavaScript inside the hidden event loop, as :func:`wirehop.node.run` does.

    ``engine`` is one of ``ENGINES``, or the first that is installed. Raises ``EngineMissing`` when
    there is none, ``ModuleError`` for a file that cannot be read, ``SystemExit`` as ``run`` does: an
    exception that the script does not catch is logged, with its JavaScript stack, and its status is 1.
    SIGINT ends it with 130 also when it does not return to the loop.
    """
    program = _Program(engines.find(engine), str(Path(path).resolve()), allow_remote_modules)
    try:
        runner.run(program.main, exit_hooks=program.exit_hooks)
    finally:
        program.close()
