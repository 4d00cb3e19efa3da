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

_ACCEPTED: dict[State, tuple[PacketType, ...]] = {
    State.ESTABLISHED: (AUTH,),
    State.AUTHING: (AUTH,),
    State.CONNECTED: (LINK, INTERNAL, HEARTBEAT, SWITCH),
    State.SWITCHING: (LINK, INTERNAL, HEARTBEAT, SWITCH),
}

# Tuples: the hash of an Enum's member, which a dict and a set ask for, is a call in Python.
ACCEPTS = tuple(_ACCEPTED.get(State(state), ()) if state else () for state in range(len(State) + 1))
"""Packets that a state accepts as plain text, by its number."""

ENCRYPTED = (LINK, INTERNAL, HEARTBEAT)
"""Packets that are accepted where nothing plain is."""
