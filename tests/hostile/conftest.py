"""The servers that are attacked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.running import Running

if sys.platform != "linux":
    # What a process holds is read from /proc.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Started when they are asked for, and shared."""
    with Running(Path(tmp_path_factory.mktemp("hostile"))) as running:
        yield running
