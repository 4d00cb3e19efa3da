"""Which requests for an upgrade become a WebSocket (RFC 6455, 4.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from wirehop.node.http import ServerRequest

__all__ = ["Refusal", "check"]


class Refusal(Exception):
    """An upgrade request that is answered with an HTTP error."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


def check(request: ServerRequest) -> None:
    """Raise :class:`Refusal` for a request that is no proper WebSocket handshake (RFC 6455, 4.2)."""
    if request.method != "GET" or request.http_version != "1.1":
        raise Refusal(400, "a WebSocket begins with GET and HTTP/1.1")
    if (request.header("upgrade") or "").lower() != "websocket":
        raise Refusal(400, "the only upgrade here is websocket")
    if request.header("sec-websocket-version") != "13":
        raise Refusal(426, "WebSocket version 13 is spoken here", {"Sec-WebSocket-Version": "13"})
    try:
        key = base64.b64decode(request.header("sec-websocket-key") or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        raise Refusal(400, "Sec-WebSocket-Key must be 16 bytes in base64")
