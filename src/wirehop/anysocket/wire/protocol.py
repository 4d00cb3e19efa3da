"""The protocol of a link as a state machine: frames and the time in, packets and frames out.

It touches no socket and no clock. ``receive(frame, now)`` returns a packet for the peer or
None, or raises ``ProtocolError``; what has to go out goes to ``write(frame)``; ``deadline()``
says when ``expire(now)`` wants to be called. The states are in :mod:`.state`.

Packets that come before :meth:`release` are held, in their order, and so is what we send between
our SWITCH and the other's. In each direction that side's SWITCH is the boundary: what is before it
is plain, what is behind it is encrypted. FORWARD frames are accepted whenever the link is ready
and are not encrypted: they carry the packets of other links.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from wirehop.anysocket.wire.calls import read_call
from wirehop.anysocket.wire.chunks import Partials
from wirehop.anysocket.wire.e2e import Random, undecipherable
from wirehop.anysocket.wire.packet import CHUNK, INVALID, PacketType, encode, encode_head, is_id, parse_head
from wirehop.anysocket.wire.rules import Rules
from wirehop.anysocket.wire.sequence import LAST, Seen, following
from wirehop.anysocket.wire.state import ACCEPTS, ENCRYPTED, State
from wirehop.anysocket.wire.switch import Switch
from wirehop.core import json
from wirehop.errors import LimitExceeded, PayloadTooLarge, ProtocolError

__all__ = ["Packet", "Protocol", "Rules", "State"]

Packet = tuple[PacketType, int, Any]
"""Type, sequence number and value of a packet that is complete. The value of an INTERNAL packet that
asks for a call is a ``CallRequest``, unless it is an unusual one; that of a HEARTBEAT is
the round trip in seconds, or None for a pong that nobody asked for; that of a SWITCH, which comes
when the link is encrypted, is None; and that of a FORWARD, which has no number, is its frame."""

INVALID_AUTH = "Invalid Auth Packet!"

LINK, INTERNAL, HEARTBEAT = PacketType.LINK, PacketType.INTERNAL, PacketType.HEARTBEAT
SWITCH = PacketType.SWITCH
CONNECTED, SWITCHING, SECURED = State.CONNECTED, State.SWITCHING, State.SECURED


class Protocol:
    """One side of one link."""

    __slots__ = (
        "_at_once",
        "_give_up",
        "_held",
        "_held_size",
        "_id",
        "_interval",
        "_limit",
        "_partials",
        "_pinged",
        "_random",
        "_rules",
        "_seen",
        "_seq",
        "_switch",
        "_unanswered",
        "_wake",
        "_write",
        "dropped",
        "packets_in",
        "packets_out",
        "remote_id",
        "state",
        "was_secured",
    )

    def __init__(
        self, id: str, rules: Rules, write: Callable[[bytes], object], now: float, random: Random
    ) -> None:
        self.state = State.ESTABLISHED
        self.remote_id = ""
        self.dropped = 0
        """What was ignored: repeated packets, and FORWARD frames that nobody may send."""
        self.packets_in = 0
        self.packets_out = 0
        self._id = id
        self._rules = rules
        self._write = write
        self._random = random
        self._seq = 0
        self._seen = Seen()
        self._partials = Partials(rules.max_open_packets, rules.packet_timeout)
        self._held: list[str] | None = []
        self._held_size = 0
        self._limit = rules.max_message_size_before_auth
        self._interval = rules.heartbeat_interval if rules.heartbeat_enabled else math.inf
        self._wake = now + rules.auth_timeout
        self._give_up = math.inf
        self._pinged: float | None = None
        self._unanswered = 0
        # A text up to this size is one frame, plain and sent at once.
        self._at_once = CHUNK
        self._switch: Switch | None = None
        self.was_secured = False

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
        self.excuse(now)
        self._limit = self._rules.max_message_size

    def release(self, now: float) -> Iterator[Packet]:
        """The packets that were held; later ones are not."""
        held, self._held = self._held, None
        for frame in held or ():
            if (packet := self.receive(frame, now)) is not None:
                yield packet

    def is_ready(self) -> bool:
        """Whether both sides are authenticated and the link is not over."""
        return State.CONNECTED <= self.state < State.DISCONNECTED

    def excuse(self, now: float) -> None:
        """The remote is alive, or is not heard because nobody listens."""
        self._wake = now + self._interval
        self._unanswered = 0

    def is_silent(self) -> bool:
        """Whether nothing came since the last ping."""
        return self._unanswered > 0

    def is_holding(self) -> bool:
        """Whether what is sent now has to wait for the encryption."""
        return self._switch is not None and self._switch.is_holding()

    def switch(self, now: float) -> None:
        """Begin to encrypt a link that is CONNECTED: what is sent from now on waits for the
        other's SWITCH."""
        switch = Switch(self._random)
        self.send(SWITCH, json.dumps(switch.begin(self._rules.send_limit, now + self._rules.e2e_timeout)))
        self._switch = switch
        self.state = SWITCHING
        self._at_once = -1

    def send(self, kind: PacketType, text: bytes) -> int:
        """Send a new packet with this JSON text. Returns its number.

        Raises ``LimitExceeded`` when too much waits for the other's SWITCH already, and when
        every number was used with the keys of an encrypted link: these are never used twice.
        """
        self._seq = seq = following(self._seq)
        self.packets_out += 1
        self._put(kind, seq, text)
        return seq

    def reply(self, kind: PacketType, seq: int, text: bytes) -> None:
        """Answer the packet with number ``seq``."""
        self.packets_out += 1
        self._put(kind, -seq, text)

    def forward(self, frame: bytes) -> None:
        """Send a FORWARD frame. It is plain, but it may not overtake what waits to be encrypted:
        that may be what makes its sender known."""
        if self._switch is None or not self._switch.holds(PacketType.FORWARD, 0, frame):
            self._write(frame)

    def _put(self, kind: PacketType, seq: int, text: bytes) -> None:
        if len(text) <= self._at_once:
            self._write(encode_head(kind, seq) + text)
        elif self._switch is None:
            for frame in encode(kind, seq, text):
                self._write(frame)
        elif not self._switch.holds(kind, seq, text):
            self._put_sealed(self._switch, kind, seq, text)

    def _put_sealed(self, switch: Switch, kind: PacketType, seq: int, text: bytes) -> None:
        if seq == LAST:
            # The wire knows no new keys for a link. Only heartbeats go on: they say nothing.
            self._seq = LAST - 1
            if kind is not HEARTBEAT:
                raise LimitExceeded("the keys of this link are used up; connect again")
        seal = switch.speak().seal
        if len(text) <= CHUNK:
            self._write(encode_head(kind, seq) + seal(abs(seq), text))
            return
        for frame in encode(kind, seq, text, seal):
            self._write(frame)

    def finish(self) -> None:
        """Send what can be sent before the end. What waits for the other's SWITCH cannot."""
        if self.state is SECURED:
            self._send_waiting()

    def close(self) -> None:
        """The link is over; whatever still comes is ignored."""
        self.was_secured |= self.state is State.SECURED
        self.state = State.DISCONNECTED
        self._partials.clear()
        self._held = None
        if self._switch is not None:
            self._switch.take_waiting()

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
        elif state > CONNECTED:
            self.excuse(now)
        if self._held is not None and self._is_early(frame):
            self._hold(frame)
            return None
        return self._read(frame, now)

    def _is_early(self, frame: str) -> bool:
        """Whether a frame that comes before the release waits for it."""
        if self.state < State.DECIDING:
            return frame[1:2] in ("2", "3") and frame[:1] != "6"
        return frame[1:2] != "1" or frame[:1] == "6"

    def _hold(self, frame: str) -> None:
        assert self._held is not None
        self._held_size += len(frame)
        if self._held_size > self._limit:
            raise PayloadTooLarge(INVALID, detail="too much was sent before the link was ready")
        self._held.append(frame)

    def _read(self, frame: str, now: float) -> Packet | None:
        if frame[:1] == "6":
            return self._forward(frame)
        last, kind, seq = parse_head(frame)
        text = frame[6:]
        if kind not in ACCEPTS[self.state]:
            text = self._open(kind, seq, text)
        if not last or self._partials:
            whole = self._partials.collect(last, kind, seq, text, self._limit, now)
            if whole is None:
                return None
            text = whole
        elif len(text) > self._limit:
            raise PayloadTooLarge(INVALID, detail=f"a message of {len(text)} characters")
        if seq > 0:
            seen = self._seen
            # As first_time() does, without a call for each packet.
            if seq == seen.upcoming:
                seen.upcoming += 1
            elif not seen.first_time(seq):
                self.dropped += 1
                return None
        self.packets_in += 1
        if kind is INTERNAL and seq > 0:
            try:
                return kind, seq, read_call(text)
            except (ValueError, RecursionError):
                # No call, or an unusual one: read exactly, which says what is wrong with it.
                pass
        try:
            value = json.loads(text)
        except ValueError as error:
            raise self._not_json(kind, error) from None
        if kind is LINK or kind is INTERNAL:
            return kind, seq, value
        if seq < 0:
            raise ProtocolError(INVALID, detail=f"a reply of type {kind.name}")
        if kind is HEARTBEAT:
            return self._heartbeat(seq, value, now)
        if kind is SWITCH:
            return self._switched(seq, value, now)
        return self._auth(seq, value)

    def _not_json(self, kind: PacketType, error: ValueError) -> ProtocolError:
        if kind is PacketType.AUTH:
            return ProtocolError(INVALID_AUTH, close_code=1008, detail="not JSON")
        if self.state is SECURED:
            return undecipherable()
        return ProtocolError(INVALID, close_code=1007, detail=f"not JSON: {error}")

    def _forward(self, frame: str) -> Packet:
        if not self.is_ready():
            raise ProtocolError(INVALID, close_code=1008, detail="FORWARD before AUTH")
        return PacketType.FORWARD, 0, frame

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
            self._beat(b"2")
            return None
        sent, self._pinged = self._pinged, None
        return HEARTBEAT, seq, None if sent is None else now - sent

    # --- encryption

    @property
    def fingerprint(self) -> str | None:
        """Of both public keys, once the link is encrypted."""
        return None if self._switch is None else self._switch.fingerprint

    def _switched(self, seq: int, value: Any, now: float) -> Packet:
        if self._switch is None:
            switch = Switch(self._random)
            self.send(SWITCH, json.dumps(switch.answer(value, self.remote_id)))
            self._switch = switch
            self._at_once = -1
        else:
            self._switch.agree(value, self._id, self.remote_id, now)
        self.state = SECURED
        if self._switch.is_settled():
            self._send_waiting()
        return SWITCH, seq, None

    def _open(self, kind: PacketType, seq: int, text: str) -> str:
        """The text of a packet that may not come as plain text."""
        switch = self._switch
        if self.state is not SECURED or switch is None or kind not in ENCRYPTED:
            raise ProtocolError(INVALID, detail=f"{kind.name} while {self.state.name}")
        if switch.is_proven:
            return switch.session.open(abs(seq), text)
        if kind is HEARTBEAT and text in ("1", "2"):
            # JavaScript's timer put it behind its SWITCH.
            return text
        text = switch.prove(abs(seq), text)
        self._send_waiting()
        return text

    def _send_waiting(self) -> None:
        assert self._switch is not None
        for kind, seq, text in self._switch.take_waiting():
            if kind is PacketType.FORWARD:
                self._write(text)
            else:
                self._put(kind, seq, text)

    # --- what the time says

    def deadline(self) -> float:
        """When :meth:`expire` is due."""
        wake = min(self._wake, self._give_up) if self._unanswered else self._wake
        if self._switch is not None:
            # No ping goes out while SWITCHING, so none is missed.
            wake = self._switch.by if self.state is SWITCHING else min(wake, self._switch.by)
        return min(wake, self._partials.deadline()) if self._partials else wake

    def expire(self, now: float) -> None:
        """Do what is due: ping, or raise ``ProtocolError`` when the remote's time is over."""
        if self.state is State.DISCONNECTED:
            self._wake = math.inf
            return
        if self._partials.deadline() <= now:
            raise ProtocolError(INVALID, close_code=1008, detail="the rest of a packet did not come")
        if now < self.deadline():
            return
        if self.state < CONNECTED:
            raise ProtocolError("auth timed out", close_code=1008)
        if self.state is SWITCHING:
            raise ProtocolError("e2e timed out", close_code=1008)
        if self._switch is not None and self._switch.by <= now:
            self._send_waiting()
            return
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
        self._beat(b"1")

    def _beat(self, text: bytes) -> None:
        try:
            self.send(HEARTBEAT, text)
        except LimitExceeded:
            # Too much waits for the other's SWITCH, which is as good a sign of life.
            pass
