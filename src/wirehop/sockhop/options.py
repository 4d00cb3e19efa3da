"""What servers and clients may be told, with the defaults and the reasons for these."""

from __future__ import annotations

from typing import Any, TypedDict

from wirehop.errors import SockhopError
from wirehop.sockhop.wire import envelope
from wirehop.sockhop.wire.lines import MAX_LINE, Ending, Terminator, terminators
from wirehop.sockhop.wire.types import TypeOptions, Types

__all__ = ["LinkOptions", "Options", "positive"]

RESPONSE_TIMEOUT = 30.0
"""Seconds for the last packet of a response, as in the seed."""

CALLBACK_TIMEOUT = 300.0
"""Seconds that a callback is waited for: the seed waits for ever, and a person may be asked."""

MAX_WAITING = 65_536
"""Requests, and callbacks, that one connection may be waiting for: a fast one has a few hundred
under way, and this many take some ten MiB."""

HIGH_WATER = 1 << 20
"""Bytes that the socket did not take, above which awaiting a send waits: as in ``node.tcp``."""

SEND_LIMIT = 64 << 20
"""Bytes left unread at which a peer is cut: room for four of the longest messages."""

SEND_TIMEOUT = 10.0
"""Seconds above the high water without progress after which a peer is cut."""


class LinkOptions(TypedDict, total=False):
    """The arguments of :class:`Options`."""

    terminator: Terminator
    peer_type: str
    allow_non_objects: bool
    types: TypeOptions
    response_timeout: float
    callback_timeout: float
    max_line: int
    max_requests: int
    max_callbacks: int
    high_water: int
    send_limit: int
    send_timeout: float


class Options:
    """What holds for every connection of one endpoint. Times are in seconds, sizes in bytes.

    ============================= =========================================================
    ``terminator``                what ends a message: text, or a pair (receive, transmit)
    ``peer_type``                 "Sockhop", or "json" for bare JSON: no types, no requests
    ``allow_non_objects``         take lines that are no JSON as text; send bare scalars
    ``types``                     classes whose objects come back as such, or names of them
    ``response_timeout``          30, for the last packet of a response
    ``callback_timeout``          300, for a remote callback
    ``max_line``                  16 MiB in one message; more is an error and the end
    ``max_requests``              65,536 waiting for a response
    ``max_callbacks``             65,536 waiting to be called
    ``high_water``                1 MiB unsent, above which awaiting a send waits
    ``send_limit``                64 MiB unsent, above which a peer is cut
    ``send_timeout``              10 without progress above the high water, then it is cut
    ============================= =========================================================

    Raises ``TypeError`` and ``ValueError`` for what makes no sense.
    """

    __slots__ = (
        "allow_non_objects",
        "callback_timeout",
        "ending",
        "high_water",
        "is_wrapped",
        "load",
        "max_callbacks",
        "max_line",
        "max_requests",
        "receive_terminator",
        "response_timeout",
        "send_limit",
        "send_timeout",
        "types",
    )

    def __init__(
        self,
        *,
        terminator: Terminator = "\n",
        peer_type: str = "Sockhop",
        allow_non_objects: bool = False,
        types: TypeOptions = (),
        response_timeout: float = RESPONSE_TIMEOUT,
        callback_timeout: float = CALLBACK_TIMEOUT,
        max_line: int = MAX_LINE,
        max_requests: int = MAX_WAITING,
        max_callbacks: int = MAX_WAITING,
        high_water: int = HIGH_WATER,
        send_limit: int = SEND_LIMIT,
        send_timeout: float = SEND_TIMEOUT,
    ) -> None:
        self.receive_terminator, transmit = terminators(terminator)
        self.ending = Ending(transmit)
        if peer_type not in ("Sockhop", "SockhopClient", "json"):
            raise ValueError(f"{peer_type!r} is no peer type; there are Sockhop and json")
        self.is_wrapped = peer_type != "json"
        self.allow_non_objects = bool(allow_non_objects)
        self.types = Types(types)
        self.load = self.types.load if self.types else None
        """What makes objects of registered types, or None when there are none: most programs have
        none, and a call for each message would be for nothing."""
        self.response_timeout = positive("response_timeout", response_timeout)
        self.callback_timeout = positive("callback_timeout", callback_timeout)
        self.max_line = positive("max_line", max_line)
        self.max_requests = positive("max_requests", max_requests)
        self.max_callbacks = positive("max_callbacks", max_callbacks)
        self.high_water = positive("high_water", high_water)
        self.send_limit = positive("send_limit", send_limit)
        self.send_timeout = positive("send_timeout", send_timeout)

    def text(self, value: Any) -> bytes:
        """A value as the message that it is to this type of peer.

        Raises ``SockhopError``: ERR_BAD_DATA and ERR_OBJECTBUFFER_BAD_OBJECT.
        """
        if self.is_wrapped:
            return self.types.text(envelope.message(self.types.name(value), value))
        if value is None:
            raise SockhopError("None cannot be sent", "ERR_BAD_DATA")
        return envelope.bare(self.types.text(value), self.allow_non_objects)


def positive(name: str, value: Any) -> Any:
    """``value``, if it is a number above 0. Raises ``ValueError`` if not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise ValueError(f"{name} is a number above 0, not {value!r}")
    return value
