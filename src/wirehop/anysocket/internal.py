"""What peers say to each other and users do not see: calls, clocks, relaying (wire document)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from wirehop.anysocket import clock, relay, relayed, rpc
from wirehop.anysocket.wire.calls import CallRequest
from wirehop.anysocket.wire.packet import Internal, PacketType
from wirehop.core import json
from wirehop.errors import LimitExceeded, ProtocolError

if TYPE_CHECKING:
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["take"]

INTERNAL = PacketType.INTERNAL


def take(peer: AnyPeer, seq: int, message: Any) -> None:
    """Do what an INTERNAL packet asks for, and answer it."""
    if type(message) is CallRequest:
        _call(peer, seq, message.method, message.params, message.bin)
        return
    kind = message.get("type") if isinstance(message, dict) else None
    if kind == Internal.RPC:
        _call(peer, seq, message.get("method"), message.get("params"), message.get("bin"))
    elif kind == Internal.SYNCED_TIME:
        _reply(peer, seq, json.dumps(clock.answer(message)))
    elif kind == Internal.PROXY:
        relay.asked(peer, message, lambda answer: _reply(peer, seq, json.dumps(answer)))
    elif kind == Internal.NETWORK:
        relayed.told(peer, message)
    elif kind != Internal.RPC_NOTIFY:
        peer._break(ProtocolError("Invalid internal message", close_code=1008))


def _call(peer: AnyPeer, seq: int, path: Any, arguments: Any, binary: Any) -> None:
    answer = rpc.serve(peer, peer._socket.rpc, path, arguments, binary)
    if isinstance(answer, bytes):
        _reply(peer, seq, answer)
    else:
        peer._start(_reply_later(peer, seq, answer), "message")


async def _reply_later(peer: AnyPeer, seq: int, answer: Coroutine[Any, Any, bytes]) -> None:
    _reply(peer, seq, await answer)


def _reply(peer: AnyPeer, seq: int, text: bytes) -> None:
    try:
        peer._reply(INTERNAL, seq, text)
    except LimitExceeded as error:
        peer._overrun(error)
