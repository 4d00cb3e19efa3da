"""``wirehop serve``: a hub that peers join and people look at."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from wirehop.cli.hub import Hub

__all__ = ["serve"]


async def serve(host: str, port: int) -> int:
    """Run a hub until it is interrupted or told to end (SIGTERM)."""
    told_to_end = asyncio.Event()
    with suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with Hub() as hub:
        listener = await hub.socket.listen("ws", ip=host, port=port)
        shown = f"[{listener.host}]" if ":" in listener.host else listener.host
        print(f"Wirehop hub at http://{shown}:{listener.port}", flush=True)
        await told_to_end.wait()
    return 0
