"""How a command that runs until it is told to end learns of it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

__all__ = ["told_to_end"]


def told_to_end() -> asyncio.Event:
    """What SIGTERM sets, in the running loop."""
    told = asyncio.Event()
    with suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    return told
