"""Signs of life (seed: ``SockhopPing``, ``SockhopPong``; wire document, section 7)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wirehop.core.ids import new_uuid

__all__ = ["SockhopPing", "SockhopPong"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Stamped:
    """``id``, and the times of the four members as text, UTC in ISO 8601, or None."""

    __slots__ = ("created", "finished", "id", "returned")

    id: Any
    created: Any
    returned: Any
    finished: Any

    def fields(self) -> dict[str, Any]:
        """As on the wire."""
        return {
            "_id": self.id,
            "_created": self.created,
            "_returned": self.returned,
            "_finished": self.finished,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


class SockhopPing(_Stamped):
    """One ping, and what became of it. ``data`` may be what a remote sent."""

    __slots__ = ()

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        data = data or {}
        self.id = data.get("_id") or new_uuid()
        self.created = data.get("_created") or _now()
        self.returned = data.get("_returned") or None
        self.finished = data.get("_finished") or None

    def unanswered(self) -> bool:
        """Whether no pong came yet."""
        return self.finished is None

    def conclude_with_pong(self, pong: SockhopPong) -> None:
        """Note the answer, if it is one to this ping."""
        if pong.id == self.id:
            self.returned = pong.returned
            self.finished = _now()


class SockhopPong(_Stamped):
    """The answer to a ping, of whose ``data`` it is made; returned now, unless that says when."""

    __slots__ = ()

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        data = data or {}
        self.id = data.get("_id") or None
        self.created = data.get("_created") or None
        self.returned = data.get("_returned") or _now()
        self.finished = data.get("_finished") or None
