"""Whether both ways to read a message say the same of a line."""

from __future__ import annotations

from wirehop.sockhop.wire import envelope, quick
from wirehop.sockhop.wire.envelope import Kind
from wirehop.sockhop.wire.types import RESERVED


def quickly(line: bytes) -> envelope.Incoming | None:
    """What ``quick`` says of a line, and None where it refuses."""
    try:
        message = quick.read_own(line) if line.startswith(quick.OWN) else quick.read_value(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(message, quick.Value):
        if message.callback_id:
            return Kind.CALLBACK, message.type, message.data, message.callback_id, True
        return Kind.VALUE, message.type, message.data, message.id or None, True
    body = message.data
    if isinstance(message, quick.Request):
        return Kind.REQUEST, body.type, body.data, body.uuid, True
    return Kind.RESPONSE, body.type, body.data, body.uuid, message.data.last


def agree(line: bytes) -> bool:
    """Whether both ways say the same, as far as ``quick`` says anything."""
    said = quickly(line)
    if said is None or said[1] in RESERVED or not said[1] or said[3] == "":
        return True
    return repr(envelope.read(envelope.parse(line, False))) == repr(said)
