"""The guide and the examples say what is true: their programs run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.test_docs import free_port

ROOT = Path(__file__).parent.parent.parent
NODE_MODULES = ROOT / "tests/interop/node/node_modules"
GUIDE = (ROOT / "docs/sockhop.md").read_text()
PROGRAMS = {
    name: text for text, name in re.findall(r"```(?:python|js)\n((?:#|//) (\w+\.\w+).*?)```", GUIDE, re.S)
}


async def run(*command: str | Path, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, env={**os.environ, **environment}
    )


async def end(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.communicate()


def test_every_program_is_run_here() -> None:
    assert set(PROGRAMS) == {"server.py", "client.py", "client.js"}


@pytest.mark.parametrize("client", ["client.py", "client.js"])
async def test_the_programs_of_the_guide(client: str, tmp_path: Path) -> None:
    port = free_port()
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text.replace("50000", str(port)))
    server = await run(sys.executable, tmp_path / "server.py")
    try:
        assert server.stdout is not None
        assert (await server.stdout.readline()).decode() == f"listening on {port}\n"
        runner = sys.executable if client.endswith(".py") else shutil.which("node")
        if runner is None or not (NODE_MODULES / "sockhop").exists():
            pytest.skip("node or sockhop is not installed")
        asking = await run(runner, tmp_path / client, NODE_PATH=str(NODE_MODULES))
        said, error = await asking.communicate()
        assert (error, asking.returncode) == (b"", 0)
        shown = said.decode()
        if client.endswith(".py"):
            block = re.search(r"The client prints\n\n(.*?)\n\n", GUIDE, re.S)
            assert block
            assert shown == re.sub(r"^    ", "", block[1], flags=re.M) + "\n"
        else:
            assert shown == '{"name":"double","size":4}\nNumber 0\nNumber 1\nNumber 2\nObject {}\n'
        assert await server.stdout.readline() == b"Widget Widget(name='small', size=2)\n"
    finally:
        await end(server)


async def test_the_program_of_the_readme(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(# widgets\.py.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "widgets.py").write_text(program)
    said, error = await (await run(sys.executable, tmp_path / "widgets.py")).communicate()
    assert (said, error) == (b"Widget Widget(name='double', size=4)\n", b"")


async def test_the_inventory(tmp_path: Path) -> None:
    script = ROOT / "examples/sockhop/inventory.py"
    server = await run(sys.executable, script, TMPDIR=str(tmp_path))
    try:
        assert server.stdout is not None
        assert (await server.stdout.readline()).startswith(b"serving at ")
        said, error = await (await run(sys.executable, script, "bolt", TMPDIR=str(tmp_path))).communicate()
        assert (said, error) == (b"  120 bolt\n   20 bolt, long\n", b"")
    finally:
        await end(server)
