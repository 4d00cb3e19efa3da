"""One remote, and the messages that it sends."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any

from wirehop.anysocket import internal, relay, relayed
from wirehop.anysocket.clock import Clock, SyncedTime
from wirehop.anysocket.packet import AnyPacket
from wirehop.anysocket.rpc import Stub
from wirehop.anysocket.secured import AfterSwitch, Secured
from wirehop.anysocket.stats import Stats, stats_of
from wirehop.anysocket.transports import Connection
from wirehop.anysocket.wire.packet import PacketType
from wirehop.anysocket.wire.protocol import Packet, Protocol, State
from wirehop.core import json
from wirehop.core.events import NOBODY, EventEmitter
from wirehop.core.ids import new_id
from wirehop.core.pending import Pending
from wirehop.core.waiters import Moment, Raises
from wirehop.errors import ConnectionClosed, LimitExceeded, PayloadTooLarge, ProtocolError, ReplyTimeout

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket
    from wirehop.anysocket.options import PeerOptions

__all__ = ["AnyPeer"]

LINK = PacketType.LINK
INTERNAL = PacketType.INTERNAL

REMOTE_CLOSED = "Remote Connection Closed"
LOCAL_CLOSED = "Local Connection Closed"
DISCONNECTED = "Cannot send message. Peer is disconnected"

log = logging.getLogger("wirehop.anysocket")


class AnyPeer(EventEmitter):
    """A remote that is authenticated. Not made by hand.

    Events: ``message(packet)``, ``e2e(peer)`` when the link is encrypted, ``heartbeat(peer)``,
    ``disconnected(peer, reason)``.
    """

    __slots__ = (
        "_alarm",
        "_clock",
        "_connection",
        "_drain",
        "_gone",
        "_links",
        "_loop",
        "_options",
        "_pending",
        "_protocol",
        "_reason",
        "_secured",
        "_socket",
        "connecting",
        "connection_id",
        "id",
        "lag",
        "origin",
        "user_agent",
    )

    _log = log
    _connection: Connection
    _drain: Awaitable[None]
    _protocol: Protocol

    def __init__(self, socket: AnySocket, options: PeerOptions) -> None:
        loop = asyncio.get_running_loop()
        # It is looked at for each message.
        self._listeners = NOBODY
        self.id = ""
        self.connection_id = new_id()
        """Of this link, as ``id`` is of the remote: 32 hex digits."""
        self.lag: float | None = None
        """The round trip of the last heartbeat, in seconds."""
        self.origin: str | None = None
        """Where the page came from with which a browser connected to us; browsers do not lie."""
        self.user_agent: str | None = None
        """What the program that connected to us calls itself."""
        self._socket = socket
        self._options = options
        self._loop = loop
        self._reason: str | None = None
        self._clock: Clock | None = None
        self._links: relay.Links | None = None
        self._secured: Secured | None = None
        self._gone = Moment()
        self.connecting: asyncio.Future[AnyPeer] | None = None
        self._pending: Pending[int] = Pending(loop, options.max_pending_replies)
        self._alarm = socket.deadlines.alarm(self._ring)

    # --- for the user

    @property
    def rpc(self) -> Stub:
        """The remote's functions: ``await peer.rpc.hello.user("Ada")``."""
        return Stub(self)

    @property
    def stats(self) -> Stats:
        """What went over this link so far."""
        return stats_of(self)

    def send(
        self, message: Any, await_reply: bool = False, timeout: float | None = None
    ) -> Awaitable[AnyPacket | None]:
        """Send a message; it is on its way at the call.

        Awaiting it waits for the drain, or with ``await_reply`` for the reply, ``timeout``
        seconds long (default: the option ``reply_timeout``). A request that is not answered
        in time raises ``ReplyTimeout`` and leaves the peer as it was; ``ConnectionClosed``
        says that the peer is gone. What JSON cannot say raises ``TypeError`` or ``ValueError``
        at the call, and too many requests in flight ``LimitExceeded``.
        """
        return self._send(LINK, json.dumps(message), await_reply, timeout)

    async def get_synced_time(self, refresh: bool = False) -> SyncedTime:
        """The remote's clock. Measured by the first call, or again with ``refresh``."""
        if self._clock is None:
            self._clock = Clock()
        return await self._clock.synced_time(self, refresh)

    def heartbeat(self) -> None:
        """Ask for a sign of life now; the answer is a ``heartbeat`` event and sets ``lag``."""
        if self._protocol.is_ready():
            self._protocol.ping(self._loop.time())
            self._alarm.by(self._protocol.deadline())

    def is_proxy(self) -> bool:
        """Whether this peer is reached through another one."""
        return isinstance(self._connection, relayed.Passage)

    def e2e(self) -> Awaitable[None]:
        """Encrypt the link end to end. It begins at the call: what is sent after it waits.

        Either side may begin, both may at once, and a second call changes nothing. Awaiting it
        waits for the encryption; when the link ends instead (with the reason "e2e timed out"
        after the option ``e2e_timeout``) that raises ``ConnectionClosed``.
        """
        if self._reason is not None:
            return Raises(ConnectionClosed(DISCONNECTED))
        if self._secured is None:
            self._secured = Secured()
            if self.is_e2e_enabled():
                self._secured.succeed()
            else:
                self._protocol.switch(self._loop.time())
                self._drain = AfterSwitch(self._secured, self._connection.output)
                self._alarm.by(self._protocol.deadline())
        return self._secured

    def is_e2e_enabled(self) -> bool:
        """Whether this link is end-to-end encrypted."""
        return self._protocol.state is State.SECURED

    @property
    def security(self) -> str:
        """What protects the link: "plain" is nothing; "legacy" is the encryption of npm anysocket,
        under which who reads along learns nothing, but who can also write may change what arrives,
        and nobody has shown who he is. Compare the :attr:`fingerprint`."""
        return "legacy" if self.is_e2e_enabled() or self._protocol.was_secured else "plain"

    @property
    def fingerprint(self) -> str | None:
        """A digest of both sides' keys, in 32 hex digits, once the link is encrypted. It is the
        same on both sides unless somebody sits between them: compare it over another channel."""
        return self._protocol.fingerprint

    def disconnect(self, reason: str | None = None) -> Awaitable[None]:
        """Disconnect, at the call; what was sent before goes out first.

        ``reason`` stays here: the remote learns that we closed. Awaiting waits for the end.
        """
        if reason is None:
            reason = relayed.CLOSED if self.is_proxy() else LOCAL_CLOSED
        return self._end(str(reason), 1000, "")

    def __repr__(self) -> str:
        return f"<AnyPeer {self.id or 'not authenticated'}{' disconnected' if self._reason else ''}>"

    # --- down: used by AnySocket, rpc and clock

    def send_internal(self, message: Any, timeout: float | None = None) -> Awaitable[AnyPacket]:
        return self._send(INTERNAL, json.dumps(message), True, timeout)

    async def request_internal(self, message: Any) -> Any:
        return (await self.send_internal(message)).msg

    def _tell(self, message: Any) -> None:
        """Send what nobody waits for. A remote that cannot be told is one that hangs."""
        if self._reason is None:
            try:
                self._protocol.send(INTERNAL, json.dumps(message))
            except LimitExceeded as error:
                self._overrun(error)

    def links(self) -> relay.Links:
        """What this peer has to do with relaying."""
        if self._links is None:
            self._links = relay.Links()
        return self._links

    def _send(
        self, kind: PacketType, text: bytes, await_reply: bool, timeout: float | None
    ) -> Awaitable[Any]:
        if self._reason is not None:
            return Raises(ConnectionClosed(DISCONNECTED))
        if not await_reply:
            self._protocol.send(kind, text)
            return self._drain
        self._pending.check()
        seq = self._protocol.send(kind, text)
        cut = self._connection.output.closed_because
        if cut is not None:
            # This message was one too many for a remote that does not read.
            return Raises(ConnectionClosed(cut))
        deadline = self._loop.time() + (self._options.reply_timeout if timeout is None else timeout)
        future = self._pending.add(seq, deadline)
        self._alarm.by(deadline)
        return future

    def _reply(self, kind: PacketType, seq: int, text: bytes) -> Awaitable[None]:
        if self._reason is not None:
            return Raises(ConnectionClosed(DISCONNECTED))
        if seq:
            self._protocol.reply(kind, seq, text)
        return self._drain

    # --- up: called by the transport

    def connection_made(self, connection: Connection) -> None:
        self._connect(connection)
        self._alarm.by(self._protocol.deadline())
        self._socket._opened(self)

    def _relayed(self, connection: Connection, id: str) -> None:
        """This peer is reached through a relay, who says that it has this id."""
        self._connect(connection)
        self.id = id
        self._protocol.remote_id = id
        self._protocol.accept(self._loop.time())

    def _connect(self, connection: Connection) -> None:
        self._connection = connection
        self._drain = connection.output
        self._protocol = Protocol(
            self._socket.id, self._options, connection.send, self._loop.time(), os.urandom
        )

    def frame_received(self, frame: str) -> None:
        try:
            packet = self._protocol.receive(frame, self._loop.time())
            if packet is not None:
                self._dispatch(packet)
            else:
                # A chunk has a deadline of its own.
                self._alarm.by(self._protocol.deadline())
        except ProtocolError as error:
            self._break(error)
        except Exception as error:
            # Ours: the WebSocket would be closed by its library, and nobody would know why.
            log.error("closing %s: a defect", self.id or "a stranger", exc_info=error)
            self._end(LOCAL_CLOSED, 1011, "")

    def connection_failed(self, reason: str, code: int, detail: str) -> None:
        self._log_end(f"{reason} ({detail or code})", was_limit=code == 1009)
        self._ended(reason)

    def connection_cut(self, reason: str) -> None:
        log.warning("cut %s: %s", self.id or "a stranger", reason)
        self._ended(reason)

    def connection_lost(self) -> None:
        self._ended(REMOTE_CLOSED)
        self._gone.come()
        self._socket._gone(self)

    # --- dispatch

    def _dispatch(self, packet: Packet) -> None:
        kind, seq, value = packet
        if kind is LINK:
            if seq > 0:
                message = AnyPacket(self, seq, value)
                # Most peers have no listeners of their own: theirs are the socket's.
                if self._listeners:
                    self.emit_one("message", message)
                self._socket.emit_one("message", message)
            else:
                self._pending.resolve(-seq, AnyPacket(self, -seq, value, True))
        elif kind is INTERNAL:
            if seq > 0:
                internal.take(self, seq, value)
            else:
                self._pending.resolve(-seq, AnyPacket(self, -seq, value, True))
        elif kind is PacketType.HEARTBEAT:
            if value is not None:
                self.lag = value
                self.emit("heartbeat", self)
                self._socket.emit("heartbeat", self)
        elif kind is PacketType.FORWARD:
            relay.carry(self, value)
        elif kind is PacketType.SWITCH:
            self._switched()
        else:
            self._socket._authenticate(self, value)

    def _switched(self) -> None:
        self._drain = self._connection.output
        self._alarm.by(self._protocol.deadline())
        if self._secured is not None:
            self._secured.succeed()
        self.emit("e2e", self)
        self._socket.emit("e2e", self)

    def _start(self, work: Coroutine[Any, Any, Any], event: str, args: tuple[Any, ...] = ()) -> None:
        # Shared by all peers, and waited for by AnySocket.stop().
        self._socket._start(work, event, args or (self,))

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        self._socket._listener_failed(event, error, args)

    # --- the beginning and the end

    def _ready(self) -> None:
        """The remote passed: say so to it, and hold what it sends until :meth:`_release`."""
        self._protocol.accept(self._loop.time())
        self._alarm.by(self._protocol.deadline())
        self._connection.trust()

    def _release(self) -> None:
        try:
            for packet in self._protocol.release(self._loop.time()):
                self._dispatch(packet)
        except ProtocolError as error:
            self._break(error)

    def _ring(self, now: float) -> float:
        self._pending.expire(now, lambda seq: ReplyTimeout(f"no reply to packet {seq} of {self.id}"))
        if self._links is not None and self._links.is_throttled:
            self._protocol.excuse(now)
        try:
            self._protocol.expire(now)
        except ProtocolError as error:
            self._break(error)
        return min(self._protocol.deadline(), self._pending.deadline) if self._reason is None else math.inf

    def _break(self, error: ProtocolError) -> None:
        """The remote broke the rules: this link ends, and nothing else."""
        self._log_end(str(error), was_limit=isinstance(error, PayloadTooLarge))
        self._end(error.reason, error.close_code, error.detail)

    def _overrun(self, error: LimitExceeded) -> None:
        """What has to be told to the remote was one too many for it."""
        self._log_end(str(error), was_limit=True)
        self._end(str(error), 1008, "")

    def _log_end(self, why: str, was_limit: bool) -> None:
        # A stranger's flood is no reason to wake anybody; a peer's limit may be too low.
        level = logging.WARNING if was_limit and self.id else logging.INFO
        log.log(level, "closing %s: %s", self.id or "a stranger", why)

    def _end(self, reason: str, code: int, detail: str) -> Awaitable[None]:
        if self._reason is None:
            self._protocol.finish()
            self._connection.close(code, detail)
            self._ended(reason)
        return self.gone()

    def gone(self) -> Awaitable[None]:
        """Wait until the connection is gone."""
        if self._connection.is_lost():
            # A relayed peer's goes without a word.
            self._gone.come()
        return self._gone

    def _ended(self, reason: str) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        self._connection.output.closed_because = reason
        was_ready = self._protocol.is_ready()
        self._protocol.close()
        self._alarm.stop()
        if self._secured is not None:
            self._secured.fail(reason)
        self._pending.fail(lambda: ConnectionClosed(reason))
        relay.lost(self)
        self._socket._disconnected(self, reason, was_ready)
