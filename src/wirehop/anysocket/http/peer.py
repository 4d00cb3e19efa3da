"""One HTTP request and its answer, as a route sees them (seed: ``AnyHTTPPeer``)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Mapping
from datetime import datetime
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from wirehop.anysocket.http import cookies, static
from wirehop.core.waiters import Moment
from wirehop.node.http import ServerRequest, ServerResponse

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket

__all__ = ["AnyHTTPPeer", "Query"]


class Query:
    """What was asked: ``method`` in lower case, ``body`` as bytes, ``upgrade`` if it was one."""

    def __init__(self, request: ServerRequest, body: bytes, upgrade: bool) -> None:
        self._request = request
        self.method = request.method.lower()
        self.body = body
        self.upgrade = upgrade

    @cached_property
    def headers(self) -> dict[str, str]:
        """Names in lower case; the values of a repeated header are joined with a comma."""
        joined: dict[str, str] = {}
        for name, value in self._request.headers:
            name = name.lower()
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined

    @property
    def cookies(self) -> str | None:
        """The raw Cookie header."""
        return self._request.header("cookie")

    @cached_property
    def qs(self) -> dict[str, str | list[str]]:
        """The query string; a name that is repeated has a list."""
        query = self._request.url.partition("?")[2]
        return {
            name: values[0] if len(values) == 1 else values
            for name, values in parse_qs(query, keep_blank_values=True, max_num_fields=1000).items()
        }


class AnyHTTPPeer:
    """A request to answer: whole, with ``body`` and :meth:`end`; in pieces, with :meth:`write` and
    :meth:`end`; or with a file. The setters return the peer, for chaining; what is called after
    :meth:`end` does nothing, as the seed has it."""

    def __init__(
        self,
        socket: AnySocket,
        request: ServerRequest,
        response: ServerResponse,
        *,
        body: bytes = b"",
        upgrade: bool = False,
    ) -> None:
        self.url = request.url.partition("?")[0]
        """The path, as it was sent, without the query string."""
        self.query = Query(request, body, upgrade)
        self.upgrade = upgrade
        self._socket = socket
        self._request = request
        self._response = response
        self._status = 403 if upgrade else 200
        self._headers: list[tuple[str, str]] = []
        self._cookies: dict[tuple[str, str, str | None], str] = {}
        self._body: list[bytes] = []
        self._ended = False

    # --- what was asked

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that came with the request, by name. What is to be kept is told with
        :meth:`set_cookie`; these are never sent back."""
        return MappingProxyType(cookies.parse(self.query.cookies or ""))

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces of the body, for a route registered with ``stream=True``."""
        return self._request.__aiter__()

    # --- what is answered

    def status(self, code: int) -> AnyHTTPPeer:
        """Set the status of the answer (default: 200)."""
        self._check_head()
        self._status = code
        return self

    def header(self, name: str, value: str | int) -> AnyHTTPPeer:
        """Set a header of the answer, in place of one of that name that was set before. A
        Content-Length has to be true, and without :meth:`write` need not be told."""
        self._check_head()
        self._headers = [header for header in self._headers if header[0].lower() != name.lower()]
        self._headers.append((name, str(value)))
        return self

    def set_cookie(
        self,
        key: str,
        value: str,
        expires: float | datetime | None = None,
        *,
        path: str = "/",
        domain: str | None = None,
        max_age: int | None = None,
        secure: bool = False,
        http_only: bool = False,
        same_site: str | None = None,
    ) -> AnyHTTPPeer:
        """Have the client keep a cookie, instead of one that was set before with this name, path
        and domain.

        ``expires`` is in seconds since 1970 or a datetime, ``max_age`` in seconds from now; without
        either the cookie ends with the client's session. ``same_site`` is "strict", "lax" or
        "none". Raises ``ValueError`` for what RFC 6265 does not let a cookie have: percent-encode
        other values, :attr:`cookies` decodes them.
        """
        self._check_head()
        self._cookies[key, path, domain] = cookies.set_cookie(
            key,
            value,
            expires,
            path=path,
            domain=domain,
            max_age=max_age,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
        )
        return self

    def delete_cookie(self, key: str, *, path: str = "/", domain: str | None = None) -> AnyHTTPPeer:
        """Have the client forget a cookie, which was set with the same path and domain."""
        return self.set_cookie(key, "", 0, path=path, domain=domain)

    def body(self, chunk: str | bytes) -> AnyHTTPPeer:
        """Append to the body of the answer; text goes out as UTF-8."""
        # Through a view: bytes(5) would be five zeros.
        self._body.append(chunk.encode() if isinstance(chunk, str) else bytes(memoryview(chunk)))
        return self

    def write(self, chunk: str | bytes) -> Awaitable[None]:
        """Send a piece of the body at once; the first one takes the status and the headers along.
        Awaiting it waits for the drain, and raises ``ConnectionClosed`` when the client left.

        Without a Content-Length among the headers the body goes out in chunks. When the route
        raises after its first piece, the connection is cut: the client shall not take a part for
        the whole. In an ``upgrade`` callback it is :meth:`body`.
        """
        # Whoever goes on and on for a client that left shall not fill the memory.
        if not self.is_closed():
            self.body(chunk)
            if not self.upgrade:
                if not self._response.status:
                    self._response.send_header(self._status, self._head())
                self._send_body()
        return self._response

    def end(self) -> Awaitable[None]:
        """Send the answer, or the end of it. In an ``upgrade`` callback: refuse the upgrade (403,
        or the status that was set). Raises ``ValueError`` for a header that cannot be sent.
        Awaiting it waits for the drain."""
        if not self.is_closed():
            if self._response.status:
                self._send_body()
                self._response.finish()
            else:
                self._answer(b"".join(self._body))
            self._ended = True
        return self._response

    def serve_file(self, path: str | os.PathLike[str], content_type: str | None = None) -> Awaitable[None]:
        """Answer with a file, or with 404 if there is none that can be read.

        The Content-Type is told by the file's name if it is not given. Sent are an ETag and
        Last-Modified; a client that has the file already gets 304, one that asks for one range 206
        (or 416), one that asks for the HEAD no more than that. It begins at the call; awaiting it
        waits until the file is out, and raises ``ConnectionClosed`` when the client left. ``path``
        is opened as it is: for names that come from clients there is ``router.static``.
        """
        return self._start(static.send_file(self, os.fsdecode(path), content_type))

    def is_closed(self) -> bool:
        """Whether the answer was sent, or the client left."""
        return self._ended or self._response.finished or self._response.connection.ready_state == "closed"

    # --- used by the router and for files

    def has_left(self) -> bool:
        """Whether the client is gone, or its connection was given up."""
        return self._response.is_lost()

    def serve_from(self, root: str, name: str) -> None:
        """Answer with the file that the client calls ``name``, below ``root``."""
        self._start(static.send_from(self, root, name))

    def answers_with(self, status: int) -> bool:
        """Whether that is the status of the answer, as it stands."""
        return self._status == status

    def has_header(self, name: str) -> bool:
        """Whether the answer has a header of this name, which is in lower case."""
        return any(given.lower() == name for given, _ in self._headers)

    def reset(self, status: int) -> None:
        """Forget what was to be answered, but for the server's id: it shall be an error."""
        self._headers = [header for header in self._headers if header[0] == "ANYSOCKET-ID"]
        self._cookies = {}
        self._body = []
        self._status = status

    def has_begun(self) -> bool:
        """Whether a part of the answer was sent, so that it cannot become another one."""
        return self._response.status != 0

    def fail(self, status: int) -> None:
        """Answer with nothing but a status if nothing was sent yet, else break the answer off."""
        if self.is_closed():
            return
        if self.has_begun():
            self._response.break_off()
            self._ended = True
        else:
            self.reset(status)
            self.end()

    def _start(self, work: Coroutine[Any, Any, None]) -> Awaitable[None]:
        if self.upgrade:
            work.close()
            raise RuntimeError("an upgrade is refused with end(), not with a file")
        sent = _Sent(self._response)
        failed = partial(self._socket.http.failed, self._socket, self)
        self._socket._answers.start(sent.after(work), failed)
        return sent

    def _answer(self, body: bytes) -> None:
        length = next((value for name, value in self._headers if name.lower() == "content-length"), None)
        if length is None:
            self._response.respond(self._status, self._head(), body)
            return
        is_empty = self._request.method == "HEAD" and not body
        if length != str(len(body)) and not is_empty:
            raise ValueError(f"the Content-Length is {length}, and the body has {len(body)} bytes")
        self._response.send_header(self._status, self._head())
        self._response.send_body(body)
        self._response.finish()

    def _head(self) -> list[tuple[str, str]]:
        if not self._cookies:
            return self._headers
        return [*self._headers, *(("Set-Cookie", cookie) for cookie in self._cookies.values())]

    def _send_body(self) -> None:
        body, self._body = b"".join(self._body), []
        self._response.send_body(body)

    def _check_head(self) -> None:
        if self._response.status and not self.is_closed():
            raise RuntimeError("the status and the headers of this answer were sent already")

    def __repr__(self) -> str:
        return f"<AnyHTTPPeer {self.query.method} {self.url}>"


class _Sent:
    """Awaiting it waits until something in the background has answered."""

    __slots__ = ("_ended", "_response")

    def __init__(self, response: ServerResponse) -> None:
        self._ended = Moment()
        self._response = response

    async def after(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self._ended.come()

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._ended.__await__()
        yield from self._response.__await__()
