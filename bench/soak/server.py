"""The server of the soak: peers, requests of HTTP and Sockhop in one process.

Options: ``port`` and ``sockhop_port`` (fixed, so that a server that was killed comes back where it
was), ``id``, ``relay`` (its port, or None) and ``relay_id``, ``journal`` (a path with ``{start}`` in
it), ``files`` (a folder to serve). Whatever has a number is written into the journal before it is
answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

from soak.control import Answer, Control, run
from soak.journal import Journal
from wirehop import (
    AnyHTTPPeer,
    AnyPacket,
    AnyPeer,
    AnySocket,
    SockhopError,
    SockhopRequest,
    SockhopResponseWriteableStream,
    SockhopServer,
)
from wirehop.errors import ConnectionClosed

SECRET = "soak"
LATER = 0.005
"""Seconds that an answer takes which is not given at once."""
LIMITS: dict[str, Any] = {"high_water": 256 << 10, "send_limit": 4 << 20, "send_timeout": 3.0}
"""For a reader that does not read: small, so that many of them are cut in one run."""
PIECE = "x" * 65_536
RECONNECT = 0.5
"""Seconds, at most, before the server looks for its relay again."""


class Server:
    def __init__(self, options: Answer) -> None:
        self._options = options
        self._journal = Journal(options["journal"].format(start=options["start"]))
        self._peers = AnySocket(
            id=options["id"],
            on_auth=lambda packet: packet["auth"] == SECRET,
            auth_packet=lambda: SECRET,
            rpc={"work": self.work, "later": self.later, "back": back},
        )
        self._peers.on("message", self.message)
        self._sockhop = SockhopServer(port=options["sockhop_port"], **LIMITS)
        self._sockhop.on("request", self.request)
        self._sockhop.on("receive", self.receive)
        self._relayed = False

    async def serve(self) -> None:
        control = Control()
        control.on("connections", self._connections)
        self._routes()
        await self._peers.listen("ws", ip="127.0.0.1", port=self._options["port"], **LIMITS)
        await self._sockhop.listen()
        looking = asyncio.create_task(self._keep_relay()) if self._options.get("relay") else None
        await control.serve()
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
        await self._sockhop.close()
        await self._peers.stop()

    def _connections(self, question: Answer) -> Answer:
        # The relay is a peer as well, but no client.
        return {
            "peers": len(self._peers.peers) - self._relayed,
            "sessions": len(self._sockhop.sessions),
            "relayed": self._relayed,
        }

    async def _keep_relay(self) -> None:
        """Stay connected with the relay, through which clients reach this server too."""
        lost = asyncio.Event()

        @self._peers.on("disconnected")
        def left(peer: AnyPeer, reason: str) -> None:
            if peer.id == self._options["relay_id"]:
                lost.set()

        while True:
            lost.clear()
            try:
                await self._peers.connect("ws", "127.0.0.1", self._options["relay"], **LIMITS)
                self._relayed = True
                await lost.wait()
            except OSError:
                pass
            finally:
                self._relayed = False
            await asyncio.sleep(random.random() * RECONNECT)

    # --- work: it has a number, and is written down before anybody is told

    def execute(self, number: list[int]) -> None:
        run, count = number
        self._journal.write(f"{run} {count}")

    def work(self, number: list[int], payload: Any, peer: AnyPeer) -> Any:
        self.execute(number)
        return payload

    async def later(self, number: list[int], payload: Any, peer: AnyPeer) -> Any:
        self.execute(number)
        await asyncio.sleep(LATER)
        return payload

    def message(self, packet: AnyPacket) -> Any:
        message = packet.msg
        if "flood" in message:
            return self._flood_peer(packet.peer, message["flood"], message["waits"])
        if "note" in message:
            self.execute(message["note"])
            return None
        self.execute(message["ask"])
        if "later" in message:
            return self._reply_later(packet, message["payload"])
        packet.reply(message["payload"])
        return None

    async def _reply_later(self, packet: AnyPacket, payload: Any) -> None:
        await asyncio.sleep(LATER)
        packet.reply(payload)

    # --- Sockhop

    def request(self, req: SockhopRequest, res: SockhopResponseWriteableStream, meta: Any) -> Any:
        if "flood" in req.data:
            return self._flood_sock(res, req.data["flood"], req.data["waits"])
        self.execute(req.data["ask"])
        if "later" in req.data:
            return self._answer_later(req, res)
        for number in range(req.data.get("parts", 0)):
            res.write(number)
        res.send(req.data["payload"])
        return None

    async def _answer_later(self, req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
        await asyncio.sleep(LATER)
        with contextlib.suppress(SockhopError):
            # Its asker may be gone.
            res.send(req.data["payload"])

    def receive(self, message: Any, meta: Any) -> None:
        self.execute(message["note"])
        if meta.callback is not None:
            meta.callback(message["payload"])

    # --- for readers that do not read

    async def _flood_peer(self, peer: AnyPeer, pieces: int, waits: bool) -> None:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(pieces):
                sent = peer.send(PIECE)
                if waits:
                    await sent

    async def _flood_sock(self, res: SockhopResponseWriteableStream, pieces: int, waits: bool) -> None:
        with contextlib.suppress(ConnectionClosed, SockhopError):
            for _ in range(pieces):
                sent = res.write(PIECE)
                if waits:
                    await sent

    # --- HTTP

    def _routes(self) -> None:
        http = self._peers.http
        http.static("/files", self._options["files"])
        http.post("/work", self._post)
        http.post("/upload", self._upload, stream=True)
        http.get("/flood", self._flood_http)

    def _post(self, peer: AnyHTTPPeer) -> None:
        self.execute(_number(peer))
        peer.body(peer.query.body).end()

    async def _upload(self, peer: AnyHTTPPeer) -> None:
        size = 0
        async for piece in peer:
            size += len(piece)
        self.execute(_number(peer))
        peer.body(str(size)).end()

    async def _flood_http(self, peer: AnyHTTPPeer) -> None:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(int(str(peer.query.qs["pieces"]))):
                await peer.write(PIECE)
            peer.end()


def _number(peer: AnyHTTPPeer) -> list[int]:
    run, _, count = str(peer.query.qs["ask"]).partition(".")
    return [int(run), int(count)]


async def back(value: int, peer: AnyPeer) -> Any:
    """Calls a function of its caller before it answers."""
    return await peer.rpc.double(value)


if __name__ == "__main__":
    run(lambda options: Server(options).serve())
