"""Processes that are started, asked, killed and started again, and none of which is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
ANSWER_SECONDS = 60.0
STOP_SECONDS = 10.0
LONGEST_LINE = 1 << 20


class SoakError(Exception):
    """The run cannot go on, or cannot begin."""


class Child:
    """One process of a program of this package."""

    def __init__(self, name: str, program: str, options: Mapping[str, Any], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._program = program
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self.ready: dict[str, Any] = {}
        self.starts = 0

    async def start(self, **more: Any) -> None:
        """Start it, and wait until it says that it is ready."""
        self.starts += 1
        options = {**self._options, **more, "start": self.starts}
        # The tests' own paths too: what they set is how Wirehop is found.
        paths = [str(BENCH), *filter(None, [os.environ.get("PYTHONPATH")])]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"soak.{self._program}",
                json.dumps(options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                limit=LONGEST_LINE,
                start_new_session=True,
            )
        self.ready = await self._answer(START_SECONDS)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Ask, and wait for the answer. Raises ``SoakError`` when the child has ended, or failed."""
        async with self._turn:
            process = self._process
            assert process is not None
            assert process.stdin is not None
            process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
            return await self._answer(ANSWER_SECONDS)

    async def _answer(self, seconds: float) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await process.stdout.readline()
        except TimeoutError:
            raise SoakError(f"{self.name} did not answer within {seconds:g} s") from None
        if not line:
            raise SoakError(f"{self.name} has ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SoakError(f"{self.name}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it said nothing"

    async def kill(self) -> None:
        """SIGKILL, for it and whatever it may have started."""
        process = self._process
        if process is not None and process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            await process.wait()

    async def stop(self) -> int:
        """End its input, which ends it in order; returns its exit status. Killed after a while."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await process.wait()
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL


class Family:
    """All children of a run: none is left when it is over, however that comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[Child] = []

    def child(self, name: str, program: str, **options: Any) -> Child:
        """A child that is yet to be started."""
        made = Child(name, program, options, self.folder)
        self.children.append(made)
        return made

    async def kill(self) -> None:
        for child in self.children:
            await child.kill()


@asynccontextmanager
async def family(folder: Path) -> AsyncIterator[Family]:
    """Children inside of the block."""
    made = Family(folder)
    try:
        yield made
    finally:
        await asyncio.shield(made.kill())


def fixed_ports(count: int) -> list[int]:
    """Free ports at which a server can be started again and again: below those that the system
    gives to clients. There somebody else could take it meanwhile; a client that calls a port of
    its own range where nobody listens may even be connected to itself."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports: list[int] = []
    for port in random.SystemRandom().sample(range(max(1024, first - 16_384), first), k=2000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise SoakError(f"there are no {count} free ports below {first}")
