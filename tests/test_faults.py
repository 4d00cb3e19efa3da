"""The fault proxy does what it says: its faults are what the tests that use it rely on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults import DELAY, DIRECT, ROUGH, SLICE, THROTTLE, Pace, Proxy, proxy_to
from tests.raw import Raw, connect, until


@asynccontextmanager
async def linked(pace: Pace = DIRECT) -> AsyncIterator[tuple[Raw, Raw, Proxy]]:
    """A client and its server, and the proxy between them."""
    accepted: asyncio.Queue[Raw] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda reader, writer: accepted.put_nowait(Raw(reader, writer)), "127.0.0.1", 0
    )
    try:
        port = server.sockets[0].getsockname()[1]
        async with proxy_to(port, pace, records=True) as proxy, connect(proxy.port) as client:
            there = await accepted.get()
            await until(lambda: proxy.pairs)
            yield client, there, proxy
            there.writer.close()
    finally:
        server.close()


@pytest.mark.parametrize("pace", [DIRECT, SLICE, DELAY, THROTTLE, ROUGH], ids=str)
async def test_what_is_sent_arrives_and_so_does_its_end(pace: Pace) -> None:
    data = bytes(range(256)) * 150
    async with linked(pace) as (client, server, proxy):
        await client.send(data)
        assert await server.read(len(data)) == data
        await server.send(data)
        server.finish()
        assert await client.read_all() == data
        # A half is closed, and the other goes on.
        await client.send(b"more")
        client.finish()
        assert await server.read_all() == b"more"
        assert bytes(proxy.pairs[0].up.passed) == data + b"more"
        assert bytes(proxy.pairs[0].down.passed) == data


async def test_slices_are_single_bytes() -> None:
    async with linked(SLICE) as (client, server, proxy):
        sizes = []
        send = proxy.pairs[0].up._send

        async def note(data: bytes) -> None:
            sizes.append(len(data))
            await send(data)

        proxy.pairs[0].up._send = note  # type: ignore[method-assign]
        await client.send(b"x" * 100)
        assert await server.read(100) == b"x" * 100
        assert sizes == [1] * 100


async def test_a_reset_reaches_both_sides() -> None:
    async with linked() as (client, server, proxy):
        proxy.reset()
        for side in (client, server):
            with pytest.raises(ConnectionResetError):
                await side.read(1)


@pytest.mark.parametrize("up", [True, False])
async def test_half_of_it_is_closed(up: bool) -> None:
    async with linked() as ends:
        client, server, proxy = ends
        sender, receiver = (client, server) if up else (server, client)
        proxy.half_close(up=up)
        assert await receiver.read_all() == b""
        await sender.send(b"into the void")
        await receiver.send(b"still")
        assert await sender.read(5) == b"still"


async def test_nothing_comes_out_of_a_black_hole() -> None:
    async with linked() as (client, server, proxy):
        proxy.blackhole()
        await client.send(b"held")
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert proxy.pairs[0].up.count == 0
        proxy.repair()
        assert await server.read(4) == b"held"


@pytest.mark.parametrize("up", [True, False])
async def test_one_bit_is_another(up: bool) -> None:
    async with linked() as (client, server, proxy):
        sender, receiver = (client, server) if up else (server, client)
        proxy.corrupt(up=up, bits=4)
        await sender.send(b"abc")
        assert await receiver.read(3) == b"ebc"
        await sender.send(b"abc")
        assert await receiver.read(3) == b"abc"


async def test_a_reset_of_one_side_is_one_of_the_other() -> None:
    async with linked() as (client, server, _):
        client.reset()
        with pytest.raises(ConnectionResetError):
            await server.read(1)
