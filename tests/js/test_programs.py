"""Programs in JavaScript that cover what Node 0.1.0's own tests did, and what it did wrong. Each checks
itself when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.js.running import EVERYWHERE, Where, run

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.js"))


@pytest.mark.parametrize("where", EVERYWHERE)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program(program: Path, where: Where, tmp_path: Path) -> None:
    ended = run(where, program, str(tmp_path), remote=program.stem.startswith("remote_"))
    assert (ended.returncode, ended.stderr) == (0, "")
    # What a program did not get to is no success.
    assert ended.stdout.endswith("all is well\n")
