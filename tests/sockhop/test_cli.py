"""``wirehop sockhop``, as a person starts it."""

from __future__ import annotations

import asyncio
import re
import signal
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from tests.programs import WIREHOP, ended, line, output, running
from tests.sockhop.linking import Told
from wirehop import SockhopClient, SockhopServer
from wirehop.cli import main

SOCKHOP = (*WIREHOP, "sockhop")


def type_in(process: Process, text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())


async def test_listen(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with running(*SOCKHOP, "listen", "--path", path, stdin=PIPE) as process:
        assert (await line(process)).startswith(f"listening at {path};")
        async with SockhopClient(path=path) as client:
            told = Told(client)
            assert await line(process) == "+ a client connected, 1 here"
            called: asyncio.Queue[Any] = asyncio.Queue()
            await client.send({"a": 1}, called.put_nowait)
            assert await line(process) == 'Object {"a":1}'
            assert await called.get() == {"a": 1}
            assert (await client.request("x").next()).data == "x"
            assert await line(process) == 'request String "x"'
            type_in(process, '{"b": 2}\nplain text\n\nnull\n')
            assert [await told.first("receive") for _ in range(3)] == [{"b": 2}, "plain text", "null"]
            await client._link.send(b"no json\n")  # type: ignore[union-attr]
            assert await line(process) == 'String "no json"'
        assert await line(process) == "- a client left, 0 here"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_connect() -> None:
    async with SockhopServer(port=0) as server:
        told = Told(server)
        async with running(*SOCKHOP, "connect", "--port", server.port, stdin=PIPE) as process:
            _, session = await told.args("connect")
            session.send([1])
            assert await line(process) == "Array [1]"
            type_in(process, "5\nhello\n")
            assert [await told.first("receive") for _ in range(2)] == [5, "hello"]
            assert process.stdin is not None
            process.stdin.close()
            assert await process.wait() == 0
            await told.args("disconnect")


async def test_requests() -> None:
    async with SockhopServer(port=0) as server:
        server.on("request", lambda req, res, meta: [res.write(req.data), res.end()])
        said = await output(*SOCKHOP, "connect", "--port", server.port, "--request", stdin=b"5\n")
        assert said == b"answer Number 5\nanswer Object {}\n"


async def test_json_lines_and_a_server_that_leaves() -> None:
    async with SockhopServer(port=0, peer_type="json", allow_non_objects=True) as server:
        told = Told(server)
        async with running(*SOCKHOP, "connect", "--port", server.port, "--json", stdin=PIPE) as process:
            type_in(process, "{}\n")
            assert await told.first("receive") == {}
            await server.disconnect()
            assert await process.wait() == 0


async def test_controls_are_escaped() -> None:
    async with SockhopServer(port=0) as server:
        told = Told(server)
        async with running(*SOCKHOP, "connect", "--port", server.port, stdin=PIPE) as process:
            sock, _ = await told.args("connect")
            await sock.send(b'{"type":"\\u001b[2J","data":"\\u009b"}\n')
            assert await line(process) == r'\u001b[2J "\u009b"'


async def test_nobody_listens(tmp_path: Path) -> None:
    status, _, error = await ended(*SOCKHOP, "connect", "--path", tmp_path / "nobody")
    assert status == 1
    assert re.fullmatch(rb"wirehop: .*\n", error)


@pytest.mark.parametrize("arguments", [[], ["talk"], ["listen", "--port", "x"], ["listen", "--request"]])
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sockhop", *arguments])
    assert ended.value.code == 2
    assert "usage: wirehop" in capsys.readouterr().err
