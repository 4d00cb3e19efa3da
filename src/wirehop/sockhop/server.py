"""A server of typed objects (seed: ``SockhopServer``)."""

from __future__ import annotations

import asyncio
import inspect
import os
import ssl
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, Self, Unpack

from wirehop.core.steps import Steps
from wirehop.core.waiters import Waiters
from wirehop.errors import SockhopError
from wirehop.node import tcp, tls
from wirehop.node.errand import Errand
from wirehop.sockhop.carrier import CLOSE_TIMEOUT, LINGER
from wirehop.sockhop.endpoint import Each, Endpoint, Giving
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
    ``disconnect(sock, session)``   it is closed, and its session has ended
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
        if "auto_reconnect_interval" in options:
            raise TypeError("a server does not connect: auto_reconnect_interval is of SockhopClient alone")
        super().__init__(Options(**options))
        self.path = path
        self.address = address
        self.port = self._wanted_port = port
        self._bound_address: str | None = None
        self._tls = tls.server_context(ssl_context, cert, key)
        self._session_type = session_type
        self._listener: _Listener | None = None
        self._all: set[Link] = set()
        """Those of which something is left, be it the end of their session."""
        self._links: dict[Link, SockhopSession] = {}
        """Those whose session has started and not begun to end."""
        self._hooked: dict[Link, asyncio.Task[Any] | None] = {}
        """Those whose session starts or ends, and what runs that."""
        self._callers: dict[object, asyncio.Task[Any] | None] = {}
        """Who called :meth:`disconnect` or :meth:`close`: were they waited for, they would wait for
        themselves."""
        self._hooks = Steps()
        self._answers = Steps()
        self._others = Steps()
        self._forgotten = Waiters()

    @property
    def sockets(self) -> list[Link]:
        """The connections that are open and whose sessions have started."""
        return [link for link in self._links if link.ready_state == "open"]

    @property
    def sessions(self) -> list[SockhopSession]:
        """Their sessions."""
        return [session for link, session in self._links.items() if link.ready_state == "open"]

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

    def _listened(self, listener: _Listener, error: BaseException | None) -> None:
        if self._listener is not listener:
            return
        if error is None:
            self.port = listener.port or self.port
            self._bound_address = listener.path or listener.host
            return
        self._listener = None

    def _cannot_listen(self, error: Exception) -> None:
        if not self._emit_error(error, None):
            self._log.error("a server cannot listen: %s", error)

    def get_bound_address(self) -> str | None:
        """The address, or the path, at which it listens; None while it does not."""
        return self._bound_address

    def disconnect(self, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """Disconnect all clients, and stop pinging; it goes on listening. What was sent goes out
        first, ``timeout`` seconds long. Awaiting waits until all are gone, and ``disconnect`` was
        emitted, but for no longer than that: what a session then still does goes on. A session that
        awaits it does not wait for itself."""
        self.ping(0)
        until = asyncio.get_running_loop().time() + timeout
        for link in list(self._all):
            link.end(timeout)
        return self._errand(self._disconnect(set(self._all), until))

    def close(self, timeout: float = CLOSE_TIMEOUT) -> Awaitable[None]:
        """Accept no more, stop pinging, let listeners that are under way answer, and disconnect all
        clients. What is not done after ``timeout`` seconds is cut; sessions have a moment more for
        their end. It may listen again afterwards. A session that awaits it does not wait for itself."""
        self.ping(0)
        listener, self._listener = self._listener, None
        self._bound_address = None
        if listener is not None:
            listener.close()
        return self._errand(self._close(timeout))

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
        return Each([link.write(text) for link in self.sockets])

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
        self._hooked[link] = asyncio.current_task()
        try:
            await _called(session.start)
            if link.ready_state == "closed":
                # It left meanwhile, and nobody was told that it came.
                await self._finish(link, session)
        except asyncio.CancelledError:
            self._refuse(link, None)
            raise
        finally:
            del self._hooked[link]
            self._forget(link)
        if link.ready_state != "closed":
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

    def _closed(self, link: Link) -> None:
        session = self._links.pop(link, None)
        if session is not None:
            self._hooks.start(self._end(link, session), lambda error: None)

    async def _end(self, link: Link, session: SockhopSession) -> None:
        self._hooked[link] = asyncio.current_task()
        try:
            await self._finish(link, session)
        finally:
            asyncio.get_running_loop().call_soon(self._gone, link, session)

    async def _finish(self, link: Link, session: SockhopSession) -> None:
        try:
            await _called(session.end)
        except Exception as error:
            self._complain(link, error)

    def _gone(self, link: Link, session: SockhopSession) -> None:
        self.emit("disconnect", link, session)
        del self._hooked[link]
        self._forget(link)

    def _over(self, link: Link) -> None:
        self._forget(link)

    def _forget(self, link: Link) -> None:
        if link.is_over and link not in self._hooked:
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

    def _errand(self, work: Coroutine[Any, Any, None]) -> Errand:
        """Wait for the end of connections, in the name of who calls."""
        token = object()
        self._callers[token] = asyncio.current_task()
        # Another one may wait for what this one does.
        self._forgotten.wake()

        def ended(errand: Errand, error: BaseException | None) -> None:
            self._callers.pop(token, None)

        return Errand(work, ended)

    async def _disconnect(self, links: set[Link], until: float) -> None:
        try:
            await self._until_gone_or(until, links)
        finally:
            for link in links & self._all:
                link.force_close()
        for link in links & self._all:
            await link.gone()

    async def _close(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        try:
            answering = self._answers.tasks - self._calling()
            if answering:
                await asyncio.wait(answering, timeout=timeout)
            for link in list(self._all):
                link.end(until - loop.time())
            await self._until_gone_or(until, self._all)
        finally:
            for link in list(self._all):
                link.force_close()
            self._answers.cancel(but=self._calling())
            self._others.cancel(but=self._calling())
        # Sessions that were cut have a moment for their end.
        await self._until_gone_or(loop.time() + LINGER, self._all)
        self._hooks.cancel(but=self._calling())
        await self._until_gone_or(loop.time() + LINGER, self._all)

    async def _until_gone_or(self, time: float, links: Collection[Link]) -> None:
        """Wait for the end of ``links``, but not of those whose session waits for the same."""
        try:
            async with asyncio.timeout_at(time):
                while any(self._is_awaited(link) for link in links):
                    await self._forgotten
        except TimeoutError:
            pass

    def _is_awaited(self, link: Link) -> bool:
        if link not in self._all:
            return False
        return not link.is_over or self._hooked.get(link) not in self._callers.values()

    def _calling(self) -> set[asyncio.Task[Any] | None]:
        return {*self._callers.values()}


class _Listener(tcp.Server):
    """What accepts a server's connections."""

    def __init__(self, owner: SockhopServer) -> None:
        super().__init__()
        self.owner = owner
        # Not for the log of the storey below.
        self.on("error", owner._cannot_listen)

    def _accept(self) -> asyncio.BaseProtocol:
        return Link(self.owner, self)

    def _listen_ended(self, errand: Errand, error: BaseException | None) -> None:
        self.owner._listened(self, error)
        super()._listen_ended(errand, error)


async def _called(hook: Callable[[], Any]) -> None:
    """Call a session's hook, which need not be async."""
    result = hook()
    if inspect.isawaitable(result):
        await result
