"""What carries the frames of a link, and what a link needs of it."""

from __future__ import annotations

from typing import Protocol

from wirehop.core.output import Output

__all__ = ["Connection", "Receiver"]


class Connection(Protocol):
    """A carrier of frames, as a peer sees it."""

    output: Output

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
        """The carrier's own rules were broken, or a limit was reached; it closes."""

    def connection_lost(self) -> None:
        """The carrier is gone. Called once, and nothing follows."""
