"""The examples of storey 1 do what they say."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.node.serving import get
from tests.raw import connect

EXAMPLES = Path(__file__).parents[2] / "examples" / "node"


@asynccontextmanager
async def running(name: str, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wirehop.cli", "run", str(EXAMPLES / name), *arguments,
        stdout=PIPE, stderr=PIPE, env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def output(name: str, *arguments: str) -> str:
    async with running(name, *arguments) as process:
        out, error = await process.communicate()
        assert (process.returncode, error) == (0, b"")
        return out.decode()


async def port_of(process: Process) -> int:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    return int("".join(character for character in line.split(":")[-1] if character.isdigit()))


async def stop(process: Process) -> None:
    process.send_signal(signal.SIGINT)
    _, error = await process.communicate()
    assert (process.returncode, error) == (130, b"")


async def test_hello_and_the_client() -> None:
    async with running("hello.py", "0", "0.01") as server:
        port = await port_of(server)
        async with connect(port) as raw:
            assert (await raw.ask(get("/"))).body == b"Hello World"
        lines = (await output("client.py", "127.0.0.1", str(port))).splitlines()
        assert lines[0] == "STATUS: 200"
        assert lines[1].startswith('HEADERS: [["Content-Type","text/plain"]')
        assert lines[2:] == ["BODY: Hello World"]
        await stop(server)


async def test_echo() -> None:
    async with running("echo.py", "0") as server:
        async with connect(await port_of(server)) as raw:
            assert await raw.read(7) == b"hello\r\n"
            await raw.send("blåbær".encode())
            assert await raw.read(8) == "blåbær".encode()
            raw.finish()
            assert await raw.read_all() == b"goodbye\r\n"
        await stop(server)


async def test_modules() -> None:
    for name in ("foo.py", "included.py"):
        assert await output(name) == "The area of a circle of radius 4 is 50.24\n"


async def test_a_child() -> None:
    assert await output("ls.py", "echo here; exit 3") == "here\nexit code 3\n"
    assert (await output("ls.py")).endswith("exit code 0\n")


async def test_files(tmp_path: Path) -> None:
    lines = (await output("files.py", str(tmp_path))).splitlines()
    assert sorted(lines) == [
        "read: hello world",
        "size: 11",
        "successfully deleted 'hello world': True",
    ]
    assert list(tmp_path.iterdir()) == []


async def test_on_exit() -> None:
    assert await output("exit_check.py") == ""
