"""WebSocket (RFC 6455), on a connection that our HTTP server accepted or that we opened.

picows frames; everything it writes passes :class:`~wirehop.core.output.Output`. Nothing outside
of this file knows picows.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import Any

import picows
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

from wirehop.anysocket.options import PeerOptions
from wirehop.anysocket.transports import Receiver
from wirehop.anysocket.transports.lingering import LingeringOutput
from wirehop.core.sockets import keep_alive
from wirehop.errors import AuthError
from wirehop.node.http import ServerConnection, ServerRequest
from wirehop.node.http.headers import Fields

__all__ = ["WSConnection", "accept", "connect"]

READ_BUFFER = 2048
"""Bytes of the first read buffer: it grows with what arrives, and idle peers are many."""

TEXT, CONTINUATION, PING, PONG, CLOSE = (
    picows.WSMsgType.TEXT,
    picows.WSMsgType.CONTINUATION,
    picows.WSMsgType.PING,
    picows.WSMsgType.PONG,
    picows.WSMsgType.CLOSE,
)

INVALID = "Invalid Packet!"

_PATH = re.compile(r"/[!-\"$-~]*")


class _Quiet:
    """The logger that picows gets: what matters is reported once, by the peer."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's own name
        return False

    def debug(self, *args: object, **kwargs: object) -> None:
        pass

    log = info = warning = error = exception = debug


_QUIET = _Quiet()


