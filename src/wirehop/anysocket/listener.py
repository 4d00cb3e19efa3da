"""A port on which peers and HTTP requests are accepted."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wirehop.anysocket.options import ListenOptions
from wirehop.anysocket.peer import AnyPeer
from wirehop.anysocket.transports import ws
from wirehop.node import http

if TYPE_CHECKING:
    from wirehop.anysocket.anysocket import AnySocket

__all__ = ["Listener", "server_tls"]


class Listener:
    """What :meth:`AnySocket.listen` returns: ``host``, ``port``, :meth:`close`."""

    def __init__(
        self, socket: AnySocket, scheme: str, options: ListenOptions, tls: ssl.SSLContext | None
    ) -> None:
        self.scheme = scheme
        self._socket = socket
        self._options = options
        self._tls = tls
        self._server = http.Server(self._request)
        if scheme in ("ws", "wss"):
            self.accept_peers()

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

    def accept_peers(self) -> None:
        """Accept WebSockets as well."""
        if not self._server.listeners("upgrade"):
            self._server.on("upgrade", self._upgrade)

    def stop_accepting(self) -> None:
        self._server.close()

    async def closed(self) -> None:
        await self._server.closed()

    def abort(self) -> None:
        self._server.abort()

    def _request(self, request: http.ServerRequest, response: http.ServerResponse) -> None:
        self._socket.http.handle(self._socket, request, response, self._options.body_limit)

    def _upgrade(self, request: http.ServerRequest, connection: http.ServerConnection, tail: bytes) -> None:
        try:
            ws.check(request)
            self._check_origin(request)
        except ws.Refusal as refusal:
            response = connection.refuse_upgrade(request)
            response.respond(refusal.status, list(refusal.headers.items()), refusal.text)
            return
        if self._socket.http.allows_upgrade(self._socket, request, connection):
            ws.accept(request, connection, tail, AnyPeer(self._socket, self._options), self._options)

    def _check_origin(self, request: http.ServerRequest) -> None:
        allowed = self._options.allowed_origins
        origin = request.header("origin")
        if allowed is not None and origin is not None and origin not in allowed:
            raise ws.Refusal(403, "this origin may not connect")


def server_tls(scheme: str, options: ListenOptions) -> ssl.SSLContext | None:
    """The TLS context of a listener, or None for plaintext.

    Raises ``ValueError`` when scheme and options do not fit, and ``OSError`` for a
    certificate that cannot be read: a listener never falls back to plaintext.
    """
    given: Any = options.ssl_context or options.cert or options.key
    if scheme in ("ws", "http"):
        if given:
            raise ValueError(f"{scheme} is plaintext; with a certificate the scheme is {scheme}s")
        return None
    if options.ssl_context is not None:
        return options.ssl_context
    if options.cert is None:
        raise ValueError(f"{scheme} needs the option cert, or ssl_context")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.cert, options.key)
    return context
