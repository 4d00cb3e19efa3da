"""Which function answers which request (seed: ``AnyHTTPRouter``)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from wirehop.anysocket.http.peer import AnyHTTPPeer
from wirehop.core.steps import is_cancelling
from wirehop.errors import ConnectionClosed, PayloadTooLarge
from wirehop.node.http import ServerConnection, ServerRequest, ServerResponse

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket

__all__ = ["AnyHTTPRouter"]

Path = str | re.Pattern[str]
Callback = Callable[..., Any]
C = TypeVar("C", bound=Callback)

ANY = "_"


class AnyHTTPRouter:
    """The routes of an AnySocket; ``socket.http``.

    Each method takes a path and a callback, or decorates one; a callback gets the
    :class:`AnyHTTPPeer` and may be ``async``. A string matches the whole path, a pattern where
    ``search`` finds it. Exact paths come before patterns, any method before a named one. With
    ``stream=True`` the callback is called before the body is there and reads it itself.
    """

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], tuple[Callback, bool]] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Callback, bool]] = []
        self._upgrade: Callback | None = None
        self._error: Callback | None = None

    # --- registering

    def on(self, method: str, path: Path, callback: C | None = None, *, stream: bool = False) -> Any:
        """Answer ``method`` (in any case; "_" is any) on ``path``."""
        if callback is None:
            return lambda decorated: self.on(method, path, decorated, stream=stream)
        method = method.lower()
        if isinstance(path, str):
            self._exact[method, path] = (callback, stream)
        else:
            self._patterns.append((method, path, callback, stream))
        return callback

    def any(self, path: Path, callback: C | None = None, *, stream: bool = False) -> Any:
        """Answer every method on ``path``."""
        return self.on(ANY, path, callback, stream=stream)

    def get(self, path: Path, callback: C | None = None, *, stream: bool = False) -> Any:
        """Answer GET on ``path``."""
        return self.on("get", path, callback, stream=stream)

    def post(self, path: Path, callback: C | None = None, *, stream: bool = False) -> Any:
        """Answer POST on ``path``."""
        return self.on("post", path, callback, stream=stream)

    def put(self, path: Path, callback: C | None = None, *, stream: bool = False) -> Any:
        """Answer PUT on ``path``."""
        return self.on("put", path, callback, stream=stream)

    def delete(self, path: Path, callback: C | None = None, *, stream: bool = False) -> Any:
        """Answer DELETE on ``path``."""
        return self.on("delete", path, callback, stream=stream)

    def head(self, path: Path, callback: C | None = None, *, stream: bool = False) -> Any:
        """Answer HEAD on ``path``; the body of the answer is not sent."""
        return self.on("head", path, callback, stream=stream)

    def static(self, url: str, directory: str | os.PathLike[str] | None = None) -> None:
        """Answer GET and HEAD on what is below ``url`` with the files below ``directory``, as
        :meth:`AnyHTTPPeer.serve_file` does; 404 for all else, directories among it.

        Without a directory it is the one of that name in the working directory of this moment.
        What a link leads out of it to is not there.
        """
        prefix = f"/{url.strip('/')}/".replace("//", "/")
        root = os.path.abspath("." + prefix if directory is None else directory)

        def serve(peer: AnyHTTPPeer) -> None:
            peer.serve_from(root, peer.url[len(prefix) :])

        below = re.compile("^" + re.escape(prefix))
        self.get(below, serve)
        self.head(below, serve)

    def upgrade(self, callback: C) -> C:
        """Look at each WebSocket request; ``peer.end()`` refuses it, and so does an error. What
        is said to the peer otherwise, a cookie too, goes nowhere. An ``async`` one has as long as a
        head may take (``head_timeout``); then the connection is closed."""
        self._upgrade = callback
        return callback

    def error(self, callback: C) -> C:
        """Called with the peer and the error when no route matches or a callback raised. If it
        does not end the answer, that is 404 or 500."""
        self._error = callback
        return callback

    # --- answering

    def handle(
        self, socket: AnySocket, request: ServerRequest, response: ServerResponse, body_limit: int
    ) -> None:
        """Answer one request."""
        path = request.url.partition("?")[0]
        route = self._find(request.method.lower(), path)
        if not request.has_body or (route is not None and route[1]):
            self._call(socket, AnyHTTPPeer(socket, request, response), route)
            return
        work = self._collect(socket, request, response, route, body_limit)
        socket._start(work, "message")

    def check_upgrade(
        self,
        socket: AnySocket,
        request: ServerRequest,
        connection: ServerConnection,
        go_on: Callable[[], None],
    ) -> None:
        """Ask the ``upgrade`` callback about a request: go on if it lets it pass, now or later; if
        not, it is answered."""
        if self._upgrade is None:
            go_on()
            return
        peer = AnyHTTPPeer(socket, request, connection.refuse_upgrade(request), upgrade=True)
        result: object = None
        try:
            result = self._upgrade(peer)
        except Exception as error:
            _report(socket, "upgrade", peer, error)
            peer.fail(403)
        if isinstance(result, Coroutine):
            connection.hold_upgrade()
            socket._start(_check_later(socket, connection, result, peer, go_on), "upgrade")
        else:
            _let_pass(peer, connection, go_on)

    def _find(self, method: str, path: str) -> tuple[Callback, bool] | None:
        for wanted in (ANY, method):
            if (wanted, path) in self._exact:
                return self._exact[wanted, path]
        for wanted in (ANY, method):
            for of, pattern, callback, stream in self._patterns:
                if of == wanted and pattern.search(path):
                    return callback, stream
        return None

    async def _collect(
        self,
        socket: AnySocket,
        request: ServerRequest,
        response: ServerResponse,
        route: tuple[Callback, bool] | None,
        limit: int,
    ) -> None:
        try:
            if int(request.header("content-length") or 0) > limit:
                raise PayloadTooLarge("Body Too Large", detail=f"more than {limit} bytes")
            body = await request.read(limit)
        except PayloadTooLarge:
            response.keep_alive = False
            AnyHTTPPeer(socket, request, response).fail(413)
        except ConnectionClosed:
            pass
        else:
            self._call(socket, AnyHTTPPeer(socket, request, response, body=body), route)

    def _call(self, socket: AnySocket, peer: AnyHTTPPeer, route: tuple[Callback, bool] | None) -> None:
        peer.header("ANYSOCKET-ID", socket.id)
        if route is None:
            self._fail(socket, peer, LookupError(f"No route for path: '{peer.url}'"), 404)
            return

        try:
            result = route[0](peer)
            if isinstance(result, Coroutine):
                socket._answers.start(_finished(result), partial(self.failed, socket, peer))
        except Exception as error:
            self.failed(socket, peer, error)

    def failed(self, socket: AnySocket, peer: AnyHTTPPeer, error: Exception) -> None:
        """What should have answered raised an error."""
        _report(socket, f"http {peer.query.method} {peer.url}", peer, error)
        self._fail(socket, peer, error, 500)

    def _fail(self, socket: AnySocket, peer: AnyHTTPPeer, error: Exception, status: int) -> None:
        if self._error is not None and not peer.has_begun() and not _is_nobodys(peer, error):
            peer.reset(status)
            try:
                result = self._error(peer, error)
                if isinstance(result, Coroutine):
                    socket._answers.start(
                        _then(result, peer, status),
                        lambda worse: socket._listener_failed("http error", worse),
                    )
                    return
            except Exception as worse:
                socket._listener_failed("http error", worse)
        peer.fail(status)


async def _check_later(
    socket: AnySocket,
    connection: ServerConnection,
    verdict: Coroutine[Any, Any, Any],
    peer: AnyHTTPPeer,
    go_on: Callable[[], None],
) -> None:
    try:
        await verdict
    except asyncio.CancelledError:
        peer.fail(503)
        raise
    except Exception as error:
        _report(socket, "upgrade", peer, error)
        peer.fail(403)
    if connection.server.is_closing:
        peer.fail(503)
    _let_pass(peer, connection, go_on)


def _let_pass(peer: AnyHTTPPeer, connection: ServerConnection, go_on: Callable[[], None]) -> None:
    """Go on with an upgrade that was not refused."""
    if not peer.is_closed():
        connection.resume_upgrade()
        go_on()


async def _then(result: Coroutine[Any, Any, Any], peer: AnyHTTPPeer, status: int) -> None:
    try:
        await result
    finally:
        peer.fail(status)


async def _finished(work: Coroutine[Any, Any, Any]) -> None:
    """Wait for a route. What was cancelled below it is its error: the client waits for an answer."""
    try:
        await work
    except asyncio.CancelledError as error:
        if is_cancelling():
            raise
        raise RuntimeError("what a route waited for was cancelled") from error


def _report(socket: AnySocket, what: str, peer: AnyHTTPPeer, error: Exception) -> None:
    if not _is_nobodys(peer, error):
        socket._listener_failed(what, error)


def _is_nobodys(peer: AnyHTTPPeer, error: Exception) -> bool:
    """Whether it is no one's mistake: the client left before it had its answer."""
    return isinstance(error, ConnectionClosed) and peer.has_left()
