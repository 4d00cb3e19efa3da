"""The hub: an AnySocket that passes every message on, relays, and shows who is there.

``index.html``, ``hub.css`` and the scripts beside it are its page, which is a peer itself and gets
what it shows from the function ``inspect``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import deque
from importlib.resources import files
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from wirehop import AnyHTTPPeer, AnyPacket, AnyPeer, AnySocket
from wirehop.anysocket import SyncedTime
from wirehop.cli.terminal import show
from wirehop.core import json
from wirehop.errors import WirehopError

__all__ = ["Hub", "is_local"]

PAGE = {
    "index.html": "text/html; charset=utf-8",
    "hub.css": "text/css; charset=utf-8",
    "hub.js": "text/javascript; charset=utf-8",
    "plot.js": "text/javascript; charset=utf-8",
    "talk.js": "text/javascript; charset=utf-8",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page needs nothing from elsewhere, and what peers send cannot make it load anything."""

MESSAGES = 100
"""Messages that a page which opens now is shown: more than fit on it."""

EXCERPT = 200
"""Characters of a message that are shown."""

CLOCK_INTERVAL = 5.0
"""Seconds between two measurements of every peer's clock, while somebody looks."""

MEASURED = 100
"""Peers whose clock is measured: a page that shows more is not read."""


class Guest:
    """What the hub remembers of a peer beside what the peer says itself."""

    __slots__ = ("kind", "messages", "peer", "since", "synced")

    def __init__(self, peer: AnyPeer) -> None:
        self.peer = peer
        self.kind = _kind(peer)
        self.since = time.time()
        self.messages = 0
        self.synced: SyncedTime | None = None

    def shown(self) -> dict[str, Any]:
        peer, synced = self.peer, self.synced
        stats = peer.stats._asdict()
        if synced is not None:
            # Measured more often than a heartbeat goes out on a link that is in use.
            stats["rtt"] = synced.rtt
        return {
            "id": peer.id,
            "kind": self.kind,
            "since": self.since,
            "messages": self.messages,
            "lag": peer.lag,
            "offset": None if synced is None else synced.offset,
            "security": peer.security,
            **stats,
        }


class Hub:
    """The hub of ``wirehop serve``; entering it starts nothing but its measurements."""

    def __init__(self) -> None:
        self.socket = AnySocket(can_proxy=lambda peer_id, other_peer_id: True)
        self._guests: dict[str, Guest] = {}
        self._messages: deque[dict[str, Any]] = deque(maxlen=MESSAGES)
        self._number = 0
        self._looked = asyncio.Event()
        self._measuring: asyncio.Task[None] | None = None
        self.socket.on("connected", self._connected)
        self.socket.on("message", self._message)
        self.socket.on("disconnected", self._disconnected)
        self.socket.set_rpc({"peers": lambda peer: self._here(), "inspect": self._inspect})
        http = self.socket.http
        http.upgrade(_check_origin)
        http.get("/peers.json", self._show_peers)
        folder = files("wirehop.cli.hub")
        for name, kind in PAGE.items():
            body = folder.joinpath(name).read_bytes()
            path = "/" if name == "index.html" else f"/{name}"
            http.get(path, lambda peer, kind=kind, body=body: _show(peer, kind, body))

    async def __aenter__(self) -> Hub:
        self._measuring = asyncio.create_task(self._measure())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._measuring is not None
        self._measuring.cancel()
        await asyncio.gather(self._measuring, return_exceptions=True)
        await self.socket.stop()

    # --- what peers do

    def _connected(self, peer: AnyPeer) -> None:
        self._guests[peer.id] = Guest(peer)
        show(f"+ {peer.id} connected, {len(self.socket.peers)} here")

    def _disconnected(self, peer: AnyPeer, reason: str) -> None:
        del self._guests[peer.id]
        show(f"- {peer.id} left: {reason}, {len(self.socket.peers)} here")

    def _message(self, packet: AnyPacket) -> None:
        guest = self._guests[packet.peer.id]
        guest.messages += 1
        self._number += 1
        text = packet.msg if isinstance(packet.msg, str) else json.dumps(packet.msg).decode()
        self._messages.append(
            {"number": self._number, "at": time.time(), "from": packet.peer.id, "text": text[:EXCERPT]}
        )
        passed_on = {"from": packet.peer.id, "message": packet.msg}
        others = [peer for peer in self.socket.peers.values() if peer is not packet.peer]
        for peer in others:
            peer.send(passed_on)
        packet.reply({"delivered": len(others)})

    # --- what people see

    def _here(self) -> list[dict[str, Any]]:
        return [guest.shown() for guest in self._guests.values()]

    def _inspect(self, after: Any, peer: AnyPeer) -> dict[str, Any]:
        """What the page shows: the peers, and the messages with a number above ``after``."""
        self._looked.set()
        known = after if isinstance(after, int) else 0
        packets = [message for message in self._messages if message["number"] > known]
        return {"now": time.time(), "peers": self._here(), "packets": packets}

    def _show_peers(self, peer: AnyHTTPPeer) -> None:
        body = json.dumps({"hub": self.socket.id, "peers": self._here()})
        peer.header("Content-Type", "application/json").header("Cache-Control", "no-store")
        peer.body(body).end()

    async def _measure(self) -> None:
        while True:
            await self._looked.wait()
            guests = list(self._guests.values())[:MEASURED]
            await asyncio.gather(*(_measure_clock(guest) for guest in guests))
            # No more often, however often somebody looks.
            await asyncio.sleep(CLOCK_INTERVAL)
            self._looked.clear()


async def _measure_clock(guest: Guest) -> None:
    try:
        async with asyncio.timeout(CLOCK_INTERVAL):
            guest.synced = await guest.peer.get_synced_time(refresh=True)
    except (WirehopError, TimeoutError):
        # It left, or is busy: what was measured before is still what is known.
        pass


def _kind(peer: AnyPeer) -> str:
    if peer.origin is not None:
        return "browser"
    # npm's WebSocket says nothing of itself.
    return "python" if peer.user_agent == "wirehop" else "node" if peer.user_agent is None else "peer"


def _show(peer: AnyHTTPPeer, kind: str, body: bytes) -> None:
    peer.header("Content-Type", kind).header("Cache-Control", "no-cache")
    peer.header("Content-Security-Policy", POLICY).header("X-Content-Type-Options", "nosniff")
    peer.header("Referrer-Policy", "no-referrer").body(body).end()


def _check_origin(request: AnyHTTPPeer) -> None:
    """Refuse pages from elsewhere: whoever visits one did not mean to open the hub to it."""
    headers = request.query.headers
    origin = headers.get("origin")
    if origin is None:
        return
    host = urlsplit(origin).hostname
    here = urlsplit(f"//{headers.get('host', '')}").hostname
    if host is None or not (is_local(host) or host == here):
        request.status(403).body("pages from elsewhere may not connect").end()


def is_local(host: str | None) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
