"""The examples in JavaScript, and the programs of the guide, do what they say: driven by curl and by a
plain socket, as ``nc`` is."""

from __future__ import annotations

import asyncio
import hashlib
import re
import signal
import socket
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import LOOPS
from tests.js.running import ENVIRONMENT, EVERYWHERE, Where, command
from tests.raw import connect

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "javascript"
GUIDE = {
    name: text
    for text, name in re.findall(
        r"```js\n(// (\w+\.js).*?)```", (ROOT / "docs/javascript.md").read_text(encoding="utf-8"), re.DOTALL
    )
}

# An async test runs on each loop, and what it starts on the same one; the others take one loop.
once = pytest.mark.parametrize("where", EVERYWHERE[:: len(LOOPS)])


@asynccontextmanager
async def running(where: Where, script: Path, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command(where, script, *arguments), stdout=PIPE, stderr=PIPE, env=ENVIRONMENT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def ended(where: Where, script: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command(where, script, *arguments), capture_output=True, text=True, timeout=50, env=ENVIRONMENT
    )
    return done.returncode, done.stdout, done.stderr


async def port_of(process: Process) -> int:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    (port,) = re.findall(r"(\d+)\D*$", line)
    return int(port)


async def curl(*arguments: str, stdin: bytes | None = None) -> bytes:
    process = await asyncio.create_subprocess_exec("curl", "-sS", *arguments, stdin=PIPE, stdout=PIPE)
    out, _ = await process.communicate(stdin)
    assert process.returncode == 0
    return out


async def stop(process: Process) -> None:
    process.send_signal(signal.SIGINT)
    _, error = await process.communicate()
    assert (process.returncode, error) == (130, b"")


@once
async def test_a_server_that_takes_its_time(where: Where, loop_name: str) -> None:
    where = (where[0], loop_name)
    async with running(where, EXAMPLES / "hello.js", "0", "0.05") as server:
        url = f"http://127.0.0.1:{await port_of(server)}/"
        answers = await asyncio.gather(*(curl(url) for _ in range(4)))
        assert answers == [b"Hello World"] * 4
        head = (await curl("-i", "--http1.0", url)).decode()
        assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
        await stop(server)


@once
async def test_a_proxy_that_streams(where: Where, loop_name: str, tmp_path: Path) -> None:
    where = (where[0], loop_name)
    backend_script = tmp_path / "backend.js"
    backend_script.write_text(
        """
        var server = node.http.createServer(function (request, response) {
            response.sendHeader(request.uri.path === "/teapot" ? 418 : 200, [["X-Method", request.method]]);
            request.addListener("body", function (chunk) { response.sendBody(chunk); });
            request.addListener("complete", function () { response.finish(); });
        });
        server.addListener("listening", function () { puts("at " + server.port); });
        server.listen(0, "127.0.0.1");
        """
    )
    async with running(where, backend_script) as backend:
        port = await port_of(backend)
        async with running(where, EXAMPLES / "proxy.js", str(port), "0") as proxy:
            url = f"http://127.0.0.1:{await port_of(proxy)}"
            sent = bytes(range(256)) * 4000
            (tmp_path / "sent").write_bytes(sent)
            got = await curl("--data-binary", f"@{tmp_path}/sent", f"{url}/up?x=1")
            assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()
            head = (await curl("-i", f"{url}/teapot")).decode()
            assert head.startswith("HTTP/1.1 418 ")
            assert "X-Method: GET\r\n" in head
            assert (await curl("-I", f"{url}/")).startswith(b"HTTP/1.1 200 ")
            assert (await curl("-i", "-X", "PATCH", f"{url}/")).startswith(b"HTTP/1.1 405 ")
            await stop(backend)
            assert b"502" in (await curl("-i", f"{url}/")).split(b"\r\n")[0]
            await stop(proxy)


@once
async def test_an_echo_server(where: Where, loop_name: str) -> None:
    where = (where[0], loop_name)
    async with running(where, EXAMPLES / "echo.js", "0") as server:
        async with connect(await port_of(server)) as raw:
            assert await raw.read(7) == b"hello\r\n"
            await raw.send("blåbær 😀".encode())
            assert await raw.read(13) == "blåbær 😀".encode()
            raw.finish()
            assert await raw.read_all() == b"goodbye\r\n"
        await stop(server)


@once
def test_modules(where: Where) -> None:
    area = "The area of a circle of radius 4 is 50.24\n"
    assert ended(where, EXAMPLES / "foo.js") == (0, area, "circle.js: done\nfoo.js: done\n")
    assert ended(where, EXAMPLES / "included.js") == (0, area, "circle.js: done\n")


@once
def test_a_child(where: Where) -> None:
    assert ended(where, EXAMPLES / "ls.js", "echo out; echo no >&2; exit 3") == (
        0, "out\nexit code 3\n", "no\n",
    )  # fmt: skip
    assert ended(where, EXAMPLES / "ls.js")[1].endswith("exit code 0\n")


@once
def test_files(where: Where, tmp_path: Path) -> None:
    said = "read: hello world\nsize: 11\nsuccessfully deleted\n"
    assert ended(where, EXAMPLES / "files.js", str(tmp_path)) == (0, said, "")
    assert list(tmp_path.iterdir()) == []


def test_every_program_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {
        "circle.js", "echo.js", "files.js", "foo.js", "hello.js", "included.js", "ls.js", "proxy.js",
    }  # fmt: skip
    assert set(GUIDE) == {"example.js", "upload.js", "ask.js", "wait.js"}


@once
async def test_the_programs_of_the_guide(where: Where, loop_name: str, tmp_path: Path) -> None:
    where = (where[0], loop_name)

    def script(name: str, port: int) -> Path:
        path = tmp_path / name
        path.write_text(GUIDE[name].replace("8000", str(port)), encoding="utf-8")
        return path

    port = free_port()
    async with running(where, script("example.js", port)) as server:
        assert await port_of(server) == port
        assert await curl(f"http://127.0.0.1:{port}/") == b"Hello World"
        await stop(server)
    async with running(where, script("upload.js", port)) as server:
        assert await port_of(server) == port
        assert await curl("--data-binary", "x" * 1000, f"http://127.0.0.1:{port}/") == b"1000 bytes\n"
        code, out, error = await asyncio.to_thread(ended, where, script("ask.js", port))
        assert (code, out, error) == (0, "200\n5 bytes\n", "")
        await stop(server)
    code, out, error = await asyncio.to_thread(ended, where, script("wait.js", port))
    assert (code, error) == (0, "")
    assert re.fullmatch(r"\d+ bytes\nno such file: ENOENT\n", out)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
