"""All storeys in one process, for tests that attack them from outside.

Commands come on stdin, one JSON list ``[name, argument, ...]`` a line; each is answered with one line
of JSON on stdout. The log goes to stderr. Nothing listens until it is told to.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import inspect
import json
import logging
import os
import re
import sys
import threading
import time
from typing import Any

from wirehop import AnyHTTPPeer, AnyPacket, AnyPeer, AnySocket, SockhopServer
from wirehop.node import tcp

SPLITTING = [("A", "b\r\nSet-Cookie: x=y"), ("A\r\nB", "c"), ("A", "b\0c"), ("A b", "c")]


def fails_empty(peer: AnyPeer) -> None:
    raise ValueError


class House:
    """What the commands are methods of."""

    def __init__(self, folder: str) -> None:
        self.socket = AnySocket(
            can_proxy=lambda *ids: True,
            rpc={
                "add": lambda a, b, peer: a + b,
                "fails_empty": fails_empty,
                "never": self._never,
                "record": self._record,
                "_x": print,
            },
        )
        self.folder = folder
        self.listeners: dict[int, Any] = {}
        self.noted: dict[str, list[Any]] = {"seen": [], "heard": [], "ended": [], "errors": []}
        self.ledger = -1
        self.silent = False
        self.released = asyncio.Event()
        self.socket.on("message", self._message)
        self.socket.on("disconnected", lambda peer, reason: self.noted["ended"].append([peer.id, reason]))
        self.socket.on("error", lambda error: self.noted["errors"].append(repr(error)))
        self._routes()

    def _message(self, packet: AnyPacket) -> None:
        self.noted["heard"].append(packet.msg)
        if not self.silent:
            packet.reply(packet.msg)

    def _record(self, id: int, peer: AnyPeer) -> int:
        """Write an id down, and only then say so."""
        if self.ledger < 0:
            self.ledger = os.open(os.path.join(self.folder, "ledger"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(self.ledger, b"%d\n" % id)
        return id

    async def _never(self, peer: AnyPeer) -> None:
        await self.released.wait()

    def _routes(self) -> None:
        http = self.socket.http

        @http.get("/hello")
        def hello(peer: AnyHTTPPeer) -> None:
            peer.body("hello").end()

        @http.post("/echo")
        def echo(peer: AnyHTTPPeer) -> None:
            peer.body(peer.query.body).end()

        @http.get("/large")
        async def large(peer: AnyHTTPPeer) -> None:
            for _ in range(1024):
                await peer.write(bytes(65_536))
            peer.end()

        @http.get("/cookies")
        def cookies(peer: AnyHTTPPeer) -> None:
            peer.body(json.dumps(dict(peer.cookies))).end()

        @http.get("/cookies/set")
        def set_cookie(peer: AnyHTTPPeer) -> None:
            peer.set_cookie("good", "1")
            for value in ("a; Path=/x", "a\r\nX: y", "a\0b"):
                try:
                    peer.set_cookie("bad", value)
                except ValueError:
                    continue
                peer.body(value)
            peer.end()

        @http.get("/cookies/delete")
        def delete_cookie(peer: AnyHTTPPeer) -> None:
            peer.delete_cookie("b").end()

        @http.get("/split")
        def split(peer: AnyHTTPPeer) -> None:
            name, value = SPLITTING[int(peer.query.qs["which"])]
            peer.header("Good", "1").header(name, value).body("split").end()

        http.static("/static", self.folder)

        @http.on("_", re.compile("^(?!/static/)"))
        def any_other(peer: AnyHTTPPeer) -> None:
            self.noted["seen"].append(peer.url)
            peer.body(peer.query.body).end()

    # --- commands

    async def listen(self, scheme: str, options: dict[str, Any]) -> int:
        listener = await self.socket.listen(scheme, ip="127.0.0.1", port=0, **options)
        self.listeners[listener.port] = listener
        return listener.port

    async def sockhop(self, options: dict[str, Any]) -> int:
        server = SockhopServer(**{"port": 0, **options})
        server.on("receive", self._received)
        server.on("request", self._requested)
        server.on("error", lambda error, *_: self.noted["errors"].append(getattr(error, "code", repr(error))))
        await server.listen()
        self.listeners[server.port] = server
        return server.port

    def _received(self, value: Any, meta: Any) -> None:
        self.noted["heard"].append(value)
        if meta.callback is not None:
            meta.callback(value)

    def _requested(self, req: Any, res: Any, meta: Any) -> None:
        self.noted["heard"].append(req.data)
        if not self.silent:
            res.send(req.data)

    async def close(self, port: int) -> None:
        await self.listeners.pop(port).close()

    def report(self) -> dict[str, Any]:
        """How many tasks and peers there are, once nothing lies about any more."""
        if not gc.get_freeze_count():
            # What a program is made of is not looked through each time.
            gc.freeze()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        links = sum(len(one.sockets) for one in self.listeners.values() if isinstance(one, SockhopServer))
        return {"tasks": len(asyncio.all_tasks()), "peers": sorted(self.socket.peers), "links": links}

    def take(self, what: str) -> list[Any]:
        """What was noted since it was last asked for."""
        noted, self.noted[what] = self.noted[what], []
        return noted

    def keep_silent(self, silent: bool) -> None:
        """Answer nothing."""
        self.silent = silent

    def release(self) -> None:
        """Let the calls end that never would."""
        self.released.set()
        self.released = asyncio.Event()

    def send(self, id: str, values: list[Any]) -> None:
        for value in values:
            self.socket.peers[id].send(value)

    def e2e(self, id: str) -> None:
        self.socket.peers[id].e2e()

    def beat(self, id: str) -> None:
        self.socket.peers[id].heartbeat()

    def security(self, id: str) -> str:
        return self.socket.peers[id].security

    def broadcast(self, text: str, times: int, count: int) -> None:
        for _ in range(count):
            self.socket.broadcast(text * times)

    async def ask_sockhop(self, port: int) -> list[str]:
        """Ask each client, and say how the asking ended."""
        outcomes = []
        for sock in self.listeners[port].sockets:
            stream = self.listeners[port].request(sock, "well?", timeout=600)
            try:
                await stream.next()
                outcomes.append("answered")
            except Exception as error:
                outcomes.append(type(error).__name__)
        return outcomes

    def set_clock(self, offset: float) -> None:
        """What time it is, as far as programs ask ``time.time``; the loop's clock has no date."""
        time.time = lambda real=_real_time: real() + offset  # type: ignore[assignment, misc]

    async def ask(self, id: str, value: Any) -> Any:
        reply = await self.socket.peers[id].send(value, await_reply=True)
        return reply.msg  # type: ignore[union-attr]


_real_time = time.time


async def main(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    house = House(options.folder)
    ended = asyncio.Event()
    working: set[asyncio.Task[None]] = set()

    async def obey(line: str) -> None:
        name, *arguments = json.loads(line)
        try:
            result = getattr(house, name)(*arguments)
            answer = {"result": await result if inspect.isawaitable(result) else result}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(1, json.dumps(answer).encode() + b"\n")

    def take(line: str) -> None:
        task = asyncio.create_task(obey(line))
        working.add(task)
        task.add_done_callback(working.discard)

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(take, line)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, daemon=True).start()
    os.write(1, b'{"result": "started"}\n')
    await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--folder", default=".")
    parser.add_argument("--handshake-timeout", type=float, default=tcp.HANDSHAKE_TIMEOUT)
    chosen = parser.parse_args()
    tcp.HANDSHAKE_TIMEOUT = chosen.handshake_timeout
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    factory = None
    if chosen.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(chosen))
