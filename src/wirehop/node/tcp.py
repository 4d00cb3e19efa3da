"""TCP as events (seed: Node 0.1.0, ``node.tcp``): what HTTP and every storey above stand on."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import Awaitable
from typing import Any, cast

from wirehop.core.events import EventEmitter, Listener
from wirehop.core.output import Output

__all__ = ["SEND_LIMIT", "WRITABLE", "Connection", "Server"]

HIGH_WATER = 1 << 20
"""Bytes that the socket did not take, above which :meth:`Connection.send` waits: as much as a
fast reader empties in a moment, and little enough for thousands of slow ones."""

SEND_LIMIT = 64 << 20
"""Bytes left unread at which a connection is cut: room for the largest messages in a row."""

SEND_TIMEOUT = 10.0
"""Seconds without progress, above the high water or while closing, after which a connection is
cut: longer than any phone is between two cells, and still the end of who will never read."""

WRITABLE = ("open", "writeOnly")
"""The states in which something can be sent."""

_SAME_PORT_TRIES = 10
"""How often a free port is sought that several addresses have in common; mostly once."""


class Connection(EventEmitter, asyncio.Protocol):
    """One connection.

    Events: ``connect()``, ``receive(data)``, ``eof()``, ``drain()``, ``disconnect(had_error)``.
    ``ready_state`` is "opening", "open", "readOnly", "writeOnly" or "closed", as in the seed.
    """

    __slots__ = ("_is_lost", "_loop", "output", "ready_state", "remote_address", "server")

    _log = logging.getLogger("wirehop.node")
    output: Output

    def __init__(self, server: Server | None = None) -> None:
        self.server = server
        self.ready_state = "opening"
        self.remote_address: str | None = None
        self._loop = asyncio.get_running_loop()
        self._is_lost = False

    def send(self, data: bytes) -> Awaitable[None]:
        """Send bytes; they are on their way at the call. Awaiting it waits for the drain.

        Raises ``ConnectionError`` when the socket is not open for writing.
        """
        if self.ready_state not in WRITABLE:
            raise ConnectionError("Socket is not open for writing")
        self.output.write(data)
        return self.output

    def close(self) -> None:
        """Half-close: what was sent goes out, then a FIN; the other side may go on sending."""
        if self.ready_state == "open" and self.output.transport.can_write_eof():
            self.ready_state = "readOnly"
            self.output.flush()
            self.output.transport.write_eof()
        elif self.ready_state in WRITABLE:
            self.full_close()

    def full_close(self) -> None:
        """Close both ends once what was sent is out."""
        if self.ready_state != "closed":
            self.ready_state = "closed"
            self.output.close()

    def force_close(self) -> None:
        """Close now: nothing more is sent or received, and no event follows."""
        self.ready_state = "closed"
        self.remove_all_listeners()
        if not self._is_lost:
            self.output.lost("Local Connection Closed")
            self.output.abort()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.output = Output(
            cast(asyncio.Transport, transport),
            self._loop,
            high_water=HIGH_WATER,
            limit=SEND_LIMIT,
            timeout=SEND_TIMEOUT,
            overflow=self._overflow,
        )
        self.ready_state = "open"
        self.remote_address = peer_address(transport)

    def data_received(self, data: bytes) -> None:
        self.emit("receive", data)

    def eof_received(self) -> bool:
        # TLS has no half-open connections: its transport closes now.
        stays = self.ready_state == "open" and self.output.transport.can_write_eof()
        self.ready_state = "writeOnly" if stays else "closed"
        self.emit("eof")
        return stays

    def pause_writing(self) -> None:
        self.output.pause()

    def resume_writing(self) -> None:
        self.output.resume()
        self.emit("drain")

    def connection_lost(self, error: Exception | None) -> None:
        self.ready_state = "closed"
        self._is_lost = True
        was_cut = self.output.closed_because is not None
        self.output.lost(str(error) if error else "Remote Connection Closed")
        self.emit("disconnect", was_cut or error is not None)

    def _overflow(self, reason: str) -> None:
        self._log.warning("cut %s: %s", self.remote_address, reason)
        self.ready_state = "closed"
        self.output.lost(reason)
        self.output.abort()


class Server(EventEmitter):
    """Accepts connections. Event: ``connection(connection)``."""

    _log = logging.getLogger("wirehop.node")

    def __init__(self, listener: Listener | None = None, *, backlog: int = 1024) -> None:
        self._backlog = backlog
        self._server: asyncio.Server | None = None
        self._listening: asyncio.Task[None] | None = None
        self.host = ""
        self.port = 0
        if listener is not None:
            self.on("connection", listener)

    def listen(
        self, port: int, host: str | None = None, *, ssl_context: ssl.SSLContext | None = None
    ) -> Awaitable[None]:
        """Accept connections on ``port`` (0 picks one) of ``host``, or of every address.

        May be awaited; then ``host`` and ``port`` say where, and ``OSError`` why not. Raises
        ``RuntimeError`` while it listens already.
        """
        if self._server is not None or (self._listening is not None and not self._listening.done()):
            raise RuntimeError("this server listens already")
        self._listening = asyncio.ensure_future(self._listen(port, host, ssl_context))
        return self._listening

    def close(self) -> Awaitable[None]:
        """Accept no more. The connections that are open stay so."""
        if self._listening is not None and not self._listening.done():
            self._listening.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        closed = asyncio.get_running_loop().create_future()
        closed.set_result(None)
        return closed

    async def _listen(self, port: int, host: str | None, ssl_context: ssl.SSLContext | None) -> None:
        self._server = await self._bind(port, host, ssl_context)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        await self._server.start_serving()

    async def _bind(self, port: int, host: str | None, ssl_context: ssl.SSLContext | None) -> asyncio.Server:
        """Bind every address that ``host`` stands for, with port 0 to one free port of all."""
        loop = asyncio.get_running_loop()
        wanted = port
        for _ in range(_SAME_PORT_TRIES):
            try:
                server = await loop.create_server(
                    self._accept,
                    host or None,
                    wanted,
                    ssl=ssl_context,
                    backlog=self._backlog,
                    start_serving=False,
                )
            except OSError:
                if wanted == port:
                    raise
                # Somebody else has it at another of the addresses.
                wanted = port
                continue
            ports = [sock.getsockname()[1] for sock in server.sockets]
            if len(set(ports)) == 1:
                return server
            server.close()
            # uvloop closes in the next turn.
            await asyncio.sleep(0)
            wanted = ports[0]
        raise OSError(errno.EADDRINUSE, "no port is free at every address")

    def _accept(self) -> asyncio.BaseProtocol:
        return _Accepted(self)


class _Accepted(Connection):
    """The server's end of a connection, which the server's listeners see first."""

    __slots__ = ()

    server: Server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.server.emit("connection", self)
        # TLS may have data already, which belongs after "connect".
        self.output.transport.pause_reading()
        self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        if self.ready_state != "closed":
            self.output.transport.resume_reading()
            self.emit("connect")


def peer_address(transport: asyncio.BaseTransport) -> str | None:
    """The remote's IP address, or None (Unix sockets; a remote that has left already)."""
    name: Any = transport.get_extra_info("peername")
    return name[0] if isinstance(name, tuple) else None
