"""A TCP proxy that does to connections what networks do to them.

How bytes are carried is a :class:`Pace`; what happens to connections is a method of :class:`Proxy`:

==============  ====================================================================================
pace            delay, slice (single bytes), throttle: benign, what arrives is what was sent
``reset``       both sides get an RST
``half_close``  one side gets the end of what the other sends, and the rest of it is dropped
``blackhole``   both connections stay open, and nothing passes any more
``corrupt``     one bit of the next byte in one direction is another
==============  ====================================================================================
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from tests.raw import reset

READ = 65_536


@dataclass(frozen=True)
class Pace:
    """How the bytes of one read go on. All of them do, in their order."""

    delay: float = 0.0
    """Seconds that each read waits."""

    head: int = 0
    """So many bytes at the beginning of a connection leave one by one, in each direction; a turn of the
    loop lies between two."""

    single: int = 0
    """So many bytes of each later read leave one by one."""

    piece: int = READ
    """The rest leaves in pieces of so many bytes."""

    rate: float = 0.0
    """Bytes a second, if not 0."""


DIRECT = Pace()
SLICE = Pace(single=READ)
DELAY = Pace(delay=0.01)
THROTTLE = Pace(rate=2e6, piece=10_000)
ROUGH = Pace(delay=0.001, head=2000, single=16, piece=20_011)
"""Slices and delays at once, for messages of megabytes too: the handshakes and the first messages in
single bytes, then the beginning of whatever comes."""


class Flow:
    """One direction of one connection."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self.passed = bytearray()
        """What was sent on so far, if the proxy records."""
        self.count = 0
        """How many bytes were sent on so far."""
        self.flip = 0
        """The bits to change in the next byte."""
        self.change: Callable[[bytes], bytes] | None = None
        """What is done to each read, instead of what a :class:`Pace` can say."""
        self.is_cut = False
        """Whether what is sent is dropped."""

    async def run(self) -> None:
        pace = self._proxy.pace
        while data := await self._reader.read(READ):
            await self._proxy.open.wait()
            if self.is_cut:
                continue
            if self.flip:
                data = bytes([data[0] ^ self.flip]) + data[1:]
                self.flip = 0
            if self.change is not None:
                data = self.change(data)
            if pace.delay:
                await asyncio.sleep(pace.delay)
            single = max(pace.head - self.count, pace.single)
            for at in range(min(single, len(data))):
                await self._send(data[at : at + 1])
                await asyncio.sleep(0)
            for at in range(single, len(data), pace.piece):
                piece = data[at : at + pace.piece]
                await self._send(piece)
                if pace.rate:
                    await asyncio.sleep(len(piece) / pace.rate)
        await self._proxy.open.wait()
        self.finish()

    async def _send(self, data: bytes) -> None:
        await self._proxy.open.wait()
        if self._writer.is_closing():
            raise ConnectionResetError("the receiver is gone")
        self.count += len(data)
        if self._proxy.records:
            self.passed += data
        self._writer.write(data)
        await self._writer.drain()

    def finish(self) -> None:
        """Tell the receiver that nothing more comes."""
        if not self.is_cut and not self._writer.is_closing():
            with suppress(OSError):
                self._writer.write_eof()
        self.is_cut = True


class Pair:
    """One connection: the client's half and the server's."""

    def __init__(self, proxy: Proxy, *streams: asyncio.StreamReader | asyncio.StreamWriter) -> None:
        client_reader, self._client, server_reader, self._server = streams
        self.up = Flow(proxy, client_reader, self._server)  # type: ignore[arg-type]
        """What the client sends."""
        self.down = Flow(proxy, server_reader, self._client)  # type: ignore[arg-type]
        """What the server sends."""

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.up.run())
                group.create_task(self.down.run())
        except* (OSError, RuntimeError):
            # uvloop's word for a connection that is closed already is RuntimeError.
            self.reset()
        finally:
            self._client.close()  # type: ignore[union-attr]
            self._server.close()  # type: ignore[union-attr]

    def reset(self) -> None:
        for writer in (self._client, self._server):
            assert isinstance(writer, asyncio.StreamWriter)
            _reset(writer)


class Proxy:
    """A port that leads to another, on this machine."""

    def __init__(self, to: int, pace: Pace, records: bool) -> None:
        self.to = to
        self.pace = pace
        self.records = records
        self.port = 0
        self.pairs: list[Pair] = []
        """All connections so far."""
        self.open = asyncio.Event()
        self.open.set()
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=READ)
        self.port = self._server.sockets[0].getsockname()[1]

    async def end(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for pair in self.pairs:
            pair.reset()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self.to, limit=READ)
        except OSError:
            # Nobody is there; whoever asks through us learns it as a proxy can say it.
            _reset(writer)
            return
        pair = Pair(self, reader, writer, *there)
        self.pairs.append(pair)
        await pair.run()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what happens to the connections that there are

    def reset(self) -> None:
        for pair in self.pairs:
            pair.reset()

    def half_close(self, *, up: bool) -> None:
        """The client's words end at the server (``up``), or the server's at the client."""
        for pair in self.pairs:
            (pair.up if up else pair.down).finish()

    def blackhole(self) -> None:
        """Nothing passes any more, new connections neither, until :meth:`repair`."""
        self.open.clear()

    def repair(self) -> None:
        self.open.set()

    def corrupt(self, *, up: bool, bits: int = 1) -> None:
        """Change the next byte that is sent in one direction."""
        for pair in self.pairs:
            (pair.up if up else pair.down).flip = bits


@asynccontextmanager
async def proxy_to(port: int, pace: Pace = DIRECT, *, records: bool = False) -> AsyncIterator[Proxy]:
    """A proxy to a port of this machine. With ``records`` it keeps what passes."""
    proxy = Proxy(port, pace, records)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.end()


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        reset(writer)
