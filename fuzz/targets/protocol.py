"""The protocol of an anysocket link, as two machines that are wired to each other.

Between honest machines every message arrives once and in order, whatever they do in whichever order
and whenever each frame is carried, and nothing plain leaves one that encrypts. Where somebody changes,
repeats, drops or swaps frames on their way, or invents some, nothing but ``ProtocolError`` escapes,
and nothing is delivered that may not be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from fuzz import seeds as recorded
from fuzz.choices import Choices
from wirehop.anysocket.wire import e2e, packet, protocol
from wirehop.anysocket.wire.packet import PacketType
from wirehop.anysocket.wire.protocol import Protocol
from wirehop.anysocket.wire.rules import Rules
from wirehop.anysocket.wire.state import State
from wirehop.core import json
from wirehop.errors import LimitExceeded, ProtocolError

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 64

TOKENS = (
    b"11", b"12", b"13", b"14", b"15", b"21", b"23", b"6", b"\x00\x00\x00\x01",
    b"\xc3\xbf\xc3\xbf\xc3\xbf\xc3\xbf", b"{}", b"1", b"2", b'{"id":"2160b1bbf48f4e6a9b4e44dfa73918d8"}',
    b'{"type":2}', b"\x00\x01\x02\x03\x04\x05",
)  # fmt: skip

_IDS = ("f30855a717d44392a8384b7979be050a", "2160b1bbf48f4e6a9b4e44dfa73918d8")

_CHUNK = 32
"""UTF-16 units of a chunk here, instead of a mebibyte."""

_WHOLE = packet.CHUNK

_PATIENT = Rules(
    auth_timeout=1e9,
    e2e_timeout=1e9,
    packet_timeout=1e9,
    heartbeat_interval=1.0,
    heartbeats_max_missed=1 << 30,
)
"""Among the honest nothing is late, however long a frame is on its way."""

_STRICT = Rules(max_message_size=200, max_message_size_before_auth=150, max_open_packets=2, send_limit=600)

_HEX = frozenset("0123456789abcdef")

LINK, INTERNAL, FORWARD = PacketType.LINK, PacketType.INTERNAL, PacketType.FORWARD
SECRET_TYPES = ("2", "3")


# --- keys: real ones, but few, and what is made of them is remembered


class _Private:
    """A private key that remembers."""

    def __init__(self, value: int) -> None:
        self._key = ec.derive_private_key(value, e2e.CURVE)
        self.public_key = lru_cache(self._key.public_key)
        self.exchange = lru_cache(64)(self._exchange)

    def _exchange(self, kind: type[ec.ECDH], point: bytes) -> bytes:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(e2e.CURVE, point)
        return self._key.exchange(kind(), theirs)


@lru_cache(64)
def _on_curve(curve: Any, point: bytes) -> bytes:
    ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    return point


_private = lru_cache(8)(_Private)

_REMEMBERED = SimpleNamespace(
    ECDH=lambda: ec.ECDH,
    EllipticCurvePublicKey=SimpleNamespace(from_encoded_point=_on_curve),
    derive_private_key=lambda value, curve: _private(value),
)


@contextmanager
def _small() -> Iterator[None]:
    """Small chunks and quick keys."""
    _set(_CHUNK, _REMEMBERED)
    try:
        yield
    finally:
        _set(_WHOLE, ec)


def _set(chunk: int, curves: object) -> None:
    setattr(packet, "CHUNK", chunk)
    setattr(protocol, "CHUNK", chunk)
    setattr(e2e, "ec", curves)


# --- one side


class _Side:
    def __init__(self, number: int, rules: Rules) -> None:
        self.number = number
        self.on_its_way: list[str] = []
        """Frames that the other side has not got yet."""
        self.sent: list[Any] = []
        self.got: list[Any] = []
        self.got_numbers: list[int] = []
        self.last_number = 0
        self.is_asked = False
        """Whether the other's AUTH waits for a decision."""
        self.has_begun = False
        fill = bytes([number + 1])
        self.protocol = Protocol(_IDS[number], rules, self._write, 0.0, lambda size: fill * size)

    def _write(self, frame: bytes) -> None:
        text = frame.decode()
        state = self.protocol.state
        assert state is not State.DISCONNECTED, "written after the end"
        if state in (State.SWITCHING, State.SECURED) and text[1:2] in SECRET_TYPES and text[:1] != "6":
            assert _HEX.issuperset(text[6:]), f"plain text while {state.name}: {text!r}"
        self.on_its_way.append(text)

    def say(self, kind: PacketType, size: int, reply: bool) -> None:
        """Send a message that is like no other."""
        value = [self.number, len(self.sent), "é" * size]
        text = json.dumps(value)
        try:
            if kind is FORWARD:
                self.protocol.forward(b"6" + b"\x01" * 32 + text)
            elif reply and self.last_number:
                self.protocol.reply(kind, self.last_number, text)
            else:
                self.protocol.send(kind, text)
        except LimitExceeded:
            return
        self.sent.append(value)

    def take(self, frame: str, now: float) -> None:
        self._deliver(self.protocol.receive(frame, now))

    def _deliver(self, packet: protocol.Packet | None) -> None:
        if packet is None:
            return
        kind, seq, value = packet
        state = self.protocol.state
        if kind is PacketType.AUTH:
            assert state is State.DECIDING, f"AUTH while {state.name}"
            self.is_asked = True
            return
        assert self.protocol.is_ready(), f"{kind.name} while {state.name}"
        if kind is FORWARD:
            try:
                self.got.append(json.loads(value[33:]))
            except ValueError:
                self.got.append(None)
        elif kind in (LINK, INTERNAL):
            self.got.append(value)
            self.got_numbers.append(seq)
            self.last_number = max(seq, self.last_number)

    def decide(self, now: float) -> None:
        """Let the other in, and ourselves."""
        if self.is_asked:
            self.is_asked = False
            if self.number == 1:
                self.protocol.authenticate(None)
            self.protocol.accept(now)
            for packet in self.protocol.release(now):
                self._deliver(packet)


