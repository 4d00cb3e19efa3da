"""The guides say what is true: their programs run as they stand there, and every option is there."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from dataclasses import fields
from pathlib import Path

from tests.node.serving import get, post
from tests.raw import connect
from wirehop import AnySocket
from wirehop.anysocket.options import ConnectOptions, ListenOptions

ROOT = Path(__file__).parent.parent


def programs(guide: str) -> dict[str, str]:
    """The programs of a guide, by their names."""
    return {name: text for text, name in re.findall(r"```python\n(# (\w+\.py).*?)```", guide, re.S)}


NODE = programs((ROOT / "docs/node.md").read_text())
ANYSOCKET_GUIDE = (ROOT / "docs/anysocket.md").read_text()
ANYSOCKET = programs(ANYSOCKET_GUIDE)


async def start(name: str, folder: Path, port: int) -> asyncio.subprocess.Process:
    """Start one of the programs of storey 3, on a port that is free here."""
    path = folder / name
    path.write_text(ANYSOCKET[name].replace("3000", str(port)))
    return await asyncio.create_subprocess_exec(sys.executable, path, cwd=folder, stdout=PIPE, stderr=PIPE)


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.communicate()


async def run(name: str, folder: Path, port: int, program: str = "") -> asyncio.subprocess.Process:
    """Start one of the guide's programs, on a port that is free here."""
    path = folder / name
    path.write_text((program or NODE[name]).replace("8000", str(port)))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wirehop.cli", "run", path, stdout=PIPE, stderr=PIPE
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


async def listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            await writer.wait_closed()
            return


async def end(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGINT)
    _, error = await process.communicate()
    assert (process.returncode, error) == (130, b"")


def test_every_program_is_run_here() -> None:
    assert set(NODE) == {"hello.py", "foo.py", "upload.py", "ask.py"}
    assert set(ANYSOCKET) == {"server.py", "client.py", "stay.py", "site.py"}


async def test_hello(tmp_path: Path) -> None:
    port = free_port()
    process = await run("hello.py", tmp_path, port)
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode() == f"Server running at http://127.0.0.1:{port}/\n"
    await listens(port)
    async with connect(port) as raw:
        assert (await raw.ask(get())).body == b"Hello World"
    await end(process)


async def test_the_hello_of_the_readme(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(# hello\.py.*?)```", (ROOT / "README.md").read_text(), re.S)
    port = free_port()
    process = await run("hello.py", tmp_path, port, program)
    await listens(port)
    async with connect(port) as raw:
        assert (await raw.ask(get())).body == b"Hello World"
    await end(process)


async def test_foo(tmp_path: Path) -> None:
    circle = ROOT / "examples" / "node" / "circle.py"
    (tmp_path / "circle.py").write_text(circle.read_text())
    process = await run("foo.py", tmp_path, 1)
    assert await process.communicate() == (b"The area of a circle of radius 4 is 50.24\n", b"")


async def test_upload_and_ask(tmp_path: Path) -> None:
    port = free_port()
    server = await run("upload.py", tmp_path, port)
    await listens(port)
    async with connect(port) as raw:
        assert (await raw.ask(post("/", b"x" * 100_000))).body == b"100000 bytes\n"
    client = await run("ask.py", tmp_path, port)
    assert await client.communicate() == (b"0 bytes\n", b"")
    await end(server)


async def test_a_server_and_a_client(tmp_path: Path) -> None:
    port = free_port()
    server = await start("server.py", tmp_path, port)
    try:
        assert server.stdout is not None
        assert (await server.stdout.readline()).decode() == f"listening on {port}\n"
        async with connect(port) as raw:
            assert (await raw.ask(get())).body == b"peers come in here too\n"
        client = await start("client.py", tmp_path, port)
        assert await client.communicate() == (b"{'you said': {'ping': 1}} 3\n", b"")
    finally:
        await kill(server)


async def test_a_client_that_stays(tmp_path: Path) -> None:
    port = free_port()
    client = await start("stay.py", tmp_path, port)
    try:
        assert client.stdout is not None
        for _ in range(2):
            async with AnySocket() as server:
                await server.listen("ws", ip="127.0.0.1", port=port)
                assert await client.stdout.readline() == f"connected to {server.id}\n".encode()
    finally:
        await kill(client)


async def test_a_site(tmp_path: Path) -> None:
    port = free_port()
    site = await start("site.py", tmp_path, port)
    try:
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
    finally:
        await kill(site)


def test_every_option_is_in_the_guide() -> None:
    limits = ANYSOCKET_GUIDE.split("## Limits")[1].split("\n## ")[0]
    tls = {"cert", "key", "ca", "ssl_context", "wss_first"}
    options = {field.name for of in (ListenOptions, ConnectOptions) for field in fields(of)}
    assert set(re.findall(r"`(\w+)`", limits)) - {"listen", "connect"} == options - tls
    assert all(re.search(rf"\b{name}=", ANYSOCKET_GUIDE) for name in tls)
