"""Cases 36 to 43, against servers in processes of their own: encryption, relays, calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.anysocket.script import Script
from tests.anysocket.stranger import STRANGER, packet
from tests.faults import proxy_to
from tests.hostile.running import House, Running, attack, case, websocket
from tests.interop.npm import npm
from wirehop import AnySocket
from wirehop.errors import ConnectionClosed, RemoteError, ReplyTimeout

ANN = "a" * 32
BOB = "b" * 32


def unmasked(sent: bytes) -> bytes:
    """What a client's WebSocket frames carry, behind its request."""
    data = sent.partition(b"\r\n\r\n")[2]
    carried = b""
    while data:
        size, at = data[1] & 127, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        key, payload = data[at : at + 4], data[at + 4 : at + 4 + size]
        carried += bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
        data = data[at + 4 + size :]
    return carried


# --- encryption


async def test_case_36_what_is_sent_after_the_call_is_never_plain(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), proxy_to(house.port, records=True) as tap, AnySocket() as client:
        peer = await client.connect("ws", "127.0.0.1", tap.port)
        await peer.send("a greeting")
        peer.e2e()
        answer = peer.send("a SECRET", await_reply=True)
        assert (await answer).msg == "a SECRET"  # type: ignore[union-attr]
        house("send", client.id, ["their SECRET"])
        assert await house.until("heard", 2) == ["a greeting", "a SECRET"]
        (pair,) = tap.pairs
        said = unmasked(bytes(pair.up.passed))
        # The tap sees what is plain, or else it would show nothing.
        assert b"a greeting" in said
        assert b"SECRET" not in said
        assert b"a greeting" in pair.down.passed
        assert b"SECRET" not in pair.down.passed


