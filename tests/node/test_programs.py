"""The programs of Node 0.1.0's own test suite, in Python: each checks itself when it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import ENVIRONMENT

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


def test_all_of_them_are_here() -> None:
    assert len(PROGRAMS) == 18


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program(program: Path) -> None:
    remote = ["--allow-remote-modules"] if program.stem.startswith("remote_") else []
    ended = subprocess.run(
        [sys.executable, "-m", "wirehop.cli", "run", *remote, str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
    )
    assert ended.returncode == 0, ended.stderr
    assert all(line.startswith("DEBUG: ") for line in ended.stderr.splitlines()), ended.stderr
