"""Peers that are reached through another peer, the relay (see :mod:`wirehop.anysocket.relay`).

Each has a link of its own, whose frames its relay carries inside FORWARD frames. Nobody but the
relay through which a peer is reached may speak for it, and only that relay may end the link.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wirehop.anysocket.wire.packet import Internal, encode_forward_head, is_id
from wirehop.errors import ConnectionClosed, LimitExceeded, RemoteError

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket
    from wirehop.anysocket.peer import AnyPeer
    from wirehop.anysocket.transports import Outlet

__all__ = ["CLOSED", "Passage", "ask", "end", "told"]

CLOSED = "Proxy Connection Closed"
"""The reason when the other end, or the relay, ended a link."""


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
            self._relay._tell({"type": Internal.PROXY, "action": "unproxy", "id": self._id})

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
        end(reached[id])


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
        end(peer)
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


def end(reached: AnyPeer) -> None:
    """The relay, or the other end, has ended the link."""
    assert isinstance(reached._connection, Passage)
    reached._connection.lose()
    reached._ended(CLOSED)
