"""The content behind a URL (seed: Node 0.1.0, ``node.http.cat``)."""

from __future__ import annotations

import ssl
from typing import Any

from wirehop.core.steps import Steps
from wirehop.errors import RemoteError
from wirehop.node import encodings
from wirehop.node.encodings import UTF8
from wirehop.node.http.client import create_client
from wirehop.node.http.server_response import STATUS_CODES
from wirehop.node.http.uri import Uri, parse
from wirehop.node.promise import Promise

__all__ = ["CAT_LIMIT", "cat"]

CAT_LIMIT = 64 << 20
"""Bytes of content that :func:`cat` takes into memory: what is larger should be streamed."""

_PORTS = {"http": 80, "https": 443}


def cat(
    url: str,
    encoding: str = UTF8,
    *,
    limit: int = CAT_LIMIT,
    timeout: float | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Promise[Any]:
    """The whole content of an ``http`` or ``https`` URL: text, or bytes with "raw".

    The promise fails with ``RemoteError``, whose ``code`` is the status, unless that is 2xx:
    redirects are not followed. It fails with ``PayloadTooLarge`` for more than ``limit`` bytes,
    and otherwise as a request does (:meth:`ClientRequest.finish`). Bytes that are no text become
    U+FFFD. ``timeout`` is that of :func:`create_client`; ``ssl_context`` is
    ``ssl.create_default_context()`` if it is not given. The connection is closed at the end.

    Raises ``ValueError`` at the call for another URL or encoding, and for one with a user and a
    password, which would leave this machine without anybody's having said so.
    """
    encoding = encodings.name(encoding)
    uri = parse(url)
    port = _port(uri)
    host = uri.host or ""
    if (uri.protocol or "").lower() == "https":
        ssl_context = ssl_context or ssl.create_default_context()
    elif ssl_context is not None:
        raise ValueError("an ssl_context is of use for https only")
    client = create_client(port, host, ssl_context=ssl_context, timeout=timeout)
    target = (uri.path or "/") + ("" if uri.query is None else f"?{uri.query}")
    request = client.get(target, [("Connection", "close")])
    answer = request.finish()

    async def fetch() -> None:
        async with client:
            response = await answer
            if not 200 <= response.status_code <= 299:
                phrase = STATUS_CODES.get(response.status_code, "")
                raise RemoteError(
                    f"{url}: {response.status_code} {phrase}".rstrip(), code=response.status_code
                )
            body = await response.read(limit)
        decode = encodings.decoder(encoding)
        promise.emit_success(body if decode is None else decode(body, True))

    def failed(error: Exception) -> None:
        promise.emit_error(error)

    promise: Promise[Any] = Promise()
    Steps().start(fetch(), failed)
    return promise


def _port(uri: Uri) -> int:
    """The port of a URL that can be asked. Raises ``ValueError`` for another one."""
    default = _PORTS.get((uri.protocol or "").lower())
    if default is None:
        raise ValueError(f"{uri.source!r} is no http or https URL")
    if uri.user is not None:
        raise ValueError("a URL with a user would send the password: use create_client() and a header")
    named = f"[{uri.host}]" if ":" in (uri.host or "") else uri.host or ""
    rest = (uri.authority or "").removeprefix(named)
    if not named or (uri.port is None and rest not in ("", ":")):
        raise ValueError(f"{uri.source!r} names no host and port")
    return default if uri.port is None else uri.port
