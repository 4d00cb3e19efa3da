"""What peers say to each other above the wire: calls, clocks, relaying, replies. Three peers of one
AnySocket say what they want; nothing escapes, whoever breaks the rules is closed and nobody else, every
call is answered once, and when they are gone nothing is left of them."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from functools import lru_cache
from typing import Any

from fuzz import seeds as recorded
from fuzz.choices import Choices
from fuzz.loops import StillLoop, running
from wirehop.anysocket import AnySocket
from wirehop.anysocket.options import PeerOptions
from wirehop.anysocket.peer import AnyPeer
from wirehop.anysocket.rpc import result_of
from wirehop.anysocket.wire.packet import PacketType, encode_forward_head, encode_head
from wirehop.core import json
from wirehop.errors import ConnectionClosed, RemoteError

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 256

_OURS = "0" * 32
_IDS = tuple(digit * 32 for digit in "abc")

TOKENS = (
    b'{"type":1,"action":"connected","id":"', b'{"type":2,"action":"proxy","id":"', b'"action":"unproxy"',
    b'"action":"disconnected"', *(b'"' + id.encode() + b'"' for id in (*_IDS, _OURS, "d" * 32)),
    b'{"type":3,"method":["echo"],"params":[1],"bin":[]}', b'{"type":4}', b'{"type":5,"time":1}',
    b'"bin":["0"]', b'"params":["AQI="]', b'["group","later"]', b'["group","fail"]', b'["__class__"]',
    b'["echo","__call__"]', b'"result":', b'"error":{}', b'"code":500', b"null", b"true", b"1e999",
    b'"\\ud800"', b"[]", b"{}", b"#",
)  # fmt: skip

_KINDS = (PacketType.INTERNAL, PacketType.INTERNAL, PacketType.LINK, PacketType.HEARTBEAT)

_LOOP = StillLoop()  # type: ignore[abstract]

_OPTIONS = PeerOptions(max_relayed=3, heartbeat_enabled=False)


async def _later(value: Any, peer: AnyPeer) -> Any:
    return value


def _fail(peer: AnyPeer) -> None:
    raise RemoteError("as you like", details=["x"], code=418)


_RPC = {
    "echo": lambda value, peer: value,
    "size": lambda data, peer: len(data),
    "bytes": lambda peer: b"\0\1",
    "group": {"later": _later, "fail": _fail},
}


class _Output:
    """An output that is never full."""

    closed_because: str | None = None

    def __await__(self) -> Generator[Any, None, None]:
        if self.closed_because is not None:
            raise ConnectionClosed(self.closed_because)
        yield from ()

    def is_full(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...


class _Connection:
    """Takes the frames for one peer."""

    def __init__(self) -> None:
        self.output = _Output()
        self.sent: list[str] = []
        self.is_closed = False

    def send(self, frame: bytes) -> None:
        assert not self.is_closed, "sent behind the end"
        self.sent.append(frame.decode())

    def close(self, code: int, reason: str) -> None:
        self.is_closed = True

    def trust(self) -> None: ...

    def is_lost(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class _Remote:
    """One of those who say what they want."""

    def __init__(self, socket: AnySocket, id: str) -> None:
        self.id = id
        self.connection = _Connection()
        self.peer = AnyPeer(socket, _OPTIONS)
        self.number = 0
        self.calls = 0
        self.asked: list[Any] = []
        """What waits for this one's replies."""
        self.peer.connection_made(self.connection)
        self.say(PacketType.AUTH, json.dumps({"id": id}).decode())

    def say(self, kind: PacketType, text: str, forward: str = "") -> None:
        self.number += 1
        self.hear(forward + encode_head(kind, self.number).decode() + text)

    def hear(self, frame: str) -> None:
        if not self.connection.is_closed:
            self.peer.frame_received(frame)


@lru_cache(1)
def _socket() -> AnySocket:
    """One for all inputs: to make it takes longer than most of them."""
    socket = AnySocket(id=_OURS, rpc=_RPC, can_proxy=lambda one, other: True)
    socket.on("message", lambda packet: packet.reply(packet.msg))
    # What a listener could not do with what it got is its own affair.
    socket.on("error", lambda error: None)
    return socket


