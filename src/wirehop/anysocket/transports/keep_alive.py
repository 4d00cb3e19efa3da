"""TCP keep-alive: the system asks whether the other side is still there."""

from __future__ import annotations

import asyncio
import socket

from wirehop.anysocket.options import PeerOptions

__all__ = ["keep_alive"]

# macOS has another name for it; where there is none the system's own delay counts.
_DELAY = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))


def keep_alive(transport: asyncio.BaseTransport, options: PeerOptions) -> None:
    """Have the system probe a connection that is idle, if ``tcp_keep_alive`` says so."""
    sock = transport.get_extra_info("socket")
    if not options.tcp_keep_alive or sock is None:
        return
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if _DELAY is not None:
            # Whole seconds, and at least one.
            delay = max(1, round(options.tcp_keep_alive_initial_delay))
            sock.setsockopt(socket.IPPROTO_TCP, _DELAY, delay)
    except OSError:
        # It is gone already, which will be told as such.
        pass
