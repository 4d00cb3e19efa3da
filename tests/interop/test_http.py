"""Our HTTP client against the HTTP server of Node."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.interop.npm import NODE, end
from tests.interop.routes import through
from tests.raw import until
from wirehop.errors import ConnectionClosed, RemoteError
from wirehop.node import http
from wirehop.node.http import Client, ClientRequest, ClientResponse


@asynccontextmanager
async def node(keep_alive_ms: int = 5000) -> AsyncIterator[int]:
    """A server in a Node process of its own; its port."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    process = await asyncio.create_subprocess_exec(
        "node",
        "http_server.js",
        str(keep_alive_ms),
        cwd=NODE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield await through(int(await process.stdout.readline()))
    finally:
        await end(process)
        process._transport.close()  # type: ignore[attr-defined]


@asynccontextmanager
async def asking(**options: Any) -> AsyncIterator[Client]:
    async with node(**options) as port, http.create_client(port) as client:
        yield client


async def text(request: ClientRequest) -> str:
    return (await (await request.finish()).read()).decode()


async def connections(client: Client) -> int:
    """How many connections the server has seen."""
    return int(await text(client.get("/connections")))


async def test_one_connection_for_everything() -> None:
    async with asking() as client:
        assert await text(client.get("/length")) == "hello"
        assert await text(client.get("/pieces")) == "one two three"
        assert await text(client.get("/trailers")) == "body"
        for method in ("GET", "POST", "HEAD"):
            for status in (204, 304):
                response = await client.request(method, f"/{status}").finish()
                assert (response.status_code, await response.read()) == (status, b"")
        for path in ("/length", "/pieces", "/big?size=1000000", "/big?size=1000000&length"):
            response = await client.head(path).finish()
            assert (response.status_code, await response.read()) == (200, b"")
        assert (await client.get("/missing").finish()).status_code == 404
        assert await connections(client) == 1


async def test_many_in_order() -> None:
    async with asking() as client:
        requests = []
        for number in range(100):
            request = client.post("/echo")
            request.send_body(str(number))
            requests.append(request.finish())
        answers = [await (await request).read() for request in requests]
        assert answers == [b"%d" % number for number in range(100)]
        assert await connections(client) == 1


async def test_headers_both_ways() -> None:
    async with asking() as client:
        response = await client.get("/headers", [("X-A", "1"), ("x-a", "2"), ("X-Latin", "\xe9")]).finish()
        assert [value for name, value in response.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
        raw = json.loads(await response.read())
        assert raw == ["Host", client.authority, "X-A", "1", "x-a", "2", "X-Latin", "\xe9"]


@pytest.mark.parametrize(
    ("method", "headers", "framing"),
    [
        ("POST", [], "chunked"),
        ("PUT", [("Content-Length", 11)], "11"),
        ("DELETE", [], "chunked"),
        ("PATCH", [("Transfer-Encoding", "chunked")], "chunked"),
    ],
)
async def test_bodies_in_every_framing(method: str, headers: list[Any], framing: str) -> None:
    async with asking() as client:
        request = client.request(method, "/echo", headers)
        for piece in ("hello", " ", "world"):
            await request.send_body(piece)
        response = await request.finish()
        assert response.header("x-framing") == framing
        assert await response.read() == b"hello world"
        assert await connections(client) == 1


@pytest.mark.parametrize(("method", "framing"), [("GET", "none"), ("POST", "0"), ("DELETE", "none")])
async def test_no_body(method: str, framing: str) -> None:
    async with asking() as client:
        response = await client.request(method, "/echo").finish()
        assert response.header("x-framing") == framing
        assert await response.read() == b""


async def test_chunks_both_ways_at_once() -> None:
    async with asking() as client:
        request = client.post("/echo")
        arrived: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()
        request.on("response", arrived.set_result)
        await request.send_body("0")
        response = await arrived
        # Each piece is answered before the next one leaves; one digit arrives whole.
        for number in range(1, 50):
            assert await anext(response) == str((number - 1) % 10).encode()
            await request.send_body(str(number % 10))
        request.finish()
        assert await response.read() == b"9"
        assert await connections(client) == 1


@pytest.mark.parametrize("headers", [[], [("Content-Length", 32 << 20)]])
async def test_a_big_body_up(headers: list[Any]) -> None:
    piece = bytes(range(256)) * 1024
    digest = hashlib.sha256()
    async with asking() as client:
        request = client.post("/digest", headers)
        for _ in range((32 << 20) // len(piece)):
            digest.update(piece)
            await request.send_body(piece)
        answer = json.loads(await text(request))
        assert answer == {"size": 32 << 20, "sha256": digest.hexdigest(), "method": "POST"}
        assert await connections(client) == 1


@pytest.mark.parametrize("framing", ["", "&length"])
async def test_a_big_body_down(framing: str) -> None:
    size = 32 << 20
    async with asking() as client:
        response = await client.get(f"/big?size={size}{framing}").finish()
        total = 0
        async for chunk in response:
            assert chunk.count(b"x") == len(chunk)
            total += len(chunk)
        assert total == size
        assert await connections(client) == 1


async def test_a_big_body_that_nobody_wants() -> None:
    async with asking() as client:
        client.get(f"/big?size={32 << 20}").finish()
        assert await connections(client) == 2


async def test_100_continue() -> None:
    async with asking() as client:
        said: list[str] = []
        request = client.post("/echo", [("Expect", "100-continue"), ("Content-Length", 4)])
        request.on("continue", lambda: said.append("continue"))
        await request.send_body("body")
        assert said == ["continue"]
        assert await text(request) == "body"
        refused = client.post("/echo", [("Expect", "100-continue"), ("X-Refuse", "1")])
        refused.send_body("body")
        response = await refused.finish()
        assert (response.status_code, await response.read()) == (417, b"no")
        assert await connections(client) == 2


async def test_early_hints() -> None:
    async with asking() as client:
        seen: list[Any] = []
        request = client.get("/hints")
        request.on("information", lambda status, headers: seen.append((status, headers)))
        assert await text(request) == "hinted"
        assert [status for status, _ in seen] == [102, 103]
        assert seen[1][1] == [("Link", "</style.css>; rel=preload; as=style")]


async def test_connections_that_the_server_ends() -> None:
    async with asking(keep_alive_ms=50) as client:
        assert await text(client.get("/close")) == "last"
        assert await text(client.get("/http10")) == "old"
        assert await connections(client) == 3
        # Node closes an idle connection; what may not be sent twice leaves by a new one.
        await until(lambda: client._connection is None)
        assert await text(client.post("/digest")) != ""
        assert await connections(client) == 4


async def test_a_response_that_is_cut_short() -> None:
    async with asking() as client:
        response = await client.get("/destroy").finish()
        with pytest.raises(ConnectionClosed):
            await response.read()
        assert await text(client.get("/length")) == "hello"


async def test_an_early_response() -> None:
    async with asking() as client:
        request = client.post("/early")
        arrived: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()
        request.on("response", arrived.set_result)
        request.send_body("first")
        response = await arrived
        assert (response.status_code, await response.read()) == (413, b"too much")
        await request.send_body("last")
        assert await request.finish() is response
        assert await text(client.get("/length")) == "hello"


async def test_cat() -> None:
    async with node() as port:
        url = f"http://localhost:{port}"
        assert await http.cat(f"{url}/pieces") == "one two three"
        assert await http.cat(f"{url}/length", "raw") == b"hello"
        assert len(await http.cat(f"{url}/big?size=5000000")) == 5_000_000
        with pytest.raises(RemoteError, match="404 Not Found"):
            await http.cat(f"{url}/missing")
