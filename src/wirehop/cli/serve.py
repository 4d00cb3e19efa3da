"""``wirehop serve``: a hub that peers join and people look at."""

from __future__ import annotations

from wirehop.cli.ending import told_to_end
from wirehop.cli.hub import Hub

__all__ = ["serve"]


async def serve(host: str, port: int) -> int:
    """Run a hub until it is interrupted or told to end (SIGTERM)."""
    told = told_to_end()
    async with Hub() as hub:
        listener = await hub.socket.listen("ws", ip=host, port=port)
        shown = f"[{listener.host}]" if ":" in listener.host else listener.host
        print(f"Wirehop hub at http://{shown}:{listener.port}", flush=True)
        await told.wait()
    return 0
