"""Cases 44 to 46, against Sockhop servers in processes of their own."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from tests.faults import proxy_to
from tests.hostile.running import PATIENCE, Running, Server, attack, case
from tests.raw import connect, until
from tests.sockhop.linking import Told
from wirehop import SockhopClient, SockhopError

LINES = [
    case(44, "null", b"null"),
    case(44, "an empty line", b""),
    case(44, "bad JSON", b"{bad json}"),
    case(44, "an unknown callback", b'{"type":"String","data":"x","callback_id":"unknown"}'),
    case(44, "a callback that is no text", b'{"type":"String","data":"x","callback_id":["a"]}'),
    case(44, "a ping of null", b'{"type":"SockhopPing","data":null}'),
    case(44, "a pong of null", b'{"type":"SockhopPong","data":null}'),
    case(44, "a request without data", b'{"type":"SockhopRequest"}'),
    case(44, "a response without data", b'{"type":"SockhopResponsePacket"}'),
    case(44, "constructor", b'{"constructor":null}'),
    case(44, "a BOM", b'\xef\xbb\xbf{"type":"Number","data":1}'),
    case(44, "CRLF", b'{"type":"String","data":"x"}\r'),
    case(44, "bad UTF-8", b"\xff\xfe"),
    case(44, "bad UTF-8 in a value", b'{"type":"String","data":"\xff"}'),
    case(44, "100,000 deep", b"[" * 100_000),
    case(44, "a number", b"5"),
]


class Listening(Server):
    """``wirehop sockhop listen``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(["-m", "wirehop.cli", "sockhop", "listen", "--port", "0"], folder)
        until = time.monotonic() + PATIENCE
        while not (match := re.search(r"listening at [\d.]+:(\d+);", self.said.read_text())):
            assert self.is_alive(), self.log.read_text()
            assert time.monotonic() < until
            time.sleep(0.01)
        self.port = int(match[1])

    async def serves(self) -> None:
        async with asyncio.timeout(PATIENCE), SockhopClient(port=self.port) as client:
            assert (await client.request("served?").next()).data == "served?"


LAST = b'{"type":"SockhopRequest","data":{"uuid":"7","data":"last","type":"String"}}\n'


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("peer_type", ["Sockhop", "json"])
async def test_lines_that_make_no_sense(
    line: bytes, peer_type: str, running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    port = house.sockhop(peer_type=peer_type)
    async with attack(house), connect(port) as raw:
        await raw.send(line + b"\n" + LAST)
        # The connection stays, and what follows is heard.
        await until(lambda: house("report")["links"] == 1)
        heard: list[object] = []
        while not any("last" in str(value) for value in heard):
            heard += await house.until("heard")
        assert set(house("take", "errors")) <= {"ERR_OBJECTBUFFER_BAD_BUFFER_DATA"}


async def test_case_44_all_of_them_at_the_command(tmp_path: Path) -> None:
    server = Listening(tmp_path)
    try:
        await server.settle()
        # Whoever started it wants to see what comes: it complains of each line.
        async with attack(server, lines=len(LINES)), connect(server.port) as raw:
            for line in LINES:
                await raw.send(line.values[0] + b"\n")
            await raw.send(LAST)
            while b'"data":"last"' not in await raw.read_until(b"\n"):
                pass
    finally:
        server.process.terminate()
        server.end()


async def test_case_44_a_line_without_an_end(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.sockhop(max_line=1 << 20)
    async with attack(house), connect(port) as raw:
        try:
            await raw.send(b"x" * (20 << 20))
            assert await raw.read_all() == b""
        except ConnectionError:
            pass
        assert len(await house.until("errors")) == 1


async def test_case_45_half_a_line_ends_with_its_connection(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house):
        async with connect(house.sockhop()) as raw:
            await raw.send(b'{"type":"Str')
            raw.finish()
            assert await raw.read_all() == b""
        async with connect(house.sockhop()) as raw:
            await raw.send(b'{"type":"String","data":"first"}\n')
            assert await house.until("heard") == ["first"]


async def test_case_45_our_client_gets_half_a_line() -> None:
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda reader, writer: accepted.put_nowait(writer), "127.0.0.1", 0)
    client = SockhopClient(port=server.sockets[0].getsockname()[1], auto_reconnect_interval=0.01)
    told = Told(client)
    await client.start()
    first = await accepted.get()
    first.write(b'{"type":"Str')
    first.close()
    await told.args("disconnect")
    second = await accepted.get()
    second.write(b'{"type":"String","data":"first"}\n')
    assert await told.first("receive") == "first"
    assert told.none("receive")
    assert told.none("error")
    await client.disconnect()
    second.close()
    server.close()


async def test_case_46_our_client_asks_and_is_reset(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), proxy_to(house.sockhop()) as proxy:
        house("keep_silent", True)
        async with SockhopClient(port=proxy.port) as client:
            # Far beyond the deadline of this test: it is the reset that ends it.
            answer = client.request("anybody?", timeout=3600)
            assert await house.until("heard") == ["anybody?"]
            proxy.reset()
            with pytest.raises(SockhopError, match="stopped"):
                await answer.next()


async def test_case_46_a_client_is_asked_and_resets(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.sockhop(response_timeout=3600)
    async with attack(house), connect(port) as raw:
        await until(lambda: house("report")["links"] == 1)
        house.begin("ask_sockhop", port)
        assert b"SockhopRequest" in await raw.read_until(b"\n")
        raw.reset()
        assert await asyncio.to_thread(house._answer) == ["SockhopError"]
