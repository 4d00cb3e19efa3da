"""TLS as the options of ``listen`` and ``connect`` ask for it: that, or an error, never plaintext."""

from __future__ import annotations

import asyncio
import ssl

from wirehop.anysocket.options import ConnectOptions, ListenOptions, Path
from wirehop.core.loops import PerLoop
from wirehop.node.dial import check_tls

__all__ = ["client_context", "has_options", "server_context"]


def server_context(scheme: str, options: ListenOptions) -> ssl.SSLContext | None:
    """The context of a listener, or None for plaintext.

    Raises ``ValueError`` when scheme and options do not fit, and ``OSError`` (``ssl.SSLError``
    is one) for a certificate or a key that cannot be read or do not belong together.
    """
    if scheme in ("ws", "http"):
        if has_options(options):
            raise ValueError(f"{scheme} is plaintext; with a certificate the scheme is {scheme}s")
        return None
    if options.ssl_context is not None:
        _check(options.ssl_context, ssl.PROTOCOL_TLS_CLIENT, "connect")
        if options.cert is not None or options.key is not None:
            raise ValueError("an ssl_context has its certificate already; cert and key are of no use")
        return options.ssl_context
    if options.cert is None:
        raise ValueError(f"{scheme} needs the option cert, or ssl_context")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.cert, options.key, password=_no_password)
    return context


def client_context(options: ConnectOptions) -> ssl.SSLContext:
    """The context to connect with. Raises as :func:`server_context`."""
    if options.ssl_context is not None:
        _check(options.ssl_context, ssl.PROTOCOL_TLS_SERVER, "listen")
        if options.ca is not None:
            raise ValueError("an ssl_context says whom to trust already; ca is of no use")
        return options.ssl_context
    if options.ca is None:
        return _systems.of(asyncio.get_running_loop())
    return _client_context(options.ca)


def has_options(options: ListenOptions | ConnectOptions) -> bool:
    """Whether TLS is asked for."""
    if options.ssl_context is not None:
        return True
    if isinstance(options, ConnectOptions):
        return options.ca is not None
    return options.cert is not None or options.key is not None


def _client_context(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


_systems = PerLoop(lambda: _client_context(None))
"""Whom the system trusts. To read that takes too long for each connection."""


def _check(context: ssl.SSLContext, wrong: ssl._SSLMethod, side: str) -> None:
    check_tls(context)
    if context.protocol == wrong:
        raise ValueError(f"this ssl_context is one to {side} with")


def _no_password() -> str:
    # Without this the process would ask its terminal, and wait.
    raise ValueError("the key is encrypted; load it into an ssl_context")
