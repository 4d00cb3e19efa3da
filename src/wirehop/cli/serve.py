"""``wirehop serve``: a hub that peers join and people look at."""

from __future__ import annotations

from collections.abc import Sequence

from wirehop.anysocket.http.hosts import LOOPBACK
from wirehop.cli.hub import Hub, is_local
from wirehop.cli.terminal import show, told_to_end

__all__ = ["serve"]


async def serve(host: str, port: int, allowed_hosts: Sequence[str] = ()) -> int:
    """Run a hub until it is interrupted or told to end (SIGTERM).

    At a loopback address it answers only to names that are this machine's, and to ``allowed_hosts``:
    a page from elsewhere whose name leads here (DNS rebinding) is refused. At another address it answers
    to any name, unless ``allowed_hosts`` says to which.
    """
    hosts = (*LOOPBACK, host, *allowed_hosts) if allowed_hosts or is_local(host) else None
    told = told_to_end()
    async with Hub() as hub:
        listener = await hub.socket.listen("ws", ip=host, port=port, allowed_hosts=hosts)
        shown = f"[{listener.host}]" if ":" in listener.host else listener.host
        show(f"Wirehop hub at http://{shown}:{listener.port}")
        await told.wait()
    return 0
