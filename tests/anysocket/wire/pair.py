"""Two protocols wired to each other, without a socket."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from wirehop.anysocket.wire.calls import CallRequest
from wirehop.anysocket.wire.packet import PacketType
from wirehop.anysocket.wire.protocol import Packet, Protocol, Rules
from wirehop.core import json

CLIENT = "f30855a717d44392a8384b7979be050a"
SERVER = "2160b1bbf48f4e6a9b4e44dfa73918d8"


class Side:
    """One side: what it wrote, and what it delivered."""

    def __init__(self, id: str, rules: Rules, now: float = 0.0) -> None:
        self.out: list[bytes] = []
        self.got: list[Packet] = []
        self.protocol = Protocol(id, rules, self.out.append, now, random.Random(id).randbytes)

    def take(self, frame: bytes, now: float) -> None:
        packet = self.protocol.receive(frame.decode(), now)
        if packet is not None:
            self.get([packet])

    def get(self, packets: Iterable[Packet]) -> None:
        """Keep what was delivered, with calls as what they are on the wire."""
        for kind, seq, value in packets:
            if isinstance(value, CallRequest):
                value = msgspec.structs.asdict(value)
            self.got.append((kind, seq, value))

    def values(self, kind: PacketType = PacketType.LINK) -> list[object]:
        return [value for of, _, value in self.got if of is kind]


class Pair:
    """A client and a server."""

    def __init__(self, rules: Rules | None = None, client: str = CLIENT, server: str = SERVER) -> None:
        self.now = 0.0
        rules = rules or Rules()
        self.client = Side(client, rules)
        self.server = Side(server, rules)

    def carry(self) -> None:
        """Carry what both wrote to the other, until both are silent."""
        while self.client.out or self.server.out:
            for side, other in ((self.client, self.server), (self.server, self.client)):
                frames, side.out[:] = list(side.out), []
                for frame in frames:
                    other.take(frame, self.now)

    def authenticate(self, client_auth: object = None, server_auth: object = None) -> None:
        """Let both in."""
        self.client.protocol.authenticate(client_auth)
        self.carry()
        self.server.protocol.authenticate(server_auth)
        self.server.protocol.accept(self.now)
        self.server.get(self.server.protocol.release(self.now))
        self.carry()
        self.client.protocol.accept(self.now)
        self.client.get(self.client.protocol.release(self.now))
        self.carry()


def ready(rules: Rules | None = None) -> Pair:
    """A pair that is connected and has delivered nothing yet."""
    pair = Pair(rules)
    pair.authenticate()
    pair.client.got.clear()
    pair.server.got.clear()
    return pair


def text(value: object) -> bytes:
    return json.dumps(value)
