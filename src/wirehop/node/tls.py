"""TLS contexts: what is asked for, or an error, never plaintext."""

from __future__ import annotations

import asyncio
import os
import ssl

from wirehop.core.loops import PerLoop

__all__ = [
    "Path",
    "check_client_context",
    "check_server_context",
    "client_context",
    "load_certificate",
    "server_context",
    "system_context",
]

Path = str | os.PathLike[str]


def check_server_context(ssl_context: object) -> None:
    """Raise ``TypeError`` for what is neither None nor a context, and ``ValueError`` for a context
    that cannot listen."""
    _check(ssl_context, ssl.PROTOCOL_TLS_CLIENT, "connect")


def check_client_context(ssl_context: object) -> None:
    """Raise ``TypeError`` for what is neither None nor a context, and ``ValueError`` for a context
    that cannot connect."""
    _check(ssl_context, ssl.PROTOCOL_TLS_SERVER, "listen")


def server_context(
    ssl_context: ssl.SSLContext | None, cert: Path | None, key: Path | None
) -> ssl.SSLContext | None:
    """The context of a server, or None when nothing asks for one.

    ``cert`` and ``key`` are paths of PEM files; without ``key`` it is in that of ``cert``. Raises
    ``ValueError`` for what does not fit together, and ``OSError`` (``ssl.SSLError`` is one) for a
    certificate or a key that cannot be read or do not belong together.
    """
    if ssl_context is not None:
        check_server_context(ssl_context)
        if cert is not None or key is not None:
            raise ValueError("an ssl_context has its certificate already; cert and key are of no use")
        return ssl_context
    if cert is None:
        if key is not None:
            raise ValueError("a key is of no use without its cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, cert, key)
    return context


def client_context(ca: Path | None = None, ca_text: str | None = None) -> ssl.SSLContext:
    """A context that trusts what is in the PEM file ``ca``, or in the PEM text, or else what the
    system trusts. Raises ``OSError`` for what cannot be read."""
    context = ssl.create_default_context(cafile=ca, cadata=ca_text)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def system_context() -> ssl.SSLContext:
    """The context that trusts what the system trusts. To read that takes too long for each
    connection, so that it is the same one for a loop: not to be changed."""
    return _systems.of(asyncio.get_running_loop())


def load_certificate(
    context: ssl.SSLContext, cert: Path, key: Path | None, password: str | None = None
) -> None:
    """What this side shows. Raises ``ValueError`` for an encrypted key without its password."""
    context.load_cert_chain(cert, key, password=_no_password if password is None else password)


_systems = PerLoop(client_context)


def _check(ssl_context: object, wrong: ssl._SSLMethod, side: str) -> None:
    if ssl_context is None:
        return
    if not isinstance(ssl_context, ssl.SSLContext):
        raise TypeError(f"ssl_context is an ssl.SSLContext, not {type(ssl_context).__name__}")
    if ssl_context.protocol == wrong:
        raise ValueError(f"this ssl_context is one to {side} with")


def _no_password() -> str:
    # Without this the process would ask its terminal, and wait.
    raise ValueError("the key is encrypted; load it into an ssl_context")
