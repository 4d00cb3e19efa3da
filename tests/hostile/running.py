"""Servers in processes of their own, and the check that follows each attack."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.anysocket.stranger import STRANGER, Stranger, connected
from tests.raw import connect
from wirehop import AnySocket, SockhopClient

PROGRAMS = Path(__file__).parent / "programs"

MIB = 1 << 20

PATIENCE = 20.0
"""Seconds in which a server has to be where it was: far more than it needs, for it is not a race."""

MEMORY = 8 * MIB
"""How much more memory may be held after a case: what an allocator keeps for itself. Cases that could
leave more behind send more than this."""


def case(number: int, text: str, *values: Any) -> Any:
    """An entry of a table, under the number that the case has in the list of threats."""
    return pytest.param(*values, id=f"case {number}: {text}")


def get(path: str = "/", *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode("latin-1")


def post(path: str, body: bytes, *headers: str) -> bytes:
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


class Server:
    """A server process, as it looks from outside."""

    def __init__(self, command: list[str | Path], folder: Path, **options: Any) -> None:
        self.log = folder / "stderr"
        self.said = folder / "stdout"
        self.folder = folder
        self._log_size = 0
        with self.log.open("wb") as log, self.said.open("wb") as said:
            options = {"stdout": said, **options}
            self.process = subprocess.Popen(
                [sys.executable, *command], stdin=subprocess.PIPE, stderr=log, **options
            )
        self.pid = self.process.pid
        self.port = 0
        self.rest: dict[str, Any] = {}
        """Its state when nobody is connected."""

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self) -> int:
        """Resident bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """Seconds that it has computed so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def new_log_lines(self) -> list[str]:
        """What it logged since this was last asked for."""
        lines = self.log.read_text(errors="replace")[self._log_size :].splitlines()
        self._log_size += sum(len(line) + 1 for line in lines)
        return lines

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def state(self) -> dict[str, Any]:
        """What is the same whenever nobody is connected."""
        return {"descriptors": self.descriptors()}

    async def settle(self) -> None:
        """Learn what it has when nobody is connected: at its beginning."""
        # What is loaded once, and what allocators take, is there before the first case.
        for _ in range(5):
            await self.serves()
        seen = []
        for _ in range(20):
            await asyncio.sleep(0.01)
            seen.append(self.state())
        self.rest = min(seen, key=lambda state: state["descriptors"])

    async def serves(self) -> None:
        """A second client is served, over HTTP and as a peer."""
        async with asyncio.timeout(PATIENCE):
            async with connect(self.port) as raw:
                assert (await raw.ask(get("/hello"))).status in (200, 404)
                assert (await raw.ask(get("/@anysocket.js"))).status in (200, 404)
            async with AnySocket() as client:
                peer = await client.connect("ws", "127.0.0.1", self.port, auth_timeout=PATIENCE)
                assert await peer.send("served?", await_reply=True) is not None

    def end(self, *, is_killed: bool = False) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        if is_killed:
            self.process.kill()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()


class Hub(Server):
    """``wirehop serve``."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(["-m", "wirehop.cli", "serve", "--port", "0", *arguments], folder)
        until = time.monotonic() + PATIENCE
        while not (match := re.search(r":(\d+)\n", self.said.read_text())):
            assert self.is_alive(), self.log.read_text()
            assert time.monotonic() < until
            time.sleep(0.01)
        self.port = int(match[1])

    def end(self, *, is_killed: bool = False) -> None:
        self.process.terminate()
        super().end(is_killed=is_killed)