# --- both


class _Pair:
    def __init__(self, rules: Rules, is_honest: bool) -> None:
        self.sides = (_Side(0, rules), _Side(1, rules))
        self.now = 0.0
        self.is_honest = is_honest
        self.is_changed = False
        """Whether somebody wrote something else than the machines did."""
        self.sides[0].protocol.authenticate(None)

    def guard(self, side: _Side, action: Callable[[], object]) -> None:
        """Do something that may fail because of what the other side said."""
        if side.protocol.state is State.DISCONNECTED:
            return
        try:
            action()
        except ProtocolError as error:
            assert not self.is_honest, f"refused what an honest machine said: {error}"
            side.protocol.close()
            assert side.protocol.receive("11\0\0\0\1{}", self.now) is None, "received after the end"

    def carry(self, to: _Side, count: int) -> None:
        waiting = self.sides[1 - to.number].on_its_way
        while waiting and count:
            count -= 1
            frame = waiting.pop(0)
            self.guard(to, lambda frame=frame: to.take(frame, self.now))  # type: ignore[misc]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for side in self.sides:
            if side.protocol.deadline() <= self.now:
                self.guard(side, lambda side=side: side.protocol.expire(self.now))  # type: ignore[misc]

    def finish(self) -> None:
        """Carry everything, and let both settle."""
        for _ in range(4):
            for _ in range(4):
                for side in self.sides:
                    self.carry(side, -1)
                    self.guard(side, lambda side=side: side.decide(self.now))  # type: ignore[misc]
            self.wait(0.2)

    def check(self) -> None:
        one, other = self.sides
        for side, remote in ((one, other), (other, one)):
            if self.is_honest:
                assert side.got == remote.sent, f"got {side.got}, sent was {remote.sent}"
                assert side.protocol.dropped == 0, "dropped something of an honest machine"
            elif not self.is_changed:
                numbers = [number for number in side.got_numbers if number > 0]
                assert len(numbers) == len(set(numbers)), f"delivered twice: {numbers}"
        if self.is_honest:
            assert one.protocol.fingerprint == other.protocol.fingerprint, "different keys"


