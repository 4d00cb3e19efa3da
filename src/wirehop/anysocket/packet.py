"""What a peer said."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import msgspec

from wirehop.anysocket.wire.packet import PacketType
from wirehop.core import json

if TYPE_CHECKING:
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["AnyPacket"]

LINK = PacketType.LINK


class AnyPacket(msgspec.Struct, eq=False):
    """One message of a peer: ``seq`` its number, ``peer`` its sender, ``msg`` its value."""

    # A Struct is made in a third of the time that __init__ takes, and one is made for each message.
    peer: AnyPeer
    seq: int
    msg: Any
    _is_reply: bool = False

    def reply(self, message: Any) -> Awaitable[None]:
        """Answer this message; the answer is on its way at the call.

        Awaiting it waits for the drain. A reply cannot be replied to: that does nothing, as
        the seed has it. Raises ``TypeError`` or ``ValueError`` for what JSON cannot say.
        """
        return self.peer._reply(LINK, 0 if self._is_reply else self.seq, json.dumps(message))

    def __repr__(self) -> str:
        return f"<AnyPacket {self.seq} of {self.peer.id}: {self.msg!r:.60}>"
