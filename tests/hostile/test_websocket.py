"""Cases 24 to 35, against servers in processes of their own: WebSocket, and anysocket's packets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.anysocket.stranger import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    STRANGER,
    connected,
    frame,
    packet,
)  # fmt: skip
from tests.hostile.running import MIB, House, Running, attack, case, websocket
from tests.interop.npm import npm, text_summary

AUTH = packet(1, 1, {"id": STRANGER})


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        case(24, "no key", 400, {"Sec_WebSocket_Key": None}),
        case(24, "a short key", 400, {"Sec_WebSocket_Key": "c2hvcnQ="}),
        case(24, "no version", 426, {"Sec_WebSocket_Version": None}),
        case(24, "version 12", 426, {"Sec_WebSocket_Version": "12"}),
        case(24, "POST", 400, {"method": "POST"}),
        case(24, "2,000 headers", 431, {f"X-{n}": "y" for n in range(2000)}),
    ],
)
async def test_handshakes_that_are_none(
    status: int, request_: dict[str, Any], running: Running, loop_name: str
) -> None:
    for server in await running.both(loop_name):
        async with attack(server), connected(server.port) as stranger:
            response = await stranger.upgrade(**{"Host": "localhost", **request_})
            assert response.startswith(b"HTTP/1.1 %d " % status)


async def test_case_25_a_page_from_elsewhere(running: Running, loop_name: str) -> None:
    house, hub = await running.house(loop_name), await running.hub()
    port = house.listen(allowed_origins=["https://good.example"])
    for server, at in ((house, port), (hub, hub.port)):
        async with attack(server), connected(at) as stranger:
            response = await stranger.upgrade(Host="localhost", Origin="https://bad.example")
            assert response.startswith(b"HTTP/1.1 403 ")
    async with attack(house), websocket(port, Origin="https://good.example"):
        pass


BROKEN = [
    case(26, "an unmasked frame", 1002, frame("x", masked=False)),
    case(26, "a reserved bit", 1002, frame("x", rsv=4)),
    case(26, "opcode 3", 1002, frame("x", opcode=3)),
    case(26, "a ping of 126 bytes", 1002, frame(b"p" * 126, PING)),
    case(26, "a fragmented ping", 1002, frame(b"p", PING, fin=False)),
    case(26, "a stray continuation", 1002, frame("x", CONTINUATION)),
    case(26, "invalid UTF-8", 1007, frame(b"13\0\0\0\x01\xff\xfe")),
    case(26, "close 999", 1002, frame((999).to_bytes(2, "big"), CLOSE)),
    case(27, "2^40 bytes", 1009, bytes([0x81, 0xFF]) + (1 << 40).to_bytes(8, "big") + b"key!" + b"x" * 10),
    case(31, "binary", 1003, frame(b"13", BINARY)),
]


@pytest.mark.parametrize(("code", "data"), BROKEN)
@pytest.mark.parametrize("id", [None, STRANGER], ids=["stranger", "peer"])
async def test_frames_that_break_the_rules(
    code: int, data: bytes, id: str | None, running: Running, loop_name: str
) -> None:
    for server in await running.both(loop_name):
        async with attack(server), websocket(server.port, id=id) as stranger:
            stranger.write(data)
            assert await stranger.closed() == code


@pytest.mark.parametrize("bytes_sent", [case(27, "withheld", 0), case(27, "dribbled", 1000)])
async def test_a_length_that_is_announced_takes_no_memory(
    bytes_sent: int, running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    # What is announced is allowed, and more than all memory that may be held for it afterwards.
    port = house.listen(max_frame_size=1 << 28, max_message_size=1 << 28)
    async with attack(house):
        held = house.memory()
        async with websocket(port) as stranger:
            stranger.write(bytes([0x81, 0xFF]) + (1 << 27).to_bytes(8, "big") + b"key!")
            for _ in range(bytes_sent):
                stranger.write(b"x")
                await asyncio.sleep(0)
            await house.serves()
            assert house.memory() < held + 8 * MIB


async def test_case_28_pongs_that_are_not_read(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(high_water=1 << 14, send_limit=1 << 16, send_timeout=0.5)
    async with attack(house), websocket(port) as stranger:
        stranger.stop_reading()
        flood = frame(b"p" * 125, PING) * 5000
        try:
            while not house("take", "ended"):
                stranger.write(flood)
                await asyncio.wait_for(stranger._writer.drain(), 0.05)
        except (ConnectionError, TimeoutError):
            await house.until("ended")


async def test_case_28_a_close_that_is_never_answered(running: Running, loop_name: str) -> None:
    for server in await running.both(loop_name):
        port = server.listen(close_timeout=0.1) if isinstance(server, House) else server.port
        async with attack(server), websocket(port) as stranger:
            stranger.write(frame(b"13", BINARY))
            opcode, payload = await stranger.read_frame()
            assert (opcode, payload[:2]) == (CLOSE, (1003).to_bytes(2, "big"))
            # Up to the deadline for the answer, which does not come.
            try:
                assert await stranger.read_all() == b""
            except ConnectionResetError:
                pass


async def test_case_29_the_subprotocol_null(running: Running, loop_name: str) -> None:
    for server in await running.both(loop_name):
        async with attack(server), connected(server.port) as stranger:
            response = await stranger.upgrade(Host="localhost", Sec_WebSocket_Protocol="null")
            assert response.startswith(b"HTTP/1.1 101 ")
            assert b"\r\nSec-WebSocket-Protocol: null\r\n" in response


# --- packets


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        case(30, "null", 1008, [packet(1, 1, None)]),
        case(30, "no JSON", 1008, [packet(1, 1, text="{{{")]),
        case(30, "the id 1", 1008, [packet(1, 1, {"id": 1})]),
        case(30, "the id __proto__", 1008, [packet(1, 1, {"id": "__proto__"})]),
        case(30, "an id of a megabyte", 1009, [packet(1, 1, {"id": "f" * 1_000_000})]),
        case(31, "an empty message", 1002, [""]),
        case(31, "1", 1002, ["1"]),
        case(31, "type 9", 1002, [packet(9, 1, {})]),
        case(31, "EOL 3", 1002, [packet(1, 1, {}, flag="3")]),
        case(32, "a long message of a stranger", 1009, [packet(1, 1, text="[" * 70_000, flag="2")]),
        case(33, "an encryption before the AUTH", 1002, [packet(4, 1, {})]),
        case(40, "a FORWARD before the AUTH", 1008, ["6" + "\1" * 32 + packet(3, 1, {})]),
    ],
)
async def test_strangers_who_break_the_rules(
    code: int, texts: list[str], running: Running, loop_name: str
) -> None:
    for server in await running.both(loop_name):
        async with attack(server), websocket(server.port, id=None) as stranger:
            stranger.send(*texts)
            assert await stranger.closed() == code


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        case(31, "type 9", 1002, [packet(9, 2, {})]),
        case(31, "no JSON", 1007, [packet(3, 2, text="{{{")]),
        case(31, "an INTERNAL that is null", 1008, [packet(2, 2, None)]),
        case(31, "an INTERNAL of no type", 1008, [packet(2, 2, {"type": 99})]),
        case(32, "too many partials", 1009, [packet(3, seq, text="[", flag="2") for seq in range(2, 70)]),
        case(32, "another type", 1002, [packet(3, 2, text="[", flag="2"), packet(2, 2, text="]")]),
        case(33, "a second AUTH", 1002, [AUTH]),
        case(39, "an encryption without a key", 1002, [packet(4, 2, {"type": 2})]),
    ],
)
async def test_peers_who_break_the_rules(
    code: int, texts: list[str], running: Running, loop_name: str
) -> None:
    for server in await running.both(loop_name):
        async with attack(server), websocket(server.port) as stranger:
            stranger.send(*texts)
            assert await stranger.closed() == code


async def test_case_32_a_message_beyond_the_limit(running: Running, loop_name: str) -> None:
    for server in await running.both(loop_name):
        async with attack(server, memory=24 * MIB), websocket(server.port) as stranger:
            for _ in range(17):
                stranger.send(packet(3, 2, text="1" * (1 << 20), flag="2"))
                await stranger._writer.drain()
            assert await stranger.closed() == 1009


async def test_case_32_parts_of_nothing_without_end(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(max_message_size=200_000)
    async with attack(house), websocket(port) as stranger:
        stranger.send(*[packet(3, 2, text="", flag="2")] * 7000)
        assert await stranger.closed() == 1009


async def test_case_32_a_part_that_never_comes(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(packet_timeout=0.1)
    async with attack(house), websocket(port) as stranger:
        stranger.send(packet(3, 2, text="[", flag="2"))
        assert await stranger.closed() == 1008


async def test_case_33_a_message_before_the_auth_is_held_back(running: Running, loop_name: str) -> None:
    for server in await running.both(loop_name):
        async with attack(server), websocket(server.port, id=None) as stranger:
            stranger.send(packet(3, 2, "early"))
            for _ in range(20):
                await asyncio.sleep(0.001)
            stranger.send(AUTH)
            assert (await stranger.receive()).startswith("11")
            assert (await stranger.receive()).startswith(packet(3, -2, text=""))


@pytest.mark.parametrize(
    "texts", [case(33, "silence", []), case(33, "a message only", [packet(3, 1, "early")])]
)
async def test_who_never_authenticates(texts: list[str], running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(auth_timeout=0.1)
    async with attack(house), websocket(port, id=None) as stranger:
        stranger.send(*texts)
        assert await stranger.closed() == 1008
        assert house("take", "heard") == []


async def test_case_34_emoji_over_the_boundary_of_a_chunk(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house, memory=32 * MIB), npm() as js:
        await js("mode", "silent")
        theirs = await js("connect", "127.0.0.1", house.port)
        house("keep_silent", True)
        # A quote and a letter before them: JavaScript, which cuts through pairs, cuts between two.
        await js("send", theirs, {"$repeat": ["", 0, "a" + "😀" * 600_000]})
        assert await house.until("heard") == ["a" + "😀" * 600_000]
        for before in ("", "a"):
            house("send", js.id, [before + "😀" * 600_000])
            assert (await js.event("message"))["msg"] == text_summary(before + "😀" * 600_000)


async def test_case_35_what_is_repeated_and_replies_to_nothing(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), websocket(house.port) as stranger:
        stranger.send(*[packet(3, 2, "once")] * 3, packet(3, -7, "to nothing"), packet(2, -8, {"result": 1}))
        stranger.send(packet(3, -(2**31), "to nothing"), packet(3, 3, "end"))
        assert await stranger.receive() == packet(3, -2, "once")
        assert await stranger.receive() == packet(3, -3, "end")
        assert house("take", "heard") == ["once", "end"]
