"""Peers that are reached through another peer, and what it takes to be that other.

Three sides: one *asks*, the *relay* links it with the *other*, who is told. Both ends then have a
link of their own, whose frames the relay carries inside FORWARD frames; there is no AUTH on it, so
an end knows of the other what the relay says. Encrypt it end to end, and compare fingerprints.

Nobody is believed further than he reaches: a relay carries frames only between two that it has
linked, and only from the one whose connection they came by; an end takes them only from the relay
through which it reaches their sender, and only that relay may end the link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wirehop.anysocket.wire.packet import (
    Internal,
    encode_forward_head,
    is_id,
    nested_frame,
    parse_forward,
)
from wirehop.errors import ConnectionClosed, LimitExceeded, RemoteError

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket
    from wirehop.anysocket.options import PeerOptions
    from wirehop.anysocket.peer import AnyPeer
    from wirehop.anysocket.transports import Outlet

__all__ = ["Links", "ask", "asked", "carry", "lost", "told"]

CLOSED = "Proxy Connection Closed"
"""The reason when the other end, or the relay, ended a link."""

Reply = Callable[[Any], object]


class Links:
    """What one direct peer has to do with relaying."""

    __slots__ = ("asking", "is_throttled", "linked", "options", "reached")

    def __init__(self) -> None:
        self.asking: set[str] = set()
        """Whom it asked for, while ``can_proxy`` decides."""
        self.linked: dict[str, AnyPeer] = {}
        """Whom it may reach through us."""
        self.reached: dict[str, AnyPeer] = {}
        """Whom we reach through it."""
        self.options: PeerOptions | None = None
        """What holds for those."""
        self.is_throttled = False
        """Whether it has to wait for somebody to read what it sends him through us."""


class Passage:
    """The connection of a relayed peer: frames in FORWARD frames of its relay's connection."""

    __slots__ = ("_head", "_id", "_lost", "_relay", "output")

    def __init__(self, relay: AnyPeer, id: str) -> None:
        self.output = _Output(relay._connection.output)
        self._relay = relay
        self._id = id
        self._head = encode_forward_head(id, relay._socket.id)
        self._lost = False

    def send(self, frame: bytes) -> None:
        self._relay._protocol.forward(self._head + frame)

    def close(self, code: int, reason: str) -> None:
        """Tell the relay; what it tells the other end knows no reason."""
        if not self._lost:
            self.lose()
            _tell(self._relay, Internal.PROXY, "unproxy", self._id)

    def lose(self) -> None:
        """There is nobody at the other end any more."""
        self._lost = True
        if self._relay._links is not None:
            self._relay._links.reached.pop(self._id, None)

    def trust(self) -> None:
        pass

    def is_lost(self) -> bool:
        return self._lost

    # Nothing is asked of a relayed peer that takes long, and the relay's other frames must come.
    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Output:
    """The output of a relayed peer: that of its relay, with an end of its own."""

    __slots__ = ("_hop", "closed_because")

    def __init__(self, hop: Outlet) -> None:
        self._hop = hop
        self.closed_because: str | None = None

    def __await__(self) -> Generator[Any, None, None]:
        if self.closed_because is None:
            yield from self._hop.__await__()
        if self.closed_because is not None:
            raise ConnectionClosed(self.closed_because)

    def is_full(self) -> bool:
        return self._hop.is_full()

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def carry(peer: AnyPeer, frame: str) -> None:
    """A FORWARD frame came from ``peer``: carry it on, or take it if it is for us. What nobody may
    send is dropped and counted: its alleged sender is not to blame."""
    links = peer._links
    ids = parse_forward(frame)
    if links is not None and ids is not None:
        to, sender = ids
        if to == peer._socket.id:
            reached = links.reached.get(sender)
            if reached is not None:
                reached.frame_received(nested_frame(frame))
                return
        elif sender == peer.id:
            other = links.linked.get(to)
            if other is not None:
                _carry_on(peer, links, other, frame)
                return
    peer._protocol.dropped += 1


def _carry_on(peer: AnyPeer, links: Links, other: AnyPeer, frame: str) -> None:
    try:
        other._protocol.forward(frame.encode())
    except LimitExceeded:
        # A link that misses a packet is none.
        _unlink(other, peer)
        _unlink(peer, other)
        return
    if other._connection.output.is_full() and not links.is_throttled:
        links.is_throttled = True
        peer._connection.pause_reading()
        peer._start(_resume(peer, links, other), "relay")


async def _resume(peer: AnyPeer, links: Links, other: AnyPeer) -> None:
    """Go on reading what ``peer`` sends when ``other`` has read enough of it, or is gone. Without
    that a fast sender would fill the output of a slow reader, and have him cut."""
    try:
        await other._connection.output
    except ConnectionClosed:
        pass
    finally:
        links.is_throttled = False
        peer._connection.resume_reading()


# --- the relay


def asked(peer: AnyPeer, message: dict[str, Any], reply: Reply) -> None:
    """``peer`` wants to reach another one through us, or no longer."""
    id = message.get("id")
    if message.get("action") == "proxy":
        _decide(peer, id, reply)
    elif isinstance(id, str) and peer._links is not None:
        peer._links.asking.discard(id)
        other = peer._links.linked.pop(id, None)
        if other is not None:
            _unlink(other, peer)


