"""Messages and their lines (wire document, sections 2 to 7).

A message is one object; in JavaScript's order::

    {"type":T,"data":V}                          a value
    {"type":T,"data":V,"id":I}                   ... whose sender wants a callback
    {"type":T,"data":V,"callback_id":I}          the callback
    {"type":"SockhopRequest","data":{"uuid":I,"data":V,"type":T}}
    {"type":"SockhopResponsePacket","data":{"uuid":I,"type":T,"data":V,"last":B}}
    {"type":"SockhopPing","data":{…}}            and SockhopPong

With the peer type "json" the value itself is the message.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from wirehop.core import json
from wirehop.errors import SockhopError
from wirehop.sockhop.wire.types import RESERVED, json_type

__all__ = [
    "Incoming",
    "Kind",
    "bare",
    "callback",
    "message",
    "parse",
    "ping",
    "pong",
    "read",
    "request",
    "response",
]


class Kind(IntEnum):
    """What a message is."""

    VALUE = 0
    CALLBACK = 1
    REQUEST = 2
    RESPONSE = 3
    PING = 4
    PONG = 5


VALUE, CALLBACK, REQUEST, RESPONSE, PING, PONG = Kind

Incoming = tuple[Kind, Any, Any, Any, bool]
"""What a message is, its type name, its data, its id, and whether it is the last one of several.

The type name is text, or whatever the remote sent in its place, or None. The id is None where
there is none. Of a ping and a pong all is in the data, which is a dict."""


def bad_data(why: str = "") -> SockhopError:
    """What the ``error`` event says of a line that is no message, with the seed's text."""
    text = "Skipping corrupted data in buffer"
    return SockhopError(f"{text} ({why})" if why else text, "ERR_OBJECTBUFFER_BAD_BUFFER_DATA")


# --- up


def parse(line: bytes, texts: bool) -> Any:
    """The value of a line. What is not UTF-8 becomes U+FFFD, as in the seed. A line that is no JSON
    is a ``str`` if ``texts`` are allowed, else ``SockhopError`` is raised."""
    try:
        return json.loads(line)
    except ValueError:
        pass
    text = line.decode(errors="replace")
    if "\ufffd" in text:
        # It was no UTF-8, perhaps. Any other line would be refused for the same reason again, which
        # costs as much as ten that are read.
        try:
            return json.loads(text)
        except ValueError:
            pass
    if texts:
        return text
    raise bad_data()


def read(message: Any) -> Incoming:
    """What a message is that came from a peer of type Sockhop.

    Raises ``SockhopError`` with ERR_OBJECTBUFFER_BAD_BUFFER_DATA for what is none, and nothing else
    whatever the remote sent: many of these end a JavaScript process.
    """
    if type(message) is not dict:
        raise bad_data("no object")
    name = message.get("type")
    if type(name) is str and name in RESERVED:
        return _SPECIAL[name](name, message.get("data", {}))
    data = message.get("data")
    id = message.get("callback_id")
    if id:
        return CALLBACK, name, data, id, True
    return VALUE, name, data, message.get("id") or None, True


def _read_request(name: str, body: Any) -> Incoming:
    return REQUEST, *_read_body(name, body), True


def _read_response(name: str, body: Any) -> Incoming:
    return RESPONSE, *_read_body(name, body), bool(body.get("last"))


def _read_body(name: str, body: Any) -> tuple[Any, Any, Any]:
    if type(body) is not dict:
        raise bad_data(f"{name} without data")
    data = body.get("data", {})
    type_name = body.get("type") or json_type(data)
    if type_name is None:
        raise bad_data(f"{name} without data and type")
    return type_name, data, body.get("uuid") or None


def _read_ping(name: str, body: Any) -> Incoming:
    if type(body) is not dict:
        raise bad_data(f"{name} without data")
    return (PING if name == "SockhopPing" else PONG), name, body, None, True


_SPECIAL = {
    "SockhopRequest": _read_request,
    "SockhopResponsePacket": _read_response,
    "SockhopPing": _read_ping,
    "SockhopPong": _read_ping,
}


# --- down: what has to be made JSON, as a whole


def message(name: str, value: Any, id: str | None = None) -> dict[str, Any]:
    if id is None:
        return {"type": name, "data": value}
    return {"type": name, "data": value, "id": id}


def callback(name: str, value: Any, id: Any) -> dict[str, Any]:
    return {"type": name, "data": value, "callback_id": id}


def request(name: str, value: Any, uuid: str) -> dict[str, Any]:
    return {"type": "SockhopRequest", "data": {"uuid": uuid, "data": value, "type": name}}


def response(name: str, value: Any, uuid: Any, last: bool) -> dict[str, Any]:
    return {
        "type": "SockhopResponsePacket",
        "data": {"uuid": uuid, "type": name, "data": value, "last": last},
    }


def ping(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "SockhopPing", "data": fields}


def pong(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "SockhopPong", "data": fields}


def bare(data: bytes, allow_non_objects: bool) -> bytes:
    """A value as the message that it is to a peer of type json, or to an ObjectBuffer. Raises
    ``SockhopError`` with ERR_OBJECTBUFFER_BAD_OBJECT for a scalar that is not allowed."""
    if not allow_non_objects and data[:1] not in (b"{", b"[") and data != b"null":
        raise SockhopError(
            "obj2buf called with non object type (set allow_non_objects if you want this behavior)",
            "ERR_OBJECTBUFFER_BAD_OBJECT",
        )
    return data
