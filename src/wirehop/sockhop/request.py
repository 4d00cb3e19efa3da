"""Requests and the packets that answer them (seed: ``SockhopRequest``, ``SockhopResponsePacket``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from wirehop.core.ids import new_uuid
from wirehop.sockhop.wire.types import Types

__all__ = ["SockhopRequest", "SockhopResponsePacket"]

_types = Types()


class _Payload:
    __slots__ = ("data", "type", "uuid")

    def __init__(self, *, uuid: Any = None, data: Any = None, type: Any = None) -> None:
        if data is None and type is None:
            data = {}
        self.uuid = uuid or new_uuid()
        self.data = data
        self.type = type or _types.name(data)

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} {self.uuid} {self.type}: {self.data!r:.60}>"


class SockhopRequest(_Payload):
    """What a ``request`` listener gets: ``data``, the name of its ``type``, and the ``uuid`` that
    its answers carry. Without data it is ``{}``; without a type, that of the data."""

    __slots__ = ()

    @classmethod
    def received(cls, uuid: Any, data: Any, type: Any) -> Self:
        """One that came as a whole: nothing is missing, but perhaps the uuid."""
        request = cls.__new__(cls)
        request.uuid = uuid or new_uuid()
        request.data = data
        request.type = type
        return request

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """From the members that it has on the wire."""
        return cls(uuid=obj.get("uuid"), data=obj.get("data"), type=obj.get("type"))

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """A new request for ``data``. Raises ``SockhopError`` for what cannot be sent."""
        return cls(data=data)


class SockhopResponsePacket(_Payload):
    """One answer to the request with this ``uuid``, and whether it is the ``last`` one."""

    __slots__ = ("last",)

    def __init__(self, *, uuid: Any = None, data: Any = None, type: Any = None, last: bool = False) -> None:
        super().__init__(uuid=uuid, data=data, type=type)
        self.last = last

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """From the members that it has on the wire."""
        return cls(
            uuid=obj.get("uuid"),
            data=obj.get("data"),
            type=obj.get("type"),
            last=bool(obj.get("last")),
        )

    @classmethod
    def for_data(cls, data: Any, uuid: str, last: bool = False) -> Self:
        """An answer. Raises ``SockhopError`` for what cannot be sent."""
        return cls(uuid=uuid, data=data, last=last)
