"""Everyone at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any

from wirehop.anysocket.packet import AnyPacket
from wirehop.anysocket.peer import AnyPeer
from wirehop.anysocket.wire.packet import PacketType
from wirehop.core.waiters import Raises
from wirehop.errors import BroadcastError, LimitExceeded, WirehopError

__all__ = ["broadcast"]


class _Replies:
    """What every peer says, once awaited."""

    __slots__ = ("_awaits_reply", "_sent")

    def __init__(self, sent: list[Awaitable[Any]], awaits_reply: bool) -> None:
        self._sent = sent
        self._awaits_reply = awaits_reply

    def __await__(self) -> Generator[Any, None, list[AnyPacket]]:
        return self._wait().__await__()

    async def _wait(self) -> list[AnyPacket]:
        results = await asyncio.gather(*(_one(sent) for sent in self._sent), return_exceptions=True)
        replies = [result for result in results if isinstance(result, AnyPacket)]
        failures = [result for result in results if isinstance(result, WirehopError)]
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, WirehopError):
                raise result
        if not self._awaits_reply:
            # A peer that left owes nothing.
            failures = [failure for failure in failures if isinstance(failure, LimitExceeded)]
        if failures:
            missed = "did not reply" if self._awaits_reply else "could not be sent to"
            error = BroadcastError(f"{len(failures)} of {len(results)} peers {missed}", failures)
            error.replies = replies
            raise error
        return replies


async def _one(sent: Awaitable[Any]) -> Any:
    return await sent


def broadcast(peers: list[AnyPeer], text: bytes, awaits_reply: bool) -> Awaitable[list[AnyPacket]]:
    """Send to all, at the call; see :meth:`AnySocket.broadcast`."""
    return _Replies([_sent(peer, text, awaits_reply) for peer in peers], awaits_reply)


def _sent(peer: AnyPeer, text: bytes, awaits_reply: bool) -> Awaitable[Any]:
    try:
        return peer._send(PacketType.LINK, text, awaits_reply, None)
    except LimitExceeded as error:
        # One too many for this peer, and for nobody else.
        return Raises(error)