class House(Server):
    """``programs/house.py``: whatever the hub does not have."""

    def __init__(self, folder: Path, loop: str, *arguments: str, **options: Any) -> None:
        files = folder / "files"
        files.mkdir(exist_ok=True)
        super().__init__(
            [PROGRAMS / "house.py", "--loop", loop, "--folder", str(files), *arguments],
            folder,
            stdout=subprocess.PIPE,
            **options,
        )
        self.loop = loop
        self._ports: dict[str, int] = {}
        self._answer()

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Have a command done. Blocks, and may: the other process does not need us for it."""
        self.begin(name, *arguments)
        return self._answer()

    def begin(self, name: str, *arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *arguments]).encode() + b"\n")
        self.process.stdin.flush()

    async def later(self, name: str, *arguments: Any) -> Any:
        """Have a command done that needs us for its answer."""
        self.begin(name, *arguments)
        return await asyncio.to_thread(self._answer)

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        answer = json.loads(line)
        assert "error" not in answer, answer
        return answer["result"]

    def listen(self, scheme: str = "ws", **options: Any) -> int:
        """The port of a listener with these options; it stays open for others."""
        key = json.dumps([scheme, options], sort_keys=True)
        if key not in self._ports:
            self._ports[key] = self("listen", scheme, options)
        return self._ports[key]

    def sockhop(self, **options: Any) -> int:
        """The port of a Sockhop server with these options; it stays open for others."""
        key = json.dumps(options, sort_keys=True)
        if key not in self._ports:
            self._ports[key] = self("sockhop", options)
        return self._ports[key]

    def state(self) -> dict[str, Any]:
        return {"descriptors": self.descriptors() - len(self._ports), **self("report")}

    def forget(self) -> None:
        """Begin, or end, a case."""
        self("keep_silent", False)
        for what in ("seen", "heard", "ended", "errors"):
            self("take", what)

    async def until(self, what: str, count: int = 1) -> list[Any]:
        """What was noted, once there is so much of it."""
        noted: list[Any] = self("take", what)
        while len(noted) < count:
            await asyncio.sleep(0.005)
            noted += self("take", what)
        return noted

    async def serves(self) -> None:
        self.port = self.listen()
        await super().serves()
        async with asyncio.timeout(PATIENCE), SockhopClient(port=self.sockhop()) as client:
            assert (await client.request("served?").next()).data == "served?"


class Attack:
    """A case that is under way."""

    def __init__(self) -> None:
        self.log_lines: list[str] = []
        """What was logged in it, once it is over."""


@asynccontextmanager
async def attack(server: Server, *, lines: int = 1, memory: int = MEMORY) -> AsyncIterator[Attack]:
    """What is done within is an attack. Afterwards the server is alive, a second client is served,
    descriptors, tasks and peers are what they are at rest, memory is up to ``memory`` bytes of that, and at
    most ``lines`` lines were logged."""
    if isinstance(server, House):
        server.forget()
    held = server.memory()
    server.new_log_lines()
    it = Attack()
    yield it
    assert server.is_alive(), server.log.read_text()
    if isinstance(server, House):
        server.forget()
    await server.serves()
    until = time.monotonic() + PATIENCE
    while (now := server.state()) != server.rest and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert now == server.rest
    assert server.memory() <= held + memory, f"{(server.memory() - held) / MIB:.1f} MiB more are held"
    it.log_lines = server.new_log_lines()
    assert len(it.log_lines) <= lines, it.log_lines
    if isinstance(server, House):
        server.forget()


class Running:
    """The servers that the tests of one process share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, Server] = {}
        self._held: dict[str, int] = {}

    async def hub(self) -> Server:
        return await self._get("hub", Hub)

    async def house(self, loop: str) -> House:
        # A deadline that is no option: no test waits for ten seconds.
        quick = ("--handshake-timeout", "0.5")
        house = await self._get(f"house-{loop}", lambda folder: House(folder, loop, *quick))
        assert isinstance(house, House)
        return house

    async def both(self, loop: str) -> list[Server]:
        """The house, and the hub; that has one loop only, and is attacked once."""
        servers: list[Server] = [await self.house(loop)]
        return [*servers, await self.hub()] if loop == "asyncio" else servers

    async def _get(self, name: str, start: Any) -> Server:
        if name not in self._servers:
            folder = self._folder / name
            folder.mkdir()
            server = self._servers[name] = start(folder)
            await server.settle()
            self._held[name] = server.memory()
        return self._servers[name]

    def end(self) -> None:
        for name, server in self._servers.items():
            assert server.is_alive(), server.log.read_text()
            grown = server.memory() - self._held[name]
            server.end()
            assert server.process.returncode == 0, server.log.read_text()
            assert grown < 64 * MIB, f"{name} holds {grown / MIB:.1f} MiB more after all cases"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


@asynccontextmanager
async def websocket(
    port: int, *, id: str | None = STRANGER, path: str = "/", **headers: str
) -> AsyncIterator[Stranger]:
    """A WebSocket that does as it is told, and with an ``id`` is a peer."""
    async with connected(port) as stranger:
        response = await stranger.upgrade(path, **{"Host": "localhost", **headers})
        assert response.startswith(b"HTTP/1.1 101 "), response
        if id is not None:
            await stranger.authenticate(id)
        yield stranger
