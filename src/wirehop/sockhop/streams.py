"""The answers to one request, on both sides (seed: ``SockhopResponseReadableStream`` and
``SockhopResponseWriteableStream``; wire document, section 6)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, cast

import msgspec

from wirehop.core.events import NOBODY, EventEmitter, Once
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
    is kept for who does, and a ``data`` listener that comes late is told all of it in the next turn of
    the loop, in order; ``end`` comes after the last ``data``. While nobody takes and nobody listens to
    ``data``, ``end`` waits for nobody: it says that the last packet came, as in the seed, and the
    packets stay for who comes later.

    The ``{}`` of ``end()`` on the other side is a packet like any other, as in the seed. Awaiting
    the stream itself waits until the request went down the socket, and gives the stream.
    """

    __slots__ = (
        "_error",
        "_first",
        "_first_size",
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
        self._rest: deque[tuple[Answer, int]] | None = None
        self._first_size = 0
        self._unread_size = 0
        self._waiters: list[asyncio.Future[None]] | None = None

    @classmethod
    def from_request(cls, req: SockhopRequest | Mapping[str, Any]) -> Self:
        """The stream of a request, or of the members that it has on the wire, for the side that
        asks."""
        return cls(_uuid_of(req))

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
            if self._first is not None and self._is_telling():
                self._soon(self._tell_end)
            else:
                self.emit("end", err)

    async def next(self) -> Answer:
        """The first packet that nobody took, which is the end of the stream on this side.

        Raises ``SockhopError`` when it ends without one: ERR_RESPONSE_TIMEOUT, or no code when
        the connection ended before, or the stream itself.
        """
        if self._first is not None and not self._is_taken:
            self._share()
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
        if self._first is not None and not self._is_taken:
            self._share()
        self._is_taken = True
        while (packet := self._first) is None:
            if self.ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._more()
        self._drop_first()
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
        if has_listeners and self._first is not None and not self._is_taken:
            # It must not overtake those that a late listener is told in the next turn.
            has_listeners = False
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
            self._first_size = size
        elif self._rest is None:
            self._rest = deque(((packet, size),))
        else:
            self._rest.append((packet, size))
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

    def _drop_first(self) -> None:
        if self._rest:
            self._unread_size -= self._first_size
            self._first, self._first_size = self._rest.popleft()
        else:
            self._first = None
            self._unread_size = 0

    def _share(self) -> None:
        """Somebody takes what a late listener has yet to be told: both get it."""
        self._is_taken = True
        if self._listeners.get("data"):
            for packet in (self._first, *(packet for packet, _ in self._rest or ())):
                self.emit("data", *cast(Answer, packet))

    def _is_telling(self) -> bool:
        """Whether a late listener is told of packets in the next turn."""
        return self._first is not None and not self._is_taken and bool(self._listeners.get("data"))

    def _listener_added(self, event: str) -> None:
        # In the next turn: whoever adds it has yet to add the others.
        if event == "data" and self._first is not None and not self._is_taken:
            self._soon(self._tell_unread)
        elif event == "end" and self.ended:
            # Those before it were told, or will be.
            self._soon(self._tell_late_end, self.listeners("end").pop())

    def _soon(self, tell: Callable[..., None], *args: Any) -> None:
        if self._link is not None:
            self._link._loop.call_soon(tell, *args)
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # It was made by hand, and without a loop there is no next turn.
            tell(*args)
        else:
            loop.call_soon(tell, *args)

    def _tell_unread(self) -> None:
        # Looked at each time, because a listener may leave, or begin to take.
        while self._is_telling():
            packet = cast(Answer, self._first)
            self._drop_first()
            self.emit("data", *packet)

    def _tell_end(self) -> None:
        self.emit("end", self._error)

    def _tell_late_end(self, listener: Any) -> None:
        if self._is_telling():
            # A listener of packets was added after it.
            self._soon(self._tell_late_end, listener)
            return
        late = EventEmitter()
        late.on("end", listener.listener if type(listener) is Once else listener)
        late.emit("end", self._error)


class SockhopResponseWriteableStream(msgspec.Struct, eq=False):
    """The answers that a ``request`` listener gives. They are on their way at the call; awaiting
    them waits for the drain.

    ``sockhop`` is the client, the session or the connection through which they go, ``uuid`` that of
    the request; without one it makes one up.
    """

    # A Struct is made in a third of the time that __init__ takes, and one is made for each request.
    sockhop: Responder | None
    uuid: Any = msgspec.field(default_factory=new_uuid)
    _is_over: bool = False

    @classmethod
    def from_request(cls, req_obj: SockhopRequest | Mapping[str, Any], sockhop: Responder | None) -> Self:
        """What answers a request, or the members that it has on the wire, through a client or a
        session."""
        return cls(sockhop, _uuid_of(req_obj))

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
        if self.sockhop is None:
            raise SockhopError("Response packet cannot be sent back to responder", "ERR_RESPONSE_SEND")
        if self._is_over:
            raise SockhopError("Response packet cannot be sent after end", "ERR_RESPONSE_SEND")
        sent = self.sockhop._respond(self.uuid, data, last)
        self._is_over = last
        return sent


def _uuid_of(req: SockhopRequest | Mapping[str, Any]) -> Any:
    return (req.get("uuid") if isinstance(req, Mapping) else req.uuid) or new_uuid()
