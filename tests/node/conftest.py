"""What several tests of storey 1 need."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe, of which a test may close either."""
    ends = os.pipe()
    inode = os.fstat(ends[0]).st_ino
    yield ends
    for fd in ends:
        # Another file may have got the number of an end that was closed.
        try:
            is_open = os.fstat(fd).st_ino == inode
        except OSError:
            continue
        if is_open:
            os.close(fd)
