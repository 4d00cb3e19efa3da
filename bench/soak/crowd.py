"""Very many connections of one client process.

Options: ``port``, ``sockhop_port``. It is told to ``grow`` by so many peers or sockhop clients, which
come back by themselves when the connection is lost, says how many are ``connected``, and ``leave``s.
"""

from __future__ import annotations

import asyncio
import random
import time

from soak.control import Answer, Control, run
from soak.server import SECRET
from wirehop import AnySocket, SockhopClient

AT_ONCE = 50
"""Connections that one process has under way while it grows: who comes back waits for nobody."""
FIRST, LONGEST = 1.0, 16.0
"""Seconds: bounds of the random delay before connecting again, which doubles with each failure."""


class Crowd:
    def __init__(self, options: Answer) -> None:
        self._port = options["port"]
        self._sockhop_port = options["sockhop_port"]
        self._peers: list[asyncio.Task[None]] = []
        self._sockhops: list[SockhopClient] = []
        self._connected = 0
        self._attempts = 0
        self._back_at: list[float] = []

    async def serve(self) -> None:
        control = Control()
        control.on("grow", self._grow)
        control.on("connected", self._told)
        control.on("leave", self._leave)
        await control.serve()
        await self._leave({})

    def _told(self, question: Answer) -> Answer:
        sockhops = sum(client.connected for client in self._sockhops)
        came, self._back_at = self._back_at, []
        return {"peers": self._connected, "sockhops": sockhops, "attempts": self._attempts, "came": came}

    async def _grow(self, question: Answer) -> Answer:
        """Grow by ``peers`` and by ``sockhops``, and answer when all are connected."""
        turn = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(
            *(self._add_peer(turn) for _ in range(question["peers"])),
            *(self._add_sockhop(turn) for _ in range(question["sockhops"])),
        )
        self._back_at.clear()
        return self._told({})

    async def _add_peer(self, turn: asyncio.Semaphore) -> None:
        async with turn:
            there = asyncio.Event()
            self._peers.append(asyncio.create_task(self._stay(there)))
            await there.wait()

    async def _stay(self, there: asyncio.Event) -> None:
        """Connect, and connect again when the connection is lost: the loop of docs/anysocket.md."""
        lost = asyncio.Event()
        async with AnySocket(auth_packet=lambda: SECRET) as socket:
            socket.on("disconnected", lambda peer, reason: lost.set())
            bound = FIRST
            while True:
                self._attempts += 1
                lost.clear()
                try:
                    await socket.connect("ws", "127.0.0.1", self._port)
                except OSError:
                    bound = min(2 * bound, LONGEST)
                else:
                    bound = FIRST
                    self._connected += 1
                    self._back_at.append(time.monotonic())
                    there.set()
                    try:
                        await lost.wait()
                    finally:
                        self._connected -= 1
                await asyncio.sleep(random.random() * bound)

    async def _add_sockhop(self, turn: asyncio.Semaphore) -> None:
        client = SockhopClient(port=self._sockhop_port)
        client.on("error", lambda error: None)
        client.on("connect", lambda sock: self._back_at.append(time.monotonic()))
        self._sockhops.append(client)
        async with turn:
            await client.start()

    async def _leave(self, question: Answer) -> Answer:
        for task in self._peers:
            task.cancel()
        if self._peers:
            await asyncio.wait(self._peers)
        await asyncio.gather(*(client.disconnect() for client in self._sockhops))
        self._peers, self._sockhops = [], []
        return self._told({})


if __name__ == "__main__":
    run(lambda options: Crowd(options).serve())
