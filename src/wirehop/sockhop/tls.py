"""The TLS of a client. No option of TLS is ever ignored: that would mean plaintext."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from wirehop.node import tls

__all__ = ["client_tls"]

_OPTIONS = {
    "rejectUnauthorized": "reject_unauthorized",
    "serverName": "servername",
    "server_hostname": "servername",
}
"""Other spellings: Node's, and Python's."""


_BEGIN = "-----BEGIN"

_KNOWN = ("ca", "cert", "key", "passphrase", "servername", "reject_unauthorized", "ciphers")

Pem = tls.Path | bytes
"""A path, or what is in such a file."""


def client_tls(
    use: bool, options: Mapping[str, Any] | None, ssl_context: ssl.SSLContext | None, ca: tls.Path | None
) -> tuple[ssl.SSLContext | None, str | None]:
    """The context of a client, or None for plaintext, and the name that the server's certificate
    must have, or None for that of the host. Any option means TLS.

    ``options`` are Node's for ``tls.connect``, of which these are known: ca, cert and key (each a path,
    or PEM as text or bytes, or a list of those), passphrase, servername, reject_unauthorized, ciphers.
    Raises ``TypeError`` for others, ``ValueError`` for what does not fit together or is no PEM,
    ``OSError`` for a file that cannot be read.
    """
    wanted = {_OPTIONS.get(name, name): value for name, value in (options or {}).items()}
    unknown = [name for name in options or () if _OPTIONS.get(name, name) not in _KNOWN]
    if unknown:
        raise TypeError(f"ssl_options has no {unknown[0]!r}; there are {', '.join(_KNOWN)}")
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
    ca: Pem | Sequence[Pem] | None = None,
    cert: Pem | Sequence[Pem] | None = None,
    key: Pem | Sequence[Pem] | None = None,
    passphrase: str | None = None,
    servername: str | None = None,
    reject_unauthorized: bool = True,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    context = _trusting(_each("ca", ca))
    certs, keys = _each("cert", cert), _each("key", key)
    if keys and not certs:
        raise ValueError("a key is of no use without its cert")
    if keys and len(keys) != len(certs):
        raise ValueError(f"each cert has its key: there are {len(certs)} certs and {len(keys)} keys")
    for at, one in enumerate(certs):
        _load(context, one, keys[at] if keys else None, passphrase)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if not reject_unauthorized:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _each(name: str, value: Any) -> list[tls.Path | bytes]:
    """Paths as ``str`` or ``os.PathLike``, PEM as ``bytes``."""
    if value is None:
        return []
    several = list(value) if isinstance(value, (list, tuple)) else [value]
    if not several:
        raise ValueError(f"{name} is an empty list")
    return [_one(name, one) for one in several]


def _one(name: str, value: Any) -> tls.Path | bytes:
    if isinstance(value, str):
        return value.encode() if _BEGIN in value else value
    if isinstance(value, (bytes, bytearray)):
        if _BEGIN.encode() not in value:
            raise ValueError(f"{name} is no PEM; a path is text or os.PathLike")
        return bytes(value)
    if isinstance(value, os.PathLike):
        return value
    raise TypeError(f"{name} is a path, or PEM as text or bytes, not {type(value).__name__}")


def _trusting(cas: list[tls.Path | bytes]) -> ssl.SSLContext:
    """A context that trusts what each of them has, or else what the system trusts."""
    # All but its comments is ASCII.
    texts = [one.decode("ascii", "ignore") for one in cas if isinstance(one, bytes)]
    paths = [one for one in cas if not isinstance(one, bytes)]
    context = tls.client_context(paths[0] if paths else None, "\n".join(texts) or None)
    for path in paths[1:]:
        context.load_verify_locations(path)
    return context


def _load(
    context: ssl.SSLContext, cert: tls.Path | bytes, key: tls.Path | bytes | None, passphrase: str | None
) -> None:
    # OpenSSL, as Python has it, reads them from files only. Nobody else may enter this folder.
    with tempfile.TemporaryDirectory() as folder:
        key_path = None if key is None else _file(folder, "key", key)
        tls.load_certificate(context, _file(folder, "cert", cert), key_path, passphrase)


def _file(folder: str, name: str, pem: tls.Path | bytes) -> tls.Path:
    if not isinstance(pem, bytes):
        return pem
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(pem)
    return path
