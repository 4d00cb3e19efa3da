"""The guide and the examples say what is true: their programs run as they stand there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.interop.npm import NODE
from tests.programs import ROOT, free_port, line, output, programs, running, written

GUIDE = ROOT / "docs/sockhop.md"
PROGRAMS = programs(GUIDE)


def test_every_program_is_run_here() -> None:
    assert set(PROGRAMS) == {"server.py", "client.py", "client.js"}


@pytest.mark.parametrize("client", ["client.py", "client.js"])
async def test_the_programs_of_the_guide(client: str, tmp_path: Path) -> None:
    port = free_port()
    asking = written(PROGRAMS[client], tmp_path, port)
    async with running(sys.executable, written(PROGRAMS["server.py"], tmp_path, port)) as server:
        assert await line(server) == f"listening on {port}"
        if client == "client.py":
            block = re.search(r"The client prints\n\n(.*?)\n\n", GUIDE.read_text(), re.S)
            assert block
            shown = re.sub(r"^    ", "", block[1], flags=re.M) + "\n"
            assert (await output(sys.executable, asking)).decode() == shown
        else:
            if not (NODE / "node_modules/sockhop").exists():
                pytest.skip("sockhop is not installed")
            said = await output("node", asking, NODE_PATH=str(NODE / "node_modules"))
            assert said == b'{"name":"double","size":4}\nNumber 0\nNumber 1\nNumber 2\nObject {}\n'
        assert await line(server) == "Widget Widget(name='small', size=2)"


async def test_the_program_of_the_readme(tmp_path: Path) -> None:
    program = written(programs(ROOT / "README.md")["widgets.py"], tmp_path, free_port())
    said = await output(sys.executable, program)
    assert said == b"Widget Widget(name='double', size=4)\n"


async def test_the_inventory(tmp_path: Path) -> None:
    inventory = (sys.executable, ROOT / "examples/sockhop/inventory.py")
    async with running(*inventory, TMPDIR=str(tmp_path)) as server:
        assert (await line(server)).startswith("serving at ")
        said = await output(*inventory, "bolt", TMPDIR=str(tmp_path))
        assert said == b"  120 bolt\n   20 bolt, long\n"
