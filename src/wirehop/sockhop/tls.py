"""The TLS of servers and clients. No option of TLS is ever ignored: that would mean plaintext."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any

__all__ = ["client_tls", "server_tls"]

Path = str | os.PathLike[str]

_OPTIONS = {
    "rejectUnauthorized": "reject_unauthorized",
    "serverName": "servername",
    "server_hostname": "servername",
}
"""Other spellings: Node's, and Python's."""


def server_tls(
    ssl_context: ssl.SSLContext | None, cert: Path | None, key: Path | None
) -> ssl.SSLContext | None:
    """The context of a server, or None for plaintext.

    Raises ``ValueError`` for options that do not fit together, ``OSError`` for a certificate that
    cannot be read.
    """
    if ssl_context is not None:
        if cert is not None or key is not None:
            raise ValueError("cert and key are of use without ssl_context only")
        return ssl_context
    if cert is None:
        if key is not None:
            raise ValueError("a key is of no use without its cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key, _no_passphrase)
    return context


def client_tls(
    use: bool, options: Mapping[str, Any] | None, ssl_context: ssl.SSLContext | None, ca: Path | None
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
        if wanted.keys() - {"servername"}:
            raise ValueError("with an ssl_context only servername can be chosen")
        return ssl_context, wanted.get("servername")
    if not wanted and not use:
        return None, None
    return _context(**wanted), wanted.get("servername")


def _context(
    *,
    ca: Path | bytes | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    passphrase: str | None = None,
    servername: str | None = None,
    reject_unauthorized: bool = True,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    text = ca.decode("ascii") if isinstance(ca, bytes) else ca
    if isinstance(text, str) and "-----BEGIN" in text:
        context = ssl.create_default_context(cadata=text)
    else:
        context = ssl.create_default_context(cafile=text)
    if cert is not None:
        context.load_cert_chain(cert, key, _no_passphrase if passphrase is None else passphrase)
    elif key is not None:
        raise ValueError("a key is of no use without its cert")
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if not reject_unauthorized:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _no_passphrase() -> str:
    # Without this the process would ask its terminal, and wait.
    raise ValueError("the key is encrypted: a client has the option passphrase, a server an ssl_context")
