"""Options of ``listen`` and ``connect``, with their defaults and the reasons for these."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from wirehop.anysocket.wire.rules import Rules
from wirehop.node.http import Limits
from wirehop.node.tls import Path

__all__ = ["ConnectOptions", "ListenOptions", "PeerOptions"]

Options = TypeVar("Options", bound="PeerOptions")


_HTTP = Limits()


@dataclass(frozen=True)
class PeerOptions(Rules):
    """What holds for every peer, whoever began. Times are in seconds, sizes in bytes."""

    reply_timeout: float = 30.0
    """For a reply, where the request does not say otherwise."""

    max_pending_replies: int = 65_536
    """Requests in flight to one peer."""

    max_relayed: int = 1024
    """Peers that are reached through one relay, and that one peer reaches through us."""

    max_frame_size: int = 16 << 20
    """Of one WebSocket message: JavaScript's largest has 6.3 million bytes."""

    high_water: int = 1 << 20
    """Bytes waiting for a reader above which awaiting ``send`` waits."""

    send_timeout: float = 10.0
    """Time above the high water after which a reader is cut."""

    close_timeout: float = 2.0
    """For the remote to answer our Close; then the connection is cut."""

    tcp_keep_alive: bool = False
    """Whether the system probes an idle connection; heartbeats do so already."""

    tcp_keep_alive_initial_delay: float = 30.0
    """Silence before the system's first probe."""

    @classmethod
    def of(cls: type[Options], options: Mapping[str, Any]) -> Options:
        """The options of a call. Raises ``TypeError`` for an unknown name and ``ValueError``
        for a value that makes no sense."""
        known = {field.name: field.default for field in fields(cls)}
        for name in options:
            if name not in known:
                raise TypeError(f"{name!r} is no option here; there are {', '.join(sorted(known))}")
        made = cls(**options)
        for name in _POSITIVE & known.keys():
            value = getattr(made, name)
            may_be_none = known[name] is None
            if not (value is None and may_be_none) and not (isinstance(value, (int, float)) and value > 0):
                raise ValueError(f"{name} must be a number above 0, not {value!r}")
        return made


_POSITIVE = frozenset(
    field.name for field in fields(PeerOptions) if field.name not in ("heartbeat_enabled", "tcp_keep_alive")
) | {
    "body_limit",
    "head_timeout",
    "idle_timeout",
    "max_head",
    "max_headers",
    "max_pipelined",
    "request_timeout",
}


@dataclass(frozen=True)
class ListenOptions(PeerOptions):
    """Options of :meth:`AnySocket.listen`."""

    ip: str = "0.0.0.0"
    """The address to bind."""

    port: int | None = None
    """0 picks a free one."""

    cert: Path | None = None
    """Path of a PEM file with the certificate (chain), for wss and https."""

    key: Path | None = None
    """Path of its private key, if that is not in the same file."""

    ssl_context: ssl.SSLContext | None = None
    """Instead of cert and key."""

    on_duplicate: str = "probe"
    """When a remote shows the id of a peer that is connected already. "reject": it is refused.
    "replace": the older connection ends. "probe": that one ends unless it shows a sign of life
    within a second: a remote that lost its connection unnoticed gets in again, and nobody else
    takes its place."""

    allowed_origins: Collection[str] | None = None
    """Origins from which browsers may connect; others get 403. None allows any."""

    allowed_hosts: Collection[str] | None = None
    """Names and addresses by which requests may ask for this server, without a port; others get 421.
    ``".example.org"`` is for all names below that one, ``"10.0.0.0/8"`` for a network. None allows any:
    then a page whose name leads to this machine's address (DNS rebinding) may read what is served."""

    body_limit: int = 10_000_000
    """Bytes of a request's body (413 above), where the route does not read it itself."""

    max_head: int = _HTTP.max_head
    """Bytes of a request line with its headers (431 above): twice what browsers send."""

    max_headers: int = _HTTP.max_headers
    """Headers of one request (431 above): browsers send about twenty."""

    max_pipelined: int = _HTTP.max_pipelined
    """Requests of one connection without an answer, above which reading pauses."""

    head_timeout: float = _HTTP.head_timeout
    """For the head of a request to be complete (408): what a phone on a bad line needs."""

    request_timeout: float = _HTTP.request_timeout
    """For a whole request to be received (408)."""

    idle_timeout: float = _HTTP.idle_timeout
    """Between two requests of one connection; then it is closed."""

    def __post_init__(self) -> None:
        if isinstance(self.allowed_origins, str):
            raise TypeError("allowed_origins is a collection of origins, not a text")
        if isinstance(self.allowed_hosts, str):
            raise TypeError("allowed_hosts is a collection of hosts, not a text")
        if self.on_duplicate not in ("probe", "reject", "replace"):
            raise ValueError(f'on_duplicate is "probe", "reject" or "replace", not {self.on_duplicate!r}')

    def http_limits(self) -> Limits:
        """The limits of the HTTP side."""
        return Limits(
            max_head=self.max_head,
            max_headers=self.max_headers,
            max_pipelined=self.max_pipelined,
            head_timeout=self.head_timeout,
            request_timeout=self.request_timeout,
            idle_timeout=self.idle_timeout,
            high_water=self.high_water,
            send_limit=self.send_limit,
            send_timeout=self.send_timeout,
        )


@dataclass(frozen=True)
class ConnectOptions(PeerOptions):
    """Options of :meth:`AnySocket.connect`."""

    cookies: Mapping[str, str] | None = None
    """Sent with the WebSocket request; ``ValueError`` for one that cannot be."""

    headers: Mapping[str, str] | None = None
    """Sent with the WebSocket request; ``ValueError`` for one that cannot be."""

    path: str = "/"
    """Requested path; anysocket servers accept every one."""

    ca: Path | None = None
    """Path of a PEM file with the certificates to trust, instead of the system's."""

    ssl_context: ssl.SSLContext | None = None
    """Instead of ca."""

    wss_first: bool = False
    """With the scheme ws, try wss and fall back to plaintext, as JavaScript's client does."""
