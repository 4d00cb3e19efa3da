"""What is seen of a process while it works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

LOOK_EVERY = 0.2


@dataclass(frozen=True)
class Sample:
    """One look at the server that is never killed, and at its relay."""

    minutes: float
    server: dict[str, Any]
    relay: dict[str, Any]
    answers: int
    """Of plain requests of peers since the last sample."""
    p50: float
    p99: float
    """In seconds."""


async def wait_for(is_so: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Look again and again whether something is so, for so long at most; returns whether it was."""
    until = time.monotonic() + seconds
    while not await is_so():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK_EVERY)
    return True
