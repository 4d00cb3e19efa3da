"""The examples in JavaScript, and the programs of the guide, do what they say: driven by curl and by a
plain socket, as ``nc`` is."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

import pytest

from tests.conftest import LOOPS
from tests.js.running import EVERYWHERE, Where, command
from tests.programs import ROOT, curl, ended, free_port, output, port_of, programs, running, stop, written
from tests.raw import connect

EXAMPLES = ROOT / "examples" / "javascript"
GUIDE = programs(ROOT / "docs/javascript.md")


@pytest.fixture(params=EVERYWHERE[:: len(LOOPS)])
def where(request: pytest.FixtureRequest, loop_name: str) -> Where:
    """Each engine, on the loop that the test is on."""
    return request.param[0], loop_name


async def test_a_server_that_takes_its_time(where: Where) -> None:
    async with running(*command(where, EXAMPLES / "hello.js", "0", "0.05")) as server:
        url = f"http://127.0.0.1:{await port_of(server)}/"
        answers = await asyncio.gather(*(curl(url) for _ in range(4)))
        assert answers == [b"Hello World"] * 4
        head = (await curl("-i", "--http1.0", url)).decode()
        assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
        await stop(server, 130)


async def test_a_proxy_that_streams(where: Where, tmp_path: Path) -> None:
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
    async with running(*command(where, backend_script)) as backend:
        port = await port_of(backend)
        async with running(*command(where, EXAMPLES / "proxy.js", str(port), "0")) as proxy:
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
            await stop(backend, 130)
            assert b"502" in (await curl("-i", f"{url}/")).split(b"\r\n")[0]
            await stop(proxy, 130)


async def test_an_echo_server(where: Where) -> None:
    async with running(*command(where, EXAMPLES / "echo.js", "0")) as server:
        async with connect(await port_of(server)) as raw:
            assert await raw.read(7) == b"hello\r\n"
            await raw.send("blåbær 😀".encode())
            assert await raw.read(13) == "blåbær 😀".encode()
            raw.finish()
            assert await raw.read_all() == b"goodbye\r\n"
        await stop(server, 130)


async def test_modules(where: Where) -> None:
    area = b"The area of a circle of radius 4 is 50.24\n"
    assert await ended(*command(where, EXAMPLES / "foo.js")) == (0, area, b"circle.js: done\nfoo.js: done\n")
    assert await ended(*command(where, EXAMPLES / "included.js")) == (0, area, b"circle.js: done\n")


async def test_a_child(where: Where) -> None:
    ls = EXAMPLES / "ls.js"
    said = (0, b"out\nexit code 3\n", b"no\n")
    assert await ended(*command(where, ls, "echo out; echo no >&2; exit 3")) == said
    assert (await output(*command(where, ls))).endswith(b"exit code 0\n")


async def test_files(where: Where, tmp_path: Path) -> None:
    said = b"read: hello world\nsize: 11\nsuccessfully deleted\n"
    assert await output(*command(where, EXAMPLES / "files.js", str(tmp_path))) == said
    assert list(tmp_path.iterdir()) == []


def test_every_program_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {
        "circle.js", "echo.js", "files.js", "foo.js", "hello.js", "included.js", "ls.js", "proxy.js",
    }  # fmt: skip
    assert set(GUIDE) == {"example.js", "upload.js", "ask.js", "wait.js"}


async def test_the_programs_of_the_guide(where: Where, tmp_path: Path) -> None:
    port = free_port()

    def program(name: str) -> list[str]:
        return command(where, written(GUIDE[name], tmp_path, port))

    async with running(*program("example.js")) as server:
        assert await port_of(server) == port
        assert await curl(f"http://127.0.0.1:{port}/") == b"Hello World"
        await stop(server, 130)
    async with running(*program("upload.js")) as server:
        assert await port_of(server) == port
        assert await curl("--data-binary", "x" * 1000, f"http://127.0.0.1:{port}/") == b"1000 bytes\n"
        assert await output(*program("ask.js")) == b"200\n5 bytes\n"
        await stop(server, 130)
    assert re.fullmatch(rb"\d+ bytes\nno such file: ENOENT\n", await output(*program("wait.js")))
