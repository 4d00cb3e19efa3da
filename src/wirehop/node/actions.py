"""What waits in the queue of a File, and how the writes among it leave."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from wirehop.node.descriptors import write_once
from wirehop.node.promise import Promise

__all__ = ["COST", "JOIN", "Action", "Write", "write_all"]

COST = 256
"""Bytes that an action takes besides its data, about."""

JOIN = 1 << 16
"""Bytes of short writes that leave together: as many as a pipe of Linux holds."""


class Action:
    """What is done when its turn has come, by ``begin()``; then its promise is settled, if anyone
    still has it. ``cost`` is what it takes in the queue, in bytes."""

    __slots__ = ("begin", "cost", "promise")

    def __init__(self, begin: Callable[[], None], cost: int = COST) -> None:
        self.begin = begin
        self.cost = cost
        self.promise: Promise[Any] | None = None


class Write(Action):
    """Bytes to be written, and how many of them are. What ``is_joined`` may leave with others."""

    __slots__ = ("data", "is_joined", "position", "written")

    def __init__(
        self, begin: Callable[[], None], data: bytes, position: int | None = None, *, is_joined: bool = False
    ) -> None:
        super().__init__(begin, COST + len(data))
        self.data = data
        self.position = position
        self.is_joined = is_joined
        self.written = 0


def write_all(fd: int, writes: Sequence[Write], lock: threading.RLock) -> None:
    """Write what is not yet written, in order; the short together. For any thread: who has waited
    for the lock finds that less is left to do, or nothing."""
    with lock:
        rest = deque(write for write in writes if write.written < len(write.data))
        while rest:
            first = rest[0]
            data: bytes | memoryview = memoryview(first.data)[first.written :]
            if first.position is None:
                position = None
                if len(rest) > 1 and len(data) < JOIN:
                    data = b"".join(_short(rest))
            else:
                position = first.position + first.written
            written = write_once(fd, data, position)
            while written:
                first = rest[0]
                taken = min(written, len(first.data) - first.written)
                first.written += taken
                written -= taken
                if first.written == len(first.data):
                    rest.popleft()


def _short(writes: Iterable[Write]) -> Iterator[memoryview]:
    """What is left of the first of ``writes``, and of those after it that fit into one write."""
    size = 0
    for write in writes:
        left = memoryview(write.data)[write.written :]
        size += len(left)
        if write.position is not None or size > JOIN:
            return
        yield left
