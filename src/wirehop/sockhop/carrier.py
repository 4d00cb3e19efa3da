"""Lines over a connection: its beginning, when lines wait for it, and its end, when they go out."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Generator, Iterable, Iterator
from typing import Any

from wirehop.core.deadlines import deadlines_of
from wirehop.core.waiters import Moment, Waiters
from wirehop.errors import ConnectionClosed, LimitExceeded, SockhopError
from wirehop.node import alive, tcp
from wirehop.node.stream import PAUSED, UNANNOUNCED
from wirehop.sockhop.options import Options
from wirehop.sockhop.wire.lines import Lines, too_long

__all__ = ["CLOSE_TIMEOUT", "LINGER", "Carrier"]

CLOSE_TIMEOUT = 5.0
"""Seconds for what was sent to go out when a connection is closed; then the rest is cut."""

LINGER = 1.0
"""Seconds for the other side to close as well, once all is out: closing before, with something of
its unread, would make the system take back what was sent (a reset). Sockhop peers do so at once."""

TURNS = 4
"""Turns of the loop before the first message is received, so that whoever awaits ``connect()``, if
need be in a task of a task, can add listeners."""

RESTING = PAUSED << 1
"""Why what arrives is held back after much that makes no sense (see :mod:`wirehop.node.stream`)."""


class Carrier(tcp.Connection):
    """A connection whose unit is the line. A subclass says what a line means, and is told what
    happens.

    ``destroyed`` is what an error says to who sends when the connection is over.
    """

    __slots__ = (
        "_backlog",
        "_cut_at",
        "_destroyed",
        "_failure",
        "_gone",
        "_has_lingered",
        "_is_opened",
        "_is_told",
        "_lines",
        "_options",
        "_queue",
        "_queued",
        "_ready",
        "_was_awaited",
        "alarm",
        "began",
        "is_over",
    )

    _log = logging.getLogger("wirehop.sockhop")

    def __init__(self, options: Options, destroyed: str, server: tcp.Server | None) -> None:
        super().__init__(server)
        self._options = options
        self._destroyed = destroyed
        self._lines = Lines(options.receive_terminator, options.max_line)
        self._backlog: Iterable[bytes] = ()
        self._queue: list[bytes] = []
        self._queued = 0
        self._ready = Waiters()
        self._is_opened = False
        self._failure: BaseException | None = None
        self._was_awaited = False
        self._cut_at = math.inf
        self._has_lingered = False
        self._gone = Moment()
        self.alarm = deadlines_of(self._loop).alarm(self._ring)
        self.began = 0.0
        """When it was opened, on the loop's clock."""
        self._is_told = False
        """Whether its owner knows that it is closed."""
        self.is_over = False
        """Whether nothing is left of it, not even what was on its way."""

    # --- what a subclass has

    def _opened(self) -> None:
        """There is a connection. A server's receives when :meth:`release` is called, a client's by
        itself."""
        raise NotImplementedError

    def _failed(self, error: BaseException | None, was_awaited: bool) -> None:
        """There will be no connection."""
        raise NotImplementedError

    def _closed(self) -> None:
        """There was a connection, and it is closed: nothing more is sent or received. What was sent
        may still be on its way. Told once, in the turn after."""
        raise NotImplementedError

    def _over(self) -> None:
        """Nothing is left of it, whether there was a connection or not. The last that is told."""
        raise NotImplementedError

    def _read(self, lines: Iterator[bytes]) -> None:
        """Lines came. Take them while more may be received: until it is closed or stopped."""
        raise NotImplementedError

    def _complain(self, error: Exception) -> None:
        """The other side sent what makes no sense."""
        raise NotImplementedError

    def _due(self, now: float) -> float:
        """Do what is due, and say when something will be again."""
        raise NotImplementedError

    def _stop_waiting(self) -> None:
        """Nothing will be received any more."""
        raise NotImplementedError

    # --- down

    @property
    def sent(self) -> Awaitable[None]:
        """Waits until what was sent went down the socket."""
        return self.output if self._is_opened else _Sent(self)

    def now(self) -> float:
        return self._loop.time()

    def write(self, text: bytes) -> Awaitable[None]:
        """Send a line, or keep it until there is a connection. Raises ``SockhopError`` and
        ``LimitExceeded``."""
        ending = self._options.ending
        line = ending.end(text) if ending.plain is None else text + ending.plain
        if self.ready_state == "open":
            self.output.write(line)
            return self.output
        if self.ready_state != "opening":
            raise SockhopError(self._destroyed, "ERR_SOCKET_DESTROYED")
        if self._queued + len(line) > self._options.send_limit:
            raise LimitExceeded(f"{self._options.send_limit} bytes are waiting for the connection already")
        self._queued += len(line)
        self._queue.append(line)
        return _Sent(self)

    # --- up

    def data_received(self, data: bytes) -> None:
        if self.ready_state == "closed":
            return
        if self._stopped:
            self._keep_back(data)
            return
        if self._idle is not None:
            self._idle.touch()
        self._take(self._lines.feed(data))

    def eof_received(self) -> bool:
        if self.ready_state == "closed":
            return False
        if self._stopped and self.output.transport.can_write_eof():
            self._keep_back(None)
            return True
        # The other side keeps no half of a connection open: what it asked for goes out, no more.
        self.ready_state = "closed"
        if self.output.transport.can_write_eof():
            # By itself the transport would wait for ever for one that does not read.
            self.output.close()
        else:
            self.output.flush()
        self._tell_soon()
        self._stop_waiting()
        return False

    def _take(self, lines: Iterable[bytes]) -> None:
        rest = iter(lines)
        self._read(rest)
        if self._stopped or self.ready_state == "closed":
            self._backlog = rest
        elif self._lines.is_too_long:
            self._complain(too_long(self._options.max_line))
            self.full_close()

    def _rest(self) -> None:
        """Hold back what is still to be read until others had their turn."""
        if self.ready_state != "closed":
            self._hold_back(RESTING)
            self._loop.call_soon(self._let_flow, RESTING)

    def _let_flow(self, why: int) -> None:
        self._stopped &= ~why
        if not self._stopped:
            backlog, self._backlog = self._backlog, ()
            self._take(backlog if self.ready_state != "closed" else ())
        super()._let_flow(0)

    # --- the beginning

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        options = self._options
        # What comes is held until release().
        self._stopped |= UNANNOUNCED
        self._made(transport, options.high_water, options.send_limit, options.send_timeout)
        self._is_opened = True
        self.began = self.now()
        self._opened()

    def send_queue(self) -> None:
        """Send what waited for the connection."""
        queue, self._queue = self._queue, []
        if self.ready_state == "open":
            for line in queue:
                self.output.write(line)
        self._ready.wake()

    def release(self) -> None:
        """Receive from now on."""
        self._let_flow(UNANNOUNCED)

    # --- the end

    def end(self, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """Close; what was sent goes out first, ``timeout`` seconds long. Awaiting waits for the end
        of the connection."""
        self._cut_at = min(self._cut_at, self.now() + timeout)
        self.full_close()
        if not self.is_over:
            # It may have been closed before, with more time.
            self.alarm.by(self._cut_at)
        return self.gone()

    def gone(self) -> Awaitable[None]:
        """Wait until the connection is over, and those who listen to that were told."""
        return self._gone

    def full_close(self) -> None:
        """Close; what was sent goes out first, :data:`CLOSE_TIMEOUT` seconds long. "closed" at once:
        nothing more is received. An attempt to connect is given up."""
        if self.ready_state == "opening":
            super().full_close()
        elif self.ready_state != "closed":
            self.ready_state = "closed"
            self._end_output()
            self._cut_at = min(self._cut_at, self.now() + CLOSE_TIMEOUT)
            self.alarm.by(min(self._cut_at, self.now() + LINGER / 2))
            self._tell_soon()
        self._stop()

    def close(self) -> None:
        """As :meth:`full_close`: no half of a connection stays open here."""
        self.full_close()

    def force_close(self) -> None:
        """Close now; what was not sent is lost. ``disconnect`` follows."""
        self.ready_state = "closed"
        if self._attempt is not None:
            self._attempt.abandon()
        elif not self._is_lost:
            self._tell_soon()
            self.output.lost("Local Connection Closed")
            self.output.abort()
        self._stop()

    def _tell_soon(self) -> None:
        # Not at once: whoever closes it may be in the middle of something.
        if not self._is_told:
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._closed()

    def _end_output(self) -> None:
        transport = self.output.transport
        if transport.is_closing():
            return
        if transport.can_write_eof():
            self.output.write_eof()
            # What comes is dropped from now on, up to the other side's end.
            transport.resume_reading()
        else:
            self.output.close()

    def _ring(self, now: float) -> float:
        return self._linger(now) if self.ready_state == "closed" else self._due(now)

    def _linger(self, now: float) -> float:
        if self._is_lost:
            return math.inf
        transport = self.output.transport
        is_out = not transport.get_write_buffer_size()
        # TLS closes by itself once the other side has answered; cut before, it may have read nothing.
        if now >= self._cut_at or (is_out and self._has_lingered and transport.can_write_eof()):
            self.output.abort()
            return math.inf
        self._has_lingered = is_out
        return min(self._cut_at, now + LINGER / 2)

    def _stop(self) -> None:
        self._queue.clear()
        self._ready.wake()
        self._stop_waiting()

    def _attempt_ended(self, attempt: Any, error: BaseException | None) -> None:
        self._failure = error
        self._was_awaited = attempt.is_awaited or attempt.is_abandoned
        super()._attempt_ended(attempt, error)
        if error is None:
            self._release_after(TURNS)

    def _release_after(self, turns: int) -> None:
        if turns:
            self._loop.call_soon(self._release_after, turns - 1)
        else:
            self.release()

    def _disconnected(self, had_error: bool) -> None:
        self.ready_state = "closed"
        self.is_over = True
        self.alarm.stop()
        self._stop()
        if self._is_opened:
            self._tell()
        else:
            self._failed(self._failure, self._was_awaited)
        self.emit("disconnect", had_error)
        alive.release(self)
        self._over()
        self._gone.come()


class _Sent:
    """Waits for the connection, and then for the drain."""

    __slots__ = ("_carrier",)

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def __await__(self) -> Generator[Any, None, None]:
        carrier = self._carrier
        while carrier.ready_state == "opening" or carrier._queue:
            yield from carrier._ready.__await__()
        if not carrier._is_opened:
            raise ConnectionClosed("there was no connection")
        yield from carrier.output.__await__()
