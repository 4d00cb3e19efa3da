"""The clock of a remote, as NTP would measure it with one exchange."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from wirehop.anysocket.wire.packet import Internal
from wirehop.errors import ProtocolError

if TYPE_CHECKING:
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["Clock", "SyncedTime", "answer", "question"]


class SyncedTime(NamedTuple):
    """The remote's clock, all in seconds."""

    time: float
    """What the remote's clock says now, since 1970."""

    rtt: float
    """The round trip of the exchange."""

    offset: float
    """The remote's clock minus ours."""


class Clock:
    """What one peer knows of its remote's clock."""

    __slots__ = ("_measured",)

    def __init__(self) -> None:
        self._measured: tuple[float, float] | None = None

    async def synced_time(self, peer: AnyPeer, refresh: bool) -> SyncedTime:
        if refresh or self._measured is None:
            self._measured = await _measure(peer)
        rtt, offset = self._measured
        return SyncedTime(time.time() + offset, rtt, offset)


def question() -> dict[str, int]:
    """A SYNCED_TIME request, which everybody answers."""
    return {"type": Internal.SYNCED_TIME, "time": int(time.time() * 1000)}


def answer(request: dict[str, object]) -> dict[str, object]:
    """The reply to a SYNCED_TIME request."""
    there = request.get("time")
    # What is no time may be nested deeper than what can be said again.
    return {"o": None if isinstance(there, (list, dict)) else there, "t": int(time.time() * 1000)}


async def _measure(peer: AnyPeer) -> tuple[float, float]:
    is_late = peer._protocol.is_holding()
    request = question()
    began = time.perf_counter()
    reply = await peer.request_internal(request)
    rtt = time.perf_counter() - began
    if is_late:
        # The request waited here for the encryption, which says nothing of the way.
        return await _measure(peer)
    there = reply.get("t") if isinstance(reply, dict) else None
    if not isinstance(there, (int, float)):
        raise ProtocolError("Invalid internal message", detail="a clock without a time")
    # The remote read its clock half a round trip after we sent, on ours.
    return rtt, there / 1000 - (request["time"] / 1000 + rtt / 2)
