from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from typing import Any

import pytest
import trustme

from tests.node.answering import Peer, always, answering, elsewhere
from tests.node.serving import serve
from tests.raw import until
from wirehop.errors import ConnectionClosed, PayloadTooLarge, ProtocolError, RemoteError
from wirehop.node import alive, http
from wirehop.node.promise import Promise


def content(request: http.ServerRequest, response: http.ServerResponse) -> None:
    response.respond(200, [], f"{request.url} é".encode())


async def test_text_or_bytes() -> None:
    async with serve(content) as server:
        url = f"http://127.0.0.1:{server.port}"
        promise = http.cat(f"{url}/a/b?c=d&e#f")
        assert isinstance(promise, Promise)
        assert await promise == "/a/b?c=d&e é"
        assert await http.cat(f"HTTP://127.0.0.1:{server.port}", "RAW") == "/ é".encode()
        assert await http.cat(f"{url}?a", "ascii") == "/?a \ufffd\ufffd"
        # It closes its connection, so that a script can end.
        await until(lambda: not server.connections)


async def test_callbacks() -> None:
    async with serve(content) as server:
        seen: list[Any] = []
        promise = http.cat(f"http://localhost:{server.port}/")
        promise.add_callback(seen.append).add_errback(lambda error: pytest.fail(str(error)))
        await promise
        assert seen == ["/ é"]


async def test_what_it_asks() -> None:
    async def looks(peer: Peer) -> None:
        request = await peer.answer()
        host = f"127.0.0.1:{answers.port}"
        assert (request.method, request.path) == ("GET", "/x")
        assert request.headers == [("Host", host), ("Connection", "close")]
        assert await peer.is_closed()

    async with answering(looks) as answers:
        assert await http.cat(f"http://127.0.0.1:{answers.port}/x") == "ok"


async def test_an_ipv6_literal() -> None:
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    async with serve(content, host="::1") as server:
        assert await http.cat(f"http://[::1]:{server.port}/x") == "/x é"


async def test_https() -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    async with serve(content, tls=server_tls) as server:
        url = f"https://localhost:{server.port}/x"
        assert await http.cat(url, ssl_context=client_tls) == "/x é"
        # The system does not trust an authority that was made for a test.
        with pytest.raises(ssl.SSLCertVerificationError):
            await http.cat(url)
        with pytest.raises(ConnectionClosed):
            await http.cat(f"http://localhost:{server.port}/")


@pytest.mark.parametrize(
    ("status", "text"), [(301, "301 Moved Permanently"), (404, "404 Not Found"), (599, "599")]
)
async def test_another_status_is_an_error(status: int, text: str) -> None:
    def listener(request: http.ServerRequest, response: http.ServerResponse) -> None:
        response.respond(status, [("Location", "/elsewhere")], b"x" * 1_000_000)

    async with serve(listener) as server:
        url = f"http://127.0.0.1:{server.port}/"
        with pytest.raises(RemoteError, match=f"{url}: {text}$") as raised:
            await http.cat(url)
        assert raised.value.code == status


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_every_success_is_one(status: int) -> None:
    async with serve(lambda request, response: response.respond(status)) as server:
        assert await http.cat(f"http://127.0.0.1:{server.port}/") == ""


async def test_the_size_is_limited() -> None:
    async with serve(content) as server:
        url = f"http://127.0.0.1:{server.port}/"
        size = len("/ é".encode())
        assert await http.cat(url, limit=size) == "/ é"
        with pytest.raises(PayloadTooLarge, match=f"more than {size - 1} bytes"):
            await http.cat(url, limit=size - 1)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", ConnectionClosed),
        (b"nonsense\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ConnectionClosed),
    ],
)
async def test_what_goes_wrong_fails_the_promise(response: bytes, error: type[Exception]) -> None:
    async def script(peer: Peer) -> None:
        await peer.answer(response)

    async with answering(script) as answers:
        failed: list[Exception] = []
        promise = http.cat(f"http://127.0.0.1:{answers.port}/")
        promise.add_errback(failed.append)
        with pytest.raises(error):
            await promise
        assert [type(one) for one in failed] == [error]


async def test_a_server_that_says_nothing() -> None:
    async def silent(peer: Peer) -> None:
        await peer.gone()

    async with answering(silent) as answers:
        with pytest.raises(TimeoutError):
            await http.cat(f"http://127.0.0.1:{answers.port}/", timeout=0.02)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/path",
        "localhost/",
        "localhost:80/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "http:",
        "http://",
        "http:///path",
        "http://:80/",
        "http://localhost:x/",
        "http://localhost:65536/",
        "http://localhost:-1/",
        "http://local host/",
        "http://localhost/a b",
        "http://localhost/\r\nX: y",
        "http://localhost/é",
        "http://[::1/",
        "http://[::1]x/",
        "http://ryan:secret@localhost/",
        "http://ryan@localhost/",
        "http://@localhost/",
    ],
)
async def test_urls_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(ValueError):
        http.cat(url)


async def test_options_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="no encoding"):
        http.cat("http://localhost/", "latin-1")
    with pytest.raises(ValueError, match="https only"):
        http.cat("http://localhost/", ssl_context=ssl.create_default_context())


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://h", 80), ("https://h", 443), ("http://h:", 80), ("https://h:80/x", 80), ("http://h:0443", 443)],
)
async def test_the_port(url: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    class Stopped(Exception):
        pass

    def create_client(port: int, host: str, **options: Any) -> Any:
        asked.append((port, host))
        raise Stopped

    monkeypatch.setattr(sys.modules["wirehop.node.http.cat"], "create_client", create_client)
    with pytest.raises(Stopped):
        http.cat(url)
    assert asked == [(port, "h")]


async def test_it_keeps_its_program_until_it_is_there() -> None:
    with elsewhere(content) as port:
        seen: list[str] = []
        http.cat(f"http://127.0.0.1:{port}/").add_callback(seen.append)
        await alive.wait_until_idle()
        assert seen == ["/ é"]


async def test_many_at_once() -> None:
    async with answering(*[always()] * 20) as answers:
        url = f"http://127.0.0.1:{answers.port}/"
        assert await asyncio.gather(*[http.cat(url) for _ in range(20)]) == ["ok"] * 20
