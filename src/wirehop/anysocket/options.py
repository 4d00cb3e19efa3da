"""Options of ``listen`` and ``connect``, with their defaults and the reasons for these."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from wirehop.anysocket.wire.rules import Rules

__all__ = ["ConnectOptions", "ListenOptions", "PeerOptions"]

Options = TypeVar("Options", bound="PeerOptions")

Path = str | os.PathLike[str]


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
        known = {field.name for field in fields(cls)}
        for name in options:
            if name not in known:
                raise TypeError(f"{name!r} is no option here; there are {', '.join(sorted(known))}")
        made = cls(**options)
        for name in _POSITIVE & known:
            value = getattr(made, name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0):
                raise ValueError(f"{name} must be a number above 0, not {value!r}")
        return made


_POSITIVE = frozenset(
    field.name for field in fields(PeerOptions) if field.name not in ("heartbeat_enabled", "tcp_keep_alive")
) | {"body_limit"}


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

    body_limit: int = 10_000_000
    """Bytes of a request's body (413 above)."""

    def __post_init__(self) -> None:
        if self.on_duplicate not in ("probe", "reject", "replace"):
            raise ValueError(f'on_duplicate is "probe", "reject" or "replace", not {self.on_duplicate!r}')


@dataclass(frozen=True)
class ConnectOptions(PeerOptions):
    """Options of :meth:`AnySocket.connect`."""

    cookies: Mapping[str, str] | None = None
    """Sent with the WebSocket request."""

    headers: Mapping[str, str] | None = None
    """Sent with the WebSocket request."""

    path: str = "/"
    """Requested path; anysocket servers accept every one."""

    ca: Path | None = None
    """Path of a PEM file with the certificates to trust, instead of the system's."""

    ssl_context: ssl.SSLContext | None = None
    """Instead of ca."""

    wss_first: bool = False
    """With the scheme ws, try wss and fall back to plaintext, as JavaScript's client does."""
