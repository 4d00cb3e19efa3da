"""What an HTTP server accepts, and for how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server that faces the internet. Times are in seconds."""

    max_head: int = 16 * 1024
    """Bytes of a request line with its headers (431 above): twice what browsers send."""

    max_headers: int = 100
    """Headers of one request (431 above): browsers send about twenty."""

    max_pipelined: int = 64
    """Requests of one connection without an answer, above which reading pauses."""

    body_high_water: int = 64 * 1024
    """Bytes of a body that nobody has read yet, above which reading pauses."""

    head_timeout: float = 60.0
    """For a head to be complete (408): what a phone on a bad line needs."""

    request_timeout: float = 300.0
    """For a whole request to be received (408)."""

    idle_timeout: float = 60.0
    """Between two requests of one connection; then it is closed."""

    linger_timeout: float = 5.0
    """For a client to stop sending after it was answered early: closed at once, its unread bytes
    would turn the close into a reset, and the answer might be lost."""
