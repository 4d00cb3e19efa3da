"""The README says what is true: its programs run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NODE_MODULES = ROOT / "tests/interop/node/node_modules"

README = (ROOT / "README.md").read_text()
PROGRAMS = {
    name: text for text, name in re.findall(r"```(?:python|js)\n((?:#|//) (\w+\.\w+).*?)```", README, re.S)
}


def program(name: str, port: int, folder: Path) -> Path:
    """One of the README's programs, on a port that is free here."""
    path = folder / name
    path.write_text(PROGRAMS[name].replace("3000", str(port)))
    return path


@pytest.mark.parametrize("client", ["client.py", "client.js"])
async def test_the_ten_lines_talk_to_each_other(client: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = await asyncio.create_subprocess_exec(
        sys.executable, program("server.py", port, tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        assert (await server.stdout.readline()).decode() == f"listening on {port}\n"
        runner = sys.executable if client.endswith(".py") else shutil.which("node")
        if runner is None:
            pytest.skip("node is not installed")
        asking = await asyncio.create_subprocess_exec(
            runner,
            program(client, port, tmp_path),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
        )
        said, _ = await asking.communicate()
        assert said.decode().replace('"', "'").split() in (
            ["{'you", "said':", "{'ping':", "1}}", "Hello", "Ada!"],
            ["{", "'you", "said':", "{", "ping:", "1", "}", "}", "Hello", "Ada!"],
        )
    finally:
        server.terminate()
        await server.wait()
        for process in (server, *([asking] if "asking" in locals() else [])):
            process._transport.close()  # type: ignore[attr-defined]


def test_make_knows_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make (\w+)", README, re.M):
        assert re.search(rf"^{command}:", makefile, re.M)