class _Talk:
    def __init__(self) -> None:
        self.socket = _socket()
        self.remotes = [_Remote(self.socket, id) for id in _IDS]
        self._was_deep = False

    def step(self, choices: Choices) -> None:
        what = choices.byte()
        remote = self.remotes[what % 3]
        kind = what // 3 % 8
        if kind < 4:
            remote.say(_KINDS[kind], self._text(choices))
        elif kind == 4:
            to = (*_IDS, _OURS)[choices.byte() & 3]
            sender = _IDS[choices.byte() % 3]
            inner = _KINDS[choices.byte() & 3]
            remote.say(inner, self._text(choices), encode_forward_head(to, sender).decode())
        elif kind == 5 and not remote.connection.is_closed:
            remote.asked.append(remote.peer.send_internal({"type": 3}))
        elif kind == 6 and remote.asked:
            # The reply to what was asked last.
            seq = remote.peer._protocol._seq
            remote.hear(encode_head(PacketType.INTERNAL, -seq).decode() + self._text(choices))
        elif kind == 7:
            number = choices.byte() - 128 or 1
            remote.hear(encode_head(_KINDS[choices.byte() & 3], number).decode() + self._text(choices))
        _LOOP.turn()

    def _text(self, choices: Choices) -> str:
        """A JSON text, mostly, in which a hash stands for something deep, which no short input is;
        once, for it takes long."""
        text = choices.short().decode(errors="replace")
        if "#" in text:
            depth = 1 if self._was_deep else 4 * choices.byte()
            self._was_deep = True
            text = text.replace("#", "[" * depth + "]" * depth, 1)
        return text

    def end(self) -> None:
        for remote in self.remotes:
            for future in remote.asked:
                _look_at(future)
            if not remote.connection.is_closed:
                assert self.socket.peers.get(remote.id) is remote.peer, "closed without being told"
        for remote in self.remotes:
            remote.peer.connection_lost()
        _LOOP.turn()
        assert not self.socket.peers, f"{self.socket.peers} are left"
        assert not self.socket._connections, f"{self.socket._connections} are left"
        assert not self.socket._steps.tasks, "tasks are left"


def _look_at(future: Any) -> None:
    """What a call that was answered comes to."""
    if future.done() and future.exception() is None:
        try:
            result_of(future.result().msg)
        except RemoteError as error:
            assert str(error), "an error without a text"


def fuzz_one(data: bytes) -> None:
    choices = Choices(data)
    log = logging.getLogger("wirehop.anysocket")
    was_disabled, log.disabled = log.disabled, True
    try:
        with running(_LOOP):
            talk = _Talk()
            while choices:
                talk.step(choices)
            talk.end()
    except BaseException:
        # Nothing of it is for the next one.
        _socket.cache_clear()
        raise
    finally:
        _LOOP.forget()
        log.disabled = was_disabled


def _said(remote: int, kind: int, text: bytes) -> bytes:
    return bytes([kind * 3 + remote, len(text)]) + text


def seeds() -> Iterator[bytes]:
    for number, packet in enumerate(recorded.packets()):
        text = packet[6:].encode(errors="replace")[:200]
        if packet[1:2] == "2":
            yield _said(number % 3, 0, text)
            yield bytes([15 + number % 3]) + _said(number % 3, 6, text)
    proxy = b'{"type":2,"action":"proxy","id":"%b"}' % _IDS[1].encode()
    carried = bytes([4 * 3, 1, 0, 2, 2]) + b"{}"
    yield _said(0, 0, proxy) + carried + _said(0, 0, proxy.replace(b'"proxy"', b'"unproxy"')) + carried
    connected = b'{"type":1,"action":"connected","id":"%b"}' % (b"d" * 32)
    yield _said(0, 0, connected) + _said(0, 0, connected.replace(b'"connected"', b'"disconnected"'))
    for path in (b'"echo"', b'"group","later"', b'"group","fail"', b'"bytes"', b'"nothing"'):
        yield _said(1, 0, b'{"type":3,"method":[%b],"params":["AQI="],"bin":[0]}' % path)
    for text in (
        b'{"type":3,"method":#,"params":[],"bin":[]}',
        b'{"type":3,"method":["echo"],"params":[#],"bin":[]}',
        b'{"type":5,"time":#}',
        b'{"type":2,"action":"proxy","id":#}',
    ):
        yield _said(2, 0, text) + b"\xfa"
    yield bytes([15]) + _said(0, 6, b'{"error":#,"code":500}') + b"\xfa"
    yield bytes([15]) + _said(0, 6, b"#") + b"\xfa"
    yield _said(0, 2, b'{"a":#}') + b"\xfa"
