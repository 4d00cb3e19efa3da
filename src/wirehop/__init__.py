"""Wirehop: evented networking, one house of three storeys on asyncio.

``wirehop.node`` has bytes, ``wirehop.anysocket`` peers; ``wirehop.errors`` what goes wrong.
"""

from __future__ import annotations

from wirehop import errors, node
from wirehop.anysocket import AnyHTTPPeer, AnyHTTPRouter, AnyPacket, AnyPeer, AnySocket, Packer
from wirehop.core.events import EventEmitter

__all__ = [
    "AnyHTTPPeer",
    "AnyHTTPRouter",
    "AnyPacket",
    "AnyPeer",
    "AnySocket",
    "EventEmitter",
    "Packer",
    "errors",
    "node",
]

__version__ = "0.1.0"
