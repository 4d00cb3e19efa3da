"""Packets of which the last chunk is missing."""

from __future__ import annotations

import math

from wirehop.anysocket.wire.packet import INVALID, PacketType
from wirehop.errors import PayloadTooLarge, ProtocolError

__all__ = ["Partials"]

SMALLEST = 32
"""Characters for which a chunk counts at least: an empty one costs memory too, and JavaScript's have a
million."""


class _Partial:
    """What has come of one packet."""

    __slots__ = ("chunks", "deadline", "kind", "size")

    def __init__(self, kind: PacketType) -> None:
        self.kind = kind
        self.chunks: list[str] = []
        self.size = 0
        self.deadline = math.inf


class Partials(dict[int, _Partial]):
    """The open packets of one remote, by their number."""

    __slots__ = ("_max_open", "_timeout")

    def __init__(self, max_open: int, timeout: float) -> None:
        super().__init__()
        self._max_open = max_open
        self._timeout = timeout

    def collect(
        self, last: bool, kind: PacketType, seq: int, text: str, limit: int, now: float
    ) -> str | None:
        """Add a chunk to its packet; returns the packet's text when it was the last one.

        Raises ``PayloadTooLarge`` for a text of more than ``limit`` characters, of which each chunk
        but the last has :data:`SMALLEST` at least.
        """
        partial = self.get(seq)
        if partial is None:
            if last:
                partial = _Partial(kind)
            elif len(self) >= self._max_open:
                raise PayloadTooLarge(INVALID, detail=f"{self._max_open} packets are open")
            else:
                partial = self[seq] = _Partial(kind)
        if partial.kind is not kind:
            raise ProtocolError(INVALID, detail="the type of a packet changed between its chunks")
        partial.size += len(text) if last else max(len(text), SMALLEST)
        if partial.size > limit:
            raise PayloadTooLarge(INVALID, detail=f"a message of {partial.size} characters")
        partial.chunks.append(text)
        partial.deadline = now + self._timeout
        if not last:
            return None
        self.pop(seq, None)
        return "".join(partial.chunks)

    def deadline(self) -> float:
        """When the first of them is given up."""
        return min((partial.deadline for partial in self.values()), default=math.inf)
