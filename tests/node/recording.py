"""Connections of storey 1 for a test, with everything that happens to them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import trustme

from tests.raw import Raw, connect
from wirehop.node import tcp

EVENTS = ("connect", "receive", "eof", "disconnect")


class Recorder:
    """One end of a connection, and its events with the state that each found."""

    def __init__(self, connection: tcp.Connection, *events: str) -> None:
        self.connection = connection
        self.events: list[tuple[Any, ...]] = []
        self._happened = asyncio.Event()
        for event in events or EVENTS:
            connection.on(event, lambda *args, event=event: self._record(event, args))

    def _record(self, event: str, args: tuple[Any, ...]) -> None:
        self.events.append((event, *args, self.connection.ready_state))
        self._happened.set()

    async def until(self, event: str, times: int = 1) -> None:
        while self.names().count(event) < times:
            self._happened.clear()
            await self._happened.wait()

    async def until_received(self, size: int) -> Any:
        """Everything received, as soon as it is so many bytes or characters."""
        while len(self.received()) < size:
            self._happened.clear()
            await self._happened.wait()
        return self.received()

    def received(self) -> Any:
        pieces = [entry[1] for entry in self.events if entry[0] == "receive"]
        return pieces[0][:0].join(pieces) if pieces else b""

    def names(self) -> list[str]:
        return [entry[0] for entry in self.events]


@asynccontextmanager
async def pair(
    server_tls: ssl.SSLContext | None = None, client_tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Recorder, Raw]]:
    """A server's connection, and the client at its other end."""
    accepted: asyncio.Future[Recorder] = asyncio.get_running_loop().create_future()
    server = tcp.Server(lambda connection: accepted.set_result(Recorder(connection)))
    await server.listen(0, "127.0.0.1", ssl_context=server_tls)
    async with connect(server.port, tls=client_tls, limit=1024) as raw:
        recorder = await accepted
        try:
            yield recorder, raw
        finally:
            await server.close()
            recorder.connection.force_close()


@asynccontextmanager
async def wired(
    server_tls: ssl.SSLContext | None = None, client_tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Recorder, Recorder]]:
    """Both ends are ours: the server's and the client's, open."""
    accepted: asyncio.Future[Recorder] = asyncio.get_running_loop().create_future()

    def connected(connection: tcp.Connection) -> None:
        accepted.set_result(Recorder(connection))

    async with serving(connected, ssl_context=server_tls) as server:
        client = Recorder(tcp.Connection())
        name = "localhost" if client_tls else None
        await client.connection.connect(server.port, ssl_context=client_tls, server_hostname=name)
        far = await accepted
        await far.until("connect")
        try:
            yield far, client
        finally:
            client.connection.force_close()


@asynccontextmanager
async def serving(listener: Any = None, **place: Any) -> AsyncIterator[tcp.Server]:
    """A server on this machine; at the end nothing of it is left."""
    connections: list[tcp.Connection] = []
    async with tcp.create_server(connections.append) as server:
        if listener is not None:
            server.on("connection", listener)
        await server.listen(**(place if "path" in place else {"port": 0, "host": "127.0.0.1"} | place))
        try:
            yield server
        finally:
            for connection in connections:
                connection.force_close()


@contextmanager
def nobody_accepts() -> Iterator[int]:
    """A port where an attempt to connect goes on and on: the backlog of its listener is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            yield listener.getsockname()[1]
        finally:
            for sock in waiting:
                sock.close()


def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server for "localhost", and of a client that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