class WSConnection(picows.WSListener):
    """One WebSocket, as picows calls it and as a peer uses it."""

    output: LingeringOutput

    def __init__(self, receiver: Receiver, options: PeerOptions) -> None:
        self._receiver = receiver
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._ws: Any = None
        self._fragments: list[bytes] | None = None
        self._fragments_size = 0
        self._closing: asyncio.TimerHandle | None = None
        self._lost = False
        self.bytes_in = 0
        """What has arrived so far, with the heads of frames."""
        self.allowed: float = options.max_message_size_before_auth + 4096
        """How much may arrive: a stranger's message, with room for frame heads."""

    # --- what the peer does

    def send(self, frame: bytes) -> None:
        self._ws.send(TEXT, frame)

    def close(self, code: int, reason: str) -> None:
        if self._closing is None and self._ws is not None:
            self._ws.send_close(code, _close_text(reason))
            self._end_by()
            # Its Close could not arrive otherwise.
            self.resume_reading()

    def trust(self) -> None:
        self.allowed = float("inf")

    def is_lost(self) -> bool:
        return self._lost

    def pause_reading(self) -> None:
        self.output.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.output.is_closing():
            self.output.transport.resume_reading()

    # --- what picows says

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._ws = transport
        self._receiver.connection_made(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if (
            kind is not TEXT
            or not frame.fin
            or self._fragments is not None
            or frame.rsv1
            or frame.rsv2
            or frame.rsv3
        ):
            self._rare(frame, kind)
            return
        try:
            text = frame.get_payload_as_utf8_text()
        except UnicodeDecodeError:
            self._fail(1007, "a text message that is not UTF-8")
            return
        if self._closing is None:
            self._receiver.frame_received(text)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._lost = True
        self._receiver.connection_lost()
        # Nothing follows; and so both are freed at once, instead of by the collector, much later.
        del self._receiver

    def pause_writing(self) -> None:
        self.output.pause()

    def resume_writing(self) -> None:
        self.output.resume()

    # --- what else may arrive

    def _rare(self, frame: picows.WSFrame, kind: picows.WSMsgType) -> None:
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(1002, "a reserved bit is set")
        elif kind is PING:
            self._ws.send_pong(frame.get_payload_as_bytes())
        elif kind is PONG:
            pass
        elif kind is CLOSE:
            self._closed_by_remote(frame)
        elif kind is TEXT or kind is CONTINUATION:
            self._fragment(frame, kind)
        else:
            self._fail(1003, "a binary message")

    def _fragment(self, frame: picows.WSFrame, kind: picows.WSMsgType) -> None:
        if (kind is CONTINUATION) == (self._fragments is None):
            self._fail(1002, "a fragment out of turn")
            return
        if self._fragments is None:
            self._fragments = []
            self._fragments_size = 0
        self._fragments.append(frame.get_payload_as_bytes())
        # The empty ones cost memory too.
        self._fragments_size += frame.payload_size + 64
        if self._fragments_size > self._options.max_frame_size:
            self._fail(1009, "a message of too many fragments")
            return
        if not frame.fin:
            return
        whole, self._fragments = b"".join(self._fragments), None
        try:
            text = whole.decode()
        except UnicodeDecodeError:
            self._fail(1007, "a text message that is not UTF-8")
            return
        if self._closing is None:
            self._receiver.frame_received(text)

    def _closed_by_remote(self, frame: picows.WSFrame) -> None:
        if self._closing is None:
            # Answered with the same code, or without one (RFC 6455, 5.5.1).
            if frame.payload_size:
                self._ws.send_close(frame.get_close_code(), None)
            else:
                self._ws.send(CLOSE, None)
            self._end_by()
        self._ws.disconnect()

    # --- the end

    def check_rules(self) -> None:
        """Called after each read: did picows find a broken rule, or a stranger talk too much?"""
        if self._closing is not None or self._ws is None:
            return
        if self._ws.is_close_frame_sent:
            self.output.lingers = True
            sent = self._ws.close_handshake.sent
            self._receiver.connection_failed(INVALID, int(sent.code), sent.reason)
            self._end_by()
            self.resume_reading()
        elif self.bytes_in > self.allowed:
            self._fail(1009, "too many bytes before authentication")

    def cut(self, reason: str) -> None:
        """The remote does not read (see :class:`~wirehop.core.output.Output`)."""
        self._receiver.connection_cut(reason)
        self.output.lost(reason)
        self.output.abort()

    def _fail(self, code: int, detail: str) -> None:
        if self._closing is None:
            self._receiver.connection_failed(INVALID, code, detail)
            self.close(code, detail)

    def _end_by(self) -> None:
        """The remote has so long to answer our Close, and as long again while it goes on reading
        what was sent before it."""
        self.output.flush()
        waiting = self.output.transport.get_write_buffer_size()
        self._closing = self._loop.call_later(self._options.close_timeout, self._overdue, waiting)

    def _overdue(self, waited: int) -> None:
        if self.output.transport.get_write_buffer_size() < waited:
            self._end_by()
        else:
            self.output.abort()


_buffer_updated = WSProtocol.buffer_updated


class _Socket(WSProtocol):  # type: ignore[misc]
    """picows between an asyncio transport and a :class:`WSConnection`."""

    def __init__(
        self, connection: WSConnection, options: PeerOptions, client: tuple[str, str, Any] | None
    ) -> None:
        host, path, headers = client or (None, None, None)
        super().__init__(
            host,
            path,
            client is not None,
            self._negotiated,
            _QUIET,
            True,
            options.auth_timeout if client else None,
            False,
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,
            options.max_frame_size,
            headers,
            READ_BUFFER,
        )
        self.connection = connection
        self._options = options
        self.subprotocol: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        options = self._options
        if options.tcp_keep_alive:
            keep_alive(transport, options.tcp_keep_alive_initial_delay)
        self.connection.output = LingeringOutput(
            transport,
            asyncio.get_running_loop(),
            high_water=options.high_water,
            limit=options.send_limit,
            timeout=options.send_timeout,
            overflow=self.connection.cut,
        )
        super().connection_made(self.connection.output)

    def connection_lost(self, error: Exception | None) -> None:
        output = self.connection.output
        output.lost(output.closed_because or "Remote Connection Closed")
        super().connection_lost(error)

    def buffer_updated(self, size: int) -> None:
        connection = self.connection
        connection.bytes_in += size
        if connection.output.lingers:
            return
        _buffer_updated(self, size)
        if connection.bytes_in > connection.allowed or self.transport.is_close_frame_sent:
            connection.check_rules()

    def _negotiated(self, request: Any, response: Any = None) -> Any:
        if response is not None or self.subprotocol is None:
            return self.connection
        answer = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": self.subprotocol})
        return picows.WSUpgradeResponseWithListener(answer, self.connection)


def accept(
    request: ServerRequest,
    connection: ServerConnection,
    tail: bytes,
    receiver: Receiver,
    options: PeerOptions,
) -> None:
    """Make a WebSocket of a connection whose upgrade request passed :func:`.handshake.check`.

    ``tail`` is what followed the request already. The first subprotocol offered is selected:
    browsers that got ``null`` for a list of subprotocols insist on it.
    """
    ws = WSConnection(receiver, options)
    socket = _Socket(ws, options, None)
    offered = request.header("sec-websocket-protocol")
    if offered:
        socket.subprotocol = offered.split(",")[0].strip()
    transport = connection.detach()
    transport.set_protocol(socket)
    socket.connection_made(transport)
    # picows reads the request once more, so it gets what matters in the form it knows.
    key = request.header("sec-websocket-key")
    ws.allowed += len(tail)
    _feed(
        socket,
        "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode(),
        tail,
    )


def _feed(socket: Any, head: bytes, tail: bytes) -> None:
    for data in (head, tail):
        while data:
            buffer = socket.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            socket.buffer_updated(size)
            data = data[size:]


async def connect(
    host: str,
    port: int,
    receiver: Receiver,
    options: PeerOptions,
    *,
    path: str = "/",
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> None:
    """Open a WebSocket; ``receiver`` is told when it is made.

    Raises ``OSError`` when nothing listens, ``TimeoutError`` when the handshake takes longer
    than ``auth_timeout``, ``AuthError`` when the server refuses it, and ``ValueError`` for
    a path or headers that cannot be sent.
    """
    # For its checks: nothing may become a header of its own.
    Fields((headers or {}).items())
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is no path: a slash first, and neither blanks nor other than ASCII")
    loop = asyncio.get_running_loop()
    ws = WSConnection(receiver, options)
    name = f"[{host}]" if ":" in host else host
    ws.allowed += 16_384
    socket: Any = _Socket(ws, options, (f"{name}:{port}", path, dict(headers or {})))
    transport, _ = await loop.create_connection(lambda: socket, host, port, ssl=ssl_context)
    try:
        await socket.wait_until_handshake_complete()
    except picows.WSError as error:
        raise AuthError(f"Unexpected server response: {error}") from None
    except BaseException:
        transport.abort()
        raise
    if socket.listener is None:
        raise AuthError("Remote Connection Closed")


def _close_text(reason: str) -> bytes:
    """A reason that fits into a Close frame: 123 bytes, no half character."""
    return reason.encode()[:123].decode(errors="ignore").encode()
