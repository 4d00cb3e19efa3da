"""What an HTTP server and an HTTP client accept, and for how long they wait."""

from __future__ import annotations

from dataclasses import dataclass

from wirehop.node import tcp

__all__ = ["ClientLimits", "Limits"]


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

    high_water: int = tcp.HIGH_WATER
    """Bytes waiting for a client to read above which awaiting a response waits."""

    send_limit: int = tcp.SEND_LIMIT
    """Bytes waiting for a client above which it is cut, and bytes of responses that wait for an
    earlier one."""

    send_timeout: float = tcp.SEND_TIMEOUT
    """Without reading anything, above the high water or while it closes; then a client is cut."""


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """The limits of a client, which chose its server: wider than a server's. Times are in seconds,
    ``math.inf`` is never."""

    max_head: int = 64 * 1024
    """Bytes of a response's head, with the informational ones (1xx) before it: the largest heads
    are those that set many cookies of 4 KiB each. More than that of trailers, or of extensions of
    one chunk, is refused too."""

    max_headers: int = 256
    """Headers of one response; common servers stop at a hundred."""

    max_queued: int = 65_536
    """Requests that wait for their turn: more are not waited for by anybody who is in a hurry."""

    body_high_water: int = 64 * 1024
    """Bytes of a body that nobody has read yet, above which reading pauses. Of a body that nobody
    wants as much is read, to keep the connection; more costs more than another connection."""

    connect_timeout: float = 30.0
    """For a connection, with its TLS handshake: the system's own would be minutes."""

    response_timeout: float = 300.0
    """Between the end of a request and the head of its response."""

    body_timeout: float = 300.0
    """For the next piece of a body to arrive; and to be read, for those behind it wait."""

    continue_timeout: float = 1.0
    """For "100 Continue", which old servers never say (RFC 9110, 10.1.1); then the body leaves."""

    idle_timeout: float = 60.0
    """How long a connection without a request is kept: most servers close it earlier."""

    close_timeout: float = 1.0
    """For a closed connection to be gone: TLS waits for the other side's word."""

    high_water: int = tcp.HIGH_WATER
    """Bytes waiting for the server to read above which awaiting a request waits."""

    send_limit: int = tcp.SEND_LIMIT
    """Bytes waiting for the server above which it is cut; and bytes of requests that wait
    for their turn, above which sending raises ``LimitExceeded``."""

    send_timeout: float = tcp.SEND_TIMEOUT
    """Without reading anything, above the high water or while it closes; then the server is cut."""
