"""The README says what is true: its programs run as they stand there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.interop.npm import NODE
from tests.programs import ROOT, free_port, line, output, programs, running, written

README = ROOT / "README.md"
PROGRAMS = programs(README)


@pytest.mark.parametrize("client", ["client.py", "client.js"])
async def test_the_ten_lines_talk_to_each_other(client: str, tmp_path: Path) -> None:
    port = free_port()
    asking = written(PROGRAMS[client], tmp_path, port)
    async with running(sys.executable, written(PROGRAMS["server.py"], tmp_path, port)) as server:
        assert await line(server) == f"listening on {port}"
        runner = sys.executable if client.endswith(".py") else "node"
        said = await output(runner, asking, NODE_PATH=str(NODE / "node_modules"))
        assert said.decode().replace('"', "'").split() in (
            ["{'you", "said':", "{'ping':", "1}}", "Hello", "Ada!"],
            ["{", "'you", "said':", "{", "ping:", "1", "}", "}", "Hello", "Ada!"],
        )


def test_make_knows_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make (\w+)", README.read_text(), re.M):
        assert re.search(rf"^{command}:", makefile, re.M)
