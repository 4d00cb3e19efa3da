"""Cases 49 to 56, against servers in processes of their own: too much, too slow, and gone.

The numbers are those of a test suite; ``make soak`` has the full ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.anysocket.stranger import connected
from tests.faults import Proxy, proxy_to
from tests.hostile.running import MIB, PROGRAMS, House, Running, attack, case, get, post, websocket
from tests.programs import WIREHOP, output
from tests.raw import Raw, connect, until
from wirehop import AnySocket, SockhopClient
from wirehop.errors import ConnectionClosed

GIVES_UP = (ConnectionError, asyncio.IncompleteReadError)


async def ends(raw: Raw) -> None:
    """Read to the end of a connection, however it comes."""
    with contextlib.suppress(ConnectionError):
        await raw.read_all()


# --- many, and slow


async def dribbles(raw: Raw, data: bytes, pause: float) -> None:
    with contextlib.suppress(*GIVES_UP):
        for byte in data:
            if raw.writer.is_closing() or raw.reader.at_eof():
                return
            await raw.send(bytes([byte]))
            await asyncio.sleep(pause)


SLOW = [
    case(49, "slow heads", get("/hello", "A: " + "x" * 10_000), 200, True),
    case(49, "slow bodies", post("/echo", b"x" * 10_000), 200, True),
    case(49, "slow readers", get("/large"), 20, False),
]


@pytest.mark.parametrize(("asked", "count", "is_dribbled"), SLOW)
async def test_the_slow_do_not_slow_others(
    asked: bytes, count: int, is_dribbled: bool, running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    port = house.listen(head_timeout=0.5, request_timeout=0.5, send_timeout=0.5)
    # What the kernel takes for a reader is not the process's; what is above high water is.
    async with attack(house, memory=24 * MIB, lines=count), contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(connect(port, limit=1024)) for _ in range(count)]
        if is_dribbled:
            sending = [asyncio.ensure_future(dribbles(raw, asked, 0.05)) for raw in slow]
        else:
            for raw in slow:
                await raw.send(asked)
        async with connect(port) as good:
            for _ in range(100):
                assert (await good.ask(get("/hello"))).body == b"hello"
        await house.serves()
        if is_dribbled:
            # Each is cut by its deadline, whatever it still sends.
            await asyncio.gather(*sending, *map(ends, slow))
        else:
            await until(lambda: house.state()["tasks"] == house.rest["tasks"])


async def test_case_50_idle_connections(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house, memory=24 * MIB):
        async with contextlib.AsyncExitStack() as stack:
            for number in range(400):
                await stack.enter_async_context(websocket(house.port, id=f"{number:032x}"))
            assert len(house("report")["peers"]) == 400
            await house.serves()
            # Nobody of them costs a task, and all of them together little.
            assert house.state()["tasks"] == house.rest["tasks"]
        with contextlib.ExitStack() as sockets:
            for _ in range(400):
                raw = connect(house.port)
                await raw.__aenter__()
                sockets.callback(asyncio.ensure_future, raw.__aexit__(None, None, None))
            await house.serves()
        for _ in range(3):
            await asyncio.sleep(0.01)


async def test_case_50_no_descriptors_left(tmp_path: Path, loop_name: str) -> None:
    house = House(tmp_path, loop_name)
    try:
        await house.settle()
        resource.prlimit(house.pid, resource.RLIMIT_NOFILE, (64, 64))
        # asyncio says of each second that it cannot accept; uvloop says nothing.
        async with attack(house, lines=2000) as it, contextlib.AsyncExitStack() as stack:
            many = [await stack.enter_async_context(connect(house.port)) for _ in range(100)]
            await until(lambda: house.descriptors() > 60)
            began, computed = time.monotonic(), house.cpu()
            await asyncio.sleep(1.2)
            # Who spins computes all the time.
            assert house.cpu() - computed < (time.monotonic() - began) / 2
            assert (await many[0].ask(get("/hello"))).body == b"hello"
        assert sum(line.startswith("ERROR") for line in it.log_lines) < 10
    finally:
        house.end()


async def test_case_51_one_does_not_read(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(high_water=1 << 16, send_limit=1 << 20, send_timeout=0.5)
    # 30 MiB are sent, to each.
    async with attack(house, memory=16 * MIB), AnySocket() as good, websocket(port) as deaf:
        received: asyncio.Queue[int] = asyncio.Queue()
        good.on("message", lambda packet: received.put_nowait(len(packet.msg)))
        await good.connect("ws", "127.0.0.1", port)
        deaf.stop_reading()
        cut: list[Any] = []
        for _ in range(300):
            house("broadcast", "x", 100_000, 1)
            assert await received.get() == 100_000
            cut += house("take", "ended")
        cut = cut or await house.until("ended")
        ((_, reason),) = cut
        assert "waiting to be read" in reason or "nothing was read" in reason


async def test_case_52_everybody_reconnects(tmp_path: Path, loop_name: str) -> None:
    def start(name: str, port: int) -> tuple[House, int]:
        folder = tmp_path / name
        folder.mkdir()
        house = House(folder, loop_name)
        return house, house.sockhop(port=port)

    first, port = start("first", 0)
    clients = [SockhopClient(port=port, auto_reconnect_interval=0.1) for _ in range(200)]
    for client in clients:
        client.on("error", lambda error: None)
    second = None
    try:
        for client in clients:
            await client.start()
        await until(lambda: first("report")["links"] == len(clients))
        first.end(is_killed=True)
        await until(lambda: not any(client.connected for client in clients))
        second, _ = start("second", port)
        await until(lambda: all(client.connected for client in clients))
        # Each has one connection, and is served.
        answers = [client.request(number) for number, client in enumerate(clients)]
        assert [(await answer.next()).data for answer in answers] == list(range(len(clients)))
        assert second("report")["links"] == len(clients)
    finally:
        for client in clients:
            await client.disconnect()
        if second is not None:
            assert second.new_log_lines() == []
            second.end()


# --- gone


async def test_case_53_what_was_acknowledged_is_there(tmp_path: Path, loop_name: str) -> None:
    house = House(tmp_path, loop_name)
    acknowledged: list[int] = []
    async with AnySocket() as client:
        peer = await client.connect("ws", "127.0.0.1", house.listen())

        async def ask(id: int) -> None:
            acknowledged.append(await peer.rpc.record(id))

        calls = []
        for id in range(20_000):
            calls.append(asyncio.ensure_future(ask(id)))
            if id % 100 == 0:
                await asyncio.sleep(0)
            if len(acknowledged) > 1000 and house.is_alive():
                house.process.kill()
        if house.is_alive():
            await until(lambda: len(acknowledged) > 1000)
            house.process.kill()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    house.end(is_killed=True)
    lost = [outcome for outcome in outcomes if outcome is not None]
    assert all(isinstance(outcome, ConnectionClosed) for outcome in lost)
    assert len(lost) + len(acknowledged) == 20_000
    written = [int(line) for line in (tmp_path / "files" / "ledger").read_text().split()]
    assert len(written) == len(set(written))
    assert set(acknowledged) <= set(written)


BEATS = {"heartbeat_interval": 0.1, "heartbeats_max_missed": 2}


@pytest.mark.parametrize(
    "fault",
    [
        case(54, "the link is down", Proxy.blackhole),
        case(54, "half-open, to the server", lambda proxy: proxy.half_close(up=True)),
        case(54, "half-open, to the client", lambda proxy: proxy.half_close(up=False)),
        case(54, "reset", Proxy.reset),
    ],
)
async def test_a_link_that_is_lost_is_noticed_by_both(fault: Any, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(**BEATS, close_timeout=0.1)
    async with attack(house), proxy_to(port) as proxy, AnySocket() as client:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        client.on("disconnected", lambda peer, reason: ended.set_result(reason))
        peer = await client.connect("ws", "127.0.0.1", proxy.port, **BEATS, close_timeout=0.1)
        assert (await peer.send("first", await_reply=True)).msg == "first"  # type: ignore[union-attr]
        house("keep_silent", True)
        waiting = peer.send("second", await_reply=True, timeout=3600)
        await house.until("heard", 2)
        house("keep_silent", False)
        fault(proxy)
        await ended
        with pytest.raises(ConnectionClosed):
            await waiting
        assert [id for id, _ in await house.until("ended")] == [client.id]
        # Nothing is delivered when the link is back; and who connects again is served.
        proxy.repair()
        await house.serves()
        assert house("take", "heard") == ["served?", "served?"]


async def test_case_54_a_process_that_is_stopped(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(**BEATS, close_timeout=0.1)
    async with attack(house), AnySocket() as client:
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        client.on("disconnected", lambda peer, reason: ended.set_result(reason))
        await client.connect("ws", "127.0.0.1", port, **BEATS, close_timeout=0.1)
        house.process.send_signal(signal.SIGSTOP)
        try:
            await ended
        finally:
            house.process.send_signal(signal.SIGCONT)
        assert [id for id, _ in await house.until("ended")] == [client.id]


@pytest.mark.parametrize("days", [case(55, "a day forward", 1), case(55, "a day back", -1)])
async def test_the_clock_is_set(days: int, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(**BEATS)
    quick = house.listen(auth_timeout=0.2, packet_timeout=0.2)
    async with attack(house), AnySocket() as client, SockhopClient(port=house.sockhop()) as sockhop:
        beats: asyncio.Queue[Any] = asyncio.Queue()
        client.on("heartbeat", beats.put_nowait)
        peer = await client.connect("ws", "127.0.0.1", port, **BEATS)
        assert abs((await peer.get_synced_time()).offset) < 60
        sockhop.ping(0.05)
        answer = peer.rpc.never()
        house("set_clock", days * 86_400.0)
        try:
            # It was set for those who ask for the date.
            assert round((await peer.get_synced_time(refresh=True)).offset / 86_400) == days
            for _ in range(5):
                await beats.get()
            house("release")
            assert await answer is None
            assert (await sockhop.request("x").next()).data == "x"
            async with connected(quick) as stranger:
                assert (await stranger.upgrade(Host="localhost")).startswith(b"HTTP/1.1 101 ")
                assert await stranger.closed() == 1008
            assert peer.id in client.peers
            assert sockhop.connected
        finally:
            house("set_clock", 0.0)


async def test_case_56_children_and_disks_that_fail(loop_name: str) -> None:
    said = await output(*WIREHOP, "run", PROGRAMS / "outcomes.py")
    outcomes = [json.loads(line) for line in said.splitlines()]
    assert [outcome.pop("name") for outcome in outcomes] == [
        "a file on a full disk",
        "the same file again",
        "a descriptor on a full disk",
        "a child that has closed its stdin",
        "exits of a killed child",
        "what waited for a killed child",
        "exits of a killed child",
    ]
    full = {"failed": ["OSError"], "succeeded": 0, "raised": "OSError"}
    assert outcomes[:3] == [full, full, full]
    gone = {"failed": [], "succeeded": 0, "raised": "ConnectionClosed"}
    killed = {"codes": [137], "code": 137}
    assert outcomes[3:] == [gone, killed, gone, killed]
