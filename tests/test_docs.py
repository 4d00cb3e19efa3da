"""The guides say what is true: their programs run as they stand there."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.node.serving import get, post
from tests.raw import connect

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/node.md").read_text()
NODE = {name: text for text, name in re.findall(r"```python\n(# (\w+\.py).*?)```", GUIDE, re.S)}


async def run(name: str, folder: Path, port: int, program: str = "") -> asyncio.subprocess.Process:
    """Start one of the guide's programs, on a port that is free here."""
    path = folder / name
    path.write_text((program or NODE[name]).replace("8000", str(port)))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wirehop.cli", "run", path, stdout=PIPE, stderr=PIPE
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


async def listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            await writer.wait_closed()
            return


async def end(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGINT)
    _, error = await process.communicate()
    assert (process.returncode, error) == (130, b"")


def test_every_program_is_run_here() -> None:
    assert set(NODE) == {"hello.py", "foo.py", "upload.py", "ask.py"}


async def test_hello(tmp_path: Path) -> None:
    port = free_port()
    process = await run("hello.py", tmp_path, port)
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode() == f"Server running at http://127.0.0.1:{port}/\n"
    await listens(port)
    async with connect(port) as raw:
        assert (await raw.ask(get())).body == b"Hello World"
    await end(process)


async def test_the_hello_of_the_readme(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(# hello\.py.*?)```", (ROOT / "README.md").read_text(), re.S)
    port = free_port()
    process = await run("hello.py", tmp_path, port, program)
    await listens(port)
    async with connect(port) as raw:
        assert (await raw.ask(get())).body == b"Hello World"
    await end(process)


async def test_foo(tmp_path: Path) -> None:
    circle = ROOT / "examples" / "node" / "circle.py"
    (tmp_path / "circle.py").write_text(circle.read_text())
    process = await run("foo.py", tmp_path, 1)
    assert await process.communicate() == (b"The area of a circle of radius 4 is 50.24\n", b"")


async def test_upload_and_ask(tmp_path: Path) -> None:
    port = free_port()
    server = await run("upload.py", tmp_path, port)
    await listens(port)
    async with connect(port) as raw:
        assert (await raw.ask(post("/", b"x" * 100_000))).body == b"100000 bytes\n"
    client = await run("ask.py", tmp_path, port)
    assert await client.communicate() == (b"0 bytes\n", b"")
    await end(server)
