"""Storey 3: peers (seed: npm ``anysocket``).

wire        the packets and the protocol, pure
transports  what carries frames: WebSocket
anysocket   AnySocket: listening, connecting, authentication, everyone at once
peer        AnyPeer: one remote; AnyPacket: one message
rpc         functions called across the link
clock       the remote's clock
http        the router on the same port
"""

from __future__ import annotations

from wirehop.anysocket.anysocket import AnySocket
from wirehop.anysocket.clock import SyncedTime
from wirehop.anysocket.http import AnyHTTPPeer, AnyHTTPRouter
from wirehop.anysocket.listener import Listener
from wirehop.anysocket.peer import AnyPacket, AnyPeer
from wirehop.anysocket.wire.packer import Packer

__all__ = [
    "AnyHTTPPeer",
    "AnyHTTPRouter",
    "AnyPacket",
    "AnyPeer",
    "AnySocket",
    "Listener",
    "Packer",
    "SyncedTime",
]
