"""The server's side of HTTP (seed: Node 0.1.0, ``node.http.Server``)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from functools import lru_cache, partial
from typing import Any

from wirehop.js.bodies import Bodies
from wirehop.js.bridge import Bridge, Operations
from wirehop.js.sockets import Sockets
from wirehop.js.values import TEXT, data, pair_text, split_pairs, whole
from wirehop.node import http
from wirehop.node.http import ServerConnection, ServerRequest, ServerResponse, uri
from wirehop.node.http.headers import Fields

__all__ = ["HttpServers"]

Pairs = tuple[tuple[str, str], ...]

Checked = str
"""Text that was here before, and found good."""


class _Connection(ServerConnection):
    """One that knows which of its answers JavaScript still owes."""

    __slots__ = ("number", "owed")

    server: _Server

    def __init__(self, server: _Server) -> None:
        super().__init__(server)
        self.owed: set[float] = set()
        self.number: float | None = None
        """The number under which JavaScript knows it, or None."""

    def connection_lost(self, error: Exception | None) -> None:
        self.server.servers.lost(self)
        super().connection_lost(error)


class _Server(http.Server):
    def __init__(self, servers: HttpServers, backlog: int) -> None:
        super().__init__(backlog=backlog)
        self.servers = servers

    def _accept(self) -> asyncio.BaseProtocol:
        return _Connection(self)


class HttpServers:
    """Tells JavaScript of requests, in one call each, and takes its answers, in one call each."""

    def __init__(self, bridge: Bridge, sockets: Sockets, bodies: Bodies) -> None:
        self._bridge = bridge
        self._sockets = sockets
        self._bodies = bodies
        self._servers: dict[float, _Server] = {}
        self._responses: dict[float, ServerResponse] = {}
        self._last_headers: list[tuple[bytes, bytes]] = []
        self._last_lines = ""

    @property
    def operations(self) -> Operations:
        return {
            "httpListen": self._listen,
            "httpTellConnections": self._tell_connections,
            "httpConnection": self._connection,
            "httpCheckHead": self._check_head,
            "httpRespond": self._respond,
            "uri": _uri,
        }

    def lost(self, connection: _Connection) -> None:
        """The answers that this connection waits for are of no use."""
        for number in connection.owed:
            del self._responses[number]
            self._bodies.withdraw(number)
        connection.owed.clear()

    # --- servers

    def _listen(self, number: float, port: Any, host: str | None, backlog: Any) -> None:
        backlog = whole(backlog, "a backlog")
        server = _Server(self, backlog)
        server.on("request", partial(self._asked, number))
        self._sockets.listen(number, server, whole(port, "a port"), host, backlog)
        self._servers[number] = server

    def _tell_connections(self, number: float) -> None:
        server = self._servers[number]
        if not server.listeners("connection"):
            server.on("connection", partial(self._accepted, number))

    def _accepted(self, server: float, connection: _Connection) -> None:
        connection.number = number = self._bridge.number()
        self._sockets.know(number, connection)
        self._bridge.up("accepted", server, number, connection.remote_address, connection.remote_port)

    def _connection(self, number: float) -> str | None:
        response = self._responses.get(number)
        if response is None:
            return None
        connection = response.connection
        assert isinstance(connection, _Connection)
        if connection.number is None:
            connection.number = self._bridge.number()
            self._sockets.know(connection.number, connection)
        return json.dumps([connection.number, connection.remote_address, connection.remote_port])

    # --- requests and answers

    def _asked(self, server: float, request: ServerRequest, response: ServerResponse) -> None:
        number = self._bridge.number()
        self._responses[number] = response
        connection = request.connection
        assert isinstance(connection, _Connection)
        connection.owed.add(number)
        if request.raw_headers is not self._last_headers:
            # A client that asks again asks with the very same headers.
            self._last_headers = request.raw_headers
            self._last_lines = pair_text(request.raw_headers)
        if request.has_body:
            self._bodies.offer(number, request)
        self._bridge.up(
            "request",
            server,
            number,
            request.method,
            request.url,
            request.http_version,
            self._last_lines,
            request.has_body,
        )

    def _check_head(self, status: Any, lines: str) -> None:
        status = whole(status, "a status")
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no final HTTP status")
        Fields(split_pairs(lines), without_length=status == 204)

    def _respond(
        self, number: float, status: int, lines: Checked, text: str, kind: int, is_last: bool
    ) -> None:
        response = self._responses.get(number)
        if response is None:
            # The client has left.
            return
        body = text.encode() if kind == TEXT else data(text, kind)
        headers, others, length = _headers(lines) if status else ((), (), 0)
        if status and is_last and length in (-1, len(body)):
            self._forget(number, response)
            response.respond(status, others, body)
            return
        if status:
            response.send_header(status, headers)
        if body:
            response.send_body(body)
        if is_last:
            self._forget(number, response)
            response.finish()

    def _forget(self, number: float, response: ServerResponse) -> None:
        """JavaScript owes it no more."""
        connection = response.connection
        assert isinstance(connection, _Connection)
        connection.owed.discard(number)
        del self._responses[number]
        self._bodies.withdraw(number)


@lru_cache(maxsize=256)
def _headers(lines: str) -> tuple[Pairs, Pairs, int]:
    """Headers; those without a Content-Length; and that, or -1 if it is for us to say, or -2 if a
    Transfer-Encoding says that nobody knows it."""
    pairs = tuple(split_pairs(lines))
    fields = Fields(pairs)
    others = tuple(pair for pair in pairs if pair[0].lower() != "content-length")
    return pairs, others, -2 if fields.chunked else -1 if fields.length is None else fields.length


def _uri(text: str) -> str:
    """The parts of a URI that are there, as JSON."""
    parts = asdict(uri.parse(text))
    return json.dumps({name: part for name, part in parts.items() if part is not None})
