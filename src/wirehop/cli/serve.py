"""``wirehop serve``: a hub that peers join and people look at."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from importlib.resources import files
from typing import Any

from wirehop import AnyHTTPPeer, AnyPacket, AnyPeer, AnySocket
from wirehop.core import json

__all__ = ["Hub", "serve"]


class Hub:
    """An AnySocket that passes every message on to the other peers, and shows who is there."""

    def __init__(self) -> None:
        self.socket = AnySocket()
        self._since: dict[str, float] = {}
        self._messages: dict[str, int] = {}
        self._page = files("wirehop.cli").joinpath("hub", "index.html").read_bytes()
        self.socket.on("connected", self._connected)
        self.socket.on("message", self._message)
        self.socket.on("disconnected", self._disconnected)
        self.socket.set_rpc({"peers": lambda peer: self._here()})
        self.socket.http.get("/", self._show)
        self.socket.http.get("/peers.json", self._show_peers)

    def _connected(self, peer: AnyPeer) -> None:
        self._since[peer.id] = time.time()
        self._messages[peer.id] = 0
        print(f"+ {peer.id} connected, {len(self.socket.peers)} here", flush=True)

    def _disconnected(self, peer: AnyPeer, reason: str) -> None:
        del self._since[peer.id], self._messages[peer.id]
        print(f"- {peer.id} left: {reason}, {len(self.socket.peers)} here", flush=True)

    def _message(self, packet: AnyPacket) -> None:
        self._messages[packet.peer.id] += 1
        passed_on = {"from": packet.peer.id, "message": packet.msg}
        others = [peer for peer in self.socket.peers.values() if peer is not packet.peer]
        for peer in others:
            peer.send(passed_on)
        packet.reply({"delivered": len(others)})

    def _here(self) -> list[dict[str, Any]]:
        return [
            {"id": id, "since": since, "messages": self._messages[id], "lag": self.socket.peers[id].lag}
            for id, since in self._since.items()
        ]

    def _show(self, peer: AnyHTTPPeer) -> None:
        peer.header("Content-Type", "text/html; charset=utf-8").body(self._page).end()

    def _show_peers(self, peer: AnyHTTPPeer) -> None:
        body = json.dumps({"hub": self.socket.id, "peers": self._here()})
        peer.header("Content-Type", "application/json").header("Cache-Control", "no-store")
        peer.body(body).end()


async def serve(host: str, port: int) -> int:
    """Run a hub until it is interrupted or told to end (SIGTERM)."""
    told_to_end = asyncio.Event()
    with suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    hub = Hub()
    async with hub.socket:
        listener = await hub.socket.listen("ws", ip=host, port=port)
        shown = f"[{listener.host}]" if ":" in listener.host else listener.host
        print(f"Wirehop hub at http://{shown}:{listener.port}", flush=True)
        await told_to_end.wait()
    return 0
