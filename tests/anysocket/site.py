"""An AnySocket with an HTTP side for a test, and those who ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.raw import Raw, connect
from wirehop import AnyHTTPRouter, AnySocket


@asynccontextmanager
async def site(**options: Any) -> AsyncIterator[tuple[AnySocket, AnyHTTPRouter, Raw]]:
    """A server, its router, and a client that is connected to it."""
    async with AnySocket() as server:
        listener = await server.server("http", ip="127.0.0.1", port=0, **options)
        async with connect(listener.port) as raw:
            yield server, server.http, raw


def port_of(server: AnySocket) -> int:
    return server._open[0].port
