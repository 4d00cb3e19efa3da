"""A server of typed objects (seed: ``SockhopServer``)."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Self, Unpack

from wirehop.core.steps import Steps
from wirehop.core.waiters import Waiters
from wirehop.errors import ConnectionClosed, SockhopError
from wirehop.node import tcp, tls
from wirehop.node.errand import Errand
from wirehop.sockhop.carrier import CLOSE_TIMEOUT, LINGER
from wirehop.sockhop.endpoint import Endpoint, Giving
from wirehop.sockhop.link import Link
from wirehop.sockhop.meta import Meta
from wirehop.sockhop.options import LinkOptions, Options
from wirehop.sockhop.request import SockhopRequest
from wirehop.sockhop.session import SockhopSession
from wirehop.sockhop.streams import SockhopResponseReadableStream, SockhopResponseWriteableStream

__all__ = ["SockhopServer"]


class SockhopServer(Endpoint):
    """Accepts connections, and exchanges objects with them.

    =============================== =========================================================
    ``connect(sock, session)``      there is a client, and its session has started
    ``receive(obj, meta)``          it sent an object; see :class:`Meta`
    ``request(req, res, meta)``     it wants an answer: ``res.send(...)``
    ``disconnect(sock, session)``   it is gone, and its session has ended
    ``error(error, sock, session)`` what it sent cannot be read, a listener failed, or the port
                                    is taken; ``sock`` and ``session`` are None where it was
                                    nobody's
    =============================== =========================================================

    It listens at the Unix socket ``path``, or else on ``port`` (0 picks one) of ``address``; with
    ``cert`` and ``key``, paths of PEM files, or an ``ssl_context``, it speaks TLS. For each
    connection it makes a ``session_type(sock, server)``. The other options are those of
    :class:`wirehop.sockhop.options.Options`.

    ``async with`` listens and closes.
    """

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] | None = None,
        address: str = "127.0.0.1",
        port: int = 50000,
        ssl_context: ssl.SSLContext | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        session_type: Callable[[Link, SockhopServer], SockhopSession] = SockhopSession,
        **options: Unpack[LinkOptions],
    ) -> None:
        super().__init__(Options(**options))
        self.path = path
        self.address = address
        self.port = self._wanted_port = port
        self._bound_address: str | None = None
        self._tls = tls.server_context(ssl_context, cert, key)
        self._session_type = session_type
        self._listener: _Listener | None = None
        self._all: set[Link] = set()
        self._links: dict[Link, SockhopSession] = {}
        self._starting: set[Link] = set()
        self._hooks = Steps()
        self._answers = Steps()
        self._others = Steps()
        self._forgotten = Waiters()

    @property
    def sockets(self) -> list[Link]:
        """The connections whose sessions have started."""
        return list(self._links)

    @property
    def sessions(self) -> list[SockhopSession]:
        """Their sessions."""
        return list(self._links.values())

    # --- listening and closing

    def listen(self) -> Awaitable[Self]:
        """Accept connections. Awaiting it waits until that is so, and gives the server, whose
        ``port`` then is the one.

        Raises ``OSError`` from the awaitable, or if nobody awaits it emits ``error``; raises
        ``RuntimeError`` while it listens already.
        """
        if self._listener is not None:
            raise RuntimeError("this server listens already")
        listener = _Listener(self)
        if self.path is not None:
            bound = listener.listen(path=self.path, ssl_context=self._tls)
        else:
            bound = listener.listen(self._wanted_port, self.address, ssl_context=self._tls)
        self._listener = listener
        return Giving(bound, self)

    def _listened(self, listener: _Listener, errand: Errand, error: BaseException | None) -> None:
        if self._listener is not listener:
            return
        if error is None:
            self.port = listener.port or self.port
            self._bound_address = listener.path or listener.host
            return
        self._listener = None
        if not errand.is_awaited and not errand.is_abandoned and isinstance(error, Exception):
            self._complain(None, error)

    def get_bound_address(self) -> str | None:
        """The address, or the path, at which it listens; None while it does not."""
        return self._bound_address

    def disconnect(self, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """Disconnect all clients, and stop pinging; it goes on listening. What was sent goes out
        first, ``timeout`` seconds long. Awaiting waits until all are gone, and have been told."""
        self.ping(0)
        for link in list(self._all):
            link.end(timeout)
        return Errand(self._until_gone(set(self._all)), _nobody)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """Accept no more, stop pinging, let listeners that are under way answer, and disconnect all
        clients. What is not done after ``timeout`` seconds is cut. It may listen again afterwards."""
        self.ping(0)
        listener, self._listener = self._listener, None
        self._bound_address = None
        if listener is not None:
            listener.close()
        return Errand(self._close(timeout, asyncio.current_task()), _nobody)

    async def __aenter__(self) -> Self:
        return await self.listen()

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    # --- sending

    def send(
        self, sock: Link | None, obj: Any, callback: Callable[..., Any] | None = None
    ) -> Awaitable[None]:
        """Send an object to one client; it is on its way at the call. Awaiting waits for the drain.

        ``callback(value, meta)``, or ``callback(value)``, is called when the client calls its
        ``meta.callback``; it may be async.

        Raises ``SockhopError``: ERR_NO_SOCKET without a socket of this server,
        ERR_SOCKET_DESTROYED when it is closed, ERR_BAD_DATA for None and reserved type names,
        ERR_OBJECTBUFFER_BAD_OBJECT for what JSON cannot say, ERR_REMOTE_CALLBACK_TYPE for what is
        no function, and for callbacks with json peers. Raises ``LimitExceeded`` for too many
        callbacks.
        """
        return self._link(sock).post(obj, callback)

    def request(
        self,
        sock: Link | None,
        obj: Any,
        *,
        timeout: float | None = None,
        idle_timeout: float | None = None,
    ) -> SockhopResponseReadableStream:
        """Ask one client; the request is on its way at the call. Returns the stream of what it
        answers, which may be awaited for the drain.

        The stream ends by an error when its last packet has not come after ``timeout`` seconds
        (None and 0: the option ``response_timeout``), or none for ``idle_timeout`` seconds. Raises as
        :meth:`send`, and ERR_REQUEST_TYPE with json peers.
        """
        return self._link(sock).ask(obj, timeout, idle_timeout)

    def sendall(self, obj: Any) -> Awaitable[None]:
        """Send an object to every client. Awaiting waits for the drain of those who stay."""
        text = self.options.text(obj)
        return _All([link.write(text) for link in self._links if link.ready_state == "open"])

    def kill_socket(self, sock: Link | None, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """Disconnect one client; what was sent goes out first, ``timeout`` seconds long. Awaiting
        waits for the end of the connection."""
        return self._link(sock).end(timeout)

    def ping(self, delay: float = 0) -> None:
        """Ping every client each ``delay`` seconds; 0 stops it. Who answers none of the last four is
        disconnected. Raises ``SockhopError`` with json peers, which do not answer."""
        self._set_ping(delay)
        for link in self._links:
            link.ping(delay)

    def emit_async(self, event: str, *args: Any) -> None:
        """Emit an event in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(self.emit, event, *args)

    # --- what links report

    def _opened(self, link: Link) -> None:
        if self._listener is None or link.server is not self._listener:
            # It was accepted already, and the server was closed since.
            link.force_close()
            return
        self._all.add(link)
        try:
            session = link.session = self._session_type(link, self)
        except Exception as error:
            self._refuse(link, error)
            return
        self._hooks.start(self._begin(link, session), lambda error: self._refuse(link, error))

    async def _begin(self, link: Link, session: SockhopSession) -> None:
        self._starting.add(link)
        try:
            await _called(session.start)
        except asyncio.CancelledError:
            self._refuse(link, None)
            raise
        finally:
            self._starting.discard(link)
        if link.ready_state == "closed":
            # It left meanwhile, and nobody was told that it came.
            await self._finish(link, session)
            self._forget(link)
            return
        self._links[link] = session
        asyncio.get_running_loop().call_soon(self._announce, link, session)

    def _announce(self, link: Link, session: SockhopSession) -> None:
        if self._ping_delay:
            link.ping(self._ping_delay)
        self.emit("connect", link, session)
        link.release()

    def _refuse(self, link: Link, error: Exception | None) -> None:
        if error is not None:
            self._complain(link, error)
        link.force_close()
        if link.is_over:
            self._forget(link)

    def _closed(self, link: Link) -> None:
        session = self._links.get(link)
        if session is not None:
            # Its first step is taken here, while the connection is still registered.
            self._hooks.start(self._end(link, session), lambda error: None)
            self._links.pop(link, None)
        elif link not in self._starting:
            self._forget(link)

    async def _end(self, link: Link, session: SockhopSession) -> None:
        try:
            await self._finish(link, session)
        finally:
            self._links.pop(link, None)
            asyncio.get_running_loop().call_soon(self._gone, link, session)

    async def _finish(self, link: Link, session: SockhopSession) -> None:
        try:
            await _called(session.end)
        except Exception as error:
            self._complain(link, error)

    def _gone(self, link: Link, session: SockhopSession) -> None:
        self.emit("disconnect", link, session)
        self._forget(link)

    def _forget(self, link: Link) -> None:
        self._all.discard(link)
        self._forgotten.wake()

    def _requested(self, link: Link, req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
        self.emit("request", req, res, Meta(req.type, link, link.session))

    def _emit_error(self, error: Exception, link: Link | None) -> bool:
        return self.emit("error", error, link, None if link is None else link.session)

    # --- from here on: its own business

    def _start(self, work: Coroutine[Any, Any, Any], event: str, args: tuple[Any, ...]) -> None:
        # close() waits for those that may owe an answer.
        steps = self._answers if event in ("receive", "request") else self._others
        steps.start(work, lambda error: self._listener_failed(event, error, args))

    def _link(self, sock: Link | None) -> Link:
        if not isinstance(sock, Link) or sock.owner is not self:
            raise SockhopError("SockhopServer sending requires a socket", "ERR_NO_SOCKET")
        return sock

    async def _until_gone(self, links: set[Link]) -> None:
        while links & self._all:
            await self._forgotten

    async def _close(self, timeout: float, caller: asyncio.Task[Any] | None) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        try:
            answering = self._answers.tasks - {caller}
            if answering:
                await asyncio.wait(answering, timeout=timeout)
            for link in list(self._all):
                link.end(until - loop.time())
            await self._until_gone_or(until)
        finally:
            for link in list(self._all):
                link.force_close()
            _cancel(self._answers, caller)
            _cancel(self._others, caller)
        # Sessions that were cut have a moment for their end.
        await self._until_gone_or(loop.time() + LINGER)
        _cancel(self._hooks, caller)
        await self._until_gone_or(loop.time() + LINGER)

    async def _until_gone_or(self, time: float) -> None:
        try:
            async with asyncio.timeout_at(time):
                await self._until_gone(set(self._all))
        except TimeoutError:
            pass


class _Listener(tcp.Server):
    """What accepts a server's connections."""

    def __init__(self, owner: SockhopServer) -> None:
        super().__init__()
        self.owner = owner

    def _accept(self) -> asyncio.BaseProtocol:
        return Link(self.owner, self)

    def _listen_ended(self, errand: Errand, error: BaseException | None) -> None:
        self.owner._listened(self, errand, error)
        super()._listen_ended(errand, error)


class _All:
    """Waits for the drain of many; those who leave meanwhile do not count."""

    __slots__ = ("_sent",)

    def __init__(self, sent: list[Awaitable[None]]) -> None:
        self._sent = sent

    def __await__(self) -> Generator[Any, None, None]:
        for sent in self._sent:
            try:
                yield from sent.__await__()
            except ConnectionClosed:
                pass


async def _called(hook: Callable[[], Any]) -> None:
    """Call a session's hook, which need not be async."""
    result = hook()
    if inspect.isawaitable(result):
        await result


def _cancel(steps: Steps, caller: asyncio.Task[Any] | None) -> None:
    for task in steps.tasks - {caller}:
        task.cancel()


def _nobody(errand: Errand, error: BaseException | None) -> None:
    """Nobody has to know that it ended."""
