"""Everyone at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any

from wirehop.anysocket.packet import AnyPacket
from wirehop.errors import BroadcastError, WirehopError

__all__ = ["gather"]


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
        if failures and self._awaits_reply:
            error = BroadcastError(f"{len(failures)} of {len(results)} peers did not reply", failures)
            error.replies = replies
            raise error
        return replies


async def _one(sent: Awaitable[Any]) -> Any:
    return await sent


def gather(sent: list[Awaitable[Any]], awaits_reply: bool) -> Awaitable[list[AnyPacket]]:
    """Wait for all; a peer that left without owing a reply is no failure."""
    return _Replies(sent, awaits_reply)
