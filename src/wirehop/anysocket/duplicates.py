"""Two connections that show the same id: which of them is the peer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wirehop.anysocket.options import ListenOptions
from wirehop.errors import ProtocolError

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["decide", "refuse"]

DUPLICATE = "Duplicated AnySocket ID found!"

PROBE = 1.0
"""Seconds in which the older connection has to show that it is alive."""


def refuse(peer: AnyPeer) -> None:
    """Close a connection whose id is taken."""
    peer._break(ProtocolError(DUPLICATE, close_code=1008))


def decide(socket: AnySocket, old: AnyPeer, peer: AnyPeer) -> None:
    """``peer`` passed its authentication, and ``old`` is connected with the same id."""
    options = peer._options
    policy = options.on_duplicate if isinstance(options, ListenOptions) else "reject"
    # Whoever comes himself is more credible than what a relay says of him.
    if policy == "replace" or old.is_proxy():
        _replace(socket, old, peer)
    elif policy == "reject":
        refuse(peer)
    else:
        # Whatever it sends meanwhile stays in the kernel.
        peer._connection.pause_reading()
        socket._start(_decide_later(socket, old, peer), "on_duplicate")


async def _decide_later(socket: AnySocket, old: AnyPeer, peer: AnyPeer) -> None:
    try:
        is_alive = await _is_alive(old)
    finally:
        peer._connection.resume_reading()
    if peer._reason is not None:
        return
    # Another one may have taken its place meanwhile.
    if is_alive or socket.peers.get(old.id, old) is not old:
        refuse(peer)
    else:
        _replace(socket, old, peer)


def _replace(socket: AnySocket, old: AnyPeer, peer: AnyPeer) -> None:
    id = old.id
    old._end(DUPLICATE, 1008, "")
    socket._admit(peer, id)


async def _is_alive(peer: AnyPeer) -> bool:
    sign: asyncio.Future[None] = peer._loop.create_future()

    def seen(*_: object) -> None:
        if not sign.done():
            sign.set_result(None)

    for event in ("heartbeat", "disconnected"):
        peer.on(event, seen)
    try:
        peer.heartbeat()
        async with asyncio.timeout(PROBE):
            await sign
    except TimeoutError:
        pass
    finally:
        for event in ("heartbeat", "disconnected"):
            peer.off(event, seen)
    # Any frame is a sign of life, also where a listener was removed.
    return peer._reason is None and not peer._protocol.is_silent()
