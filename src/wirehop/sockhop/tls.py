"""The TLS of a client. No option of TLS is ever ignored: that would mean plaintext."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from wirehop.node import tls

__all__ = ["client_tls"]

_OPTIONS = {
    "rejectUnauthorized": "reject_unauthorized",
    "serverName": "servername",
    "server_hostname": "servername",
}
"""Other spellings: Node's, and Python's."""


def client_tls(
    use: bool, options: Mapping[str, Any] | None, ssl_context: ssl.SSLContext | None, ca: tls.Path | None
) -> tuple[ssl.SSLContext | None, str | None]:
    """The context of a client, or None for plaintext, and the name that the server's certificate
    must have, or None for that of the host. Any option means TLS.

    ``options`` are Node's for ``tls.connect``, of which these are known: ca (a path, or PEM text),
    cert, key (paths), passphrase, servername, reject_unauthorized, ciphers. Raises ``TypeError``
    for others, ``ValueError`` for what does not fit together, ``OSError`` for a file that cannot be
    read.
    """
    wanted = {_OPTIONS.get(name, name): value for name, value in (options or {}).items()}
    if ca is not None:
        wanted["ca"] = ca
    if ssl_context is not None:
        tls.check_client_context(ssl_context)
        if wanted.keys() - {"servername"}:
            raise ValueError("with an ssl_context only servername can be chosen")
        return ssl_context, wanted.get("servername")
    if not wanted and not use:
        return None, None
    return _context(**wanted), wanted.get("servername")


def _context(
    *,
    ca: tls.Path | bytes | None = None,
    cert: tls.Path | None = None,
    key: tls.Path | None = None,
    passphrase: str | None = None,
    servername: str | None = None,
    reject_unauthorized: bool = True,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    text = ca.decode("ascii") if isinstance(ca, bytes) else ca
    if isinstance(text, str) and "-----BEGIN" in text:
        context = tls.client_context(ca_text=text)
    else:
        context = tls.client_context(text)
    if cert is not None:
        tls.load_certificate(context, cert, key, passphrase)
    elif key is not None:
        raise ValueError("a key is of no use without its cert")
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if not reject_unauthorized:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
