"""One connection of an HTTP/1.1 server: one write answers all that one batch of input asked."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

from wirehop.core.events import NOBODY
from wirehop.node import alive, tcp
from wirehop.node.http.parser import Refused, RequestParser
from wirehop.node.http.server_request import ServerRequest
from wirehop.node.http.server_response import ServerResponse
from wirehop.node.tcp import WRITABLE

if TYPE_CHECKING:
    from wirehop.node.http.server import Server

__all__ = ["ServerConnection"]

HEAD_STEP = 2048
"""Bytes that the parser gets at once when no head ends sooner: it cannot be stopped, and reading
is to pause as soon as ``max_pipelined`` requests wait."""

BODY_STEP = 8192
"""The same while a body arrives, where small steps would only cost time. The smallest request has
18 bytes, so this bounds how many may follow a body before reading pauses."""

END_OF_HEAD = b"\r\n\r\n"


class ServerConnection(tcp.Connection):
    """One connection of a server; ``request.connection``.

    ``ready_state`` is as in TCP: "writeOnly" when the client has said all, "readOnly" while it
    is given time to stop sending after an early answer.
    """

    __slots__ = (
        "_alarm",
        "_awaited",
        "_backlog",
        "_due",
        "_held",
        "_is_reading",
        "_limits",
        "_parser",
        "_paused",
        "_receiving",
        "_responses",
        "_tail",
        "_upgrade",
    )

    server: Server

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._limits = server.limits
        self._parser: RequestParser | None = RequestParser(self, self._limits)
        self._responses: deque[ServerResponse] = deque()
        self._held = 0
        self._receiving: ServerRequest | None = None
        self._upgrade: ServerRequest | None = None
        self._tail: bytes | None = None
        self._backlog = b""
        self._paused = False
        self._due = math.inf
        self._is_reading = False
        self._awaited: float | None = None
        self._alarm = server.deadlines.alarm(self._ring)

    # --- bytes from the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        limits = self._limits
        self._made(transport, limits.high_water, limits.send_limit, limits.send_timeout)
        self.server.connections.add(self)
        if self.server.is_closing:
            # It was accepted already, and its TLS handshake took until now.
            self.full_close()
            return
        self._expect_by(self._limits.head_timeout)
        self.server.emit("connection", self)
        if self.ready_state != "closed":
            self.emit("connect")

    def data_received(self, data: bytes) -> None:
        self._is_reading = True
        try:
            self._read(data)
        finally:
            self._is_reading = False
        # As _expect_by(), but for the call.
        if (awaited := self._awaited) is not None:
            self._awaited = None
            self._due = due = self._loop.time() + awaited
            if due < self._alarm.when:
                self._alarm.by(due)

    def eof_received(self) -> bool:
        # A client that has said all may still be waiting for its answers.
        if self.ready_state == "writeOnly":
            return True
        stays = super().eof_received()
        self._stop_parsing()
        request, self._receiving = self._receiving, None
        if request is not None:
            request.fail("Remote Connection Closed")
            last = self._responses[-1] if self._responses else None
            if last is not None and last.request is request and not last.finished:
                self._responses.pop().drop()
        if not self._responses:
            self.ready_state = "closed"
            return False
        self._responses[-1].keep_alive = False
        self._expect_by(math.inf)
        return stays

    def resume_writing(self) -> None:
        super().resume_writing()
        self._hand_over()

    def connection_lost(self, error: Exception | None) -> None:
        self._let_go()
        if self._receiving is not None:
            self._receiving.fail("Remote Connection Closed")
            self._receiving = None
        super().connection_lost(error)
        self._drop_responses()

    def _read(self, data: bytes) -> None:
        at = 0
        while at < len(data) and (parser := self._parser) is not None and not self._paused:
            if self._receiving is not None:
                self._feed(parser, data[at : at + BODY_STEP], is_head=False)
                at += BODY_STEP
            elif size := parser.repeat(data, at):
                at += size
                if self._responses:
                    self.throttle()
            else:
                end = data.find(END_OF_HEAD, at, at + HEAD_STEP)
                size = HEAD_STEP if end < 0 else end + len(END_OF_HEAD) - at
                self._feed(parser, data[at : at + size], is_head=end >= 0)
                at += size
        if self._tail is not None:
            self._tail += data[at:]
            self._hand_over()
        elif at < len(data) and self._parser is not None:
            self._backlog += data[at:]

    def _feed(self, parser: RequestParser, data: bytes, is_head: bool) -> None:
        try:
            tail = parser.feed(data, is_head)
        except Refused as refused:
            self._refuse(refused.status)
        else:
            if tail is not None:
                # Nobody is late while it waits for the answers before it.
                self._expect_by(math.inf)
                self._upgrade = parser.upgrade
                self._tail = tail
                self._stop_parsing()
        if self._responses or self._receiving is not None or self._paused or self._tail is not None:
            self.throttle()

    def _stop_parsing(self) -> None:
        if self._parser is not None:
            self._parser.close()
            self._parser = None

    # --- what the parser found

    # All within data_received(), which heeds the last thing that was awaited.

    def head_began(self) -> None:
        self._awaited = self._limits.head_timeout

    def request_began(self, request: ServerRequest, keep_alive: bool, expects: bool) -> None:
        """A head is complete; ``expects``: its client waits for a word before it sends the body."""
        if request.has_body:
            self._awaited = self._limits.request_timeout
            self._receiving = request
            if expects and not self._responses:
                self.output.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            self._awaited = math.inf
        # As _owe(), but for the call.
        server = self.server
        responses = self._responses
        response = ServerResponse(self, request, keep_alive and not server.is_closing, not responses)
        responses.append(response)
        if not server.emit_pair("request", request, response):
            response.respond(404)
        # Most requests have no body, and nobody listens.
        if request._listeners is not NOBODY and not request.has_body:
            request.end()

    def body_arrived(self, body: bytes) -> None:
        if self._receiving is not None:
            self._receiving.feed(body)

    def body_ended(self) -> None:
        request, self._receiving = self._receiving, None
        if request is not None:
            self._awaited = math.inf if self._responses else self._limits.idle_timeout
            request.end()
            if self.server.is_closing and not self._responses:
                self.full_close()

    # --- responses, in the order of the requests

    def response_finished(self, response: ServerResponse) -> None:
        """Called once by each response; lets the next ones go."""
        if response.request.has_body:
            response.request.discard()
        responses = self._responses
        if self.ready_state not in WRITABLE:
            return
        while responses and responses[0].finished:
            if not responses.popleft().keep_alive:
                self._end()
                return
            if responses:
                responses[0].release()
        if self._paused:
            self.throttle()
        # As _is_receiving() and _expect_by(), but for the calls.
        if responses or self._receiving is not None:
            return
        if self._parser is not None and self._parser.in_head:
            return
        if self._is_reading:
            self._awaited = self._limits.idle_timeout
        else:
            self._expect_by(self._limits.idle_timeout)
        if self._tail is not None:
            self._hand_over()

    def held(self, size: int) -> None:
        """Count what responses hold until it is their turn; who leaves too much waiting is cut."""
        self._held += size
        limit = self._limits.send_limit
        if self._held > limit and self.ready_state in WRITABLE:
            self._overflow(f"more than {limit} bytes were waiting for an earlier answer")

    def close_when_idle(self) -> None:
        """Close now, or after the last answer that is due."""
        if self._responses:
            self._responses[-1].keep_alive = False
        elif not self._is_receiving():
            self.full_close()

    def _owe(self, request: ServerRequest, keep_alive: bool) -> ServerResponse:
        response = ServerResponse(self, request, keep_alive, not self._responses)
        self._responses.append(response)
        return response

    def _refuse(self, status: int) -> None:
        """Answer with an error, after the answers that are due before it, and close."""
        if self._parser is None or self.ready_state not in WRITABLE:
            return
        self._stop_parsing()
        self._expect_by(math.inf)
        request, self._receiving = self._receiving, None
        if request is not None:
            last = self._responses[-1] if self._responses else None
            request.fail(HTTPStatus(status).phrase)
            if last is None or last.request is not request or last.has_begun():
                # It has its answer, or a part of one: nothing can be said any more.
                self._end()
                return
            if last.finished:
                last.keep_alive = False
                return
            self._responses.pop().drop()
        error = ServerRequest(self, "", "", "1.1", [])
        self._owe(error, keep_alive=False).respond(status)

    def _end(self) -> None:
        """No more will be said. A client that may be sending yet gets time to notice."""
        request, self._receiving = self._receiving, None
        may_send = self._parser is None or (request is not None and request.has_body)
        if not (may_send or self._responses or self._backlog):
            self.full_close()
            return
        self._drop_responses()
        if request is not None:
            request.fail("Local Connection Closed")
        self._stop_parsing()
        self._expect_by(self._limits.linger_timeout)
        self.close()
        self._backlog = b""
        if self.ready_state == "readOnly":
            self._paused = False
            self.output.transport.resume_reading()

    def _drop_responses(self) -> None:
        while self._responses:
            self._responses.popleft().drop()

    # --- upgrades

    def refuse_upgrade(self, request: ServerRequest) -> ServerResponse:
        """A response with which to refuse an upgrade; it ends the connection."""
        return self._owe(request, keep_alive=False)

    def hold_upgrade(self) -> None:
        """Read no more until it is decided; :meth:`detach` and the end of a refusal read again."""
        self._paused = True
        self.output.transport.pause_reading()

    def resume_upgrade(self) -> None:
        """The response of :meth:`refuse_upgrade` is not needed."""
        self._responses.clear()

    def detach(self) -> asyncio.Transport:
        """Give the socket away after an upgrade; no event of this connection follows."""
        self._let_go()
        alive.release(self)
        self.ready_state = "closed"
        transport = self.output.detach()
        transport.resume_reading()
        return transport

    def _hand_over(self) -> None:
        is_due = self._tail is not None and self._upgrade is not None and not self._responses
        if not is_due or self.ready_state not in WRITABLE:
            return
        self.output.flush()
        if self.output.transport.get_write_buffer_size():
            # Whoever takes over begins with nothing on its way: this will be called when all is out.
            self.output.transport.set_write_buffer_limits(high=0)
            return
        request, self._upgrade = self._upgrade, None
        tail, self._tail = self._tail, None
        self._expect_by(self._limits.head_timeout)
        self.server.emit("upgrade", request, self, tail)

    # --- limits

    def throttle(self) -> None:
        """Read, unless there are too many unanswered requests or a body that nobody reads."""
        limits = self._limits
        # Not the one that is being received: its handler may wait for its body.
        whole = len(self._responses) - (self._receiving is not None)
        full = (
            whole >= limits.max_pipelined
            or self._tail is not None
            or (self._receiving is not None and self._receiving.is_overfull(limits.body_high_water))
        )
        if full == self._paused or self.ready_state != "open":
            return
        self._paused = full
        if full:
            self.output.transport.pause_reading()
        elif self._backlog:
            # Not now: this may be called by a handler that the backlog would call again.
            self._loop.call_soon(self._go_on)
        else:
            self.output.transport.resume_reading()

    def _go_on(self) -> None:
        backlog, self._backlog = self._backlog, b""
        self.data_received(backlog)
        if not self._paused and self.ready_state == "open":
            self.output.transport.resume_reading()

    def _is_receiving(self) -> bool:
        return self._receiving is not None or (self._parser is not None and self._parser.in_head)

    def _expect_by(self, seconds: float) -> None:
        """The client has so long for what comes next."""
        if self._is_reading:
            # It may change several times in one read; the last one counts.
            self._awaited = seconds
            return
        self._due = due = self._loop.time() + seconds
        if due < self._alarm.when:
            self._alarm.by(due)

    def _ring(self, now: float) -> float:
        if now < self._due:
            return self._due
        if self._is_receiving():
            self._refuse(408)
        else:
            self.full_close()
        return math.inf

    def _let_go(self) -> None:
        self._stop_parsing()
        self._backlog = b""
        self._upgrade = self._tail = None
        self._alarm.stop()
        self.server.forget(self)
