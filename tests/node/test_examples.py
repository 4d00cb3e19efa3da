"""The examples of storey 1 do what they say."""

from __future__ import annotations

from pathlib import Path

from tests.node.serving import get
from tests.programs import ROOT, WIREHOP, output, port_of, running, stop
from tests.raw import connect


def example(name: str, *arguments: str | Path | int) -> tuple[str | Path | int, ...]:
    return *WIREHOP, "run", ROOT / "examples" / "node" / name, *arguments


async def test_hello_and_the_client() -> None:
    async with running(*example("hello.py", 0, "0.01")) as server:
        port = await port_of(server)
        async with connect(port) as raw:
            assert (await raw.ask(get("/"))).body == b"Hello World"
        lines = (await output(*example("client.py", "127.0.0.1", port))).decode().splitlines()
        assert lines[0] == "STATUS: 200"
        assert lines[1].startswith('HEADERS: [["Content-Type","text/plain"]')
        assert lines[2:] == ["BODY: Hello World"]
        await stop(server, 130)


async def test_echo() -> None:
    async with running(*example("echo.py", 0)) as server:
        async with connect(await port_of(server)) as raw:
            assert await raw.read(7) == b"hello\r\n"
            await raw.send("blåbær".encode())
            assert await raw.read(8) == "blåbær".encode()
            raw.finish()
            assert await raw.read_all() == b"goodbye\r\n"
        await stop(server, 130)


async def test_modules() -> None:
    for name in ("foo.py", "included.py"):
        assert await output(*example(name)) == b"The area of a circle of radius 4 is 50.24\n"


async def test_a_child() -> None:
    assert await output(*example("ls.py", "echo here; exit 3")) == b"here\nexit code 3\n"
    assert (await output(*example("ls.py"))).endswith(b"exit code 0\n")


async def test_files(tmp_path: Path) -> None:
    lines = (await output(*example("files.py", tmp_path))).decode().splitlines()
    assert sorted(lines) == [
        "read: hello world",
        "size: 11",
        "successfully deleted 'hello world': True",
    ]
    assert list(tmp_path.iterdir()) == []


async def test_on_exit() -> None:
    assert await output(*example("exit_check.py")) == b""
