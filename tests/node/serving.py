"""An HTTP server of storey 1 for a test, and what it is asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from wirehop.node import http


@asynccontextmanager
async def serve(
    listener: Any = None,
    *,
    backlog: int = 16,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    **limits: Any,
) -> AsyncIterator[http.Server]:
    """A server on this machine; at the end nothing of it is left."""
    server = http.Server(listener, limits=http.Limits(**limits), backlog=backlog)
    await server.listen(0, host, ssl_context=tls)
    try:
        yield server
    finally:
        server.close()
        server.abort()
        await server.closed()


def get(path: str = "/", *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    return request(method, path, *headers, version=version)


def post(path: str, body: bytes, *headers: str) -> bytes:
    return request("POST", path, f"Content-Length: {len(body)}", *headers) + body


def request(method: str, path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


class Held:
    """A listener that answers nothing by itself: the test does it."""

    def __init__(self) -> None:
        self.requests: list[http.ServerRequest] = []
        self.responses: list[http.ServerResponse] = []
        self._arrived = asyncio.Event()

    def __call__(self, request: http.ServerRequest, response: http.ServerResponse) -> None:
        self.requests.append(request)
        self.responses.append(response)
        self._arrived.set()

    async def until(self, count: int) -> None:
        while len(self.requests) < count:
            self._arrived.clear()
            await self._arrived.wait()
