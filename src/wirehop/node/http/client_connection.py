"""One connection of an HTTP/1.1 client: one request and its response after the other."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from wirehop.errors import ConnectionClosed, ProtocolError
from wirehop.node import alive, tcp
from wirehop.node.http.client_response import ClientResponse
from wirehop.node.http.headers import pairs
from wirehop.node.http.response_parser import RawHeaders, ResponseParser

if TYPE_CHECKING:
    from wirehop.node.http.client import Client
    from wirehop.node.http.client_request import ClientRequest

__all__ = ["ClientConnection"]


class ClientConnection(tcp.Connection):
    """What carries the requests of a client for as long as both sides let it.

    An exchange is a request and its response; it is over when both are complete.
    """

    __slots__ = (
        "_alarm",
        "_client",
        "_discarded",
        "_due",
        "_expects_word",
        "_is_paused",
        "_is_reused",
        "_parser",
        "_request",
        "_response",
        "_stays",
    )

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._request: ClientRequest | None = None
        self._response: ClientResponse | None = None
        # There from the beginning of an exchange until its response is complete.
        self._parser: ResponseParser | None = None
        self._expects_word = False
        self._stays = False
        self._is_paused = False
        self._discarded = 0
        # The server of a connection that was used before may be about to close it.
        self._is_reused = False
        self._due = math.inf
        self._alarm = client.deadlines.alarm(self._ring)

    # --- called by the client

    def begin(self, request: ClientRequest) -> None:
        """Carry a request; the one before is over."""
        self._request = request
        self._parser = ResponseParser(request.method, self._client.limits, self)
        self._stays = not request.closes
        self._discarded = 0
        self._wait(math.inf)
        request.begin(self)
        if request.finished:
            self.request_finished()

    def end(self) -> None:
        """Close a connection that carries nothing."""
        alive.release(self)
        self._wait(self._client.limits.close_timeout)
        self.full_close()

    def cut(self) -> None:
        """Close now; whoever waits for something was told already."""
        self._let_go()
        self.force_close()

    # --- called by the request and the response

    def expect_continue(self) -> None:
        """A head has left whose body waits for the server's word."""
        self._expects_word = True
        self._wait(self._client.limits.continue_timeout)

    def request_finished(self) -> None:
        """All of the request has left, or waits for nothing but the server's word."""
        if self._parser is None:
            self._exchange_over()
        elif self._response is None and not self._expects_word:
            self._wait(self._client.limits.response_timeout)

    def body_was_read(self, response: ClientResponse) -> None:
        """Somebody caught up with a body."""
        if response is self._response:
            self._wait(self._client.limits.body_timeout)
            self._throttle()

    # --- bytes from the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        limits = self._client.limits
        self._made(transport, limits.high_water, limits.send_limit, limits.send_timeout)
        self.emit("connect")
        self._wait(limits.idle_timeout)
        self._client.connected(self)

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            if self.ready_state == "open":
                self._got_unasked()
            return
        try:
            parser.feed(data)
        except ProtocolError as error:
            if self._parser is parser:
                self._break_off(error)
            return
        if self._parser is not parser:
            # A listener ended it.
            return
        if parser.complete:
            self._response_complete(parser)
        elif self._response is not None:
            self._wait(self._client.limits.body_timeout)
            self._throttle()
            self._limit_waste(self._response)

    def eof_received(self) -> bool:
        super().eof_received()
        parser = self._parser
        if parser is not None and parser.until_close:
            self._response_complete(parser)
        else:
            self._lost(ConnectionClosed("Remote Connection Closed"))
        # Nothing more can come of a server that says no more.
        self.ready_state = "closed"
        return False

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        closed = ConnectionClosed(self.output.closed_because or "Remote Connection Closed")
        closed.__cause__ = error
        self._lost(closed)
        self._alarm.stop()
        self._client.connection_is_over(self)

    # --- what the parser found

    def information_arrived(self, status: int, headers: RawHeaders) -> None:
        request = self._request
        assert request is not None
        if status != 100:
            request.emit("information", status, pairs(headers))
            return
        self._send_body(request)
        request.emit("continue")

    def head_arrived(self, status: int, version: str, headers: RawHeaders) -> None:
        request = self._request
        assert request is not None
        if self._expects_word:
            # That is the word: the server does not want the body, and waits for no other request.
            self._expects_word = False
            self._stays = False
            request.drop()
        response = self._response = ClientResponse(self, request, status, version, headers)
        self._wait(self._client.limits.body_timeout)
        request.answer(response)

    def body_arrived(self, body: bytes) -> None:
        response = self._response
        assert response is not None
        if response.is_waste:
            self._discarded += len(body)
        response.feed(body)

    # --- the end of an exchange

    def _response_complete(self, parser: ResponseParser) -> None:
        request, response = self._request, self._response
        assert request is not None
        assert response is not None
        parser.close()
        self._parser = self._response = None
        self._stays = self._stays and parser.keep_alive and not parser.has_excess
        self._wait(math.inf)
        self._throttle()
        response.end()
        if self._request is request and (request.finished or not self._stays):
            self._exchange_over()

    def _exchange_over(self) -> None:
        """The response is there, and either the request is too, or nobody wants the rest."""
        request = self._request
        assert request is not None
        self._let_go()
        request.leave()
        if not request.finished:
            self.force_close()
        elif self._stays and self.ready_state == "open":
            self._is_reused = True
            self._wait(self._client.limits.idle_timeout)
            alive.release(self)
        else:
            self.end()
        self._client.exchange_over(self, request)

    def _break_off(self, error: Exception) -> None:
        """The server broke the rules, or took too long."""
        request = self._request
        assert request is not None
        self.cut()
        self._client.exchange_failed(self, request, error)

    def _lost(self, error: Exception) -> None:
        """The server closed, or the connection broke."""
        request, parser = self._request, self._parser
        if request is None:
            self._client.connection_gone(self)
            return
        if parser is None:
            self._stays = False
            self._exchange_over()
            return
        self._let_go()
        if self._is_reused and not parser.has_begun and request.may_be_retried():
            self._client.retry(self, request)
        else:
            self._client.exchange_failed(self, request, error)

    def _got_unasked(self) -> None:
        self._log.info("closed the connection to %s: bytes that nobody asked for", self.remote_address)
        self._stays = False
        if self._request is not None:
            self._exchange_over()
        else:
            self.cut()
            self._client.connection_gone(self)

    def _limit_waste(self, response: ClientResponse) -> None:
        if self._discarded > self._client.limits.body_high_water:
            request = self._request
            assert request is not None
            response.fail("nobody wanted the rest of this body")
            request.leave()
            self.cut()
            self._client.exchange_over(self, request)

    def _let_go(self) -> None:
        if self._parser is not None:
            self._parser.close()
        self._parser = self._request = self._response = None
        self._expects_word = False

    # --- limits

    def _throttle(self) -> None:
        """Read no more while there is a body that nobody reads."""
        response = self._response
        full = (
            response is not None
            and not response.is_unwanted
            and response.is_overfull(self._client.limits.body_high_water)
        )
        if full != self._is_paused and self.ready_state == "open":
            self._is_paused = full
            if full:
                self.output.transport.pause_reading()
            else:
                self.output.transport.resume_reading()

    def _send_body(self, request: ClientRequest) -> None:
        """The body has waited for long enough."""
        if self._expects_word:
            self._expects_word = False
            self._wait(self._client.limits.response_timeout if request.finished else math.inf)
            request.go_on()

    def _wait(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._alarm.by(self._due)

    def _ring(self, now: float) -> float:
        if now < self._due:
            return self._due
        self._due = math.inf
        limits = self._client.limits
        if self.ready_state == "closed":
            self.force_close()
        elif self._request is None:
            self.end()
            self._client.connection_gone(self)
        elif self._expects_word:
            self._send_body(self._request)
        elif self._response is None:
            self._break_off(TimeoutError(f"no response within {limits.response_timeout:g} s"))
        elif self._is_paused:
            self._break_off(TimeoutError(f"nobody read the body for {limits.body_timeout:g} s"))
        else:
            self._break_off(TimeoutError(f"no more of the body within {limits.body_timeout:g} s"))
        return self._due