async def test_case_37_both_begin_at_once_in_the_middle_of_a_thousand(
    running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    async with attack(house), AnySocket() as client:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        client.on("message", lambda packet: heard.put_nowait(packet.msg))
        peer = await client.connect("ws", "127.0.0.1", house.port)
        house("keep_silent", True)
        house.begin("send", client.id, list(range(500)))
        house.begin("e2e", client.id)
        house.begin("beat", client.id)
        house.begin("send", client.id, list(range(500, 1000)))
        for n in range(500):
            peer.send(n)
        peer.heartbeat()
        peer.e2e()
        peer.e2e()
        for n in range(500, 1000):
            peer.send(n)
        for _ in range(4):
            assert await asyncio.to_thread(house._answer) is None
        assert [await heard.get() for _ in range(1000)] == list(range(1000))
        assert await house.until("heard", 1000) == list(range(1000))
        assert house("security", client.id) == peer.security == "legacy"


@pytest.mark.parametrize("js_begins", [case(37, "npm begins", True), case(37, "we begin", False)])
async def test_a_thousand_each_way_with_npm(js_begins: bool, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), npm() as js:
        await js("mode", "silent")
        theirs = await js("connect", "127.0.0.1", house.port)
        house("keep_silent", True)
        numbers = list(range(1, 1001))
        if js_begins:
            house.begin("send", js.id, numbers)
            await js("e2e_and_send", theirs, numbers)
            await asyncio.to_thread(house._answer)
        else:
            for number in numbers[:500]:
                await js("send", theirs, number)
            house("e2e", js.id)
            house("beat", js.id)
            house("send", js.id, numbers)
            await js.event("e2e", peer=theirs)
            for number in numbers[500:]:
                await js("send", theirs, number)
        assert await house.until("heard", 1000) == numbers
        assert [(await js.event("message"))["msg"] for _ in numbers] == numbers
        house("e2e", js.id)
        assert house("security", js.id) == "legacy"
        house("keep_silent", False)
        assert await js("request", theirs, "still") == "still"


def flipped(text: str, at: int, bit: int) -> str:
    data = bytearray(text.encode("latin-1"))
    data[at] ^= 1 << bit
    return data.decode("latin-1")


TAMPERED: list[Any] = [
    case(38, f"bit {bit} of digit {at} is flipped", lambda text, at=at, bit=bit: flipped(text, at, bit))
    for at in (0, 31, 32, 63, -32, -1)
    for bit in (0, 2, 6)
]
TAMPERED += [
    case(38, f"{size} digits are missing", lambda text, size=size: text[:-size])
    for size in (1, 2, 32, 64, 96)
]
TAMPERED.append(case(38, "blocks are swapped", lambda text: text[32:64] + text[:32] + text[64:]))


@pytest.mark.parametrize("change", TAMPERED)
async def test_what_is_changed_on_its_way(
    change: Callable[[str], str], running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    async with attack(house), websocket(house.port) as stranger:
        script = Script(stranger)
        script.send_switch(2)
        await script.take_switch(STRANGER, leads=True)
        sealed = script.sealed(3, 3, {"to": "the account 7", "amount": 12})
        stranger.send(sealed[:6] + change(sealed[6:]))
        # The legacy wire has no MAC: what is still JSON arrives, changed; all else has one outcome.
        stranger.send(packet(3, 4, "plain: the end in any case"))
        assert await stranger.closed() == 1002
        assert await house.until("ended") == [[STRANGER, "Invalid Packet!"]]
        assert None not in house("take", "heard")


POINT = "BA" + "A" * 178
P_256 = "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="


@pytest.mark.parametrize(
    "key",
    [
        case(39, "empty", ""),
        case(39, "short", "AAAA"),
        case(39, "not on the curve", POINT),
        case(39, "all zero", "A" * 180),
        case(39, "of another curve", P_256),
        case(39, "none", None),
    ],
)
async def test_keys_that_are_none(key: str | None, running: Running, loop_name: str) -> None:
    for server in await running.both(loop_name):
        async with attack(server), websocket(server.port) as stranger:
            stranger.send(packet(4, 2, {"type": 2, "key": key, "nonce": "ab" * 32}))
            assert await stranger.closed() == 1002


# --- relays


def forward(to: str, sender: str, nested: str) -> str:
    return "6" + bytes.fromhex(to + sender).decode("latin-1") + nested


FORGED: list[Any] = [
    case(40, "to one it is not linked with", lambda hub: forward(BOB, STRANGER, packet(3, 1, "x"))),
    case(40, "in the name of the server", lambda hub: forward(BOB, hub, packet(3, 1, "x"))),
    case(40, "in the receiver's name", lambda hub: forward(BOB, BOB, packet(3, 1, "x"))),
    case(40, "in the name of nobody", lambda hub: forward(BOB, ANN, packet(3, 1, "x"))),
    case(40, "to the server, as the victim", lambda hub: forward(hub, BOB, packet(3, 50, "x"))),
    case(40, "to the server, as itself", lambda hub: forward(hub, hub, packet(3, 50, "x"))),
    case(40, "to nobody", lambda hub: forward("0" * 32, STRANGER, packet(3, 1, "x"))),
    case(40, "nested", lambda hub: forward(hub, BOB, forward(hub, BOB, packet(3, 50, "x")))),
    case(40, "short", lambda hub: "6" + "\1" * 31),
    case(40, "an announcement", lambda hub: packet(2, 2, {"type": 1, "action": "connected", "id": BOB})),
    case(
        40,
        "the end of the victim",
        lambda hub: packet(2, 2, {"type": 1, "action": "disconnected", "id": BOB}),
    ),
]


@pytest.mark.parametrize("forged", FORGED)
async def test_forged_frames(forged: Callable[[str], str], running: Running, loop_name: str) -> None:
    for server in await running.both(loop_name):
        async with attack(server), AnySocket(id=BOB) as victim, websocket(server.port) as stranger:
            heard: list[Any] = []
            victim.on("message", lambda packet, heard=heard: heard.append(packet.msg))
            peer = await victim.connect("ws", "127.0.0.1", server.port)
            stranger.send(forged(peer.id), packet(2, 99, {"type": 5, "time": 7}))
            # It is behind the forged one, and the stranger is not punished either.
            while '"o":7' not in await stranger.receive():
                pass
            await peer.get_synced_time(refresh=True)
            assert heard == []
            assert peer.id in victim.peers


async def test_case_41_the_relay_is_killed(tmp_path: Path, loop_name: str) -> None:
    def start(name: str) -> tuple[House, int]:
        folder = tmp_path / name
        folder.mkdir()
        relay = House(folder, loop_name)
        return relay, relay.listen()

    async with contextlib.AsyncExitStack() as stack:
        ann, bob = [await stack.enter_async_context(AnySocket()) for _ in range(2)]
        bob.on("message", lambda packet: packet.reply({"re": packet.msg}))
        for name in ("first", "second"):
            ended: asyncio.Queue[str] = asyncio.Queue()
            relay, port = start(name)
            try:
                for node in (ann, bob):
                    hop = await node.connect("ws", "127.0.0.1", port)
                    node.remove_all_listeners("disconnected")
                    node.on("disconnected", lambda peer, reason, ended=ended: ended.put_nowait(reason))
                peer = await ann.proxy(bob.id, hop.id)
                assert (await peer.send(name, await_reply=True)).msg == {"re": name}  # type: ignore[union-attr]
            finally:
                relay.end(is_killed=True)
            # Both ends of the relayed link, and both hops.
            assert sorted([await ended.get() for _ in range(4)]) == [
                *["Proxy Connection Closed"] * 2,
                *["Remote Connection Closed"] * 2,
            ]
            assert not ann.peers
            assert not bob.peers
            with pytest.raises(ConnectionClosed):
                await peer.send("too late")


# --- calls


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        case(42, "constructor", {"method": ["constructor"], "params": [], "bin": []}, 404),
        case(42, "__class__", {"method": ["__class__"], "params": [], "bin": []}, 404),
        case(42, "_x", {"method": ["_x"], "params": [], "bin": []}, 404),
        case(42, "add.__globals__", {"method": ["add", "__globals__"], "params": [], "bin": []}, 404),
        case(42, "null", {"method": None, "params": [], "bin": []}, 404),
        case(42, "100,000 deep", {"method": ["add"] * 100_000, "params": [], "bin": []}, 404),
        case(42, "no bin", {"method": ["add"], "params": [1, 2]}, 500),
        case(42, "a huge bin", {"method": ["add"], "params": [1, 2], "bin": ["9999999999"]}, 500),
        case(42, "a long bin", {"method": ["add"], "params": [1, 2], "bin": ["0"] * 100_000}, 500),
        case(43, "an empty error", {"method": ["fails_empty"], "params": [], "bin": []}, 500),
    ],
)
async def test_calls_that_fail(request_: Any, code: int, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), websocket(house.port) as stranger:
        stranger.send(packet(2, 2, {"type": 3, **request_}))
        answer = json.loads((await stranger.receive())[6:])
        assert answer["code"] == code
        assert answer["error"]
        stranger.send(packet(2, 3, {"type": 3, "method": ["add"], "params": [1, 2], "bin": []}))
        assert json.loads((await stranger.receive())[6:]) == {"result": 3, "bin": False}


async def test_case_42_arguments_a_hundred_thousand_deep(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), websocket(house.port) as stranger:
        deep = '{"type":3,"method":' + "[" * 100_000 + "]" * 100_000 + ',"params":[],"bin":[]}'
        stranger.send(packet(2, 2, text=deep))
        # Either it is no JSON that anybody reads, or there is no such method.
        opcode, payload = await stranger.read_frame()
        assert opcode == 8 or b'"code":404' in payload


async def test_case_43_what_never_returns(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), AnySocket() as client:
        peer = await client.connect("ws", "127.0.0.1", house.port)
        with pytest.raises(ReplyTimeout):
            await peer.rpc.never.with_timeout(0.05)()
        with pytest.raises(RemoteError, match="ValueError"):
            await peer.rpc.fails_empty()
        assert await peer.rpc.add(1, 2) == 3
        # It is the server's own function, which is not ended in the middle of what it does.
        house("release")
