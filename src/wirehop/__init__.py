"""Wirehop: evented networking, one house of three storeys on asyncio.

``wirehop.node`` has bytes, ``wirehop.sockhop`` typed objects, ``wirehop.anysocket`` peers;
``wirehop.errors`` what goes wrong.
"""

from __future__ import annotations

from wirehop import errors, node
from wirehop.anysocket import AnyHTTPPeer, AnyHTTPRouter, AnyPacket, AnyPeer, AnySocket, Packer
from wirehop.core.events import EventEmitter
from wirehop.sockhop import (
    ObjectBuffer,
    SockhopClient,
    SockhopError,
    SockhopPing,
    SockhopPong,
    SockhopRequest,
    SockhopResponsePacket,
    SockhopResponseReadableStream,
    SockhopResponseWriteableStream,
    SockhopServer,
    SockhopSession,
    TimedMap,
)

__all__ = [
    "AnyHTTPPeer",
    "AnyHTTPRouter",
    "AnyPacket",
    "AnyPeer",
    "AnySocket",
    "EventEmitter",
    "ObjectBuffer",
    "Packer",
    "SockhopClient",
    "SockhopError",
    "SockhopPing",
    "SockhopPong",
    "SockhopRequest",
    "SockhopResponsePacket",
    "SockhopResponseReadableStream",
    "SockhopResponseWriteableStream",
    "SockhopServer",
    "SockhopSession",
    "TimedMap",
    "errors",
    "node",
]

__version__ = "0.1.0"
