"""An AnySocket with an HTTP side for a test, and those who ask it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

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


async def run(*command: str | Path, stdin: bytes | None = None) -> bytes:
    """What a program prints, which must end with 0 and say nothing on stderr."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    # Who does not read its input may be gone before any can be written.
    given = DEVNULL if stdin is None else PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=given, stdout=PIPE, stderr=PIPE)
    try:
        output, error = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, error) == (0, b"")
    return output


async def curl(*arguments: str | Path) -> bytes:
    return await run("curl", "-sSq", "--noproxy", "*", "--max-time", "30", *arguments)
