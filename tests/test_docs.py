"""The guides say what is true: their programs run as they stand there, and every option is there."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path

from tests.node.serving import get, post
from tests.programs import ROOT, WIREHOP, free_port, line, listens, output, programs, running, stop, written
from tests.raw import connect
from wirehop import AnySocket
from wirehop.anysocket.options import ConnectOptions, ListenOptions

NODE = programs(ROOT / "docs/node.md")
ANYSOCKET_GUIDE = ROOT / "docs/anysocket.md"
ANYSOCKET = programs(ANYSOCKET_GUIDE)

RUN = (*WIREHOP, "run")


def test_every_program_is_run_here() -> None:
    assert set(NODE) == {"hello.py", "foo.py", "upload.py", "ask.py"}
    assert set(ANYSOCKET) == {"server.py", "client.py", "stay.py", "site.py"}


async def test_hello(tmp_path: Path) -> None:
    port = free_port()
    async with running(*RUN, written(NODE["hello.py"], tmp_path, port)) as server:
        assert await line(server) == f"Server running at http://127.0.0.1:{port}/"
        await listens(port)
        async with connect(port) as raw:
            assert (await raw.ask(get())).body == b"Hello World"
        await stop(server, 130)


async def test_the_hello_of_the_readme(tmp_path: Path) -> None:
    port = free_port()
    hello = programs(ROOT / "README.md")["hello.py"]
    async with running(*RUN, written(hello, tmp_path, port)) as server:
        await listens(port)
        async with connect(port) as raw:
            assert (await raw.ask(get())).body == b"Hello World"
        await stop(server, 130)


async def test_foo(tmp_path: Path) -> None:
    circle = ROOT / "examples" / "node" / "circle.py"
    (tmp_path / "circle.py").write_text(circle.read_text())
    foo = written(NODE["foo.py"], tmp_path, free_port())
    assert await output(*RUN, foo) == b"The area of a circle of radius 4 is 50.24\n"


async def test_upload_and_ask(tmp_path: Path) -> None:
    port = free_port()
    async with running(*RUN, written(NODE["upload.py"], tmp_path, port)) as server:
        await listens(port)
        async with connect(port) as raw:
            assert (await raw.ask(post("/", b"x" * 100_000))).body == b"100000 bytes\n"
        assert await output(*RUN, written(NODE["ask.py"], tmp_path, port)) == b"0 bytes\n"
        await stop(server, 130)


async def test_a_server_and_a_client(tmp_path: Path) -> None:
    port = free_port()
    async with running(sys.executable, written(ANYSOCKET["server.py"], tmp_path, port)) as server:
        assert await line(server) == f"listening on {port}"
        async with connect(port) as raw:
            assert (await raw.ask(get())).body == b"peers come in here too\n"
        client = written(ANYSOCKET["client.py"], tmp_path, port)
        assert await output(sys.executable, client) == b"{'you said': {'ping': 1}} 3\n"


async def test_a_client_that_stays(tmp_path: Path) -> None:
    port = free_port()
    async with running(sys.executable, written(ANYSOCKET["stay.py"], tmp_path, port)) as client:
        for _ in range(2):
            async with AnySocket() as server:
                await server.listen("ws", ip="127.0.0.1", port=port)
                assert await line(client) == f"connected to {server.id}"


async def test_a_site(tmp_path: Path) -> None:
    port = free_port()
    async with running(sys.executable, written(ANYSOCKET["site.py"], tmp_path, port), cwd=tmp_path):
        await listens(port)
        async with connect(port) as raw:
            response = await raw.ask(get("/login?user=ada"))
            assert response.header("set-cookie") == "user=ada; Path=/; HttpOnly; SameSite=Lax"
            response = await raw.ask(get("/count", "Cookie: user=ada"))
            assert response.body == b"".join(b"%d for ada\n" % number for number in range(5))
            assert (await raw.ask(post("/upload", b"x" * 100_000))).body == b"100000 bytes\n"
            assert (await raw.ask(get("/files/site.py"))).body == (tmp_path / "site.py").read_bytes()
            upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
            assert (await raw.ask(get("/", *upgrade, key))).status == 403


def test_every_option_is_in_the_guide() -> None:
    guide = ANYSOCKET_GUIDE.read_text()
    limits = guide.split("## Limits")[1].split("\n## ")[0]
    tls = {"cert", "key", "ca", "ssl_context", "wss_first"}
    options = {field.name for of in (ListenOptions, ConnectOptions) for field in fields(of)}
    assert set(re.findall(r"`(\w+)`", limits)) - {"listen", "connect"} == options - tls
    assert all(re.search(rf"\b{name}=", guide) for name in tls)
