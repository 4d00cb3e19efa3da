"""A WebSocket client that does as it is told, also what no client should."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.raw import set_option
from wirehop import AnySocket
from wirehop.core import json

STRANGER = "0123456789abcdef0123456789abcdef"

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(
    payload: bytes | str = b"", opcode: int = TEXT, *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """One WebSocket frame (RFC 6455, 5.2) as a client sends it."""
    data = payload.encode() if isinstance(payload, str) else payload
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if len(data) < 126:
        head += bytes([bit | len(data)])
    elif len(data) < 65536:
        head += bytes([bit | 126]) + len(data).to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + len(data).to_bytes(8, "big")
    if not masked:
        return head + data
    key = b"\x11\x22\x33\x44"
    mask = (key * (len(data) // 4 + 1))[: len(data)]
    return head + key + (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(data), "big")


def packet(kind: int, seq: int, value: Any = None, *, text: str | None = None, flag: str = "1") -> str:
    """An anysocket packet as the text of a frame."""
    number = (seq & 0xFFFFFFFF).to_bytes(4, "big").decode("latin-1")
    return f"{flag}{kind}{number}{json.dumps(value).decode() if text is None else text}"


class Stranger:
    """One connection to a server of ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.response = b""

    async def upgrade(
        self, path: str = "/", method: str = "GET", tail: bytes = b"", **headers: str | None
    ) -> bytes:
        """Ask for a WebSocket; returns the head of the response."""
        fields: dict[str, str | None] = {
            "Host": "test",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value is not None]
        self.write(f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + tail)
        self.response = await self._reader.readuntil(b"\r\n\r\n")
        return self.response

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def send(self, *texts: str) -> None:
        """Send text frames, in one write."""
        self.write(b"".join(frame(text) for text in texts))

    async def authenticate(self, id: str = STRANGER) -> None:
        self.send(packet(1, 1, {"id": id}))
        answer = await self.receive()
        assert answer.startswith("11\0\0\0\1"), answer

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame of the server."""
        first, second = await self._reader.readexactly(2)
        assert first & 0x80
        assert not second & 0x80
        size = second
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self._reader.readexactly(8), "big")
        return first & 15, await self._reader.readexactly(size)

    async def receive(self) -> str:
        """The next text message."""
        opcode, payload = await self.read_frame()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    async def closed(self) -> int:
        """The code of the server's Close (0 without one); the connection ends after it."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == CLOSE:
                self.write(frame(payload[:2], CLOSE))
                assert await self._reader.read() == b""
                return int.from_bytes(payload[:2], "big")

    async def read_all(self) -> bytes:
        return await self._reader.read()

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def take_little(self) -> None:
        """Let the system hold little of what is not read, so that the server soon sees that some is."""
        set_option(self._writer, socket.SO_RCVBUF, 1 << 17)

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Stranger]:
    """A TCP connection to ``port``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    stranger = Stranger(reader, writer)
    try:
        yield stranger
    finally:
        await stranger.close()


@asynccontextmanager
async def stranger_of(
    server: AnySocket, *, authenticated: bool = False, **options: Any
) -> AsyncIterator[Stranger]:
    """A WebSocket to a server that listens for this test."""
    listener = await server.listen("ws", ip="127.0.0.1", port=0, **options)
    async with connected(listener.port) as stranger:
        assert (await stranger.upgrade()).startswith(b"HTTP/1.1 101 ")
        if authenticated:
            await stranger.authenticate()
        yield stranger
