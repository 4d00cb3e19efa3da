"""What peers say to each other and users do not see: calls, clocks, relaying (wire document)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirehop.anysocket import clock, relay, rpc
from wirehop.anysocket.wire.packet import Internal, PacketType
from wirehop.core import json
from wirehop.errors import LimitExceeded, ProtocolError

if TYPE_CHECKING:
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["take"]


def take(peer: AnyPeer, seq: int, message: Any) -> None:
    """Do what an INTERNAL packet asks for, and answer it."""
    kind = message.get("type") if isinstance(message, dict) else None

    def reply(answer: Any) -> None:
        text = json.dumps(answer)
        try:
            peer._reply(PacketType.INTERNAL, seq, text)
        except LimitExceeded as error:
            peer._end(str(error), 1008, "")

    if kind == Internal.RPC:
        work = rpc.serve(peer, peer._socket.rpc, message, reply)
        if work is not None:
            peer._start(work, "message")
    elif kind == Internal.SYNCED_TIME:
        reply(clock.answer(message))
    elif kind == Internal.PROXY:
        relay.asked(peer, message, reply)
    elif kind == Internal.NETWORK:
        relay.told(peer, message)
    elif kind != Internal.RPC_NOTIFY:
        peer._break(ProtocolError("Invalid internal message", close_code=1008))
