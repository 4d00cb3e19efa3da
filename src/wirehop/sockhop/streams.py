"""The answers to one request, on both sides (seed: ``SockhopResponseReadableStream`` and
``SockhopResponseWriteableStream``; wire document, section 6)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import msgspec

from wirehop.core.events import NOBODY, EventEmitter, Listener
from wirehop.core.ids import new_uuid
from wirehop.errors import LimitExceeded, SockhopError
from wirehop.sockhop.request import SockhopRequest, SockhopResponsePacket

if TYPE_CHECKING:
    from wirehop.sockhop.link import Link

__all__ = ["UNDEFINED", "Answer", "SockhopResponseReadableStream", "SockhopResponseWriteableStream"]

MAX_UNREAD = 64 << 20
"""Bytes of packets that wait in a stream for somebody to take them: four of the longest. One that
nobody takes is not read more slowly, because other streams share its connection."""

PACKET_COST = 256
"""Bytes that a packet takes besides its text, about."""


class Answer(NamedTuple):
    """One packet of an answer."""

    data: Any
    type: str


class Undefined:
    """JavaScript's ``undefined``: nothing was given, and ``{}`` travels instead."""


UNDEFINED = Undefined()


class Responder(Protocol):
    """What can send an answer: a client, a session, or the connection of either."""

    def _respond(self, uuid: Any, value: Any, last: bool) -> Awaitable[None]: ...


class SockhopResponseReadableStream(EventEmitter):
    """What answers a request, packet by packet.

    Events: ``data(data, type)`` for each packet, and at last ``end(error)``; ``error`` is None for
    a good end. Instead of listening, await :meth:`next` for the first packet or :meth:`all` for
    all of them, or ``async for data, type in stream``. What comes before anybody takes or listens
    is kept for who does.

    The ``{}`` of ``end()`` on the other side is a packet like any other, as in the seed. Awaiting
    the stream itself waits until the request went down the socket, and gives the stream.
    """

    __slots__ = (
        "_error",
        "_first",
        "_idle",
        "_is_taken",
        "_link",
        "_rest",
        "_sent",
        "_unread_size",
        "_until",
        "_waiters",
        "deadline",
        "ended",
        "uuid",
    )

    _log = logging.getLogger("wirehop.sockhop")

    def __init__(self, uuid: str | None = None) -> None:
        # They are looked at for each packet.
        self._listeners = NOBODY
        self.uuid = uuid or new_uuid()
        self.ended = False
        """Whether no packet can follow any more. Some may still wait to be taken."""
        self.deadline = math.inf
        """When it ends for want of packets, on the loop's clock."""
        self._idle: float | None = None
        self._error: Exception | None = None
        self._link: Link | None = None
        self._sent: Awaitable[None] | None = None
        self._is_taken = False
        # Most answers have one packet, and to make a deque takes longer than to take it.
        self._first: Answer | None = None
        self._rest: deque[Answer] | None = None
        self._unread_size = 0
        self._waiters: list[asyncio.Future[None]] | None = None

    @classmethod
    def from_request(cls, req: SockhopRequest) -> Self:
        """The stream of a request, for the side that asks."""
        return cls(req.uuid)

    def receive_packet(self, pkt: SockhopResponsePacket) -> None:
        """Take one packet; after the end it is ignored."""
        self._receive(pkt.data, pkt.type, pkt.last, 0)

    def end(self, err: Exception | None = None) -> None:
        """End the stream on this side: packets that follow are ignored, and the other side is told
        nothing. Does nothing when it has ended."""
        if self.ended:
            return
        self.ended = True
        self._error = err
        if self._link is not None:
            self._link.streams.pop(self.uuid, None)
        if self._waiters is not None:
            self._wake()
        if self._listeners:
            self.emit("end", err)

    async def next(self) -> Answer:
        """The first packet that nobody took, which is the end of the stream on this side.

        Raises ``SockhopError`` when it ends without one: ERR_RESPONSE_TIMEOUT, or no code when
        the connection ended before, or the stream itself.
        """
        self._is_taken = True
        while (packet := self._first) is None:
            if self.ended:
                raise self._error or SockhopError("Response stream has ended")
            await self._more()
        self._first = self._rest = None
        if not self.ended:
            self.end()
        return packet

    async def all(self) -> list[Answer]:
        """All packets that nobody took, once the last one is there.

        Raises as :meth:`next` when the stream ends by an error; the packets are lost then.
        """
        return [packet async for packet in self]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Answer:
        self._is_taken = True
        while (packet := self._first) is None:
            if self.ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._more()
        if self._rest:
            self._first = self._rest.popleft()
        else:
            self._first = None
            self._unread_size = 0
        return packet

    def __await__(self) -> Generator[Any, None, Self]:
        if self._sent is not None:
            yield from self._sent.__await__()
        return self

    # --- used by the connection

    def _opened(self, link: Link, sent: Awaitable[None], timeout: float, idle: float | None) -> None:
        self._link = link
        self._sent = sent
        now = link._loop.time()
        self.deadline = now + timeout
        if idle is not None:
            self._idle = idle
            self._until = self.deadline
            self.deadline = min(self._until, now + idle)

    def _receive(self, data: Any, type: Any, last: bool, size: int) -> None:
        if self.ended:
            return
        if self._idle is not None and self._link is not None:
            self.deadline = min(self._until, self._link.now() + self._idle)
        has_listeners = self._listeners is not NOBODY and bool(self._listeners.get("data"))
        if self._is_taken or not has_listeners:
            # As Answer(data, type), which is a call in Python and takes twice as long.
            self._keep(tuple.__new__(Answer, (data, type)), size + PACKET_COST)
        if has_listeners:
            self.emit("data", data, type)
        if last:
            self.end()

    # --- from here on: its own business

    def _keep(self, packet: Answer, size: int) -> None:
        self._unread_size += size
        if self._unread_size > MAX_UNREAD:
            self._first = self._rest = None
            self.end(LimitExceeded(f"more than {MAX_UNREAD} bytes of a response were waiting to be taken"))
            return
        if self._first is None:
            self._first = packet
        elif self._rest is None:
            self._rest = deque((packet,))
        else:
            self._rest.append(packet)
        if self._waiters is not None:
            self._wake()

    def _more(self) -> asyncio.Future[None]:
        # CPython 3.11 asks the system for each get_running_loop().
        loop = asyncio.get_running_loop() if self._link is None else self._link._loop
        waiter: asyncio.Future[None] = loop.create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        return waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def _listener_added(self, event: str) -> None:
        # In the next turn: whoever adds it has yet to add the others.
        if event == "data" and self._first is not None and not self._is_taken:
            asyncio.get_running_loop().call_soon(self._tell_unread)
        elif event == "end" and self.ended:
            asyncio.get_running_loop().call_soon(self._tell_end, self.listeners("end").pop())

    def _tell_unread(self) -> None:
        unread = () if self._first is None else (self._first, *(self._rest or ()))
        self._first = self._rest = None
        self._unread_size = 0
        for packet in unread:
            self.emit("data", *packet)

    def _tell_end(self, listener: Listener) -> None:
        late = EventEmitter()
        late.on("end", listener)
        late.emit("end", self._error)


