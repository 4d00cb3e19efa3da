"""A server and a client, linked, and what both were told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.raw import Raw, connect
from wirehop import SockhopClient, SockhopServer
from wirehop.core.events import EventEmitter

EVENTS = ("connect", "receive", "request", "disconnect", "error")


class Told:
    """The events of an emitter, as they come."""

    def __init__(self, emitter: EventEmitter, *names: str) -> None:
        self.all: list[tuple[str, tuple[Any, ...]]] = []
        self._queues: dict[str, asyncio.Queue[tuple[Any, ...]]] = {}
        for name in names or EVENTS:
            self._queues[name] = asyncio.Queue()
            emitter.on(name, self._listener(name))

    def _listener(self, name: str) -> Any:
        def told(*args: Any) -> None:
            self.all.append((name, args))
            self._queues[name].put_nowait(args)

        return told

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.all]

    async def args(self, name: str) -> tuple[Any, ...]:
        """What the next event of this name came with."""
        return await self._queues[name].get()

    async def first(self, name: str) -> Any:
        """The first of it."""
        return (await self.args(name))[0]

    def none(self, name: str) -> bool:
        """Whether all of this name were taken."""
        return self._queues[name].empty()


class Linked:
    def __init__(self, server: SockhopServer, client: SockhopClient) -> None:
        self.server = server
        self.client = client
        self.at_server = Told(server)
        self.at_client = Told(client)

    @property
    def sock(self) -> Any:
        return self.server.sockets[0]

    async def are_alive(self) -> None:
        """Both still talk to each other; what is in their queues was taken."""
        await self.client.send("still there")
        assert await self.at_server.first("receive") == "still there"
        await self.server.send(self.sock, "still there, too")
        assert await self.at_client.first("receive") == "still there, too"


@asynccontextmanager
async def linked(
    ours: dict[str, Any] | None = None, theirs: dict[str, Any] | None = None
) -> AsyncIterator[Linked]:
    """``ours`` are options of the server, ``theirs`` of the client."""
    server = SockhopServer(**{"port": 0, **(ours or {})})
    async with server:
        where = {"path": server.path} if server.path else {"port": server.port}
        client = SockhopClient(**{**where, **(theirs or {})})
        link = Linked(server, client)
        async with client:
            await link.at_server.args("connect")
            await link.at_client.args("connect")
            yield link


@asynccontextmanager
async def stranger(**options: Any) -> AsyncIterator[tuple[Raw, SockhopServer, Told]]:
    """A server, and a socket that says what it wants."""
    server = SockhopServer(**{"port": 0, **options})
    told = Told(server)
    async with server, connect(server.port) as raw:
        yield raw, server, told


@asynccontextmanager
async def strange_server(**options: Any) -> AsyncIterator[tuple[Raw, SockhopClient, Told]]:
    """A client, and a server that says what it wants."""
    accepted: asyncio.Queue[Raw] = asyncio.Queue()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(Raw(reader, writer))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    client = SockhopClient(**{"port": listening.sockets[0].getsockname()[1], **options})
    told = Told(client)
    async with client:
        raw = await accepted.get()
        try:
            yield raw, client, told
        finally:
            raw.writer.close()
            listening.close()
