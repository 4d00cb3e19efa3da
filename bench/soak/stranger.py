"""Connections that do not do their part, made of nothing but a socket.

Some read nothing of what they asked for, some send a byte now and then.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from soak.server import SECRET

RECEIVE_BUFFER = 16_384
"""Bytes that the system may take for somebody who does not read: little."""
PIECE = 64 << 10
"""Bytes, of which the server sends as many as are asked for."""


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[socket.socket]:
    """A connection with room for little."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        yield sock


async def read_rest(sock: socket.socket) -> int:
    """Read until the other side has ended it; returns how many bytes there were."""
    loop = asyncio.get_running_loop()
    size = 0
    try:
        while data := await loop.sock_recv(sock, 1 << 16):
            size += len(data)
    except ConnectionError:
        pass
    return size


# --- what they ask for


def frame(text: str) -> bytes:
    """A WebSocket frame of a client (RFC 6455, 5.2); its mask changes nothing."""
    data = text.encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + len(data).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + data


def packet(kind: int, number: int, message: object) -> str:
    return f"1{kind}{number.to_bytes(4, 'big').decode('latin-1')}{json.dumps(message)}"


async def become_peer(sock: socket.socket) -> None:
    """The handshake, and AUTH; what comes after the first bytes is left in the socket."""
    loop = asyncio.get_running_loop()
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        "GET / HTTP/1.1\r\nHost: soak\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    auth = {"id": secrets.token_hex(16), "auth": SECRET}
    await loop.sock_sendall(sock, head.encode() + frame(packet(1, 1, auth)))
    told = b""
    # Its own AUTH is the first frame.
    while b"auth" not in told:
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise ConnectionResetError("refused")
        told += data


async def ask_peer(sock: socket.socket, pieces: int, *, waits: bool) -> None:
    await become_peer(sock)
    message = {"flood": pieces, "waits": waits}
    await asyncio.get_running_loop().sock_sendall(sock, frame(packet(3, 2, message)))


async def ask_sockhop(sock: socket.socket, pieces: int, *, waits: bool) -> None:
    request = {
        "type": "SockhopRequest",
        "data": {"uuid": secrets.token_hex(16), "data": {"flood": pieces, "waits": waits}, "type": "Object"},
    }
    await asyncio.get_running_loop().sock_sendall(sock, json.dumps(request).encode() + b"\n")


async def ask_http(sock: socket.socket, pieces: int) -> None:
    line = f"GET /flood?pieces={pieces} HTTP/1.1\r\nHost: soak\r\n\r\n"
    await asyncio.get_running_loop().sock_sendall(sock, line.encode())
