"""What is built from ``browser/`` and kept with the sources, and its own checks and tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROWSER = ROOT / "browser"
TOOLS = BROWSER / "node_modules"
PEERS = ROOT / "tests/interop/node/node_modules"


def node(*arguments: str | Path, cwd: Path = BROWSER) -> str:
    """Run a program under Node; what it says, if it succeeds."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    ended = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(autouse=True)
def tools() -> None:
    if not (TOOLS.exists() and PEERS.exists()):
        pytest.skip("the tools in browser/ are not installed")


def test_what_is_kept_is_what_the_sources_give() -> None:
    sizes = node("build.mjs", "--check")
    assert [line.split(":")[0] for line in sizes.splitlines()] == [
        "anysocket.mjs",
        "anysocket.js",
        "anysocket.d.ts",
    ]


def test_types_and_rules() -> None:
    node(TOOLS / "typescript/bin/tsc", "-p", ".")
    config = ("-c", BROWSER / "eslint.config.js", "browser", "src/wirehop/cli/hub")
    node(TOOLS / "eslint/bin/eslint.js", *config, cwd=ROOT)


def test_the_client_under_node() -> None:
    said = node("--test", "test/")
    assert "# fail 0" in said
