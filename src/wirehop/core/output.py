"""The way down to a socket: capped batches, high and low water.

What one turn of the loop produces leaves at its end, in one write for each connection. But no
more than :data:`BATCH` pieces or connections wait for that: with nothing on its way, the other
side would have nothing to do meanwhile. (Measured: one write for each piece halves the
throughput, and so does an uncapped batch; to write at the end of each read, instead of the
turn's, costs 10% with 64 busy connections.)

An :class:`Output` stands where a protocol expects its asyncio transport and has the methods of
one that protocols use, so that any protocol can write through it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from typing import Any

from wirehop.core.sockets import bound_unsent, plain_descriptor, unconfirmed
from wirehop.core.turns import LARGE, LEAST, Turn, turns
from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed

__all__ = ["BATCH", "Output"]

Data = bytes | bytearray | memoryview

BATCH = 32
"""Pieces of one connection, or connections, that are collected before they leave.

The best cap is half of what a client has under way; who has 64 requests or more under way gets
15% more with 32 than with 16, who has 32 gets 25% less."""

JOIN = 65_536
"""Up to this many bytes joining the pieces costs less than handing over a list of them."""

UNSENT = 131_072
"""Bytes that the system may keep of what it cannot send, for who never had to catch up yet. It takes
megabytes otherwise, of its own memory and in one go, for who asks for much and reads nothing. Who
has caught up once is a reader, and large messages reach it a third faster without a bound."""


class Output:
    """Everything that one connection writes passes here.

    Awaiting it waits while more than ``high_water`` bytes were not taken by the socket. Who
    leaves more than ``limit`` bytes unread is cut, and so is who reads nothing for ``timeout``
    seconds while above the high water or while the connection (half-)closes: ``overflow(text)`` is
    called once with the reason, and must abort.
    """

    __slots__ = (
        "_chunks",
        "_direct",
        "_drained",
        "_fd",
        "_handed",
        "_high_water",
        "_is_behind",
        "_is_bounded",
        "_is_full",
        "_large",
        "_limit",
        "_loop",
        "_overflow",
        "_piece",
        "_stalled",
        "_taken",
        "_tells_empty",
        "_timeout",
        "_turn",
        "closed_because",
        "is_queued",
        "transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        high_water: int,
        limit: int,
        timeout: float,
        overflow: Callable[[str], None],
    ) -> None:
        self.transport = transport
        self.closed_because: str | None = None
        self._loop = loop
        # What waits alone, as it does in most turns, or what waits together.
        self._piece: bytes | None = None
        self._chunks: list[Data] = []
        self._turn = turns.of(loop)
        self.is_queued = False
        """Whether the end of the turn will flush this output."""
        self._high_water = high_water
        self._limit = limit
        self._tells_empty = False
        self._timeout = timeout
        self._overflow = overflow
        self._is_full = False
        self._drained = Waiters()
        self._stalled: asyncio.TimerHandle | None = None
        # Bytes given to the transport and written to the descriptor so far, and what of them had left
        # when a stall was last looked for.
        self._handed = 0
        self._direct = 0
        self._taken = 0
        # What left together last, as it counts in its turn, if it was much and nobody waited since.
        self._large = 0
        self._fd = plain_descriptor(transport)
        self._is_bounded = self._fd >= 0 and bound_unsent(transport, UNSENT)
        # Whether the transport may have something that has not left yet: to ask it costs a call. It
        # may come from another owner, who wrote.
        self._is_behind = True
        transport.set_write_buffer_limits(high=high_water)

    # --- what a protocol writes

    def write(self, data: Data) -> None:
        """Send ``data`` with the rest of its batch. It is copied if it could still change."""
        if type(data) is not bytes:
            # Through a view: bytes(5) would be five zeros.
            data = bytes(memoryview(data))
        if self.is_queued or len(data) >= LARGE:
            chunks = self._chunks
            if self._piece is not None:
                chunks.append(self._piece)
                self._piece = None
            chunks.append(data)
            if len(data) >= LARGE or len(chunks) >= BATCH:
                self.flush()
        else:
            self._piece = data
            self.is_queued = True
            outputs = self._turn.outputs
            if not outputs:
                self._loop.call_soon(_flush_all, self._turn, self._loop)
            elif len(outputs) >= BATCH:
                _flush_all(self._turn, self._loop)
                outputs = self._turn.outputs
            outputs.append(self)

    def writelines(self, pieces: list[Data]) -> None:
        for piece in pieces:
            self.write(piece)

    def flush(self) -> None:
        """Hand what was collected to the socket."""
        chunks, self._chunks = self._chunks, []
        if self._piece is not None:
            chunks.append(self._piece)
            self._piece = None
        transport = self.transport
        if not chunks or transport.is_closing():
            return
        is_batch = len(chunks) >= BATCH
        if len(chunks) == 1:
            size = len(chunks[0])
        else:
            size = sum(map(len, chunks))
            if size <= JOIN:
                chunks = [b"".join(chunks)]
        if size >= LARGE or is_batch:
            self._large = max(size, LEAST)
            self._turn.spend(self._large, self._loop)
        if self._fd >= 0 and not (self._is_behind and transport.get_write_buffer_size()):
            if self._is_bounded and self._handed:
                bound_unsent(transport, 0)
                self._is_bounded = False
            # At once: uvloop's transport would keep the data until the end of the turn.
            chunks = self._write_now(chunks)
            if not chunks:
                return
        self._is_behind = True
        # Not writelines(): Python 3.12.0 to 3.13.1 forget to pause the protocol there.
        for chunk in chunks:
            self._handed += len(chunk)
            transport.write(chunk)
            if transport.is_closing():
                return
        behind = transport.get_write_buffer_size()
        if behind > self._limit and self.closed_because is None:
            self._overflow(f"more than {self._limit} bytes were waiting to be read")
        elif self._tells_empty and behind > self._high_water:
            self._fill()

    def _write_now(self, chunks: list[Data]) -> list[Data]:
        """Write what the socket takes at once; returns the rest."""
        self._is_behind = False
        try:
            if len(chunks) == 1:
                sent = os.write(self._fd, chunks[0])
                self._direct += sent
                if sent == len(chunks[0]):
                    return []
            else:
                sent = os.writev(self._fd, chunks)
                self._direct += sent
        except OSError:
            # Full, or broken: the transport finds out and does what is right.
            return chunks
        for index, chunk in enumerate(chunks):
            if sent < len(chunk):
                return [memoryview(chunk)[sent:], *chunks[index + 1 :]]
            sent -= len(chunk)
        return []

    @property
    def bytes_out(self) -> int:
        """What was handed to the system or to the transport so far."""
        return self._handed + self._direct

    @property
    def waiting(self) -> int:
        """Bytes that were written here and that the system did not take yet."""
        collected = sum(map(len, self._chunks)) + len(self._piece or b"")
        return collected + self.transport.get_write_buffer_size()

    # --- backpressure

    def tell_empty(self) -> None:
        """From now on :meth:`resume` is called when all has left, and not at the low water."""
        if not self._tells_empty:
            self._tells_empty = True
            # The one of TLS pauses already at its mark, and would do so with nothing written.
            is_tls = self.transport.get_extra_info("ssl_object") is not None
            self.transport.set_write_buffer_limits(high=int(is_tls), low=0)

    def pause(self) -> None:
        """The transport is above the high water (asyncio's ``pause_writing``)."""
        if not self._tells_empty or self.transport.get_write_buffer_size() > self._high_water:
            self._fill()

    def resume(self) -> None:
        """The transport is below the low water (asyncio's ``resume_writing``)."""
        if not self.transport.is_closing():
            self._unwatch()
        self._is_full = False
        self._drained.wake()

    def is_full(self) -> bool:
        """Whether awaiting would wait for the drain."""
        return self._is_full

    def lost(self, reason: str) -> None:
        """The connection is over; whoever waits for the drain is told. The first reason stays."""
        if self.closed_because is None:
            self.closed_because = reason
        self._piece = None
        self._chunks.clear()
        self._unwatch()
        self._overflow = _nobody
        self._is_full = False
        self._drained.wake()

    def detach(self) -> asyncio.Transport:
        """Send what was collected, and give the transport away."""
        self.flush()
        self._unwatch()
        self._overflow = _nobody
        return self.transport

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until the output went down to the low water, if it was above the high one, or until
        it is this one's turn again, if it sent much and all together sent too much at once.

        Raises ``ConnectionClosed`` when the connection is over.
        """
        if self._large and not self._is_full:
            large, self._large = self._large, 0
            yield from self._turn.share(large, self._loop)
        while self._is_full:
            yield from self._drained.__await__()
        if self.closed_because is None and self.transport.is_closing():
            # Why is told in the next turn. Who sends in a loop would never let it come.
            yield
        if self.closed_because is not None:
            raise ConnectionClosed(self.closed_because)

    def _fill(self) -> None:
        self._watch()
        self._is_full = True

    def _watch(self) -> None:
        if self._stalled is None:
            self._taken = self._gone()
            self._stalled = self._loop.call_later(self._timeout, self._on_stalled)

    def _gone(self) -> int:
        """Bytes that are on the other side, or at least not known to be here."""
        return self.bytes_out - self.transport.get_write_buffer_size() - unconfirmed(self.transport)

    def _unwatch(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _on_stalled(self) -> None:
        self._stalled = None
        if self.closed_because is not None or not self.transport.get_write_buffer_size():
            return
        if self._gone() > self._taken:
            # Slow, but alive.
            self._watch()
        else:
            self._overflow(f"nothing was read for {self._timeout:g} s")

    # --- what a protocol asks its transport

    def get_write_buffer_size(self) -> int:
        # Never zero: picows writes to the socket itself when it believes that nothing waits.
        return 1

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def close(self) -> None:
        """Close once everything written so far is out."""
        self.flush()
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch()

    def write_eof(self) -> None:
        """Half-close once everything written so far is out."""
        self.flush()
        self.transport.write_eof()
        if self.transport.get_write_buffer_size():
            self._watch()

    def abort(self) -> None:
        """Close now; what was not sent is lost."""
        self._piece = None
        self._chunks.clear()
        self.transport.abort()


def _flush_all(turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
    """The end of a turn, or of a batch of connections."""
    outputs, turn.outputs = turn.outputs, []
    for output in outputs:
        output.is_queued = False
        try:
            piece = output._piece
            if piece is None or output._is_behind or output.transport.is_closing():
                output.flush()
                continue
            # As flush(), in half of the time: a small piece, and nothing before it.
            output._piece = None
            try:
                sent = os.write(output._fd, piece)
            except OSError:
                sent = 0
            output._direct += sent
            if sent < len(piece):
                output._chunks.append(memoryview(piece)[sent:])
                output.flush()
        except Exception as error:
            # A defect of one connection must not cost the others what they sent.
            loop.call_exception_handler({"message": "a write failed", "exception": error})


def _nobody(reason: str) -> None:
    """Who is told that it does not go on, once it is over: what belongs to a connection refers to
    each other no more then, and is freed at once instead of by the collector, much later."""
