"""How an AnySocket stops: answers go out, peers and listeners end, and the rest is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from wirehop.anysocket.peer import LOCAL_CLOSED

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket

__all__ = ["stop"]


async def stop(socket: AnySocket, timeout: float) -> None:
    """See :meth:`AnySocket.stop`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    attempts, socket._attempts = socket._attempts, set()
    for attempt in attempts:
        if not attempt.expired():
            attempt.reschedule(loop.time())
    listeners, socket._open = socket._open, []
    for listener in listeners:
        listener.stop_accepting()
    # A listener that stops its socket does not wait for itself, nor for another one that does.
    answering = socket._answers.tasks - socket._stoppers
    if answering:
        await asyncio.wait(answering, timeout=timeout)
    for peer in list(socket._peers.values()):
        if peer.is_proxy():
            peer.disconnect(LOCAL_CLOSED)
    ends: list[Awaitable[Any]] = [
        peer._end(LOCAL_CLOSED, 1001, "going away") for peer in list(socket._connections)
    ]
    ends.extend(listener.closed() for listener in listeners)
    if ends:
        waiting = asyncio.gather(*ends)
        try:
            async with asyncio.timeout_at(until):
                await waiting
        except TimeoutError:
            for peer in list(socket._connections):
                peer._connection.output.abort()
            for listener in listeners:
                listener.abort()
            # A turn or two: what was cut is gone when this returns.
            await asyncio.gather(
                *(peer.gone() for peer in list(socket._connections)),
                *(listener.closed() for listener in listeners),
            )
    saying = socket._farewells.tasks - socket._stoppers
    if saying:
        await asyncio.wait(saying, timeout=max(0.0, until - loop.time()))
    for steps in (socket._answers, socket._steps, socket._farewells):
        steps.cancel(but=socket._stoppers)
    if socket._deadlines is not None and not socket._connections:
        socket._deadlines.close()
        socket._deadlines = None
