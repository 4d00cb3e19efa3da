"""Requests and the packets that answer them (seed: ``SockhopRequest``, ``SockhopResponsePacket``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from wirehop.core.ids import new_uuid
from wirehop.sockhop.wire.types import Types

__all__ = ["SockhopRequest", "SockhopResponsePacket"]

_types = Types()


class _Payload(msgspec.Struct, eq=False):
    # A Struct is made in a third of the time that __init__ takes, and one is made for each request.
    uuid: Any = None
    data: Any = None
    type: Any = None

    def __post_init__(self) -> None:
        if not self.type:
            if self.data is None and self.type is None:
                self.data = {}
            self.type = _types.name(self.data)
        if not self.uuid:
            self.uuid = new_uuid()

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} {self.uuid} {self.type}: {self.data!r:.60}>"


class SockhopRequest(_Payload):
    """What a ``request`` listener gets: ``data``, the name of its ``type``, and the ``uuid`` that
    its answers carry. Without data it is ``{}``; without a type, that of the data."""

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """From the members that it has on the wire."""
        return cls(uuid=obj.get("uuid"), data=obj.get("data", {}), type=obj.get("type"))

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """A new request for ``data``. Raises ``SockhopError`` for what cannot be sent: ERR_BAD_DATA and
        ERR_OBJECTBUFFER_BAD_OBJECT."""
        return cls(data=data, type=_sendable(data))


class SockhopResponsePacket(_Payload):
    """One answer to the request with this ``uuid``, and whether it is the ``last`` one."""

    last: bool = False

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """From the members that it has on the wire."""
        return cls(
            uuid=obj.get("uuid"),
            data=obj.get("data", {}),
            type=obj.get("type"),
            last=bool(obj.get("last")),
        )

    @classmethod
    def for_data(cls, data: Any, uuid: str, last: bool = False) -> Self:
        """An answer. Raises ``SockhopError`` for what cannot be sent: ERR_BAD_DATA and
        ERR_OBJECTBUFFER_BAD_OBJECT."""
        return cls(uuid=uuid, data=data, type=_sendable(data), last=last)


def _sendable(data: Any) -> str:
    """The name of its type."""
    name = _types.name(data)
    _types.text(data)
    return name
