"""What an attacker tries on a link (threats A1, A5, A10, A11 and cases 30 to 35): the connection
is closed with a reason, one line is logged, and everyone else is served."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.anysocket.stranger import connected, frame, packet, stranger_of
from wirehop import AnySocket
from wirehop.errors import RemoteError


@pytest.fixture(autouse=True)
def one_line_at_most(caplog: pytest.LogCaptureFixture) -> object:
    caplog.set_level(logging.INFO)
    yield
    assert len(caplog.records) <= 1, [record.getMessage() for record in caplog.records]
    assert not [record for record in caplog.records if record.exc_info]


async def is_served(server: AnySocket) -> None:
    """A second client is served, and nothing is left of the first."""
    async with AnySocket() as client:
        peer = await client.connect("ws", "127.0.0.1", server._open[0].port)
        server.once("message", lambda packet: packet.reply("served"))
        reply = await peer.send("hello", await_reply=True)
        assert reply is not None
        assert reply.msg == "served"
        assert list(server.peers) == [client.id]
        assert len(server._connections) == 1


AUTH = packet(1, 1, {"id": "0" * 32})


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1008, packet(1, 1, None)),
        (1008, packet(1, 1, text="{{{")),
        (1008, packet(1, 1, {"id": 1})),
        (1008, packet(1, 1, {"id": "__proto__"})),
        (1008, packet(1, 1, {"id": ["0" * 32]})),
        (1009, packet(1, 1, {"id": "f" * 1_000_000})),
        (1002, ""),
        (1002, "1"),
        (1002, packet(9, 1, {})),
        (1002, packet(1, 1, {}, flag="3")),
        (1002, packet(4, 1, {})),
        (1002, packet(5, 1, 1)),
        (1008, "6" + "\1" * 32 + packet(3, 1, {})),
        (1009, packet(1, 1, text="[" * 70_000, flag="2")),
    ],
)
async def test_a_stranger_who_breaks_the_rules(code: int, text: str) -> None:
    async with AnySocket() as server:
        async with stranger_of(server) as stranger:
            stranger.send(text)
            assert await stranger.closed() == code
        await is_served(server)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1002, AUTH),
        (1002, packet(4, 2, {"type": 2})),
        (1007, packet(3, 2, text="{{{")),
        (1007, packet(2, 2, text="")),
        (1008, packet(2, 2, None)),
        (1008, packet(2, 2, {"type": 99})),
        (1008, packet(2, 2, [])),
        (1008, packet(2, 2, {"type": [3]})),
        (1002, packet(3, 0, {})),
        (1002, packet(7, 2, {})),
    ],
)
async def test_a_peer_who_breaks_the_rules(code: int, text: str) -> None:
    async with AnySocket() as server:
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server.once("disconnected", lambda peer, reason: gone.set_result(reason))
        async with stranger_of(server, authenticated=True) as stranger:
            stranger.send(text)
            assert await stranger.closed() == code
            assert await gone == ("Invalid internal message" if code == 1008 else "Invalid Packet!")
        await is_served(server)


async def test_an_invalid_packet_directly_behind_the_auth() -> None:
    async with AnySocket() as server:
        async with stranger_of(server) as stranger:
            stranger.send(AUTH, packet(9, 2, {}))
            assert (await stranger.receive()).startswith("11")
            assert await stranger.closed() == 1002
        await is_served(server)


@pytest.mark.parametrize("texts", [[], [packet(3, 1, "early")], [packet(1, 1, text='{"id', flag="2")]])
async def test_silence_ends_at_the_auth_timeout(texts: list[str]) -> None:
    async with AnySocket() as server:
        async with stranger_of(server, auth_timeout=0.1) as stranger:
            stranger.send(*texts)
            assert await stranger.closed() == 1008
        await is_served(server)


async def test_a_stranger_may_not_fill_the_memory_with_one_frame() -> None:
    async with AnySocket() as server:
        async with stranger_of(server) as stranger:
            # 10 MB are announced; what counts is what arrives.
            stranger.write(
                bytes([0x81, 0xFF]) + (10_000_000).to_bytes(8, "big") + b"\0\0\0\0" + b"1" * 200_000
            )
            assert await stranger.closed() == 1009
        await is_served(server)


async def test_partial_packets_are_bounded() -> None:
    async with AnySocket() as server:
        async with stranger_of(server, authenticated=True, max_open_packets=10) as stranger:
            stranger.send(*(packet(3, seq, text="[", flag="2") for seq in range(2, 13)))
            assert await stranger.closed() == 1009
        await is_served(server)


async def test_a_message_is_bounded() -> None:
    async with AnySocket() as server:
        async with stranger_of(server, authenticated=True, max_message_size=100_000) as stranger:
            stranger.send(*(packet(3, 2, text="1" * 60_000, flag="2") for _ in range(2)))
            assert await stranger.closed() == 1009
        await is_served(server)


async def test_the_rest_of_a_packet_is_not_waited_for_for_ever() -> None:
    async with AnySocket() as server:
        async with stranger_of(server, authenticated=True, packet_timeout=0.1) as stranger:
            stranger.send(packet(3, 2, text="[", flag="2"))
            assert await stranger.closed() == 1008
        await is_served(server)


async def test_the_type_of_a_packet_may_not_change() -> None:
    async with AnySocket() as server:
        async with stranger_of(server, authenticated=True) as stranger:
            stranger.send(packet(3, 2, text="[", flag="2"), packet(2, 2, text="]"))
            assert await stranger.closed() == 1002
        await is_served(server)


async def test_repeated_packets_and_replies_to_nothing_are_delivered_at_most_once() -> None:
    async with AnySocket() as server:
        received = []
        server.on("message", lambda packet: (received.append(packet.msg), packet.reply(packet.msg)))
        async with stranger_of(server, authenticated=True) as stranger:
            stranger.send(
                *[packet(3, 2, "once")] * 3, packet(3, -7, "to nothing"), packet(2, -8, {"result": 1})
            )
            stranger.send(packet(3, -(2**31), "to nothing"), packet(3, 3, "end"))
            assert await stranger.receive() == packet(3, -2, "once")
            assert await stranger.receive() == packet(3, -3, "end")
        assert received == ["once", "end"]


async def test_a_reply_of_the_other_type_still_makes_a_packet() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        asked = peer.send("q", await_reply=True)
        seq = int.from_bytes((await stranger.receive())[2:6].encode("latin-1"), "big")
        stranger.send(packet(2, -seq, {"odd": True}), packet(3, -seq, "second"))
        reply = await asked
        assert reply is not None
        assert reply.msg == {"odd": True}


@pytest.mark.parametrize(
    "message", [{"type": 1, "action": "disconnected", "id": "f" * 32}, {"type": 4, "x": 1}]
)
async def test_what_nobody_asked_for_is_ignored(message: object) -> None:
    async with AnySocket() as server:
        server.on("message", lambda packet: packet.reply("still here"))
        async with stranger_of(server, authenticated=True) as stranger:
            stranger.send(
                packet(2, 2, message), packet(2, 3, {"type": 2, "action": "unproxy", "id": "f" * 32})
            )
            stranger.send(packet(3, 4, "?"))
            assert await stranger.receive() == packet(3, -4, "still here")
            assert len(server.peers) == 1


async def test_nobody_is_relayed() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        stranger.send(packet(2, 2, {"type": 2, "action": "proxy", "id": "f" * 32}))
        assert await stranger.receive() == packet(2, -2, {"ok": False})
        stranger.send("6" + "\1" * 32 + packet(3, 1, {}), packet(2, 3, {"type": 5, "time": 7}))
        assert '"o":7' in await stranger.receive()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"method": ["constructor"], "params": [], "bin": []}, 404),
        ({"method": ["__class__"], "params": [], "bin": []}, 404),
        ({"method": ["_x"], "params": [], "bin": []}, 404),
        ({"method": None, "params": [], "bin": []}, 404),
        ({"method": [], "params": [], "bin": []}, 404),
        ({"method": "add", "params": [], "bin": []}, 404),
        ({"method": [1], "params": [], "bin": []}, 404),
        ({"method": ["add"] * 10_000, "params": [], "bin": []}, 404),
        ({"params": [], "bin": []}, 404),
        ({"method": ["add"], "params": [1, 2]}, 500),
        ({"method": ["add"], "params": {"0": 1}, "bin": []}, 500),
        ({"method": ["add"], "params": [1, 2], "bin": ["9999999999"]}, 500),
        ({"method": ["add"], "params": [1, 2], "bin": [-1]}, 500),
        ({"method": ["add"], "params": ["?"], "bin": ["0"]}, 500),
        ({"method": ["add"], "params": [1], "bin": []}, 500),
        ({"method": ["empty"], "params": [], "bin": []}, 500),
    ],
)
async def test_bad_calls_are_answered_with_an_error(request_: dict[str, object], code: int) -> None:
    def empty(peer: object) -> None:
        raise ValueError

    functions = {"add": lambda a, b, peer: a + b, "_x": print, "empty": empty}
    async with AnySocket(rpc=functions) as server, stranger_of(server, authenticated=True) as stranger:
        stranger.send(packet(2, 2, {"type": 3, **request_}))
        answer = await stranger.receive()
        assert f'"code":{code}' in answer
        assert '"error":""' not in answer
        assert len(answer) < 5000
        assert len(server.peers) == 1


DEEP = "[" * 1000 + "]" * 1000
"""What can be read, and not be said again."""


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f'{{"type":3,"method":{DEEP},"params":[],"bin":[]}}', '"code":404'),
        (f'{{"type":3,"method":[{DEEP}],"params":[],"bin":[]}}', '"code":404'),
        (f'{{"type":3,"method":["echo"],"params":[{DEEP}],"bin":[]}}', '"code":500'),
        (f'{{"type":5,"time":{DEEP}}}', '"o":null'),
    ],
    ids=["a method", "a name", "an argument", "a time"],
)
async def test_what_is_nested_deep_is_answered(text: str, answer: str) -> None:
    """Found by fuzzing: the answer could not be said, and the link ended without a reason."""
    functions = {"echo": lambda value, peer: value}
    async with AnySocket(rpc=functions) as server, stranger_of(server, authenticated=True) as stranger:
        stranger.send(packet(2, 2, text=text))
        received = await stranger.receive()
        assert answer in received
        assert len(received) < 5000
        assert len(server.peers) == 1


async def test_a_failure_that_is_nested_deep_is_one() -> None:
    async with AnySocket() as server, stranger_of(server, authenticated=True) as stranger:
        (peer,) = server.peers.values()
        call = peer.rpc.anything()
        seq = int.from_bytes((await stranger.receive())[2:6].encode("latin-1"), "big")
        stranger.send(packet(2, -seq, text=f'{{"error":{DEEP},"code":418}}'))
        with pytest.raises(RemoteError, match="the remote function failed") as failed:
            await call
        assert failed.value.code == 418


async def test_half_a_handshake_and_half_a_frame_leave_nothing() -> None:
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0, auth_timeout=20)
        for data in (b"", b"\x81", frame("11")[:4], frame(AUTH)[:20]):
            async with connected(listener.port) as stranger:
                await stranger.upgrade()
                stranger.write(data)
                (peer,) = server._connections
                gone = peer.gone()
            await gone
        await is_served(server)
