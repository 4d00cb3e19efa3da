"""Storey 2: typed objects (seed: npm ``sockhop``).

wire           lines, envelopes and types, pure
object_buffer  ObjectBuffer: objects to bytes and back
carrier        lines over a connection, from its beginning to its end
link           messages over a carrier, the same at both ends
server         SockhopServer, its listening and its sessions
client         SockhopClient, its connecting and reconnecting
endpoint       what both have in common
session        SockhopSession: one client, as its server sees it
meta           what a receive listener is told beside the value
request        SockhopRequest, SockhopResponsePacket
streams        the answers to one request, on both sides
ping           SockhopPing, SockhopPong
timed_map      TimedMap
options        what both may be told, with defaults and reasons
tls            the certificates and trust of a client
"""

from __future__ import annotations

from wirehop.errors import SockhopError
from wirehop.sockhop.client import SockhopClient
from wirehop.sockhop.link import Link
from wirehop.sockhop.meta import Meta
from wirehop.sockhop.object_buffer import ObjectBuffer
from wirehop.sockhop.ping import SockhopPing, SockhopPong
from wirehop.sockhop.request import SockhopRequest, SockhopResponsePacket
from wirehop.sockhop.server import SockhopServer
from wirehop.sockhop.session import SockhopSession
from wirehop.sockhop.streams import (
    Answer,
    SockhopResponseReadableStream,
    SockhopResponseWriteableStream,
)
from wirehop.sockhop.timed_map import TimedMap

__all__ = [
    "Answer",
    "Link",
    "Meta",
    "ObjectBuffer",
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
]
