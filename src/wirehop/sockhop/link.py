"""One connection of a Sockhop server or client, whose unit is the message: the same at both ends.

Up: bytes, lines (``wire.lines``), messages (``wire.envelope``), the endpoint's listeners. Down:
value, line, output. What waits for the other side is here too: streams, callbacks, pings.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from wirehop.core.ids import new_uuid
from wirehop.errors import LimitExceeded, SockhopError
from wirehop.node import tcp
from wirehop.sockhop.carrier import Carrier
from wirehop.sockhop.meta import NO_META, Meta, RemoteCallback
from wirehop.sockhop.ping import SockhopPing, SockhopPong
from wirehop.sockhop.request import SockhopRequest
from wirehop.sockhop.streams import SockhopResponseReadableStream, SockhopResponseWriteableStream
from wirehop.sockhop.wire import envelope, quick
from wirehop.sockhop.wire.envelope import Kind
from wirehop.sockhop.wire.types import RESERVED, NoFit, json_type

if TYPE_CHECKING:
    from wirehop.sockhop.endpoint import Endpoint
    from wirehop.sockhop.session import SockhopSession

__all__ = ["Link"]

SWEEP = 0.01
"""Seconds between two looks for what is late, at least: ten thousand may wait."""

BAD_LINES = 64
"""Lines that make no sense that one connection may send before others have their turn: each costs as
much as ten good ones, and half a mebibyte of them would take seconds."""

PINGS = 4
"""How many of the last pings count, as in the seed."""

STOPPED = "Response stream was stopped locally because stopped"

VALUE, CALLBACK, REQUEST, RESPONSE, PING, PONG = Kind


class Link(Carrier):
    """One connection: ``meta.socket``, ``session.sock``, and what the events tell of.

    It has the addresses and the ``ready_state`` of a ``node.tcp.Connection``, and its own events
    are ``disconnect(had_error)``, ``drain`` and ``timeout``; what its ``send`` sends is bytes, which
    the other side takes for a message if they are one. ``end()`` and ``full_close()`` let out what
    was sent, and ``force_close()`` does not.
    """

    __slots__ = (
        "_callbacks",
        "_meta",
        "_next_look",
        "_next_ping",
        "_ping_delay",
        "_pings",
        "has_complained",
        "owner",
        "session",
        "streams",
    )

    def __init__(self, owner: Endpoint, server: tcp.Server | None = None) -> None:
        super().__init__(owner.options, owner.DESTROYED, server)
        self.owner = owner
        """Whose connection it is."""
        self._callbacks: dict[str, tuple[Callable[..., Any], float]] = {}
        self._meta: Meta = NO_META
        """What was told beside the last value, which serves the next one of the same type."""
        self._next_look = math.inf
        self._ping_delay = 0.0
        self._next_ping = math.inf
        self._pings: list[SockhopPing] = []
        self.streams: dict[str, SockhopResponseReadableStream] = {}
        """The requests under way, by their uuid."""
        self.session: SockhopSession | None = None
        """What a server made for this connection."""
        self.has_complained = False
        """Whether an error of this connection that nobody listened to was logged."""

    # --- down

    def post(self, value: Any, callback: Callable[..., Any] | None = None) -> Awaitable[None]:
        """Send a value. Raises ``SockhopError`` and ``LimitExceeded``, as ``send`` of a client."""
        if callback is not None:
            return self._post_with_callback(value, callback)
        return self.write(self._options.text(value))

    def ask(self, value: Any, timeout: float | None, idle: float | None) -> SockhopResponseReadableStream:
        """Send a request. Raises as ``request`` of a client."""
        options = self._options
        if not options.is_wrapped:
            raise SockhopError("Unable to use requests - peer type must be Sockhop", "ERR_REQUEST_TYPE")
        if len(self.streams) >= options.max_requests:
            raise LimitExceeded(f"{options.max_requests} requests are waiting for a response already")
        types = options.types
        stream = SockhopResponseReadableStream()
        uuid = stream.uuid
        sent = self.write(types.text(envelope.request(types.name(value), value, uuid)))
        stream._opened(self, sent, timeout or options.response_timeout, idle or None)
        self.streams[uuid] = stream
        self._expect(stream.deadline)
        return stream

    def call_back(self, id: Any, value: Any) -> Awaitable[None]:
        """Call the other side's callback. Raises as :meth:`post`."""
        return self._post(envelope.callback(self._options.types.name(value), value, id))

    def ping(self, delay: float) -> None:
        """Ping every ``delay`` seconds, and close when none of the last pings was answered; 0 stops
        it."""
        self._pings = []
        self._ping_delay = delay
        self._next_ping = self.now() + delay if delay else math.inf
        self.alarm.by(self._next_ping)

    def _respond(self, uuid: Any, value: Any, last: bool) -> Awaitable[None]:
        types = self._options.types
        return self.write(types.text(envelope.response(types.name(value), value, uuid, last)))

    def _post(self, message: Any) -> Awaitable[None]:
        return self.write(self._options.types.text(message))

    def _post_with_callback(self, value: Any, callback: Callable[..., Any]) -> Awaitable[None]:
        if not self._options.is_wrapped:
            raise SockhopError(
                "Unable to use remote callback - peer type must be Sockhop", "ERR_REMOTE_CALLBACK_TYPE"
            )
        if not callable(callback):
            raise SockhopError("remote_callback must be a function", "ERR_REMOTE_CALLBACK_TYPE")
        if len(self._callbacks) >= self._options.max_callbacks:
            raise LimitExceeded(f"{self._options.max_callbacks} callbacks are waiting already")
        id = new_uuid()
        types = self._options.types
        sent = self.write(types.text(envelope.message(types.name(value), value, id)))
        deadline = self.now() + self._options.callback_timeout
        self._callbacks[id] = (callback, deadline)
        self._expect(deadline)
        return sent

    # --- up

    def _read(self, lines: Iterator[bytes]) -> None:
        options = self._options
        meta: Meta | None
        bad = 0
        for line in lines:
            try:
                if not options.is_wrapped:
                    value = envelope.parse(line, options.allow_non_objects)
                    self._deliver(json_type(value), value, None)
                elif quick.OWN <= line < quick.BEYOND_OWN:
                    self._take_own(line)
                else:
                    # Most messages are values, and a call for each step would cost as much again.
                    try:
                        message = quick.read_value(line)
                    except (ValueError, RecursionError):
                        self._take_unusual(line)
                    else:
                        meta = self._meta
                        if message.type != meta.type or message.id or message.callback_id:
                            meta = self._meta_of(message)
                        if meta is None:
                            self._take_unusual(line)
                        else:
                            value = message.data
                            if options.load is not None:
                                value = options.load(message.type, value)
                            self.owner.emit_pair("receive", value, meta)
            except SockhopError as error:
                self._complain(error)
                bad += 1
                if bad == BAD_LINES:
                    self._rest()
            if self._stopped or self.ready_state == "closed":
                return

    def _meta_of(self, message: quick.Value) -> Meta | None:
        """What is told beside a value that differs from the one before; None for what is no value."""
        if message.callback_id or message.type in RESERVED:
            return None
        if message.id:
            return Meta(message.type, self, self.session, RemoteCallback(self, message.id))
        self._meta = Meta(message.type, self, self.session)
        return self._meta

    def _take_own(self, line: bytes) -> None:
        try:
            message = quick.read_own(line)
        except (ValueError, RecursionError):
            self._take_unusual(line)
            return
        body = message.data
        if not (body.type and body.uuid):
            self._take_unusual(line)
        elif type(message) is quick.Request:
            self._requested(body.type, body.data, body.uuid)
        else:
            self._responded(body.type, body.data, body.uuid, body.last, len(line))

    def _take_unusual(self, line: bytes) -> None:
        options = self._options
        message = envelope.parse(line, options.allow_non_objects)
        if options.allow_non_objects and type(message) is not dict and message is not None:
            self._deliver(json_type(message), message, None)
            return
        kind, name, data, id, last = envelope.read(message)
        if kind is VALUE:
            self._deliver(name, self._loaded(name, data), id)
        elif kind is REQUEST:
            self._requested(name, data, id)
        elif kind is RESPONSE:
            self._responded(name, data, id, last, len(line))
        elif kind is CALLBACK:
            waiting = self._callbacks.pop(id, None) if type(id) is str else None
            if waiting is not None:
                self.owner._called_back(self, name, self._options.types.load(name, data), waiting[0])
        elif kind is PING:
            self._post(envelope.pong(SockhopPong(data).fields()))
        else:
            pong = SockhopPong(data)
            for ping in self._pings:
                ping.conclude_with_pong(pong)

    def _deliver(self, name: Any, value: Any, id: Any) -> None:
        asked = None if id is None else RemoteCallback(self, id)
        self.owner.emit("receive", value, Meta(name, self, self.session, asked))

    def _loaded(self, name: Any, data: Any) -> Any:
        load = self._options.load
        return data if load is None else load(name, data)

    def _requested(self, name: Any, data: Any, uuid: Any) -> None:
        request = SockhopRequest(uuid, self._loaded(name, data), name)
        self.owner._requested(self, request, SockhopResponseWriteableStream(self, request.uuid))

    def _responded(self, name: Any, data: Any, uuid: Any, last: bool, size: int) -> None:
        stream = self.streams.get(uuid) if type(uuid) is str else None
        if stream is None:
            return
        load = self._options.load
        if load is not None:
            try:
                data = load(name, data)
            except NoFit as error:
                stream.end(error)
                raise
        stream._receive(data, name, last, size)

    # --- time

    def _expect(self, deadline: float) -> None:
        if deadline < self._next_look:
            self._next_look = deadline
            self.alarm.by(deadline)

    def _due(self, now: float) -> float:
        if now >= self._next_ping:
            self._tick(now)
        if now >= self._next_look:
            self._expire(now)
        return min(self._next_ping, self._next_look)

    def _tick(self, now: float) -> None:
        self._next_ping = now + self._ping_delay
        if self.ready_state != "open":
            return
        ping = SockhopPing()
        # As in the seed: a server drops right after its fourth ping, a client in its place.
        if self.server is not None:
            self._post(envelope.ping(ping.fields()))
        self._pings = [*self._pings[1 - PINGS :], ping]
        if len(self._pings) == PINGS and all(ping.unanswered() for ping in self._pings):
            self.output.flush()
            self.force_close()
        elif self.server is None:
            self._post(envelope.ping(ping.fields()))

    def _expire(self, now: float) -> None:
        for stream in [stream for stream in self.streams.values() if stream.deadline <= now]:
            stream.end(SockhopError("Response stream timed out before ending", "ERR_RESPONSE_TIMEOUT"))
        late = [id for id, (_, deadline) in self._callbacks.items() if deadline <= now]
        for id in late:
            del self._callbacks[id]
        for _ in late:
            timeout = f"A remote callback was not called within {self._options.callback_timeout:g} s"
            self._complain(SockhopError(timeout, "ERR_RESPONSE_TIMEOUT"))
        deadlines = [stream.deadline for stream in self.streams.values()]
        deadlines += [deadline for _, deadline in self._callbacks.values()]
        self._next_look = max(min(deadlines, default=math.inf), now + SWEEP)

    # --- the beginning and the end

    def _opened(self) -> None:
        self.owner._opened(self)

    def _failed(self, error: BaseException | None, was_awaited: bool) -> None:
        self.owner._failed(self, error, was_awaited)

    def _closed(self) -> None:
        self.owner._closed(self)

    def _over(self) -> None:
        self.owner._over(self)

    def _complain(self, error: Exception) -> None:
        self.owner._complain(self, error)

    def _stop_waiting(self) -> None:
        self._next_ping = self._next_look = math.inf
        self._pings = []
        # It knows this connection, which would wait for the cyclic collector.
        self._meta = NO_META
        self._callbacks.clear()
        for stream in list(self.streams.values()):
            stream.end(SockhopError(STOPPED))
