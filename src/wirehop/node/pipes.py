"""The pipes to a child process, as its loop writes and reads them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Generator
from typing import Any

from wirehop.core.turns import LARGE, turns
from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed, LimitExceeded
from wirehop.node.encodings import UTF8, decoder

__all__ = ["PipeReader", "PipeWriter"]

READ_SIZE = 65_536
"""Bytes that one event brings at most: as many as a pipe holds on Linux."""

HIGH_WATER = 1 << 20
"""Bytes unread by the child above which :meth:`Process.write` waits, until a quarter is left: a fast
child never waits for us. There is no timeout: a child may take its time, and can be killed."""

WRITE_LIMIT = 64 << 20
"""Bytes unread by the child that :meth:`Process.write` does not go beyond: as many as a connection
may have, so that whoever does not await hears of it before the memory is gone."""


class PipeWriter:
    """What was written for the child. Awaiting it waits for the drain, and until it is this one's turn
    if much was written."""

    def __init__(self, pipe: io.FileIO) -> None:
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()
        self._turn = turns.of(self._loop)
        # Written since somebody awaited that it is counted.
        self._uncounted = 0
        # Watched by the loop as long as there is something in it.
        self._buffer = bytearray()
        self._is_closing = False
        self._broken: str | None = None
        self._is_full = False
        self._drained = Waiters()

    def write(self, data: bytes) -> None:
        if self._is_closing:
            raise ConnectionClosed("stdin is closed")
        if self._broken is not None:
            return
        if len(self._buffer) + len(data) > WRITE_LIMIT:
            raise LimitExceeded(f"more than {WRITE_LIMIT} bytes would wait for the child to read them")
        if self._buffer:
            self._buffer += data
        elif rest := memoryview(data)[self._send(data) :]:
            self._loop.add_writer(self._pipe.fileno(), self._on_writable)
            self._buffer += rest
        self._uncounted += len(data)
        if len(self._buffer) > HIGH_WATER:
            self._is_full = True

    def close(self) -> None:
        self._is_closing = True
        if not self._buffer:
            self._pipe.close()

    def end(self) -> None:
        """Nobody reads what is left."""
        self._is_closing = True
        self._shut("the child has ended" if self._buffer else self._broken)

    def __await__(self) -> Generator[Any, None, None]:
        if self._uncounted >= LARGE and not self._is_full:
            size, self._uncounted = self._uncounted, 0
            self._turn.spend(size, self._loop)
            yield from self._turn.share(size, self._loop)
        while self._is_full:
            yield from self._drained.__await__()
        if self._broken is not None:
            raise ConnectionClosed(self._broken)

    def _on_writable(self) -> None:
        del self._buffer[: self._send(self._buffer)]
        if not self._buffer and self._broken is None:
            self._loop.remove_writer(self._pipe.fileno())
            if self._is_closing:
                self._pipe.close()
        if len(self._buffer) <= HIGH_WATER // 4:
            self._wake()

    def _send(self, data: bytes | bytearray) -> int:
        """Write what the pipe takes now. Returns how many bytes need not be kept."""
        try:
            return self._pipe.write(data) or 0
        except BrokenPipeError:
            self._shut("the child does not read its stdin any more")
            return len(data)

    def _shut(self, reason: str | None) -> None:
        self._broken = reason
        if self._buffer:
            self._loop.remove_writer(self._pipe.fileno())
            self._buffer.clear()
        self._pipe.close()
        self._wake()

    def _wake(self) -> None:
        self._is_full = False
        self._drained.wake()


class PipeReader:
    """What the child writes to one of its streams: ``tell(data)``, and None at the end."""

    def __init__(self, pipe: io.FileIO, tell: Callable[[str | bytes | None], None]) -> None:
        self._pipe = pipe
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._decode = decoder(UTF8)
        self.has_ended = False

    def set_encoding(self, encoding: str) -> None:
        decode = decoder(encoding)
        # Half a character of the old encoding is nothing in the new one.
        self._emit(b"", True)
        self._decode = decode

    def pause(self) -> None:
        if not self.has_ended:
            self._loop.remove_reader(self._pipe.fileno())

    def resume(self) -> None:
        if not self.has_ended:
            self._loop.add_reader(self._pipe.fileno(), self._on_readable)

    def end(self) -> None:
        if self.has_ended:
            return
        self.pause()
        self.has_ended = True
        self._pipe.close()
        self._emit(b"", True)
        self._tell(None)

    def _on_readable(self) -> None:
        data = self._pipe.read(READ_SIZE)
        if data:
            self._emit(data, False)
        elif data is not None:
            self.end()

    def _emit(self, data: bytes, is_last: bool) -> None:
        decoded = self._decode(data, is_last) if self._decode is not None else data
        if decoded:
            self._tell(decoded)
