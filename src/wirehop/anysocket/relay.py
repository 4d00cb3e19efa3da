"""A relay: it links two peers that reach each other through it.

Three sides: one *asks*, the *relay* links it with the *other*, who is told. Both ends then have a
link of their own (:mod:`wirehop.anysocket.relayed`), whose frames the relay carries inside FORWARD
frames; there is no AUTH on it, so an end knows of the other what the relay says. Encrypt it end to
end, and compare fingerprints.

Nobody is believed further than he reaches: a relay carries frames only between two that it has
linked, and only from the one whose connection they came by; an end takes them only from the relay
through which it reaches their sender, and only that relay may end the link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from wirehop.anysocket import relayed
from wirehop.anysocket.clock import question
from wirehop.anysocket.wire.packet import Internal, is_id, nested_frame, parse_forward
from wirehop.core.waiters import Moment
from wirehop.errors import ConnectionClosed, LimitExceeded, ReplyTimeout, WirehopError

if TYPE_CHECKING:
    from wirehop.anysocket.options import PeerOptions
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["Links", "asked", "carry", "lost"]

ANSWER_SECONDS = 2.0
"""How long frames wait for an end that says other things but does not answer: then it has read who
sends them."""

ASKED_TIMES = 5
"""How often one is asked that says nothing at all, because it is busy or its network hangs."""

WORDS_SIZE = 256
"""What is counted for something that is held and is no frame."""

Reply = Callable[[Any], object]
Words = Callable[[], object]


class Links:
    """What one direct peer has to do with relaying."""

    __slots__ = ("asking", "introductions", "is_throttled", "linked", "options", "reached")

    def __init__(self) -> None:
        self.asking: set[str] = set()
        """Whom it asked for, while ``can_proxy`` decides."""
        self.linked: dict[str, AnyPeer] = {}
        """Whom it may reach through us."""
        self.introductions: dict[str, Introduction] = {}
        """Of those among them that it was told of just now."""
        self.reached: dict[str, AnyPeer] = {}
        """Whom we reach through it."""
        self.options: PeerOptions | None = None
        """What holds for those."""
        self.is_throttled = False
        """Whether it has to wait for somebody to read what it sends him through us."""


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
                _carry_on(peer, links, other, frame.encode())
                return
    peer._protocol.dropped += 1


def _carry_on(peer: AnyPeer, links: Links, other: AnyPeer, frame: bytes) -> None:
    introduction = other.links().introductions.get(peer.id)
    if introduction is not None:
        introduction.hold(frame)
        is_full = introduction.is_full()
    elif _forward(other, peer, frame):
        is_full = other._connection.output.is_full()
    else:
        return
    if is_full and not links.is_throttled:
        links.is_throttled = True
        peer._connection.pause_reading()
        peer._start(_resume(peer, links, other, introduction), "relay")


def _forward(end: AnyPeer, sender: AnyPeer | None, frame: bytes) -> bool:
    """Hand a frame on; ``sender`` is who is linked with ``end`` still. Returns whether it was taken."""
    try:
        end._protocol.forward(frame)
    except LimitExceeded:
        # A link that misses a packet is none.
        if sender is not None:
            _unlink(end, sender)
            _unlink(sender, end)
        return False
    return True


async def _resume(peer: AnyPeer, links: Links, other: AnyPeer, introduction: Introduction | None) -> None:
    """Go on reading what ``peer`` sends when ``other`` has read enough of it, or is gone. Without
    that a fast sender would fill the output of a slow reader, and have him cut."""
    try:
        if introduction is not None:
            await introduction.over
        await other._connection.output
    except ConnectionClosed:
        pass
    finally:
        links.is_throttled = False
        peer._connection.resume_reading()


class Introduction:
    """What an end gets about and from somebody whom it was told of just now.

    A JavaScript end takes a relayed frame at once, and queues what makes its sender known. If it
    reads both together it knows no such sender, and disconnects from the relay. (npm anysocket
    0.4.29 does; to be busy for a moment is enough.) So each time that it was told something, all
    else waits until it has answered what it was asked behind that.
    """

    __slots__ = ("_end", "_id", "_items", "_size", "over")

    def __init__(self, end: AnyPeer, id: str) -> None:
        self._end = end
        self._id = id
        self._items: deque[bytes | Words] = deque()
        self._size = 0
        self.over = Moment()
        """When nothing is held any more."""

    def say(self, words: Words) -> None:
        """Tell the end something about him, in its turn."""
        self._items.append(words)
        self._size += WORDS_SIZE

    def hold(self, frame: bytes) -> None:
        """A frame from him."""
        self._items.append(frame)
        self._size += len(frame)

    def drop(self) -> None:
        """Forget the frames: they are of a link that is none any more."""
        self._items = deque(item for item in self._items if not isinstance(item, bytes))
        self._size = WORDS_SIZE * len(self._items)

    def is_full(self) -> bool:
        """Whether who fills it has to wait."""
        return self._size > self._end._options.high_water

    async def make(self, links: Links) -> None:
        """Say and hand on everything in order, until nothing is held."""
        end = self._end
        try:
            while self._items and end._reason is None:
                item = self._items.popleft()
                if isinstance(item, bytes):
                    self._size -= len(item)
                    if not _forward(end, links.linked.get(self._id), item):
                        self.drop()
                else:
                    self._size -= WORDS_SIZE
                    item()
                    await self._until_read(links)
        finally:
            del links.introductions[self._id]
            self.over.come()

    async def _until_read(self, links: Links) -> None:
        """Until the end has answered, which it does when it has done what it was told."""
        end = self._end
        heard = end._protocol.packets_in
        for _ in range(ASKED_TIMES):
            try:
                await end.send_internal(question(), ANSWER_SECONDS)
            except ReplyTimeout:
                if end._protocol.packets_in == heard and not links.is_throttled:
                    continue
            except WirehopError:
                # It has too much to answer already, or it is gone.
                pass
            return


def _say(end: AnyPeer, id: str, words: Words, is_new: bool = False) -> None:
    """Tell ``end`` something about ``id``: behind what waits there, if it is just being introduced."""
    links = end.links()
    introduction = links.introductions.get(id)
    if introduction is not None:
        introduction.say(words)
    elif is_new:
        introduction = links.introductions[id] = Introduction(end, id)
        introduction.say(words)
        end._start(introduction.make(links), "message")
    else:
        words()


def _network(end: AnyPeer, action: str, id: str) -> Words:
    return partial(end._tell, {"type": Internal.NETWORK, "action": action, "id": id})


# --- the relay


def asked(peer: AnyPeer, message: dict[str, Any], reply: Reply) -> None:
    """``peer`` wants to reach another one through us, or no longer."""
    id = message.get("id")
    if message.get("action") == "proxy":
        _decide(peer, id, reply)
    elif isinstance(id, str) and peer._links is not None:
        peer._links.asking.discard(id)
        other = peer._links.linked.pop(id, None)
        introduction = peer._links.introductions.get(id)
        if introduction is not None:
            introduction.drop()
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
    if is_new and (max(len(mine), len(theirs)) >= peer._options.max_relayed or _is_full(peer, other)):
        reply({"ok": False})
        return
    mine[id] = other
    theirs[peer.id] = peer
    # Told first: the other end must know whose frames may follow the reply.
    _say(other, peer.id, _network(other, "connected", peer.id), is_new)
    _say(peer, id, partial(reply, {"ok": True}), is_new)


def _is_full(one: AnyPeer, two: AnyPeer) -> bool:
    """Whether one of the two has not heard much that was said about the other. Somebody asks and takes
    it back in a loop."""
    held = one.links().introductions.get(two.id), two.links().introductions.get(one.id)
    return any(introduction is not None and introduction.is_full() for introduction in held)


def _unlink(other: AnyPeer, gone: AnyPeer) -> None:
    """``gone`` is not to be reached any more: tell ``other``, who could."""
    links = other._links
    if links is not None and links.linked.pop(gone.id, None) is not None:
        _say(other, gone.id, _network(other, "disconnected", gone.id))


def lost(peer: AnyPeer) -> None:
    """The connection of ``peer`` has ended, and with it whatever needed it."""
    links, peer._links = peer._links, None
    if links is None:
        return
    for other in links.linked.values():
        _unlink(other, peer)
    for reached in links.reached.values():
        relayed.end(reached)
