"""What a link allows, and for how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """What a link allows, and for how long it waits. Times are in seconds."""

    auth_timeout: float = 5.0
    """For both AUTH packets, from the connection on."""

    heartbeat_enabled: bool = True
    """Whether this side pings. It answers the other's pings in any case."""

    heartbeat_interval: float = 5.0
    """Silence after which a ping is sent."""

    heartbeats_max_missed: int = 2
    """Intervals without a sign of life after a ping that end the link."""

    heartbeat_timeout: float | None = None
    """Silence after a ping that ends the link, if that is to be sooner."""

    e2e_timeout: float = 5.0
    """For the other's SWITCH, from ours on."""

    send_limit: int = 64 << 20
    """Bytes waiting for a reader at which it is cut: a few of the largest messages. As many may
    wait for the other's SWITCH; then sending raises ``LimitExceeded``."""

    max_message_size: int = 16 << 20
    """Characters of JSON text in one message: 16 of the largest chunks."""

    max_message_size_before_auth: int = 64 << 10
    """Bytes that a stranger may send."""

    max_open_packets: int = 64
    """Packets of which the last chunk is missing. JavaScript interleaves few, if any."""

    packet_timeout: float = 30.0
    """Between two chunks of one packet: a chunk is a mebibyte at most."""
