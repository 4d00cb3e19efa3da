"""One HTTP request and its answer, as a route sees them (seed: ``AnyHTTPPeer``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from functools import cached_property
from urllib.parse import parse_qs

from wirehop.node.http import ServerRequest, ServerResponse

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
    """A request to answer. ``status``, ``header`` and ``body`` return the peer, for chaining;
    what is called after :meth:`end` does nothing, as the seed has it."""

    def __init__(
        self, request: ServerRequest, response: ServerResponse, *, body: bytes = b"", upgrade: bool = False
    ) -> None:
        self.url = request.url.partition("?")[0]
        """The path, as it was sent, without the query string."""
        self.query = Query(request, body, upgrade)
        self.upgrade = upgrade
        self._request = request
        self._response = response
        self._status = 403 if upgrade else 200
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._ended = False

    def status(self, code: int) -> AnyHTTPPeer:
        """Set the status of the answer (default: 200)."""
        self._status = code
        return self

    def header(self, name: str, value: str | int) -> AnyHTTPPeer:
        """Add a header to the answer."""
        self._headers.append((name, str(value)))
        return self

    def body(self, chunk: str | bytes) -> AnyHTTPPeer:
        """Append to the body of the answer; text goes out as UTF-8."""
        # Through a view: bytes(5) would be five zeros.
        self._body.append(chunk.encode() if isinstance(chunk, str) else bytes(memoryview(chunk)))
        return self

    def end(self) -> Awaitable[None]:
        """Send the answer. In an ``upgrade`` callback: refuse the upgrade (403, or the status
        that was set). Raises ``ValueError`` for a header that cannot be sent. Awaiting it
        waits for the drain."""
        if not self.is_closed():
            self._response.respond(self._status, self._headers, b"".join(self._body))
            self._ended = True
        return self._response

    def is_closed(self) -> bool:
        """Whether the answer was sent, or the client left."""
        return self._ended or self._response.finished or self._response.connection.ready_state == "closed"

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces of the body, for a route registered with ``stream=True``."""
        return self._request.__aiter__()

    def reset(self, status: int) -> None:
        """Forget what was to be answered, but for the server's id: it shall be an error."""
        self._headers = [header for header in self._headers if header[0] == "ANYSOCKET-ID"]
        self._body = []
        self._status = status

    def fail(self, status: int) -> None:
        """Answer with nothing but a status, if nothing was sent yet."""
        if not self.is_closed():
            self.reset(status)
            self.end()

    def __repr__(self) -> str:
        return f"<AnyHTTPPeer {self.query.method} {self.url}>"
