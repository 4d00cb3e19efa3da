"""A byte stream as events, from its first byte to its end (seed: Node 0.1.0, ``node.tcp``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from wirehop.core.events import EventEmitter
from wirehop.core.output import Output
from wirehop.node import alive, encodings
from wirehop.node.drain import Drain
from wirehop.node.encodings import UTF8, Data
from wirehop.node.idle import IDLE_TIMEOUT, Idle

__all__ = ["READABLE", "UNANNOUNCED", "WRITABLE", "Stream"]

WRITABLE = ("open", "writeOnly")
"""The states in which something can be sent."""

READABLE = ("open", "readOnly")
"""The states in which something can be received."""

# Why what arrives is held back for a while; both may be so at once.
UNANNOUNCED = 1
PAUSED = 2


class Stream(EventEmitter, asyncio.Protocol):
    """The states, half-closes, encodings and pauses of a connection; how it came to be is no
    business of this class. Who makes it sets ``output`` and calls :meth:`_began`.

    A subclass that takes ``data_received`` over has pauses and deadlines of its own: only what
    passes here is traffic to :attr:`idle_timeout`.
    """

    __slots__ = (
        "_decode",
        "_drain",
        "_early",
        "_encoding",
        "_idle",
        "_is_forced",
        "_is_lost",
        "_loop",
        "_stopped",
        "output",
        "ready_state",
    )

    _log = logging.getLogger("wirehop.node")
    output: Output

    def __init__(self, ready_state: str) -> None:
        self.ready_state = ready_state
        self._loop = asyncio.get_running_loop()
        self._is_lost = True
        self._is_forced = False
        self._encoding = encodings.RAW
        self._decode: encodings.Decode | None = None
        self._stopped = 0
        self._early: list[bytes | None] | None = None
        self._idle: Idle | None = None
        self._drain: Drain | None = None

    def set_encoding(self, encoding: str) -> None:
        """What ``receive`` gives from now on: "raw" is ``bytes``, "utf8" and "ascii" are text.

        Half a character waits for its other half; what is no text becomes U+FFFD, as half a
        character does at the end, or when the encoding changes. Raises ``ValueError``.
        """
        encoding = encodings.name(encoding)
        if encoding == self._encoding:
            return
        before, self._decode = self._decode, encodings.decoder(encoding)
        self._encoding = encoding
        self._receive_rest(before)

    def send(self, data: Data, encoding: str = UTF8) -> Awaitable[None]:
        """Send bytes or text; they are on their way at the call. Awaiting it waits for the drain,
        and raises ``ConnectionClosed`` when the connection is over before.

        Raises ``ConnectionError`` when the socket is not open for writing, ``ValueError`` for text
        that the encoding cannot say, ``TypeError`` for what is neither text nor bytes. Who leaves
        too much unread is cut: see the limits of :mod:`wirehop.node.tcp`.
        """
        if self.ready_state not in WRITABLE:
            raise ConnectionError("Socket is not open for writing")
        self.output.write(data if type(data) is bytes else encodings.encode(data, encoding))
        if self._idle is not None:
            self._idle.touch()
        if self._drain is not None:
            self._drain.sent()
        return self.output

    def pause_reading(self) -> None:
        """Receive nothing until :meth:`resume_reading`: the other side has to wait, once the
        buffers of both systems are full. A new connection is not paused."""
        self._hold_back(PAUSED)

    def resume_reading(self) -> None:
        """Receive again, at once what has arrived already."""
        self._let_flow(PAUSED)

    def close(self) -> None:
        """Half-close: what was sent goes out, then a FIN; the other side may go on sending.

        ``ready_state`` is "readOnly" at once, and "closed" if the other side had closed. TLS has no
        half-open connections: there it is :meth:`full_close`, as it is while "opening".
        """
        if self.ready_state == "open" and self.output.transport.can_write_eof():
            self.ready_state = "readOnly"
            self.output.write_eof()
        elif self.ready_state != "readOnly":
            self.full_close()

    def full_close(self) -> None:
        """Close both ends once what was sent is out. "closed" at once: nothing more is received,
        and ``disconnect`` follows."""
        if self.ready_state != "closed":
            self.ready_state = "closed"
            self.output.close()

    def force_close(self) -> None:
        """Close now: nothing more is sent or received, and no event follows, ``disconnect``
        neither."""
        self.ready_state = "closed"
        self._is_forced = True
        if not self._is_lost:
            self.output.lost("Local Connection Closed")
            self.output.abort()
        alive.release(self)

    @property
    def idle_timeout(self) -> float | None:
        """Seconds without traffic after which ``timeout`` is emitted; None is never."""
        return IDLE_TIMEOUT if self._idle is None else self._idle.timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self.set_timeout(seconds)

    def set_timeout(self, seconds: float | None) -> None:
        """Emit ``timeout`` after so many seconds without traffic, from now on; 0 or None is never.
        Raises ``ValueError`` for less than 0."""
        self._idle_clock().set_timeout(seconds)

    # --- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if self._stopped:
            self._keep_back(data)
        elif self.ready_state in READABLE:
            if self._idle is not None:
                self._idle.touch()
            if self._decode is None:
                self.emit_one("receive", data)
            elif text := self._decode(data, False):
                self.emit_one("receive", text)

    def eof_received(self) -> bool:
        # TLS has no half-open connections: its transport closes now.
        can_stay = self.output.transport.can_write_eof()
        if self._stopped and can_stay:
            self._keep_back(None)
            return True
        self._receive_rest(self._decode)
        if self.ready_state not in READABLE:
            return self.ready_state == "writeOnly"
        stays = can_stay and self.ready_state == "open"
        self.ready_state = "writeOnly" if self.ready_state == "open" else "closed"
        self.emit("eof")
        if not stays and self.ready_state == "writeOnly":
            # What was sent until now can still be said.
            self.output.flush()
            self.ready_state = "closed"
        return stays

    def pause_writing(self) -> None:
        self.output.pause()

    def resume_writing(self) -> None:
        self.output.resume()
        if self._drain is not None:
            self._drain.left()

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self.ready_state = "closed"
        was_cut = self.output.closed_because is not None
        self.output.lost(str(error) if error else "Remote Connection Closed")
        if self._idle is not None:
            self._idle.stop()
        if not self._is_forced:
            self._disconnected(was_cut or error is not None)

    # --- from here on: its own business

    def _began(self) -> None:
        """There is an output: from now on the stream is open."""
        self._is_lost = False
        self.ready_state = "open"
        alive.keep(self)
        if self._idle is not None:
            self._idle.start()
        if self._drain is not None:
            self._drain.begin(self.output)
        if self._stopped:
            self.output.transport.pause_reading()

    def _is_over(self) -> bool:
        """Whether no event can follow any more."""
        return self._is_lost or self._is_forced

    def _disconnected(self, had_error: bool) -> None:
        self.ready_state = "closed"
        self.emit("disconnect", had_error)
        # Unless a listener began anew.
        if self.ready_state == "closed" and self._is_over():
            alive.release(self)

    def _hold_back(self, why: int) -> None:
        self._stopped |= why
        if not self._is_lost and self.ready_state in READABLE:
            self.output.transport.pause_reading()

    def _let_flow(self, why: int) -> None:
        self._stopped &= ~why
        while self._early and not self._stopped:
            data = self._early.pop(0)
            if data is not None:
                self.data_received(data)
            elif not self.eof_received():
                self.output.transport.close()
        if not self._stopped and not self._is_lost and self.ready_state in READABLE:
            self.output.transport.resume_reading()

    def _keep_back(self, data: bytes | None) -> None:
        """Keep what came although reading is paused, None for EOF: uvloop forgets a pause that
        began before it read for the first time. That is one read at most, for it is told again."""
        self._early = [*(self._early or ()), data]
        self.output.transport.pause_reading()

    def _receive_rest(self, decode: encodings.Decode | None) -> None:
        rest = b"" if decode is None else decode(b"", True)
        if rest and self.ready_state in READABLE:
            self.emit("receive", rest)

    def _listener_added(self, event: str) -> None:
        # Nobody else pays for the clock, and for what looks after the output.
        if event == "timeout":
            self._idle_clock()
        elif event == "drain" and self._drain is None:
            self._drain = Drain(self._loop, self._on_drain)
            if not self._is_lost:
                self._drain.begin(self.output)
                if self.output.bytes_out or self.output.waiting:
                    # It may have left in this very turn.
                    self._drain.sent()

    def _idle_clock(self) -> Idle:
        if self._idle is None:
            self._idle = Idle(self._loop, self._on_idle, self._waiting)
            if not self._is_lost:
                self._idle.start()
        return self._idle

    def _on_drain(self) -> None:
        if not (self._is_lost or self._is_forced):
            self.emit("drain")

    def _on_idle(self) -> None:
        if self.ready_state != "closed":
            self.emit("timeout")

    def _waiting(self) -> int:
        return self.output.transport.get_write_buffer_size()
