"""A client that is nothing but a socket: what it sends and what it got, byte by byte."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from wirehop.core import output


def set_option(writer: asyncio.StreamWriter, option: int, value: int | bytes) -> None:
    """Set an option of a connection's socket, which transports do not let be changed themselves."""
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as own:
        own.setsockopt(socket.SOL_SOCKET, option, value)


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave with a reset, as whoever crashes does."""
    set_option(writer, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass
class Response:
    """One HTTP response as it came; the names of its headers are in lower case."""

    version: str
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None


class Raw:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Raises ``ConnectionResetError`` where the connection is closed. (uvloop's transports
        raise a ``RuntimeError`` instead, and asyncio's say nothing.)"""
        if self.writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        self.writer.write(data)
        await self.writer.drain()

    async def dribble(self, data: bytes) -> None:
        """Send byte by byte, with a turn of the loop for the server to read each."""
        for at in range(len(data)):
            if self.writer.is_closing() or self.reader.at_eof():
                return
            self.writer.write(data[at : at + 1])
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def finish(self) -> None:
        """Send no more."""
        self.writer.write_eof()

    async def read(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def read_until(self, end: bytes) -> bytes:
        return await self.reader.readuntil(end)

    async def read_all(self) -> bytes:
        """Up to the end, which must be a clean one: a reset raises."""
        return await self.reader.read()

    async def response(self, method: str = "GET") -> Response:
        """The next response, with its body if ``method`` lets it have one."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        version, status, _ = first.split(" ", 2)
        pairs = [line.split(": ", 1) for line in lines]
        response = Response(version, int(status), [(name.lower(), value) for name, value in pairs])
        length = response.header("content-length")
        if method == "HEAD" or response.status < 200 or response.status in (204, 304):
            pass
        elif response.header("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                response.body += await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readexactly(2) == b"\r\n"
        elif length is not None:
            response.body = await self.reader.readexactly(int(length))
        else:
            response.body = await self.reader.read()
        return response

    async def ask(self, request: bytes, method: str = "GET") -> Response:
        await self.send(request)
        return await self.response(method)

    def reset(self) -> None:
        """Leave with a reset, as a client does that crashes."""
        reset(self.writer)


@asynccontextmanager
async def connect(
    port: int, *, tls: ssl.SSLContext | None = None, limit: int = 1 << 16
) -> AsyncIterator[Raw]:
    """A connection to a server on this machine. ``limit`` bounds what is read ahead: little, so
    that a client that does not read is one."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None, limit=limit
    )
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass


async def until(is_true: Callable[[], object]) -> None:
    """Let the loop run until something is so that has no event."""
    while not is_true():  # noqa: ASYNC110
        await asyncio.sleep(0.0005)


def record_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the writes that an Output makes to a descriptor, as they are made."""
    sizes: list[int] = []
    write, writev = os.write, os.writev

    class Os:
        name = os.name

        @staticmethod
        def write(fd: int, data: bytes) -> int:
            sizes.append(write(fd, data))
            return sizes[-1]

        @staticmethod
        def writev(fd: int, chunks: list[bytes]) -> int:
            sizes.append(writev(fd, chunks))
            return sizes[-1]

    monkeypatch.setattr(output, "os", Os)
    return sizes
