"""``wirehop serve``, as a person starts it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import urllib.request
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import wirehop
from tests.anysocket.stranger import connected
from tests.interop.npm import npm
from tests.programs import WIREHOP, ended, line, running, stop
from tests.raw import connect
from wirehop import AnySocket
from wirehop.cli import main

SERVE = (*WIREHOP, "serve", "--port")


@asynccontextmanager
async def hub(*arguments: str, by: signal.Signals = signal.SIGTERM) -> AsyncIterator[tuple[Process, int]]:
    """A hub in a process of its own, and its port; at the end it is stopped by that signal."""
    async with running(*SERVE, 0, *arguments) as process:
        said = await line(process)
        match = re.fullmatch(r"Wirehop hub at http://(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", said)
        assert match, said
        yield process, int(match[1])
        await stop(process, 0, by)


async def get(url: str) -> bytes:
    def read() -> bytes:
        with urllib.request.urlopen(url, timeout=20) as response:
            body: bytes = response.read()
            return body

    return await asyncio.to_thread(read)


async def test_the_hub_prints_who_connects_and_shows_it() -> None:
    async with hub() as (process, port), AnySocket() as client:
        assert b"Wirehop hub" in await get(f"http://127.0.0.1:{port}/")
        peer = await client.connect("ws", "127.0.0.1", port)
        assert await line(process) == f"+ {client.id} connected, 1 here"
        shown = json.loads(await get(f"http://127.0.0.1:{port}/peers.json"))
        assert shown["hub"] == peer.id
        assert [one["id"] for one in shown["peers"]] == [client.id]
        assert [one["id"] for one in await peer.rpc.peers()] == [client.id]
        await client.stop()
        assert await line(process) == f"- {client.id} left: Remote Connection Closed, 0 here"


async def test_the_hub_passes_messages_on_between_python_and_node() -> None:
    async with hub() as (_, port), AnySocket() as client, npm() as js:
        heard: asyncio.Queue[object] = asyncio.Queue()
        client.on("message", lambda packet: heard.put_nowait(packet.msg))
        peer = await client.connect("ws", "127.0.0.1", port)
        theirs = await js("connect", "127.0.0.1", port)
        assert await js("request", theirs, "from node") == {"delivered": 1}
        assert await heard.get() == {"from": js.id, "message": "from node"}
        reply = await peer.send("from python", await_reply=True)
        assert reply is not None
        assert reply.msg == {"delivered": 1}
        assert (await js.event("message"))["msg"] == {"from": client.id, "message": "from python"}


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_the_hub_ends_cleanly(name: signal.Signals) -> None:
    async with AnySocket() as client:
        gone = asyncio.get_running_loop().create_future()
        async with hub(by=name) as (_, port):
            peer = await client.connect("ws", "127.0.0.1", port)
            peer.on("disconnected", lambda peer, reason: gone.set_result(reason))
        assert await gone == "Remote Connection Closed"


async def test_a_port_that_is_taken_is_an_error_of_one_line() -> None:
    async with hub() as (_, port):
        status, _, error = await ended(*SERVE, port)
        assert status == 1
        assert re.fullmatch(rb"wirehop: .*\n", error)


HOSTS = [
    ("localhost", 200),
    ("LOCALHOST:1234", 200),
    ("hub.localhost", 200),
    ("127.0.0.1", 200),
    ("127.9.9.9:80", 200),
    ("[::1]:3000", 200),
    ("named.example", 200),
    ("evil.example", 421),
    ("localhost.evil.example", 421),
    ("named.example.evil.example", 421),
    ("127.0.0.1.evil.example", 421),
    ("evillocalhost", 421),
    ("10.0.0.1", 421),
    ("[::2]", 421),
    ("", 421),
]


async def test_the_hub_answers_only_to_its_own_names() -> None:
    """A page whose name was made to lead to this machine (DNS rebinding) is told nothing."""
    async with hub("--allow-host", "named.example") as (_, port):
        for host, status in HOSTS:
            for path in ("/peers.json", "/", "/@anysocket.mjs"):
                async with connect(port) as raw:
                    response = await raw.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                    assert response.status == status, host
                    assert (b"peers" in response.body or status == 421) or path == "/@anysocket.mjs"
        async with connected(port) as stranger:
            # Its origin is the name by which it asks.
            answer = await stranger.upgrade(Host="evil.example", Origin="http://evil.example")
            assert answer.startswith(b"HTTP/1.1 421 ")
        async with connected(port) as stranger:
            answer = await stranger.upgrade(Host=f"localhost:{port}", Origin=f"http://localhost:{port}")
            assert answer.startswith(b"HTTP/1.1 101 ")
        # Who says no name is no browser.
        async with connect(port) as raw:
            assert (await raw.ask(b"GET / HTTP/1.1\r\n\r\n")).status == 200


async def test_a_hub_of_the_network_answers_to_every_name_unless_told() -> None:
    for names, status in ([], 200), (["--allow-host", "hub.example"], 421):
        async with hub("--host", "0.0.0.0", *names) as (_, port), connect(port) as raw:
            assert (await raw.ask(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")).status == status


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["serve", "--port", "x"],
        ["serve", "--port", "65536"],
        ["serve", "--allow-host", "a:80"],
        ["nonsense"],
    ],
)
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: wirehop" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.splitlines()[0] == f"wirehop {wirehop.__version__}"


async def test_the_original_bundle_in_chromium(tmp_path: Path) -> None:
    """A browser drops a WebSocket whose subprotocol it did not get back."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    bundle = Path(__file__).parent / "interop/node/node_modules/anysocket/dist/anysocket.browser.js"
    page = """<script src="/bundle.js"></script><script>
        new AnySocket().connect("ws", location.hostname, location.port)
            .then(peer => peer.send("from the page"))
    </script>"""
    async with AnySocket() as server:
        heard = asyncio.get_running_loop().create_future()
        server.on("message", heard.set_result)
        server.http.get("/", lambda peer: peer.header("Content-Type", "text/html").body(page).end())
        server.http.get("/bundle.js", lambda peer: peer.body(bundle.read_bytes()).end())
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        browser = await asyncio.create_subprocess_exec(
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--remote-debugging-port=0", f"--user-data-dir={tmp_path}", f"http://127.0.0.1:{listener.port}/",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            assert (await heard).msg == "from the page"
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            await browser.wait()
            browser._transport.close()  # type: ignore[attr-defined]
