"""A stranger who encrypts as JavaScript does, step by step."""

from __future__ import annotations

import os
from typing import Any

from tests.anysocket.stranger import Stranger, packet
from wirehop.anysocket.wire import e2e
from wirehop.core import json


class Script:
    """One side of an exchange of keys, which this test is."""

    def __init__(self, stranger: Stranger) -> None:
        self.stranger = stranger
        self.keys = e2e.Keys(int.from_bytes(os.urandom(60), "big") + 1, os.urandom(32).hex())
        self.session: e2e.Session

    def send_switch(self, seq: int) -> None:
        self.stranger.send(packet(4, seq, self.keys.message()))

    async def take_switch(self, leader: str, leads: bool) -> None:
        """Read the other's SWITCH; ``leads`` says who is the leader."""
        frame = await self.stranger.receive()
        assert frame[:2] == "14"
        theirs = e2e.Offer.parse(json.loads(frame[6:]))
        mine, other = self.keys.nonce, theirs.nonce
        nonces = mine + other if leads else other + mine
        self.session = e2e.Session(self.keys.secret(theirs), nonces, leader, os.urandom)

    def sealed(self, kind: int, seq: int, value: object) -> str:
        text = self.session.seal(abs(seq), json.dumps(value)).decode()
        return packet(kind, seq, text=text)

    async def receive(self) -> tuple[str, int, Any]:
        """Kind, number and value of the next packet, which must be encrypted."""
        frame = await self.stranger.receive()
        seq = int.from_bytes(frame[2:6].encode("latin-1"), "big", signed=True)
        return frame[1], seq, json.loads(self.session.open(abs(seq), frame[6:]))
