"""Messages in the form that nearly all have, read in one step: in half of the time or less.

msgspec makes objects of a line without a dict in between. What it refuses is for
:mod:`~wirehop.sockhop.wire.envelope`, which has the last word; what it takes means the same there.
To that end it is held to integers of 64 bits and to a depth that JSON can have anywhere.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

__all__ = ["BEYOND_OWN", "OWN", "Request", "Response", "Value", "read_own", "read_value"]

DEPTH = 8
"""How deep the data may be nested that is read here."""

OWN, BEYOND_OWN = b'{"type":"Sockhop', b'{"type":"Sockhoq'
"""How a line begins that is for :func:`read_own`, and the least that is beyond those: to compare with
both takes a third of what ``startswith`` does."""


def _nested(depth: int) -> Any:
    integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    data: Any = str | integer | float | bool | None
    for _ in range(depth):
        data = str | integer | float | bool | None | list[data] | dict[str, data]
    return data


Json = _nested(DEPTH)


class Value(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """``{"type":T,"data":V}``, perhaps with an id or a callback_id."""

    type: str
    data: Json  # type: ignore[valid-type]
    id: str | None = None
    callback_id: str | None = None


class _Asked(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    uuid: str
    data: Json  # type: ignore[valid-type]
    type: str


class _Answered(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    uuid: str
    type: str
    data: Json  # type: ignore[valid-type]
    last: bool


class Request(msgspec.Struct, tag="SockhopRequest", tag_field="type", forbid_unknown_fields=True, gc=False):
    """A request."""

    data: _Asked


class Response(
    msgspec.Struct, tag="SockhopResponsePacket", tag_field="type", forbid_unknown_fields=True, gc=False
):
    """One answer to a request."""

    data: _Answered


read_value = msgspec.json.Decoder(Value).decode
"""The value of a line. Raises ``ValueError`` or ``RecursionError`` for what ``envelope`` has to read."""

read_own = msgspec.json.Decoder(Request | Response).decode
"""The request or the response of a line. Raises as :func:`read_value`."""
