"""Programs in processes of their own, started and stopped as a person does it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

WIREHOP = (sys.executable, "-m", "wirehop.cli")

# Only as the first of its options does "-q" keep curl from the settings of whoever runs it.
CURL = ("curl", "-qsS", "--noproxy", "*")

# asyncio's debug mode reports on stderr what takes its time.
ENVIRONMENT = {**os.environ, "PYTHONASYNCIODEBUG": "", "PYTHONWARNINGS": "error"}


# --- processes


@asynccontextmanager
async def running(
    *command: str | Path | int, stdin: int = DEVNULL, cwd: Path | None = None, **environment: str
) -> AsyncIterator[Process]:
    """A program, which is killed at the end if it still runs. The test is skipped if it is not installed."""
    program, *arguments = map(str, command)
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *arguments,
        stdin=stdin, stdout=PIPE, stderr=PIPE, cwd=cwd, env=ENVIRONMENT | environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        _, error = await process.communicate()
        # What nobody has read is shown if the test fails.
        sys.stderr.write(error.decode(errors="replace"))
        process._transport.close()  # type: ignore[attr-defined]


async def ended(
    *command: str | Path | int, stdin: bytes | None = None, **options: Any
) -> tuple[int | None, bytes, bytes]:
    """The exit status of a program, and what it wrote to stdout and to stderr."""
    # Who does not read its input may be gone before any can be written.
    given = DEVNULL if stdin is None else PIPE
    async with running(*command, stdin=given, **options) as process:
        out, error = await process.communicate(stdin)
        return process.returncode, out, error


async def output(*command: str | Path | int, **options: Any) -> bytes:
    """What a program prints, which must end with 0 and say nothing on stderr."""
    status, out, error = await ended(*command, **options)
    assert (status, error) == (0, b""), error.decode()
    return out


async def curl(*arguments: str | Path, stdin: bytes | None = None) -> bytes:
    return await output(*CURL, "--max-time", "30", *arguments, stdin=stdin)


async def line(process: Process) -> str:
    """The next line that a program prints, without its end."""
    assert process.stdout is not None
    text = (await process.stdout.readline()).decode()
    assert text.endswith("\n")
    return text[:-1]


async def port_of(process: Process) -> int:
    """The last number in the line that a server prints."""
    (port,) = re.findall(r"(\d+)\D*$", await line(process))
    return int(port)


async def stop(process: Process, status: int, by: signal.Signals = signal.SIGINT) -> None:
    """Send a signal to a program, which must end with that status and say nothing on stderr."""
    process.send_signal(by)
    _, error = await process.communicate()
    assert (process.returncode, error) == (status, b""), error.decode()


# --- ports


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


async def listens(port: int) -> None:
    """Wait for a server that does not say when it is there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            await writer.wait_closed()
            return


# --- guides


def programs(guide: Path) -> dict[str, str]:
    """The programs of a guide, by the names that are in their first lines."""
    found = re.findall(
        r"```(?:python|js)\n((?:#|//) (\w+\.\w+).*?)```", guide.read_text(encoding="utf-8"), re.DOTALL
    )
    named = {name: text for text, name in found}
    assert len(named) == len(found)
    return named


def written(text: str, folder: Path, port: int) -> Path:
    """A program of a guide as a file, with this port instead of the guide's."""
    path = folder / text.split(maxsplit=2)[1].rstrip(",")
    path.write_text(re.sub(r"\b(3000|8000|50000)\b", str(port), text), encoding="utf-8")
    return path