def _decide(peer: AnyPeer, id: Any, reply: Reply) -> None:
    socket = peer._socket
    if peer.is_proxy() or not is_id(id) or id == peer.id or not socket.has_direct_peer(id):
        reply({"ok": False})
        return
    links = peer.links()
    try:
        verdict: object = socket.can_proxy(peer.id, id)
    except Exception as error:
        socket._listener_failed("can_proxy", error)
        verdict = False
    if not isinstance(verdict, Awaitable):
        _link(peer, id, verdict, reply)
    elif len(links.asking) >= peer._options.max_relayed:
        reply({"ok": False})
        if hasattr(verdict, "close"):
            verdict.close()
    else:
        links.asking.add(id)
        peer._start(_link_later(peer, links.asking, id, verdict, reply), "can_proxy")


async def _link_later(
    peer: AnyPeer, asking: set[str], id: str, verdict: Awaitable[Any], reply: Reply
) -> None:
    passed: object = False
    try:
        passed = await verdict
    finally:
        # It may have changed its mind.
        _link(peer, id, passed if id in asking else False, reply)
        asking.discard(id)


def _link(peer: AnyPeer, id: str, passed: object, reply: Reply) -> None:
    other = peer._socket.peers.get(id)
    if passed is not True or peer._reason is not None or other is None or other.is_proxy():
        reply({"ok": False})
        return
    mine, theirs = peer.links().linked, other.links().linked
    is_new = id not in mine
    if is_new and max(len(mine), len(theirs)) >= peer._options.max_relayed:
        reply({"ok": False})
        return
    mine[id] = other
    theirs[peer.id] = peer
    # Told first: the other end must know whose frames may follow the reply.
    _tell(other, Internal.NETWORK, "connected", peer.id)
    reply({"ok": True})


def _unlink(other: AnyPeer, gone: AnyPeer) -> None:
    """``gone`` is not to be reached any more: tell ``other``, who could."""
    links = other._links
    if links is not None and links.linked.pop(gone.id, None) is not None:
        _tell(other, Internal.NETWORK, "disconnected", gone.id)


def lost(peer: AnyPeer) -> None:
    """The connection of ``peer`` has ended, and with it whatever needed it."""
    links, peer._links = peer._links, None
    if links is None:
        return
    for other in links.linked.values():
        _unlink(other, peer)
    for reached in links.reached.values():
        _end(reached)


# --- the ends


def told(relay: AnyPeer, message: dict[str, Any]) -> None:
    """``relay`` says that somebody can be reached through it, or no longer."""
    socket, id, action = relay._socket, message.get("id"), message.get("action")
    if relay.is_proxy() or not is_id(id) or id in (socket.id, relay.id):
        relay._protocol.dropped += 1
        return
    reached = relay.links().reached
    if action == "connected" and not socket.has_peer(id):
        peer = reached.get(id)
        if peer is None:
            if len(reached) >= relay._options.max_relayed:
                relay._protocol.dropped += 1
                return
            peer = _reach(relay, id)
        socket._introduce(peer)
        peer._release()
    elif action == "disconnected" and id in reached:
        _end(reached[id])


async def ask(socket: AnySocket, id: str, through: str) -> AnyPeer:
    """Ask a relay for a peer: see :meth:`AnySocket.proxy`."""
    relay = socket.peers.get(through)
    if id in (socket.id, through):
        raise ValueError("Cannot proxy loopback!")
    if not is_id(id):
        raise ValueError("an AnySocket id has 32 lowercase hex digits")
    if relay is None:
        raise ValueError(f"{through} is no peer of this socket")
    if relay.is_proxy():
        raise ValueError("Cannot proxy via a proxy!")
    peer = relay.links().reached.get(id)
    if socket.has_peer(id):
        if peer is None:
            raise ValueError(f"{id} is a peer of this socket already")
        return peer
    if peer is None:
        if len(relay.links().reached) >= relay._options.max_relayed:
            raise LimitExceeded(f"{relay._options.max_relayed} peers are reached through {through} already")
        # Made before the relay answers: the other end may speak at once, and its frames wait in it.
        peer = _reach(relay, id)
    try:
        answer = await relay.request_internal({"type": Internal.PROXY, "action": "proxy", "id": id})
    except BaseException:
        if socket.peers.get(id) is not peer:
            peer._end(CLOSED, 1000, "")
        raise
    if peer._reason is not None:
        raise ConnectionClosed(peer._reason)
    if socket.peers.get(id) is peer:
        # It asked for us meanwhile.
        return peer
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        _end(peer)
        raise RemoteError("Cannot proxy!", code=403)
    if socket.has_peer(id):
        peer._end(CLOSED, 1000, "")
        raise ValueError(f"{id} has become a peer of this socket in another way")
    socket._introduce(peer)
    # Whoever awaits gets to add listeners before the first message.
    peer._loop.call_soon(peer._release)
    return peer


def _reach(relay: AnyPeer, id: str) -> AnyPeer:
    """A peer that nobody knows of yet; what comes from it is held."""
    links = relay.links()
    if links.options is None:
        # The relay, whose connection is watched, tells of a link that breaks.
        links.options = replace(relay._options, heartbeat_enabled=False)
    # AnyPeer by another name: its module imports this one.
    peer = type(relay)(relay._socket, links.options)
    peer._relayed(Passage(relay, id), id)
    links.reached[id] = peer
    return peer


def _end(reached: AnyPeer) -> None:
    """The relay, or the other end, has ended the link."""
    assert isinstance(reached._connection, Passage)
    reached._connection.lose()
    reached._ended(CLOSED)


def _tell(peer: AnyPeer, kind: Internal, action: str, id: str) -> None:
    peer._tell({"type": kind, "action": action, "id": id})