class SockhopResponseWriteableStream(msgspec.Struct, eq=False):
    """The answers that a ``request`` listener gives. They are on their way at the call; awaiting
    them waits for the drain."""

    # A Struct is made in a third of the time that __init__ takes, and one is made for each request.
    _sockhop: Responder | None
    uuid: Any = msgspec.field(default_factory=new_uuid)
    _is_over: bool = False

    @classmethod
    def from_request(cls, req_obj: SockhopRequest, sockhop: Responder | None) -> Self:
        """What answers a request through a client or a session."""
        return cls(sockhop, req_obj.uuid)

    def send(self, data: Any = UNDEFINED) -> Awaitable[None]:
        """Give the last answer, which may be the only one.

        Raises ``SockhopError``: ERR_RESPONSE_SEND after the last one or without a way back,
        ERR_SOCKET_DESTROYED when the connection is over, and for None and other values what
        ``send`` of a client does.
        """
        return self._send({} if data is UNDEFINED else data, True)

    def write(self, data: Any = UNDEFINED) -> Awaitable[None]:
        """Give an answer that is not the last one. Raises as :meth:`send`."""
        return self._send({} if data is UNDEFINED else data, False)

    def end(self) -> Awaitable[None]:
        """Give the last answer, which is ``{}``."""
        return self._send({}, True)

    def _send(self, data: Any, last: bool) -> Awaitable[None]:
        if self._sockhop is None:
            raise SockhopError("Response packet cannot be sent back to responder", "ERR_RESPONSE_SEND")
        if self._is_over:
            raise SockhopError("Response packet cannot be sent after end", "ERR_RESPONSE_SEND")
        sent = self._sockhop._respond(self.uuid, data, last)
        self._is_over = last
        return sent
