"""How a link comes from plain to encrypted: what each SWITCH leads to, and what waits for it."""

from __future__ import annotations

import math
from typing import Any

from wirehop.anysocket.wire import e2e
from wirehop.anysocket.wire.packet import PacketType
from wirehop.errors import LimitExceeded, ProtocolError

__all__ = ["Switch"]

SETTLE = 0.1
"""How long to wait for JavaScript's first encrypted packet where its SWITCH may be the answer to
ours or an offer that crossed it: that packet shows which, and JavaScript cuts whoever is wrong. If
it says nothing, its SWITCH was most likely the answer."""

OVERHEAD = 64
"""Bytes that a packet counts beside its text: many small ones cost memory too."""


class Switch:
    """The encryption of one link, from the first SWITCH on."""

    __slots__ = (
        "_keys",
        "_limit",
        "_random",
        "_rival",
        "_waiting",
        "_waiting_size",
        "by",
        "fingerprint",
        "is_proven",
        "session",
    )

    def __init__(self, random: e2e.Random) -> None:
        self._random = random
        self._keys: e2e.Keys | None = None
        self.session: e2e.Session
        # What the remote may have instead, until it has proven which.
        self._rival: e2e.Session | None = None
        self.is_proven = False
        """Whether the remote has sent something that was encrypted."""
        self.fingerprint: str | None = None
        """Of both public keys, once both are known."""
        self._waiting: list[tuple[PacketType, int, bytes]] | None = None
        self._waiting_size = 0
        self._limit = 0
        self.by = math.inf
        """When the other's SWITCH must have come, or what waits must go out."""

    # --- the exchange

    def begin(self, limit: int, by: float) -> dict[str, Any]:
        """Make our keys; returns the value of our SWITCH. Up to ``limit`` bytes wait from then on."""
        self._keys = e2e.Keys.make(self._random)
        self._waiting = []
        self._limit = limit
        self.by = by
        return self._keys.message()

    def answer(self, value: Any, remote_id: str) -> dict[str, Any]:
        """Take the other's SWITCH; returns the value of ours."""
        theirs = e2e.Offer.parse(value)
        ours = e2e.Keys.make(self._random, theirs)
        self.session = e2e.answer(ours, theirs, remote_id, self._random)
        self.fingerprint = e2e.fingerprint(ours, theirs)
        return ours.message()

    def agree(self, value: Any, id: str, remote_id: str, now: float) -> None:
        """Take the other's SWITCH after ours."""
        assert self._keys is not None
        theirs = e2e.Offer.parse(value)
        self.session, self._rival = e2e.agree(self._keys, theirs, id, remote_id, self._random)
        self.fingerprint = e2e.fingerprint(self._keys, theirs)
        self._keys = None
        self.by = now + SETTLE

    def is_settled(self) -> bool:
        """Whether it is known what the remote can decrypt."""
        return self._rival is None

    # --- the packets

    def is_holding(self) -> bool:
        """Whether packets have to wait."""
        return self._waiting is not None

    def holds(self, kind: PacketType, seq: int, text: bytes) -> bool:
        """Keep a packet if it has to wait. Raises ``LimitExceeded`` when too much waits."""
        if self._waiting is None:
            return False
        size = self._waiting_size + len(text) + OVERHEAD
        if size > self._limit:
            raise LimitExceeded(f"{self._limit} bytes wait for the encryption already")
        self._waiting_size = size
        self._waiting.append((kind, seq, text))
        return True

    def take_waiting(self) -> list[tuple[PacketType, int, bytes]]:
        """What waited; nothing does from now on."""
        waiting, self._waiting = self._waiting, None
        self.by = math.inf
        return waiting or []

    def speak(self) -> e2e.Session:
        """The session to encrypt with. Who speaks has chosen."""
        self._rival = None
        return self.session

    def prove(self, number: int, payload: str) -> str:
        """The chunk of JSON text in the remote's first payload, which shows what it can decrypt.

        Raises ``ProtocolError``.
        """
        try:
            text = self.session.open(number, payload)
        except ProtocolError:
            if self._rival is None:
                raise
            text = self._rival.open(number, payload)
            self.session = self._rival
        self._rival = None
        self.is_proven = True
        return text
