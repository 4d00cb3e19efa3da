"""What requests and responses have in common, on both sides: one that arrives, one that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any, Protocol

from wirehop.core.events import NOBODY, EventEmitter
from wirehop.core.output import Output
from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed, PayloadTooLarge
from wirehop.node.encodings import Decode, decoder
from wirehop.node.http.headers import Header, pairs, text
from wirehop.node.tcp import WRITABLE

__all__ = ["IncomingMessage", "OutgoingMessage"]

_PIECE = 64
"""Bytes that a piece of a body costs beside its content: many tiny ones count too."""


class IncomingMessage(EventEmitter):
    """A message from the moment its head is complete.

    Events: ``body(chunk)``, ``complete()``. Or read the body with ``await message.read()`` or
    ``async for chunk in message``: what has not been read yet is kept, and above a high water
    the connection is not read either. A listener that comes late is given first what was kept,
    but a ``body`` listener nothing more once ``complete`` was heard.

    Above the high water a body that nobody can be seen to want is dropped (:meth:`_is_wanted`), so
    that ``complete`` comes. Who reads it all the same gets a ``RuntimeError``.
    """

    http_version: str
    raw_headers: list[tuple[bytes, bytes]]

    # Not in slots: most messages never differ from these, and one is made for each request.
    _listeners = NOBODY
    complete = False
    _body: list[bytes] | None = None
    _unread = 0
    _unwanted: str | None = None
    _failure: Exception | None = None
    _waiter: asyncio.Future[None] | None = None
    _decode: Decode | None = None
    _is_catching_up = False
    _is_unheard = False
    _is_read = False
    _has_stalled = False

    @property
    def headers(self) -> list[Header]:
        """Name and value of each header, as they were sent and in their order."""
        return pairs(self.raw_headers)

    def header(self, name: str, default: str | None = None) -> str | None:
        """The value of the first header of that name, whatever its case."""
        wanted = name.lower().encode("latin-1")
        for key, value in self.raw_headers:
            if len(key) == len(wanted) and key.lower() == wanted:
                return text(value)
        return default

    def set_body_encoding(self, encoding: str) -> None:
        """What ``body`` events give from now on: text for "utf8" and "ascii", bytes for "raw".

        A character that arrives in two pieces is put together; bytes that are no text become
        U+FFFD. Reading gives bytes whatever the encoding is. Raises ``ValueError`` for another.
        """
        self._decode = decoder(encoding)

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body. Raises ``PayloadTooLarge`` when it has more than ``limit`` bytes,
        and ``ConnectionClosed`` when the remote left before it was complete."""
        chunks = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if limit is not None and size > limit:
                raise PayloadTooLarge("Body Too Large", detail=f"more than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """What has arrived since the last time. Raises ``RuntimeError`` while somebody else
        reads."""
        self._is_read = True
        while not self._body:
            if self._failure is not None:
                raise self._failure
            if self.complete:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("somebody else reads this body already")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._take()

    # --- listeners

    def _listener_added(self, event: str) -> None:
        if event == "complete":
            if self._is_unheard:
                self._catch_up_soon()
            else:
                self._doubt()
        elif event == "body" and self._body and (self._is_unheard or not self.complete):
            self._catch_up_soon()

    def _catch_up_soon(self) -> None:
        if not self._is_catching_up:
            self._is_catching_up = True
            asyncio.get_running_loop().call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._is_catching_up = False
        if self._body and self._listeners.get("body"):
            self._emit_body(self._take())
        if self._is_unheard:
            self._emit_complete()

    def _emit_body(self, chunk: bytes) -> None:
        data: bytes | str = chunk if self._decode is None else self._decode(chunk, False)
        if data:
            self.emit("body", data)

    def _emit_complete(self) -> None:
        if self._decode is not None and (rest := self._decode(b"", True)):
            self.emit("body", rest)
        self._is_unheard = not self._listeners or not self.emit("complete")

    # --- called by the connection

    def failed_with(self, error: Exception) -> bool:
        """Whether that is what reading the body raises, because the rest will not come."""
        return error is self._failure

    def unread(self) -> int:
        """How much memory is held by what nobody has read yet."""
        return self._unread

    def is_overfull(self, high_water: int) -> bool:
        """Whether what nobody has read yet holds more memory than that: then nothing more may come."""
        if self._unread <= high_water:
            return False
        if not self._has_stalled:
            self._has_stalled = True
            self._doubt()
        return True

    def feed(self, chunk: bytes) -> None:
        if self._listeners.get("body"):
            if not self._body:
                # A body with a hole is worse than none.
                if self._failure is None:
                    self._emit_body(chunk)
                return
            self._catch_up_soon()
        elif self._unwanted is not None:
            self._failure = self._failure or ConnectionClosed(self._unwanted)
            return
        if self._body is None:
            self._body = [chunk]
        else:
            self._body.append(chunk)
        self._unread += len(chunk) + _PIECE
        self._wake()

    def end(self) -> None:
        had_body = not self.complete
        self.complete = True
        if self._listeners is NOBODY or (self._is_catching_up and self._body):
            self._is_unheard = True
        else:
            self._emit_complete()
        if had_body and self._waiter is not None:
            self._wake()

    def fail(self, reason: str) -> None:
        """The rest of the body will not come: the remote or this side closed."""
        self.fail_with(ConnectionClosed(reason))

    def fail_with(self, error: Exception) -> None:
        """The rest of the body will not come."""
        if not self.complete:
            self._failure = error
            self._wake()

    def is_at_hand(self, emitter: EventEmitter) -> bool:
        """Whether an ``async`` listener of ``emitter`` that was given this is still at work. Once it
        has returned, whether anybody wants the body is looked at again."""
        at_work = emitter._at_work(self)
        for task in at_work:
            task.add_done_callback(lambda _: self._doubt())
        return bool(at_work)

    def _doubt(self) -> None:
        """Look soon whether anybody wants what was kept until nothing more could come."""
        if self._has_stalled:
            # Who is called in this turn may begin to read yet, and a task that it makes in the next.
            asyncio.get_running_loop().call_soon(self._drop_if_unwanted)

    def _is_wanted(self) -> bool:
        """Whether somebody listens to the body, has begun to read it, or may do so yet."""
        return self._is_read or bool(self._listeners.get("body"))

    def _drop_if_unwanted(self) -> None:
        if self._body and not (self.complete or self._is_wanted()):
            self._unwanted = "nobody wanted this body"
            self._forget()
            self._failure = RuntimeError(
                "this body was dropped: nobody listened to it or had begun to read it at its high water"
            )
            self._was_read()

    def _give_up(self, reason: str) -> None:
        """The rest is kept for nobody but who is reading it now."""
        if not self.complete and self._waiter is None:
            self._unwanted = reason
            if self._body and not self._listeners.get("body"):
                self._forget()
                self._failure = ConnectionClosed(reason)

    def _was_read(self) -> None:
        """Somebody took what was kept."""

    def _take(self) -> bytes:
        chunk = b"".join(self._body or ())
        self._forget()
        self._was_read()
        return chunk

    def _forget(self) -> None:
        self._body = None
        self._unread = 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


_NO_SLOTS: tuple[str, ...] = ()
"""A class with slots of its own could not be inherited together with another one that has some."""


class _Connection(Protocol):
    """What a message needs of the connection that it leaves by."""

    @property
    def ready_state(self) -> str: ...
    @property
    def output(self) -> Output: ...


class OutgoingMessage:
    """A message that leaves when it is its turn to use a connection; until then it is held.

    A mixin: whoever inherits it has the attributes below, and says where held bytes are counted.
    """

    __slots__ = _NO_SLOTS

    connection: _Connection | None
    finished: bool
    _chunked: bool
    _remaining: int | None
    _without_body: bool
    _held: list[bytes]
    _released: bool
    _dropped: bool
    _turn: Waiters | None

    def release(self) -> None:
        """It is this message's turn to use its connection."""
        self._released = True
        held, self._held = self._held, []
        for data in held:
            self._count(-len(data))
            self._write(data)
        self._wake()

    def drop(self) -> None:
        """Nothing more of it will be sent."""
        self._dropped = True
        held, self._held = self._held, []
        for data in held:
            self._count(-len(data))
        self._wake()

    def _count(self, size: int) -> None:
        """Count what is held: ``size`` bytes more, or less."""
        raise NotImplementedError  # pragma: no cover - both sides have it

    def _framed(self, data: bytes) -> bytes:
        """A piece of the body as it goes out. Raises ``ValueError`` for more bytes than the
        Content-Length promised."""
        if self._without_body or not data:
            return b""
        if self._remaining is not None:
            if len(data) > self._remaining:
                excess = len(data) - self._remaining
                raise ValueError(f"the body is longer than its Content-Length by {excess} bytes")
            self._remaining -= len(data)
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data

    def _write(self, data: bytes) -> None:
        if not data or self._dropped:
            return
        if not self._released:
            self._count(len(data))
            self._held.append(data)
        elif self.connection is not None and self.connection.ready_state in WRITABLE:
            self.connection.output.write(data)

    def _until_sent(self) -> Generator[Any, None, None]:
        """Wait for its turn and then for the drain. Raises ``ConnectionClosed`` when the
        connection is over."""
        while not self._released and not self._dropped:
            if self._turn is None:
                self._turn = Waiters()
            yield from self._turn.__await__()
        if self.connection is not None:
            yield from self.connection.output.__await__()

    def _wake(self) -> None:
        if self._turn is not None:
            self._turn.wake()
