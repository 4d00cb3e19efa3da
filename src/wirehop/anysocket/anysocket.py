"""AnySocket: one identity, its listeners, and the peers that it is connected to."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import MappingProxyType, TracebackType
from typing import Any

from wirehop.anysocket import browser, duplicates, relayed, stopping, tls
from wirehop.anysocket import rpc as rpc_module
from wirehop.anysocket.broadcast import broadcast
from wirehop.anysocket.http import AnyHTTPRouter
from wirehop.anysocket.http.cookies import cookie_header
from wirehop.anysocket.listener import Listener
from wirehop.anysocket.options import ConnectOptions, ListenOptions
from wirehop.anysocket.packet import AnyPacket
from wirehop.anysocket.peer import LOCAL_CLOSED, AnyPeer
from wirehop.anysocket.transports import ws
from wirehop.anysocket.wire.packet import is_id
from wirehop.core import json
from wirehop.core.deadlines import Deadlines
from wirehop.core.events import EventEmitter
from wirehop.core.ids import new_id
from wirehop.core.steps import Steps
from wirehop.errors import AuthError, ConnectionClosed, ProtocolError
from wirehop.node import alive

__all__ = ["AnySocket"]

INVALID_AUTH = "Invalid Auth Packet!"

log = logging.getLogger("wirehop.anysocket")


class AnySocket(EventEmitter):
    """A node in the network: it listens, connects, or both (seed: npm ``anysocket``).

    Events: ``connected(peer)``, ``message(packet)``, ``e2e(peer)``, ``heartbeat(peer)``,
    ``disconnected(peer, reason)``, ``error(exc)`` for a listener that failed.

    ``on_auth(packet)`` says who may be a peer: ``packet`` has the remote's ``id`` and its
    ``auth``; only ``True`` passes; it may be ``async``. ``auth_packet()`` gives what our side
    shows. Both are passed, assigned or overridden. ``rpc`` is what :meth:`set_rpc` takes.
    """

    _log = log

    def __init__(
        self,
        *,
        id: str | None = None,
        on_auth: Callable[[dict[str, Any]], bool | Awaitable[bool]] | None = None,
        auth_packet: Callable[[], Any] | None = None,
        can_proxy: Callable[[str, str], bool | Awaitable[bool]] | None = None,
        rpc: object = None,
    ) -> None:
        if id is not None and not is_id(id):
            raise ValueError("an AnySocket id has 32 lowercase hex digits")
        self.id = id or new_id()
        self.http = AnyHTTPRouter()
        browser.serve(self.http)
        self.rpc: object = {}
        if rpc is not None:
            self.set_rpc(rpc)
        for name, given in (("on_auth", on_auth), ("auth_packet", auth_packet), ("can_proxy", can_proxy)):
            if given is not None:
                setattr(self, name, given)
        self._peers: dict[str, AnyPeer] = {}
        self._connections: set[AnyPeer] = set()
        self._open: list[Listener] = []
        self._attempts: set[asyncio.Timeout] = set()
        self._deadlines: Deadlines | None = None
        self._steps = Steps()
        self._answers = Steps()
        self._farewells = Steps()
        self._stoppers: set[asyncio.Task[Any] | None] = set()

    # --- what the user may override

    def on_auth(self, packet: dict[str, Any]) -> bool | Awaitable[bool]:
        """Whether this remote may be a peer. Everyone may, unless you say otherwise."""
        return True

    def auth_packet(self) -> Any:
        """What our side shows to the other's ``on_auth``: any JSON value, or None."""
        return None

    def can_proxy(self, peer_id: str, other_peer_id: str) -> bool | Awaitable[bool]:
        """Whether one peer may reach another through us: only ``True`` lets it. Nobody may, unless
        you say otherwise."""
        return False

    # --- peers

    @property
    def peers(self) -> Mapping[str, AnyPeer]:
        """The peers that are connected now, by id. It changes with them: to send to each, go through
        a ``list`` of it, for who reads too little is cut by a send, and leaves it."""
        return MappingProxyType(self._peers)

    def has_peer(self, id: str) -> bool:
        """Whether a peer with this id is connected, directly or through another."""
        return id in self._peers

    def has_direct_peer(self, id: str) -> bool:
        """Whether a peer with this id is connected by a connection of its own."""
        peer = self._peers.get(id)
        return peer is not None and not peer.is_proxy()

    def set_rpc(self, rpc: object) -> None:
        """Register the functions that peers may call: a mapping, an object, or objects in
        mappings. They get the arguments of the call and, last, the calling peer; they may be
        ``async``. Names that begin with an underscore cannot be called."""
        rpc_module.check(rpc)
        self.rpc = rpc

    def broadcast(self, message: Any, await_reply: bool = False) -> Awaitable[list[AnyPacket]]:
        """Send a message to every peer, at the call.

        Awaiting it waits for the drain of them all, or with ``await_reply`` for all replies:
        the packets that came, in the order of :attr:`peers`. If some peer did not reply, or was at
        a limit of ours, it raises ``BroadcastError``, which has the other replies; a peer that left
        without owing a reply is no failure.
        """
        # A list of its own: who reads too little is cut by this, and leaves the peers.
        return broadcast(list(self._peers.values()), json.dumps(message), await_reply)

    send = broadcast

    # --- relaying

    async def proxy(self, peer_id: str, through_peer_id: str) -> AnyPeer:
        """Reach a peer of one of our peers through it. Returns the peer once both ends have it.

        It is a peer as any other; the relay vouches for its id and carries what it sends. Raises
        ``RemoteError`` when the relay refuses (npm's disconnects us instead, which raises
        ``ConnectionClosed``), ``ReplyTimeout`` when it does not answer, and ``ValueError`` for ids
        that make no sense: our own, the relay's, or a relay that is itself reached through another.
        """
        return await relayed.ask(self, peer_id, through_peer_id)

    def unproxy(self, peer_id: str, through_peer_id: str, reason: str | None = None) -> None:
        """Disconnect a peer that is reached through another; ``reason`` is what we report."""
        through = self._peers.get(through_peer_id)
        peer = through.links().reached.get(peer_id) if through is not None else None
        if peer is not None:
            peer.disconnect(reason)

    # --- listening and connecting

    async def listen(
        self, scheme: str, options: int | Mapping[str, Any] | None = None, **more: Any
    ) -> Listener:
        """Accept peers and HTTP requests on a port.

        ``scheme`` is "ws" or "wss", or "http" or "https" for requests only; "ws" without a port
        joins the listener that was opened last, as "wss" does if that one has TLS. ``options``
        is a port or a mapping with the names of :class:`ListenOptions`, which may be keywords as
        well. Raises ``ValueError`` and ``TypeError`` for options that make no sense, and
        ``OSError`` for a port that is taken or a certificate that is none.
        """
        if isinstance(options, int):
            options = {"port": options}
        chosen = ListenOptions.of({**(options or {}), **more})
        scheme = scheme.lower()
        if scheme not in ("ws", "wss", "http", "https"):
            raise ValueError(f"{scheme!r} is no scheme to listen on; there are ws, wss, http and https")
        if chosen.port is None:
            if scheme in ("ws", "wss") and self._open and not tls.has_options(chosen):
                listener = self._open[-1]
                if scheme == "wss" and not listener.is_encrypted:
                    raise ValueError("the listener that is open already is plaintext, wss cannot join it")
                listener.accept_peers(chosen)
                return listener
            raise ValueError("the option port is missing; 0 picks a free one")
        listener = Listener(self, scheme, chosen, tls.server_context(scheme, chosen))
        await listener.open()
        self._open.append(listener)
        return listener

    server = listen

    async def connect(self, scheme: str, host: str, port: int, **options: Any) -> AnyPeer:
        """Connect to another AnySocket. Returns the peer once both sides are authenticated.

        ``scheme`` is "ws" or "wss"; the options are those of :class:`ConnectOptions`. Raises
        ``AuthError`` when either side refused the other, ``OSError`` (mostly a
        ``ConnectionError``) when nothing listens there, ``ssl.SSLError`` (one as well) when its
        certificate is not good, ``TimeoutError`` when ``auth_timeout`` is over, and ``ValueError``
        and ``TypeError`` for options that make no sense.
        """
        chosen = ConnectOptions.of(options)
        scheme = scheme.lower()
        if scheme not in ("ws", "wss"):
            raise ValueError(f"{scheme!r} is no scheme to connect with; there are ws and wss")
        if scheme == "ws" and not chosen.wss_first and tls.has_options(chosen):
            raise ValueError("ws is plaintext; with ca or ssl_context the scheme is wss")
        if self._stoppers:
            raise AuthError(LOCAL_CLOSED)
        context = tls.client_context(chosen) if scheme == "wss" or chosen.wss_first else None
        if scheme == "ws" and context is not None:
            try:
                return await self._connect(context, host, port, chosen)
            except AuthError:
                raise
            except OSError:
                log.debug("no wss at %s:%s, trying ws", host, port)
            context = None
        return await self._connect(context, host, port, chosen)

    async def stop(self, timeout: float = 5.0) -> None:
        """Stop listening, let the answers in flight go out, disconnect every peer, and wait for the
        async listeners of ``disconnected``. Attempts to connect are given up, and none begins
        meanwhile: ``connect`` raises ``AuthError``.

        What is not done after ``timeout`` seconds is cut; but for listeners that call this.
        Awaiting a stopped socket's ``stop`` again does no harm, and it may listen and connect again.
        """
        task = asyncio.current_task()
        self._stoppers.add(task)
        try:
            await stopping.stop(self, timeout)
        finally:
            self._stoppers.discard(task)

    async def __aenter__(self) -> AnySocket:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def deadlines(self) -> Deadlines:
        """The timeouts of all peers."""
        if self._deadlines is None:
            self._deadlines = Deadlines(asyncio.get_running_loop())
        return self._deadlines

    async def _connect(
        self, context: ssl.SSLContext | None, host: str, port: int, options: ConnectOptions
    ) -> AnyPeer:
        headers = dict(options.headers or {})
        if "user-agent" not in map(str.lower, headers):
            headers["User-Agent"] = "wirehop"
        if options.cookies:
            headers["Cookie"] = cookie_header(options.cookies)
        peer = AnyPeer(self, options)
        peer.connecting = asyncio.get_running_loop().create_future()
        attempt = asyncio.timeout(options.auth_timeout)
        self._attempts.add(attempt)
        try:
            async with attempt:
                await ws.connect(
                    host, port, peer, options, path=options.path, headers=headers, ssl_context=context
                )
                return await peer.connecting
        except BaseException as error:
            is_late = isinstance(error, TimeoutError)
            was_stopped = attempt not in self._attempts
            if peer in self._connections:
                peer._end("auth timed out" if is_late and not was_stopped else LOCAL_CLOSED, 1000, "")
                peer._connection.output.close()
            if is_late and was_stopped:
                raise AuthError(LOCAL_CLOSED) from None
            if is_late and not str(error):
                raise TimeoutError(f"no peer within {options.auth_timeout:g} s") from None
            if type(error) is OSError and error.errno is None:
                # Of a name with several addresses asyncio tells all that failed, in one of these.
                raise ConnectionError(str(error)) from error
            raise
        finally:
            self._attempts.discard(attempt)
            peer.connecting = None

    # --- what peers report

    def _opened(self, peer: AnyPeer) -> None:
        self._connections.add(peer)
        alive.keep(peer)
        connecting = peer.connecting
        if connecting is not None and (error := self._show(peer)) is not None:
            _fail(connecting, error)
            peer._end(LOCAL_CLOSED, 1011, "")

    def _show(self, peer: AnyPeer) -> Exception | None:
        """Send what our side shows. Returns what :meth:`auth_packet` did wrong."""
        try:
            packet = self.auth_packet()
            if isinstance(packet, Coroutine):
                packet.close()
                raise TypeError("auth_packet() must be a plain function")
            peer._protocol.authenticate(packet)
        except Exception as error:
            return error
        return None

    def _authenticate(self, peer: AnyPeer, packet: dict[str, Any]) -> None:
        try:
            verdict = self.on_auth(packet)
        except Exception as error:
            self._listener_failed("on_auth", error)
            verdict = False
        if not isinstance(verdict, Awaitable):
            self._decide(peer, verdict)
            return
        # Whatever a stranger sends meanwhile stays in the kernel.
        peer._connection.pause_reading()
        self._steps.start(
            self._decide_later(peer, verdict), lambda error: self._listener_failed("on_auth", error)
        )

    async def _decide_later(self, peer: AnyPeer, verdict: Awaitable[bool]) -> None:
        passed = False
        try:
            passed = await verdict
        finally:
            peer._connection.resume_reading()
            self._decide(peer, passed)

    def _decide(self, peer: AnyPeer, passed: object) -> None:
        if peer._reason is not None:
            return
        id = peer._protocol.remote_id
        if passed is not True:
            peer._break(ProtocolError(INVALID_AUTH, close_code=1008))
        elif id == self.id:
            duplicates.refuse(peer)
        elif id in self._peers:
            duplicates.decide(self, self._peers[id], peer)
        else:
            self._admit(peer, id)

    def _admit(self, peer: AnyPeer, id: str) -> None:
        connecting = peer.connecting
        if connecting is None and (error := self._show(peer)) is not None:
            self._listener_failed("auth_packet", error)
            peer._end(LOCAL_CLOSED, 1011, "")
            return
        peer.id = id
        peer._ready()
        self._introduce(peer)
        if connecting is None:
            peer._release()
            return
        if not connecting.done():
            connecting.set_result(peer)
        # Whoever awaits connect() gets to add listeners before the first message.
        asyncio.get_running_loop().call_soon(peer._release)

    def _introduce(self, peer: AnyPeer) -> None:
        self._peers[peer.id] = peer
        self.emit("connected", peer)

    def _disconnected(self, peer: AnyPeer, reason: str, was_ready: bool) -> None:
        connecting = peer.connecting
        if connecting is not None and not connecting.done():
            _fail(connecting, TimeoutError(reason) if reason == "auth timed out" else AuthError(reason))
        if was_ready and self._peers.get(peer.id) is peer:
            del self._peers[peer.id]
            peer.emit("disconnected", peer, reason)
            self.emit("disconnected", peer, reason)

    def _gone(self, peer: AnyPeer) -> None:
        self._connections.discard(peer)
        alive.release(peer)

    # --- async listeners

    def _steps_of(self, event: str) -> Steps:
        """Where an async listener runs: ``stop`` waits for those that may owe an answer, and for
        those that see to what a peer leaves behind."""
        if event == "message":
            return self._answers
        return self._farewells if event == "disconnected" else self._steps

    def _start(self, work: Coroutine[Any, Any, Any], event: str, args: tuple[Any, ...] = ()) -> None:
        self._steps_of(event).start(work, lambda error: self._listener_failed(event, error, args))

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        # A message that crossed the end of its peer is no one's mistake.
        if type(error) is not ConnectionClosed or not _is_over(args):
            super()._listener_failed(event, error, args)


def _fail(connecting: asyncio.Future[AnyPeer], error: Exception) -> None:
    connecting.set_exception(error)
    connecting.exception()  # Whoever gave up waiting does not want to read of it.


def _is_over(args: tuple[Any, ...]) -> bool:
    """Whether the peer is gone to whom a listener was called."""
    peer = args[0] if args else None
    if isinstance(peer, AnyPacket):
        peer = peer.peer
    return isinstance(peer, AnyPeer) and peer._reason is not None
