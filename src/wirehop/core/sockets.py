"""What the system is told and asked about a connection, beside what asyncio does."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["bound_unsent", "keep_alive", "plain_descriptor", "unconfirmed"]

# Linux and macOS have it.
_UNSENT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)

# macOS has another name for it; where there is none the system's own delay counts.
_DELAY: int | None = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))


def plain_descriptor(transport: asyncio.Transport) -> int:
    """The descriptor to write to directly, or -1 where bytes must pass the transport (TLS)."""
    if transport.get_extra_info("ssl_object") is not None or os.name != "posix":
        return -1
    sock = transport.get_extra_info("socket")
    return sock.fileno() if sock is not None else -1


def bound_unsent(transport: asyncio.Transport, size: int) -> bool:
    """Have the system keep ``size`` bytes that it cannot send, with 0 as many as it likes. Returns
    whether it does: it does not for a Unix socket, or where the system has no such bound."""
    sock = transport.get_extra_info("socket")
    if _UNSENT is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return _set(sock, socket.IPPROTO_TCP, _UNSENT, size)


def unconfirmed(transport: asyncio.Transport) -> int:
    """Bytes that the system has for the other side, which did not confirm them; 0 where it does not
    say. It keeps megabytes, and takes more only once a third of them is out: over a slow network that
    lasts longer than a timeout."""
    sock = transport.get_extra_info("socket")
    if sock is None or fcntl is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):
        # Not this system, or it is closed.
        return 0


def keep_alive(transport: asyncio.BaseTransport, delay: float) -> None:
    """Have the system ask whether the other side is still there, when nothing came for ``delay``
    seconds."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    _set(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _DELAY is not None:
        # Whole seconds, and at least one.
        _set(sock, socket.IPPROTO_TCP, _DELAY, max(1, round(delay)))


def _set(sock: socket.socket, level: int, option: int, value: int) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        # The connection is gone already, which will be told as such.
        return False
    return True
