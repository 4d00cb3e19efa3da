"""The states of a link, and what may come in each.

=============  =========================================  =================================
state          meaning                                    packets that it accepts
=============  =========================================  =================================
ESTABLISHED    accepting side, waits for AUTH             AUTH
AUTHING        connecting side, AUTH sent                 AUTH
DECIDING       AUTH received, the user says yes or no     none
CONNECTED      ready                                      LINK, INTERNAL, HEARTBEAT, SWITCH
SWITCHING      ready, and our SWITCH sent                 LINK, INTERNAL, HEARTBEAT, SWITCH
SECURED        ready, and encrypted                       encrypted LINK, INTERNAL, HEARTBEAT
DISCONNECTED   over                                       all, and ignores them
=============  =========================================  =================================
"""

from __future__ import annotations

from enum import IntEnum, auto

from wirehop.anysocket.wire.packet import PacketType

__all__ = ["ACCEPTS", "ENCRYPTED", "State"]


class State(IntEnum):
    ESTABLISHED = auto()
    AUTHING = auto()
    DECIDING = auto()
    CONNECTED = auto()
    SWITCHING = auto()
    SECURED = auto()
    DISCONNECTED = auto()


AUTH, LINK, INTERNAL = PacketType.AUTH, PacketType.LINK, PacketType.INTERNAL
SWITCH, HEARTBEAT = PacketType.SWITCH, PacketType.HEARTBEAT

ACCEPTS: dict[State, frozenset[PacketType]] = {
    State.ESTABLISHED: frozenset({AUTH}),
    State.AUTHING: frozenset({AUTH}),
    State.DECIDING: frozenset(),
    State.CONNECTED: frozenset({LINK, INTERNAL, HEARTBEAT, SWITCH}),
    State.SWITCHING: frozenset({LINK, INTERNAL, HEARTBEAT, SWITCH}),
    State.SECURED: frozenset(),
}
"""Packets that a state accepts as plain text."""

ENCRYPTED = frozenset({LINK, INTERNAL, HEARTBEAT})
"""Packets that are accepted where nothing plain is."""