def fuzz_one(data: bytes) -> None:
    choices = Choices(data)
    is_honest = choices.byte() & 1 == 0
    with _small():
        pair = _Pair(_PATIENT if is_honest else _STRICT, is_honest)
        while choices:
            _step(pair, choices)
        if is_honest:
            pair.finish()
        pair.check()


def _step(pair: _Pair, choices: Choices) -> None:
    what = choices.byte()
    side = pair.sides[what & 1]
    link = side.protocol
    kind = what >> 1 & 15
    if kind < 4:
        pair.carry(side, (1, 1, 3, -1)[kind])
    elif kind == 4:
        pair.guard(side, lambda: side.decide(pair.now))
    elif kind < 9:
        if link.is_ready() and not side.is_asked:
            size = choices.byte() & 63 if kind == 8 else 0
            side.say((LINK, INTERNAL, FORWARD, LINK, LINK)[kind - 4], size, reply=kind == 7)
    elif kind == 9:
        if link.state is State.CONNECTED:
            link.switch(pair.now)
    elif kind == 10:
        pair.wait(choices.byte() / 64)
    elif kind == 11:
        if link.is_ready():
            link.ping(pair.now)
    elif not pair.is_honest:
        _meddle(pair, side, kind, choices)


def _meddle(pair: _Pair, side: _Side, kind: int, choices: Choices) -> None:
    waiting = side.on_its_way
    at = choices.byte()
    if kind == 15:
        pair.is_changed = True
        waiting.insert(at % (len(waiting) + 1), choices.short().decode(errors="replace"))
    elif not waiting:
        return
    elif kind == 12:
        pair.is_changed = True
        frame = waiting[at % len(waiting)]
        place = choices.byte() * len(frame) >> 8
        waiting[at % len(waiting)] = frame[:place] + chr(choices.byte()) + frame[place + 1 :]
    elif kind == 13:
        waiting.append(waiting[at % len(waiting)])
    elif at & 1:
        waiting.pop(at % len(waiting))
    else:
        waiting.insert(0, waiting.pop(at % len(waiting)))


def _op(kind: int, side: int) -> int:
    return kind << 1 | side


_BOTH_IN = [_op(3, 1), _op(4, 1), _op(3, 0), _op(4, 0)]
"""AUTH there and back."""


def seeds() -> Iterator[bytes]:
    talk = [_op(5, 0), _op(5, 1), _op(6, 0), _op(7, 1), _op(3, 0), _op(3, 1), _op(7, 0), _op(8, 1), 50]
    switch = [_op(9, 0), _op(3, 1), _op(3, 0)]
    crossed = [_op(9, 0), _op(9, 1), *talk, _op(0, 0), _op(0, 1), _op(3, 0), _op(3, 1), _op(10, 0), 20]
    changes = [_op(12, 0), 0, 128, 65, _op(13, 1), 0, _op(14, 0), 1, _op(14, 1), 2]
    yield bytes([1, *_BOTH_IN, _op(5, 0), _op(13, 0), 0, _op(3, 1), _op(3, 0), *talk])
    for mode in (0, 1):
        yield bytes([mode, *_BOTH_IN, *talk])
        yield bytes([mode, *_BOTH_IN, *switch, *talk, *talk])
        yield bytes([mode, *_BOTH_IN, *crossed, *talk])
        yield bytes([mode, *_BOTH_IN, *talk, _op(11, 0), _op(10, 0), 255, *switch, *talk, *changes, *talk])
    for number, text in enumerate(recorded.packets()):
        frame = text.encode(errors="replace")[:150]
        if number % 5 == 0:
            yield (
                bytes([1, *_BOTH_IN, _op(15, number & 1), 0, len(frame)])
                + frame
                + bytes([_op(3, 0), _op(3, 1)])
            )
