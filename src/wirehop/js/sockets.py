"""Connections and servers of a program (seed: Node 0.1.0, "TCP")."""

from __future__ import annotations

from functools import partial
from typing import Any

from wirehop.core.steps import Steps
from wirehop.js.bridge import Bridge, Operations
from wirehop.js.values import RAW, TEXT, data, failure, raw_text, whole
from wirehop.node import http, tcp
from wirehop.node.bind import sockets_at

__all__ = ["Sockets"]


class Sockets:
    """What JavaScript does with connections, those of HTTP too, and with servers of both kinds."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._connections: dict[float, tcp.Connection] = {}
        self._servers: dict[float, tcp.Server] = {}
        self._listening = Steps()

    @property
    def operations(self) -> Operations:
        return {
            "tcpConnect": self._connect,
            "tcpReadyState": lambda number: self._connections[number].ready_state,
            "tcpSetEncoding": lambda number, encoding: self._connections[number].set_encoding(encoding),
            "tcpSetTimeout": self._set_timeout,
            "tcpSend": self._send,
            "tcpClose": lambda number: self._connections[number].close(),
            "tcpFullClose": lambda number: self._connections[number].full_close(),
            "tcpForceClose": lambda number: self._connections.pop(number).force_close(),
            "tcpPauseReading": lambda number: self._connections[number].pause_reading(),
            "tcpResumeReading": lambda number: self._connections[number].resume_reading(),
            "tcpIsOver": lambda number: self._connections[number].ready_state == "closed",
            "tcpForget": self._forget,
            "tcpListen": self._listen,
            "serverClose": self._close,
        }

    # --- connections

    def know(self, number: float, connection: tcp.Connection) -> None:
        """Tell JavaScript of the events of this connection, under that number."""
        self._connections[number] = connection
        up = self._bridge.up
        connection.on("connect", partial(up, "connect", number))
        connection.on("receive", partial(self._received, number))
        connection.on("eof", partial(up, "eof", number))
        connection.on("drain", partial(up, "drain", number))
        connection.on("disconnect", partial(up, "disconnected", number))

    def _received(self, number: float, received: bytes | str) -> None:
        if isinstance(received, str):
            self._bridge.up("received", number, TEXT, self._bridge.text(received))
        else:
            self._bridge.up("received", number, RAW, raw_text(received))

    def _connect(self, number: float, port: Any, host: str | None) -> None:
        connection = self._connections.get(number) or tcp.Connection()
        connection.connect(whole(port, "a port"), host or "127.0.0.1")
        if number not in self._connections:
            self.know(number, connection)

    def _forget(self, number: float) -> None:
        del self._connections[number]

    def _set_timeout(self, number: float, delay: float) -> None:
        connection = self._connections[number]
        connection.set_timeout(delay / 1000)
        connection.remove_all_listeners("timeout")
        connection.on("timeout", partial(self._bridge.up, "idle", number))

    def _send(self, number: float, text: str, kind: int) -> None:
        self._connections[number].send(data(text, kind))

    # --- servers

    def _listen(self, number: float, port: Any, host: str | None, backlog: Any) -> None:
        backlog = whole(backlog, "a backlog")
        server = tcp.Server(backlog=backlog)
        server.on("connection", partial(self._accepted, number))
        self.listen(number, server, whole(port, "a port"), host, backlog)

    def listen(self, number: float, server: tcp.Server, port: int, host: str | None, backlog: int) -> None:
        """Listen, and tell JavaScript where or why not."""
        # Now, as in the seed: the next line of the program may connect.
        listening = server.listen(sockets=sockets_at(port, host, backlog))
        self._servers[number] = server

        async def wait() -> None:
            await listening
            self._bridge.up("listening", number, server.host, server.port)

        self._listening.start(wait(), partial(self._cannot_listen, number))

    def _cannot_listen(self, number: float, error: Exception) -> None:
        # One that was closed before it listened is no failure.
        if self._servers.pop(number, None) is not None:
            self._bridge.up("cannotListen", number, self._bridge.text(failure(error)))

    def _close(self, number: float) -> None:
        server = self._servers.pop(number)
        server.close()
        if isinstance(server, http.Server):
            self._listening.start(self._until_over(number, server), _never)

    async def _until_over(self, number: float, server: http.Server) -> None:
        await server.closed()
        self._bridge.up("serverOver", number)

    def _accepted(self, server: float, connection: tcp.Connection) -> None:
        number = self._bridge.number()
        self.know(number, connection)
        self._bridge.up("accepted", server, number, connection.remote_address, connection.remote_port)


def _never(error: Exception) -> None:
    """Waiting raises nothing."""
