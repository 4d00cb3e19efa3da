"""What the tests of JavaScript have in common: programs in each engine, on each loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LOOPS
from tests.programs import ENVIRONMENT
from wirehop.js import ENGINES, installed

EVERYWHERE = [
    pytest.param(
        (engine, loop),
        id=f"{engine}-{loop}",
        marks=pytest.mark.skipif(engine not in installed(), reason=f"{engine} is not installed"),
    )
    for engine in ENGINES
    for loop in LOOPS
]
"""An engine and a loop."""

Where = tuple[str, str]

_COMMAND = {
    "uvloop": "",
    "asyncio": "sys.modules['uvloop'] = None; ",
}


def command(where: Where, script: Path | str, *arguments: str, remote: bool = False) -> list[str]:
    """A ``wirehop run`` in that engine, on that loop."""
    engine, loop = where
    start = f"import sys; {_COMMAND[loop]}from wirehop.cli import main; sys.exit(main())"
    flags = ["--allow-remote-modules"] if remote else []
    return [sys.executable, "-c", start, "run", "--engine", engine, *flags, str(script), *arguments]


def run(
    where: Where, script: Path, *arguments: str, remote: bool = False, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    return subprocess.run(
        command(where, script, *arguments, remote=remote),
        input=stdin.decode("latin-1"),
        capture_output=True,
        text=True,
        timeout=50,
        env=ENVIRONMENT,
        encoding="utf-8",
    )


def run_text(where: Where, folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that is written down in a test."""
    script = folder / "main.js"
    script.write_text(text, encoding="utf-8")
    return run(where, script, *arguments)
