"""The real npm packages under Node, driven from Python."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.programs import free_port

NODE = Path(__file__).parent / "node"


class NpmError(Exception):
    """A promise of the JavaScript side was rejected; ``value`` is what with."""

    def __init__(self, value: Any) -> None:
        super().__init__(repr(value))
        self.value = value


class Npm:
    """A Node process with one of the drivers: ``driver.js`` is one ``AnySocket``, ``sockhop_driver.js``
    a sockhop server or client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._ended = False
        self.id = ""

    async def __call__(self, command: str, *args: Any) -> Any:
        """Run a command of the driver."""
        id = next(self._ids)
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": id, "command": command, "args": args}).encode() + b"\n")
        return await future

    async def run(self, source: str, *args: Any) -> Any:
        """What a piece of JavaScript returns, which ``sockhop_driver.js`` runs; it knows ``args``."""
        return await self("run", source, args)

    async def event(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The next event of that name and with these members, now or later."""
        while not self._ended:
            for index, event in enumerate(self._events):
                if event["event"] == name and all(event.get(key) == value for key, value in wanted.items()):
                    return self._events.pop(index)
            self._news.clear()
            await self._news.wait()
        raise ConnectionError("Node has ended; its stderr says why")

    def seen(self, name: str) -> list[dict[str, Any]]:
        """The events of that name that nobody asked for so far."""
        return [event for event in self._events if event["event"] == name]

    async def listen(self, **options: Any) -> int:
        """Listen on a free port, which npm cannot pick itself."""
        port = free_port()
        await self("listen", {"host": "127.0.0.1", "port": port, **options})
        return port

    async def read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            if "event" in message:
                if message["event"] == "started":
                    self.id = message.get("peer", "")
                self._events.append(message)
                self._news.set()
                continue
            future = self._waiting.pop(message["id"])
            if future.done():
                continue
            if "error" in message:
                future.set_exception(NpmError(message["error"]))
            else:
                future.set_result(message.get("result"))
        self._ended = True
        self._news.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("Node has ended"))


@asynccontextmanager
async def npm(*flags: str, driver: str = "driver.js") -> AsyncIterator[Npm]:
    """Start Node; it ends with the block."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    node_flags = [flag for flag in flags if flag.startswith("--experimental")]
    driver_flags = [flag for flag in flags if flag not in node_flags]
    process = await asyncio.create_subprocess_exec(
        "node",
        *node_flags,
        driver,
        *driver_flags,
        cwd=NODE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    driven = Npm(process)
    reader = asyncio.create_task(driven.read())
    try:
        await driven.event("started")
        yield driven
        assert not driven.seen("unhandled"), driven.seen("unhandled")
    finally:
        await end(process)
        await reader
        transport = process._transport  # type: ignore[attr-defined]
        transport.close()


async def end(process: asyncio.subprocess.Process) -> None:
    """Close the stdin of a program that ends with it; kill what does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def text_summary(text: str) -> dict[str, list[Any]]:
    """How the driver reports a long text."""
    units = len(text.encode("utf-16-le")) // 2
    return {"$text": [units, hashlib.sha256(text.encode()).hexdigest()]}
