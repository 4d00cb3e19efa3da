"""What went over a link so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wirehop.anysocket.transports.ws import WSConnection

if TYPE_CHECKING:
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["Stats", "stats_of"]


class Stats(NamedTuple):
    """What went over a link so far: ``peer.stats``. The counts only grow."""

    packets_in: int
    """Packets that came: messages, replies, calls, heartbeats and the wire's own."""

    packets_out: int
    """Packets that were sent, also those that are still queued."""

    bytes_in: int
    """Bytes that came, with what the WebSocket adds. A relayed peer's are its relay's: 0 here."""

    bytes_out: int
    """Bytes that were handed to the system, likewise."""

    queued: int
    """Bytes that the system did not take yet: the remote reads too slowly."""

    pending: int
    """Requests of ours that wait for a reply."""

    rtt: float | None
    """The round trip of the last heartbeat, in seconds."""


def stats_of(peer: AnyPeer) -> Stats:
    protocol, connection = peer._protocol, peer._connection
    bytes_in = bytes_out = queued = 0
    if isinstance(connection, WSConnection):
        output = connection.output
        bytes_in, bytes_out, queued = connection.bytes_in, output.bytes_out, output.waiting
    return Stats(
        protocol.packets_in, protocol.packets_out, bytes_in, bytes_out, queued, len(peer._pending), peer.lag
    )
