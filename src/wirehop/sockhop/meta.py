"""What a ``receive`` listener is told beside the value."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import msgspec

from wirehop.errors import SockhopError
from wirehop.sockhop.streams import UNDEFINED

if TYPE_CHECKING:
    from wirehop.sockhop.link import Link
    from wirehop.sockhop.session import SockhopSession

__all__ = ["NO_META", "Meta", "RemoteCallback"]


class RemoteCallback:
    """Calls the sender's callback with a value, or without one with ``{}``. What it returns may be
    awaited as a send.

    Raises ``SockhopError``: ERR_REMOTE_CALLBACK_TYPE for a second call, which would end a JavaScript
    process, ERR_SOCKET_DESTROYED when the connection is over, and for None and other values what
    ``send`` of a client does.
    """

    __slots__ = ("_id", "_is_answered", "_link")

    def __init__(self, link: Link, id: Any) -> None:
        self._link = link
        self._id = id
        self._is_answered = False

    def __call__(self, value: Any = UNDEFINED) -> Awaitable[None]:
        if self._is_answered:
            raise SockhopError("A remote callback can be called once", "ERR_REMOTE_CALLBACK_TYPE")
        sent = self._link.call_back(self._id, {} if value is UNDEFINED else value)
        self._is_answered = True
        return sent


class Meta(msgspec.Struct, eq=False, frozen=True):
    """``type`` is the name of the value's type as it was received; ``socket`` the connection;
    ``session`` that of the connection, or None at a client; ``callback`` calls the sender's
    callback, and is None if the sender did not ask for that.

    It cannot be changed: messages in a row that differ in their values alone have it in common.
    """

    # A Struct is made in a third of the time that __init__ takes.
    type: Any
    socket: Link
    session: SockhopSession | None = None
    callback: RemoteCallback | None = None

    def __repr__(self) -> str:
        return f"<Meta {self.type}{'' if self.callback is None else ' with callback'}>"


NO_META: Any = Meta(None, None)  # type: ignore[arg-type]
"""That of no message: no type is None."""
