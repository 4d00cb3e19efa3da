"""What carries the frames of a link, and what a link needs of it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

__all__ = ["Connection", "Outlet", "Receiver"]


class Outlet(Protocol):
    """The way down of one connection (see :class:`~wirehop.core.output.Output`)."""

    closed_because: str | None

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for the drain. Raises ``ConnectionClosed`` when the connection is over."""

    def is_full(self) -> bool:
        """Whether awaiting would wait for the drain."""

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Connection(Protocol):
    """A carrier of frames, as a peer sees it."""

    @property
    def output(self) -> Outlet: ...

    def send(self, frame: bytes) -> None:
        """Send one frame of UTF-8 text."""

    def close(self, code: int, reason: str) -> None:
        """Send what waits, say goodbye, and end when the other side did the same."""

    def trust(self) -> None:
        """The remote is authenticated: the limits for strangers end."""

    def is_lost(self) -> bool:
        """Whether the carrier is gone."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Receiver(Protocol):
    """What a carrier tells its peer."""

    def connection_made(self, connection: Connection) -> None: ...

    def frame_received(self, frame: str) -> None: ...

    def connection_failed(self, reason: str, code: int, detail: str) -> None:
        """The carrier's own rules were broken; it closes."""

    def connection_cut(self, reason: str) -> None:
        """The remote does not read, and more than a limit allows waited for it."""

    def connection_lost(self) -> None:
        """The carrier is gone. Called once, and nothing follows."""
