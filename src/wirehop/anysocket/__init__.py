"""Storey 3: peers (seed: npm ``anysocket``).

wire        the packets and the protocol, pure
transports  what carries frames: WebSocket
anysocket   AnySocket: listening, connecting, authentication, everyone at once
duplicates  two connections with the same id
peer        AnyPeer: one remote
packet      AnyPacket: one message
secured     waiting for the encryption
relay       peers that are reached through another, and being that other
rpc         functions called across the link
clock       the remote's clock
internal    what peers say to each other and users do not see
tls         what the options say of TLS
listener    one port, for peers and HTTP
options     of listen and connect
stats       what went over a link so far
http        the router on the same port
browser     the client for pages, and the routes that serve it
"""

from __future__ import annotations

from wirehop.anysocket.anysocket import AnySocket
from wirehop.anysocket.clock import SyncedTime
from wirehop.anysocket.http import AnyHTTPPeer, AnyHTTPRouter
from wirehop.anysocket.listener import Listener
from wirehop.anysocket.packet import AnyPacket
from wirehop.anysocket.peer import AnyPeer
from wirehop.anysocket.stats import Stats
from wirehop.anysocket.wire.packer import Packer

__all__ = [
    "AnyHTTPPeer",
    "AnyHTTPRouter",
    "AnyPacket",
    "AnyPeer",
    "AnySocket",
    "Listener",
    "Packer",
    "Stats",
    "SyncedTime",
]
