"""A server that is nothing but a socket, for a client to ask: it says what a test tells it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.raw import Raw
from wirehop.node import http

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None


class Peer(Raw):
    """The server's end of one connection."""

    async def head(self) -> Request:
        """The head of the next request."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        method, path, version = first.split(" ")
        assert version == "HTTP/1.1"
        pairs = [line.split(": ", 1) for line in lines]
        return Request(method, path, [(name, value) for name, value in pairs])

    async def request(self) -> Request:
        """The next request, with its body."""
        request = await self.head()
        request.body = await self.body(request)
        return request

    async def body(self, request: Request) -> bytes:
        """What follows a head."""
        if request.header("transfer-encoding") == "chunked":
            chunks = []
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                chunks.append(await self.reader.readexactly(size))
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readexactly(2) == b"\r\n"
            return b"".join(chunks)
        return await self.reader.readexactly(int(request.header("content-length") or 0))

    async def answer(self, response: bytes = OK) -> Request:
        """Answer the next request."""
        request = await self.request()
        await self.send(response)
        return request

    def nothing_more_came(self) -> bool:
        return not self.reader._buffer  # type: ignore[attr-defined]

    async def gone(self) -> None:
        """Wait until the client has left, be it with a reset."""
        try:
            await self.read_all()
        except ConnectionError:
            pass

    async def is_closed(self) -> bool:
        """Wait for the end of what the client sends; whether there was nothing before it."""
        return await self.read_all() == b""


Script = Callable[[Peer], Awaitable[Any]]


class Answering:
    """What :func:`answering` yields."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def done(self) -> None:
        """Wait until every script is through; raises what they raised."""
        await asyncio.gather(*self.tasks)


@asynccontextmanager
async def answering(*scripts: Script, limit: int = 1 << 16, **options: Any) -> AsyncIterator[Answering]:
    """A server whose first connection runs the first script, and so on; there are no more
    connections than scripts. A connection is closed after its script."""
    answers = Answering()

    async def serve(script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Peer(reader, writer))
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert answers.connections < len(scripts), "one connection too many"
        script = scripts[answers.connections]
        answers.connections += 1
        answers.tasks.append(asyncio.create_task(serve(script, reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=limit, **options)
    answers.port = server.sockets[0].getsockname()[1]
    try:
        yield answers
        await answers.done()
    finally:
        server.close()
        for task in answers.tasks:
            task.cancel()
        await asyncio.gather(*answers.tasks, return_exceptions=True)


def always(response: bytes = OK) -> Script:
    """A script that gives every request the same answer, until the client leaves."""

    async def answers(peer: Peer) -> None:
        try:
            while True:
                await peer.answer(response)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    return answers


async def closes(peer: Peer) -> None:
    """A script that closes at once."""


@contextmanager
def elsewhere(listener: Any) -> Iterator[int]:
    """The port of a server in a thread and on a loop of its own: nothing of it is on this loop."""
    started = threading.Event()
    running: list[Any] = []

    async def serve() -> None:
        stopped = asyncio.Event()
        server = http.create_server(listener)
        await server.listen(0, "127.0.0.1")
        running[:] = asyncio.get_running_loop(), stopped, server.port
        started.set()
        await stopped.wait()
        server.close()
        server.abort()
        await server.closed()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    loop, stopped, port = running
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
