"""One request of a client (RFC 9110, RFC 9112)."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any

from wirehop.core.events import EventEmitter, Listener
from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed
from wirehop.node.encodings import UTF8, Data, encode
from wirehop.node.http.headers import TOKEN, Fields, Headers
from wirehop.node.http.message import OutgoingMessage

if TYPE_CHECKING:
    from wirehop.node.http.client import Client
    from wirehop.node.http.client_connection import ClientConnection
    from wirehop.node.http.client_response import ClientResponse

__all__ = ["ClientRequest"]

_TARGET = re.compile(r"(?:/|[A-Za-z][A-Za-z0-9+.-]*://)[!-\"$-~]*|\*")
"""A path, a whole URI (for a proxy) or * (RFC 9112, 3.2): no blank, no control, no fragment."""

_WITH_BODY = ("POST", "PUT", "PATCH")
"""The methods whose requests say so when they have no body (RFC 9110, 8.6)."""

_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE")
"""What may be asked twice (RFC 9110, 9.2.2)."""


class ClientRequest(OutgoingMessage, EventEmitter):
    """A request under way: ``send_body`` as often as needed, then ``finish`` (seed: Node 0.1.0,
    ``node.http.ClientRequest``). The requests behind it wait until it is finished.

    Events: ``response(response)``; ``continue()`` and ``information(status, headers)`` for what
    a server says before it (1xx).

    The head leaves at the end of the turn in which it is the request's turn, or with the first
    piece of the body. Without a Content-Length the body goes out in chunks. With an ``Expect:
    100-continue`` the body waits for the server's word, for a second at most.
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_body_has_left",
        "_chunked",
        "_dropped",
        "_error",
        "_expects",
        "_head",
        "_held",
        "_lines",
        "_released",
        "_remaining",
        "_response",
        "_turn",
        "_was_awaited",
        "_without_body",
        "client",
        "closes",
        "connection",
        "finished",
        "method",
        "path",
        "was_retried",
    )

    connection: ClientConnection | None

    def __init__(self, client: Client, method: str, path: str, headers: Headers) -> None:
        if not TOKEN.fullmatch(method) or method == "CONNECT":
            raise ValueError(f"{method!r} is no method that can be asked here")
        if not _TARGET.fullmatch(path):
            raise ValueError(f"{path!r} is no path: a slash first, and neither blanks nor other than ASCII")
        fields = Fields(headers)
        self.client = client
        self.method = method
        self.path = path
        self.connection = None
        self.finished = False
        self.closes = fields.closes
        """Whether the connection shall end with the response."""
        self.was_retried = False
        self._lines = [f"{method} {path} HTTP/1.1\r\n".encode()]
        if "host" not in fields.values:
            self._lines.append(f"Host: {client.authority}\r\n".encode())
        self._expects = fields.values.get("expect", "").lower() == "100-continue"
        self._lines += (line for line in fields.lines if not (self._expects and _is_expect(line)))
        if self.closes:
            self._lines.append(b"Connection: close\r\n")
        self._head = b""
        self._held = []
        self._released = False
        self._dropped = False
        self._turn = None
        self._chunked = fields.chunked
        self._remaining = fields.length
        self._without_body = False
        self._body_has_left = False
        self._response: ClientResponse | None = None
        self._error: Exception | None = None
        self._answered: Waiters | None = None
        self._asked: weakref.ref[_Answer] | None = None
        self._was_awaited = False
        if self._chunked or self._remaining is not None:
            self._settle()

    def send_body(self, chunk: Data, encoding: str = UTF8) -> Awaitable[None]:
        """Send a piece of the body. Awaiting it waits for the request's turn and for the drain,
        and raises what made the request fail.

        Raises ``RuntimeError`` after :meth:`finish` and when the head has left without a word of
        a body, ``ValueError`` for more bytes than the Content-Length promised and for text that
        the encoding cannot say, ``LimitExceeded`` when too much waits for its turn already.
        """
        if self.finished:
            raise RuntimeError("send_body() comes before finish()")
        data = encode(chunk, encoding)
        if not data or self._dropped:
            return self
        if not self._head:
            self._chunked = True
        elif not self._chunked and self._remaining is None:
            raise RuntimeError("the head of this request has left, and announced no body")
        if not self._released:
            self.client.make_sure_of_room(len(data))
        framed = self._framed(data)
        if not self._head:
            self._settle()
        self._write(framed)
        return self

    def finish(self, listener: Listener | None = None) -> Awaitable[ClientResponse]:
        """The request is complete. ``listener(response)`` is added to the ``response`` event.

        Returns the response, to be awaited or not: that raises ``OSError`` when the server cannot
        be reached, ``ConnectionClosed`` when it left without a response, ``TimeoutError`` when
        none came in time, ``ProtocolError`` for what is none. A response that nobody listens to
        or awaits is dropped, and so is the body that no listener takes (:class:`ClientResponse`).

        Raises ``RuntimeError`` when called twice, and ``ValueError`` for a body that is shorter
        than its Content-Length: then the request has failed.
        """
        if self.finished:
            raise RuntimeError("this request was finished already")
        if self._remaining and not self._dropped:
            short = ValueError(f"the body is shorter than its Content-Length by {self._remaining} bytes")
            self.client.abandon(self, short)
            raise short
        if listener is not None:
            self.on("response", listener)
        if not self._head:
            self._settle()
        if self._chunked:
            self._write(b"0\r\n\r\n")
        self.finished = True
        answer = _Answer(self)
        self._asked = weakref.ref(answer)
        if self.connection is not None:
            self.connection.request_finished()
        return answer

    def __await__(self) -> Generator[Any, None, None]:
        while True:
            connection = self.connection
            try:
                yield from self._until_sent()
            except ConnectionClosed:
                # With a response in hand it does not matter that nobody reads the rest of the request.
                is_at_stake = self._response is None and self._error is None
                if is_at_stake and connection is not self.connection:
                    # It will be sent once more.
                    continue
                if is_at_stake:
                    raise
            if self._error is not None:
                raise self._error
            return

    # --- called by the client and its connection

    def begin(self, connection: ClientConnection) -> None:
        """It is this request's turn."""
        self.connection = connection
        if self._head:
            self._send_head()
        else:
            # finish() or send_body() may follow at once, and know more of the body.
            asyncio.get_running_loop().call_soon(self._settle_late)

    def go_on(self) -> None:
        """The body need not wait any longer."""
        self._body_has_left = bool(self._held)
        self.release()

    def may_be_retried(self) -> bool:
        """Whether it can be sent once more on another connection, as if for the first time."""
        if not self._head:
            # Nothing of it has left.
            return True
        return self.method in _IDEMPOTENT and not (self.was_retried or self._body_has_left)

    def rewind(self) -> None:
        """The connection is gone, and nothing of the body with it."""
        self.connection = None
        self._released = False

    def answer(self, response: ClientResponse) -> None:
        """The head of the response is there."""
        self._response = response
        was_heard = self.emit("response", response)
        self._tell()
        if self.finished and not was_heard and not self._is_asked():
            response.discard()

    def leave(self) -> None:
        """The response is complete: whatever of the request is still to come is not needed."""
        self.connection = None
        if not self.finished:
            self.drop()

    def fail(self, error: Exception) -> None:
        """There will be no response, or no more of it."""
        self._error = error
        self.connection = None
        if self._response is not None:
            self._response.fail_with(error)
        self.drop()
        self._tell()

    def until_answered(self) -> Generator[Any, None, ClientResponse]:
        """Wait for the response; raises what made the request fail."""
        while self._response is None:
            if self._error is not None:
                raise self._error
            if self._answered is None:
                self._answered = Waiters()
            yield from self._answered.__await__()
        self._was_awaited = True
        return self._response

    def may_want(self, response: ClientResponse) -> bool:
        """Whether somebody may yet read the response who awaited it, or whom it was given."""
        if self._was_awaited or not self.finished or self._is_asked():
            return True
        return response.is_at_hand(self)

    def forsake(self) -> None:
        """Nobody will read the response any more, unless somebody is at it."""
        if self._response is not None:
            self._response.forsake()
        elif self._answered is None:
            self._asked = None

    def _is_asked(self) -> bool:
        """Whether somebody has what :meth:`finish` returned."""
        return self._asked is not None and self._asked() is not None

    def _tell(self) -> None:
        if self._answered is not None:
            self._answered.wake()

    def _settle_late(self) -> None:
        if not self._head and not self._dropped:
            self._chunked = self.method in _WITH_BODY
            self._settle()

    def _settle(self) -> None:
        """Decide on the framing of the body, which makes the head."""
        if self._chunked:
            self._lines.append(b"Transfer-Encoding: chunked\r\n")
        elif self._remaining is None and self.method in _WITH_BODY:
            self._lines.append(b"Content-Length: 0\r\n")
        self._expects = self._expects and (self._chunked or bool(self._remaining))
        if self._expects:
            self._lines.append(b"Expect: 100-continue\r\n")
        self._head = b"".join([*self._lines, b"\r\n"])
        if self.connection is not None:
            self._send_head()

    def _send_head(self) -> None:
        assert self.connection is not None
        self.connection.output.write(self._head)
        if self._expects:
            self.connection.expect_continue()
        else:
            self.go_on()

    def _write(self, data: bytes) -> None:
        if data and self._released:
            self._body_has_left = True
        super()._write(data)

    def _count(self, size: int) -> None:
        self.client.hold(size)


class _Answer:
    """The response of one request, when it is awaited. The request does not hold it: so it knows
    whether anybody could still want the response."""

    __slots__ = ("__weakref__", "_request")

    def __init__(self, request: ClientRequest) -> None:
        self._request = request

    def __await__(self) -> Generator[Any, None, ClientResponse]:
        response = yield from self._request.until_answered()
        return response


def _is_expect(line: bytes) -> bool:
    return line[:7].lower() == b"expect:"
