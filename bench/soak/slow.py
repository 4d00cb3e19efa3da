"""Slow connections, of which each is cut or kept waiting, and nobody else is to notice.

Options: ``port``, ``sockhop_port``, ``readers`` (at a time, which must be cut), ``rest`` (seconds
between two rounds of them) and ``dribblers`` (connections that send a byte a second and are not to be
cut soon), ``kinds`` of readers, ``pieces`` that each asks for, ``spread`` (seconds within which they
come).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

from soak import stranger
from soak.control import Answer, Control, run
from soak.server import LIMITS

PATIENCE = 2 * LIMITS["send_timeout"] + 1
"""Seconds without reading, after which the connection has to be over."""
REST = 15.0
"""Seconds in which what is left of it can be read."""
DRIBBLED = (
    b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 8000,
    b"POST /work?ask=0.0 HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000,
)


class Slow:
    def __init__(self, options: Answer) -> None:
        self._options = options
        self._cut: dict[str, int] = dict.fromkeys(options["kinds"], 0)
        self._problems: list[str] = []
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        control = Control()
        control.on("figures", self._figures)
        control.on("finish", self._finish)
        if self._options["readers"]:
            self._start(self._rounds())
        for number in range(self._options["dribblers"]):
            self._start(self._dribble(number))
        await control.serve()
        await self._end()

    def _start(self, work: Any) -> None:
        self._tasks.add(asyncio.create_task(work))

    def _figures(self, question: Answer) -> Answer:
        problems, self._problems = self._problems, []
        return {"cut": self._cut, "open": self._open, "problems": problems, "count": len(problems)}

    async def _finish(self, question: Answer) -> Answer:
        await self._end()
        return {"left": self._open}

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()

    async def _rounds(self) -> None:
        """Readers of every kind, all at once; then a rest, in which their memory has to be free."""
        while True:
            kinds = itertools.islice(itertools.cycle(self._options["kinds"]), self._options["readers"])
            await asyncio.gather(*map(self._read_nothing, kinds))
            await asyncio.sleep(self._options["rest"])

    async def _read_nothing(self, kind: str) -> None:
        """Ask for much and read nothing."""
        port = self._options["sockhop_port" if kind.startswith("sockhop") else "port"]
        waits, pieces = "waits" in kind, self._options["pieces"]
        await asyncio.sleep(random.random() * self._options["spread"])
        try:
            async with stranger.connection(port) as sock:
                self._open += 1
                try:
                    if kind == "http":
                        await stranger.ask_http(sock, pieces)
                    elif kind.startswith("peer"):
                        await stranger.ask_peer(sock, pieces, waits=waits)
                    else:
                        await stranger.ask_sockhop(sock, pieces, waits=waits)
                    await asyncio.sleep(PATIENCE)
                    await self._look(kind, sock)
                finally:
                    self._open -= 1
        except OSError as error:
            self._problems.append(f"slow {kind}: {error}")
            await asyncio.sleep(1)

    async def _look(self, kind: str, sock: Any) -> None:
        try:
            async with asyncio.timeout(REST):
                size = await stranger.read_rest(sock)
        except TimeoutError:
            self._problems.append(f"slow {kind}: not cut in time")
            return
        if size >= self._options["pieces"] * stranger.PIECE:
            self._problems.append(f"slow {kind}: all {size:,} bytes were kept for it")
        else:
            self._cut[kind] += 1

    async def _dribble(self, number: int) -> None:
        """One byte a second, or none at all of what was asked for."""
        loop = asyncio.get_running_loop()
        text = DRIBBLED[number % len(DRIBBLED)]
        # Not all in the same moment.
        await asyncio.sleep(number % 100 / 100)
        while True:
            try:
                async with stranger.connection(self._options["port"]) as sock:
                    self._open += 1
                    try:
                        for at in range(len(text)):
                            await loop.sock_sendall(sock, text[at : at + 1])
                            await asyncio.sleep(1)
                    finally:
                        self._open -= 1
            except OSError:
                # Cut at last, as it may be.
                pass


if __name__ == "__main__":
    run(lambda options: Slow(options).serve())
