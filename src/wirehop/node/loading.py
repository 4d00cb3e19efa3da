"""How a file and the modules that it asks for load without blocking, whatever their language (seed:
Node 0.1.0, "Modules").

A file's body runs first, then its modules load, then the ``on_load`` of each of them is called,
then its own; ``on_exit`` likewise, children first. There is no cache: each ``require`` is a
module of its own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin

from wirehop.errors import WirehopError
from wirehop.node.locations import cat, is_url

__all__ = ["MAX_DEPTH", "Loading", "ModuleError"]

MAX_DEPTH = 100
"""Modules inside of modules. There is no cache, so two that require each other never end."""


class ModuleError(ImportError):
    """A module that cannot be read, or may not be loaded."""


class Loading:
    """A file that is loading or loaded. A subclass knows its language."""

    def __init__(self, source: str, parent: Self | None, remote: bool) -> None:
        self.source = source
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.allows_remote = remote
        self.children: list[Self] = []
        self.has_loaded = False
        self._task: asyncio.Task[Any] | None = None
        self._failure: Exception | None = None

    async def execute(self, text: str) -> None:
        """Run the body."""
        raise NotImplementedError  # pragma: no cover - each language has it

    async def on_load(self) -> None:
        """Tell it that its modules are loaded."""
        raise NotImplementedError  # pragma: no cover - each language has it

    def source_of(self, path: str) -> str:
        """Where the module is that this one asks for. Raises ``RuntimeError`` from ``on_load`` on,
        and ``ModuleError`` for what may not be loaded."""
        if self.has_loaded:
            raise RuntimeError("require() and include() cannot be used after on_load() is called")
        if self.depth >= MAX_DEPTH:
            raise ModuleError(f"{path!r} is module number {MAX_DEPTH} in a row: do two require each other?")
        if is_url(path) or is_url(self.source):
            if not self.allows_remote:
                raise ModuleError(f"modules over http need --allow-remote-modules: {path}")
            return urljoin(self.source, path) if is_url(self.source) else path
        if Path(path).is_absolute():
            raise ModuleError(f"the path of a module is relative to the file that asks: {path}")
        return str(Path(self.source).parent / path)

    def start(self, child: Self) -> None:
        """Load a module in the background."""
        self.children.append(child)
        child.loading = asyncio.ensure_future(child.load())
        child.loading.add_done_callback(self._child_ended)

    loading: asyncio.Future[None]

    async def load(self) -> None:
        """Run the body, load what it requires, call ``on_load``. A module that fails ends it at once,
        wherever it is."""
        try:
            text: str = await cat(self.source)
        except (OSError, WirehopError) as error:
            raise ModuleError(f"Error reading {self.source}: {error}") from None
        self._task = asyncio.current_task()
        try:
            await self.execute(text.removeprefix("\ufeff"))
            # What the body began may have required something meanwhile.
            while unfinished := [child.loading for child in self.children if not child.loading.done()]:
                await asyncio.wait(unfinished)
        except asyncio.CancelledError:
            if self._failure is None:
                raise
            # By what failed, which says more.
        finally:
            task, self._task = self._task, None
        if self._failure is not None:
            assert task is not None
            task.uncancel()
            raise self._failure
        self.has_loaded = True
        await self.on_load()

    def _child_ended(self, loading: asyncio.Future[None]) -> None:
        if loading.cancelled():
            failure: BaseException | None = ModuleError("the loading of a module was cancelled")
        else:
            failure = loading.exception()
        # SystemExit ends the program by itself.
        if isinstance(failure, Exception) and self._failure is None:
            self._failure = failure
            if self._task is not None:
                self._task.cancel()
