"""A network that fails on request."""

from __future__ import annotations

import asyncio
from types import TracebackType
from urllib.parse import urlsplit


class Flaky:
    """Carries TCP connections to a server, at another port, as long as it is told to."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url).port
        self._open: set[asyncio.StreamWriter] = set()
        self._works = asyncio.Event()
        self._works.set()
        self._is_cut = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Flaky:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Every connection breaks, and none is made."""
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def freeze(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._works.clear()

    def mend(self) -> None:
        self._is_cut = False
        self._works.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            if self._is_cut:
                return
            there, to = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(to)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, to))
                group.create_task(self._pump(there, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, *([to] if "to" in locals() else [])):
                end.transport.abort()
                self._open.discard(end)
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._works.wait()
            if writer.is_closing():
                break
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
        raise ConnectionResetError
