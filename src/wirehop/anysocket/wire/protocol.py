"""The protocol of a link as a state machine: frames and the time in, packets and frames out.

It touches no socket and no clock. ``receive(frame, now)`` returns a packet for the peer or
None, or raises ``ProtocolError``; what has to go out goes to ``write(frame)``; ``deadline()``
says when ``expire(now)`` wants to be called.

=============  =========================================  =================================
state          meaning                                    packets that it accepts
=============  =========================================  =================================
ESTABLISHED    accepting side, waits for AUTH             AUTH
AUTHING        connecting side, AUTH sent                 AUTH
DECIDING       AUTH received, the user says yes or no     none
CONNECTED      ready                                      LINK, INTERNAL, HEARTBEAT
DISCONNECTED   over                                       all, and ignores them
=============  =========================================  =================================

LINK and INTERNAL packets that come before :meth:`release` are held, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Any

from wirehop.anysocket.wire.packet import (
    CHUNK,
    INVALID,
    PacketType,
    encode,
    encode_head,
    is_id,
    parse_head,
)
from wirehop.anysocket.wire.sequence import Seen, following
from wirehop.core import json
from wirehop.errors import PayloadTooLarge, ProtocolError

__all__ = ["Packet", "Protocol", "Rules", "State"]

Packet = tuple[PacketType, int, Any]
"""Type, sequence number and value of a packet that is complete. The value of a HEARTBEAT is
the round trip in seconds, or None for a pong that nobody asked for."""

INVALID_AUTH = "Invalid Auth Packet!"


class State(IntEnum):
    ESTABLISHED = auto()
    AUTHING = auto()
    DECIDING = auto()
    CONNECTED = auto()
    DISCONNECTED = auto()


LINK, INTERNAL, HEARTBEAT = PacketType.LINK, PacketType.INTERNAL, PacketType.HEARTBEAT
CONNECTED = State.CONNECTED

ACCEPTS: dict[State, frozenset[PacketType]] = {
    State.ESTABLISHED: frozenset({PacketType.AUTH}),
    State.AUTHING: frozenset({PacketType.AUTH}),
    State.DECIDING: frozenset(),
    State.CONNECTED: frozenset({LINK, INTERNAL, HEARTBEAT}),
}


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

    max_message_size: int = 16 << 20
    """Characters of JSON text in one message: 16 of the largest chunks."""

    max_message_size_before_auth: int = 64 << 10
    """Bytes that a stranger may send."""

    max_open_packets: int = 64
    """Packets of which the last chunk is missing. JavaScript interleaves few, if any."""

    packet_timeout: float = 30.0
    """Between two chunks of one packet: a chunk is a mebibyte at most."""


class _Partial:
    """A packet of which the last chunk is missing."""

    __slots__ = ("chunks", "deadline", "kind", "size")

    def __init__(self, kind: PacketType) -> None:
        self.kind = kind
        self.chunks: list[str] = []
        self.size = 0
        self.deadline = math.inf


class Protocol:
    """One side of one link."""

    __slots__ = (
        "_give_up",
        "_held",
        "_held_size",
        "_id",
        "_interval",
        "_limit",
        "_partials",
        "_pinged",
        "_rules",
        "_seen",
        "_seq",
        "_unanswered",
        "_wake",
        "_write",
        "dropped",
        "remote_id",
        "state",
    )

    def __init__(self, id: str, rules: Rules, write: Callable[[bytes], object], now: float) -> None:
        self.state = State.ESTABLISHED
        self.remote_id = ""
        self.dropped = 0
        """Packets that were ignored: repeated ones, and those for a relay that this is not."""
        self._id = id
        self._rules = rules
        self._write = write
        self._seq = 0
        self._seen = Seen()
        self._partials: dict[int, _Partial] = {}
        self._held: list[str] | None = []
        self._held_size = 0
        self._limit = rules.max_message_size_before_auth
        self._interval = rules.heartbeat_interval if rules.heartbeat_enabled else math.inf
        self._wake = now + rules.auth_timeout
        self._give_up = math.inf
        self._pinged: float | None = None
        self._unanswered = 0

    # --- what the peer says

    def authenticate(self, auth: Any) -> None:
        """Send our AUTH; the connecting side does so first. ``auth`` is left out if None."""
        packet = {"id": self._id} if auth is None else {"id": self._id, "auth": auth}
        if self.state is State.ESTABLISHED:
            self.state = State.AUTHING
        self.send(PacketType.AUTH, json.dumps(packet))

    def accept(self, now: float) -> None:
        """The remote's AUTH passed, and ours is sent: the link is ready."""
        self.state = State.CONNECTED
        self._wake = now + self._interval
        self._limit = self._rules.max_message_size

    def release(self, now: float) -> Iterator[Packet]:
        """The packets that were held; later ones are not."""
        held, self._held = self._held, None
        for frame in held or ():
            if self.state is State.CONNECTED and (packet := self._read(frame, now)) is not None:
                yield packet

    def send(self, kind: PacketType, text: bytes) -> int:
        """Send a new packet with this JSON text. Returns its number."""
        self._seq = seq = following(self._seq)
        self._put(kind, seq, text)
        return seq

    def reply(self, kind: PacketType, seq: int, text: bytes) -> None:
        """Answer the packet with number ``seq``."""
        self._put(kind, -seq, text)

    def _put(self, kind: PacketType, seq: int, text: bytes) -> None:
        if len(text) <= CHUNK:
            self._write(encode_head(kind, seq) + text)
            return
        for frame in encode(kind, seq, text):
            self._write(frame)

    def close(self) -> None:
        """The link is over; whatever still comes is ignored."""
        self.state = State.DISCONNECTED
        self._partials.clear()
        self._held = None

    # --- what the remote says

    def receive(self, frame: str, now: float) -> Packet | None:
        """Take one frame. Returns the packet that it completed, if the peer has to know.

        Raises ``ProtocolError`` when the link must be closed.
        """
        state = self.state
        if state is CONNECTED:
            self._wake = now + self._interval
            self._unanswered = 0
        elif state is State.DISCONNECTED:
            return None
        if self._held is not None and frame[1:2] in ("2", "3") and frame[:1] != "6":
            self._hold(frame)
            return None
        return self._read(frame, now)

    def _hold(self, frame: str) -> None:
        assert self._held is not None
        self._held_size += len(frame)
        if self._held_size > self._limit:
            raise PayloadTooLarge(INVALID, detail="too much was sent before the link was ready")
        self._held.append(frame)

    def _read(self, frame: str, now: float) -> Packet | None:
        if frame[:1] == "6":
            self._forward()
            return None
        last, kind, seq = parse_head(frame)
        if kind not in ACCEPTS[self.state]:
            raise ProtocolError(INVALID, detail=f"{kind.name} while {self.state.name}")
        text = frame[6:]
        if not last or self._partials:
            whole = self._collect(last, kind, seq, text, now)
            if whole is None:
                return None
            text = whole
        elif len(text) > self._limit:
            raise PayloadTooLarge(INVALID, detail=f"a message of {len(text)} characters")
        if seq > 0 and not self._seen.first_time(seq):
            self.dropped += 1
            return None
        try:
            value = json.loads(text)
        except ValueError as error:
            if kind is PacketType.AUTH:
                raise ProtocolError(INVALID_AUTH, close_code=1008, detail="not JSON") from None
            raise ProtocolError(INVALID, close_code=1007, detail=f"not JSON: {error}") from None
        if kind is LINK or kind is INTERNAL:
            return kind, seq, value
        if seq < 0:
            raise ProtocolError(INVALID, detail=f"a reply of type {kind.name}")
        if kind is HEARTBEAT:
            return self._heartbeat(seq, value, now)
        return self._auth(seq, value)

    def _collect(self, last: bool, kind: PacketType, seq: int, text: str, now: float) -> str | None:
        """Add a chunk to its packet; returns the packet's text when it was the last one."""
        rules = self._rules
        partial = self._partials.get(seq)
        if partial is None:
            if last:
                partial = _Partial(kind)
            elif len(self._partials) >= rules.max_open_packets:
                raise PayloadTooLarge(INVALID, detail=f"{rules.max_open_packets} packets are open")
            else:
                partial = self._partials[seq] = _Partial(kind)
        if partial.kind is not kind:
            raise ProtocolError(INVALID, detail="the type of a packet changed between its chunks")
        partial.size += len(text)
        if partial.size > self._limit:
            raise PayloadTooLarge(INVALID, detail=f"a message of {partial.size} characters")
        partial.chunks.append(text)
        partial.deadline = now + rules.packet_timeout
        if not last:
            return None
        self._partials.pop(seq, None)
        return "".join(partial.chunks)

    def _forward(self) -> None:
        if self.state is not State.CONNECTED:
            raise ProtocolError(INVALID, close_code=1008, detail="FORWARD before AUTH")
        # Nobody is reached through this link, so it is for nobody; its sender may not know yet.
        self.dropped += 1

    def _auth(self, seq: int, value: Any) -> Packet:
        if not isinstance(value, dict) or not is_id(value.get("id")):
            raise ProtocolError(INVALID_AUTH, close_code=1008, detail="no AnySocket id")
        self.remote_id = value["id"]
        self.state = State.DECIDING
        value.setdefault("auth", None)
        return PacketType.AUTH, seq, value

    def _heartbeat(self, seq: int, value: Any, now: float) -> Packet | None:
        # JavaScript compares loosely: 1, "1" and true are pings, all else is a pong.
        if value == 1 or value == "1":
            self.send(PacketType.HEARTBEAT, b"2")
            return None
        sent, self._pinged = self._pinged, None
        return PacketType.HEARTBEAT, seq, None if sent is None else now - sent

    # --- what the time says

    def deadline(self) -> float:
        """When :meth:`expire` is due."""
        wake = self._wake if not self._unanswered else min(self._wake, self._give_up)
        if self._partials:
            return min(wake, *(partial.deadline for partial in self._partials.values()))
        return wake

    def expire(self, now: float) -> None:
        """Do what is due: ping, or raise ``ProtocolError`` when the remote's time is over."""
        if self.state is State.DISCONNECTED:
            self._wake = math.inf
            return
        if any(partial.deadline <= now for partial in self._partials.values()):
            raise ProtocolError(INVALID, close_code=1008, detail="the rest of a packet did not come")
        if now < self.deadline():
            return
        if self.state is not State.CONNECTED:
            raise ProtocolError("auth timed out", close_code=1008)
        if self._unanswered >= self._rules.heartbeats_max_missed or now >= self._give_up:
            raise ProtocolError("Missed Heartbeats", close_code=1001)
        self.ping(now)

    def ping(self, now: float) -> None:
        """Ask for a sign of life."""
        if not self._unanswered:
            self._give_up = now + (self._rules.heartbeat_timeout or math.inf)
        self._unanswered += 1
        self._pinged = now
        self._wake = now + self._interval
        self.send(PacketType.HEARTBEAT, b"1")
