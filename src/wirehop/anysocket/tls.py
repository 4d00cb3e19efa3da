"""TLS as the options of ``listen`` and ``connect`` ask for it: that, or an error, never plaintext."""

from __future__ import annotations

import ssl

from wirehop.anysocket.options import ConnectOptions, ListenOptions
from wirehop.node import tls

__all__ = ["client_context", "has_options", "server_context"]


def server_context(scheme: str, options: ListenOptions) -> ssl.SSLContext | None:
    """The context of a listener, or None for plaintext.

    Raises ``ValueError`` when scheme and options do not fit, and as
    :func:`wirehop.node.tls.server_context`.
    """
    if scheme in ("ws", "http"):
        if has_options(options):
            raise ValueError(f"{scheme} is plaintext; with a certificate the scheme is {scheme}s")
        return None
    context = tls.server_context(options.ssl_context, options.cert, options.key)
    if context is None:
        raise ValueError(f"{scheme} needs the option cert, or ssl_context")
    return context


def client_context(options: ConnectOptions) -> ssl.SSLContext:
    """The context to connect with. Raises as :func:`server_context`."""
    if options.ssl_context is not None:
        tls.check_client_context(options.ssl_context)
        if options.ca is not None:
            raise ValueError("an ssl_context says whom to trust already; ca is of no use")
        return options.ssl_context
    return tls.system_context() if options.ca is None else tls.client_context(options.ca)


def has_options(options: ListenOptions | ConnectOptions) -> bool:
    """Whether TLS is asked for."""
    if options.ssl_context is not None:
        return True
    if isinstance(options, ConnectOptions):
        return options.ca is not None
    return options.cert is not None or options.key is not None
