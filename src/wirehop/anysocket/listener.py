"""A port on which peers and HTTP requests are accepted."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import TYPE_CHECKING

from wirehop.anysocket.http.hosts import Hosts
from wirehop.anysocket.options import ListenOptions
from wirehop.anysocket.peer import AnyPeer
from wirehop.anysocket.transports import handshake, ws
from wirehop.node import http

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket

__all__ = ["Listener"]

MISDIRECTED = "this server is not known by that name"


class Listener:
    """What :meth:`AnySocket.listen` returns: ``host``, ``port``, :meth:`close`."""

    def __init__(
        self, socket: AnySocket, scheme: str, options: ListenOptions, tls: ssl.SSLContext | None
    ) -> None:
        self.scheme = scheme
        self._socket = socket
        self._options = options
        self._peer_options = options
        self._hosts = _hosts(options)
        self._peer_hosts = self._hosts
        self._tls = tls
        self._server = http.Server(self._request, limits=options.http_limits())
        if scheme in ("ws", "wss"):
            self.accept_peers(options)

    @property
    def host(self) -> str:
        """The address that is bound."""
        return self._server.host

    @property
    def port(self) -> int:
        """The port, also where 0 was asked for."""
        return self._server.port

    async def close(self, timeout: float = 5.0) -> None:
        """Accept no more. The peers that are connected stay; answers to HTTP requests go out,
        and what is not done after ``timeout`` seconds is cut."""
        if self in self._socket._open:
            self._socket._open.remove(self)
        self.stop_accepting()
        try:
            async with asyncio.timeout(timeout):
                await self._server.closed()
        except TimeoutError:
            self.abort()
            await self._server.closed()

    async def __aenter__(self) -> Listener:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- used by AnySocket

    async def open(self) -> None:
        port = self._options.port
        assert port is not None
        await self._server.listen(port, self._options.ip, ssl_context=self._tls)

    @property
    def is_encrypted(self) -> bool:
        return self._tls is not None

    def accept_peers(self, options: ListenOptions) -> None:
        """Accept WebSockets as well, with these options."""
        self._peer_options = options
        self._peer_hosts = _hosts(options)
        if not self._server.listeners("upgrade"):
            self._server.on("upgrade", self._upgrade)

    def stop_accepting(self) -> None:
        self._server.close()

    async def closed(self) -> None:
        await self._server.closed()

    def abort(self) -> None:
        self._server.abort()

    def _request(self, request: http.ServerRequest, response: http.ServerResponse) -> None:
        if self._hosts is not None and not self._hosts.allows(request.header("host")):
            response.keep_alive = False
            response.respond(421, [], MISDIRECTED)
            return
        self._socket.http.handle(self._socket, request, response, self._options.body_limit)

    def _upgrade(self, request: http.ServerRequest, connection: http.ServerConnection, tail: bytes) -> None:
        try:
            if self._peer_hosts is not None and not self._peer_hosts.allows(request.header("host")):
                raise handshake.Refusal(421, MISDIRECTED)
            handshake.check(request)
            self._check_origin(request)
        except handshake.Refusal as refusal:
            response = connection.refuse_upgrade(request)
            response.respond(refusal.status, list(refusal.headers.items()), refusal.text)
            return

        def accept() -> None:
            peer = AnyPeer(self._socket, self._peer_options)
            peer.origin = request.header("origin")
            peer.user_agent = request.header("user-agent")
            ws.accept(request, connection, tail, peer, self._peer_options)

        self._socket.http.check_upgrade(self._socket, request, connection, accept)

    def _check_origin(self, request: http.ServerRequest) -> None:
        allowed = self._peer_options.allowed_origins
        origin = request.header("origin")
        if allowed is not None and origin is not None and origin not in allowed:
            raise handshake.Refusal(403, "this origin may not connect")


def _hosts(options: ListenOptions) -> Hosts | None:
    return None if options.allowed_hosts is None else Hosts(options.allowed_hosts)
