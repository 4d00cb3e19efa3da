"""The examples of storey 3 do what they say."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from tests.programs import ROOT, curl, line, output, running, stop

EXAMPLES = ROOT / "examples" / "anysocket"


async def lines(name: str, *arguments: Path) -> list[str]:
    """What an example prints."""
    return (await output(sys.executable, EXAMPLES / name, *arguments)).decode().splitlines()


@asynccontextmanager
async def serving(name: str, *arguments: Path | int) -> AsyncIterator[str]:
    """A server, by the URL that it prints; at the end it is interrupted."""
    async with running(sys.executable, EXAMPLES / name, *arguments) as process:
        yield (await line(process)).rstrip("/")
        await stop(process, 0)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The paths of a certificate, its key and its authority."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key, ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(str(cert))
    leaf.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca))
    return cert, key, ca


async def test_reply() -> None:
    assert await lines("reply.py") == [
        "server says: welcome",
        "reply: {'you said': {'hello': 'world'}}",
        "server says: anybody?",
        "no reply, and the peer stays: 1",
    ]


async def test_rpc() -> None:
    assert await lines("rpc.py") == [
        "3",
        "HELLO, Ada!",
        "400 not by zero {'a': 1}",
        "404 Method not found! method: 'math,subtract'",
        "500 'NoneType' object has no attribute 'upper'",
    ]


async def test_auth() -> None:
    assert await lines("auth.py") == ["connected: True", "refused: Remote Connection Closed"]


async def test_binary() -> None:
    assert await lines("binary.py") == ["b'\\xff\\x01\\x00'", "{'name': 'zeros', 'bytes': 3000000}"]


async def test_e2e() -> None:
    assert await lines("e2e.py") == [
        "security: plain",
        "the server has an encrypted link",
        "security: legacy",
        "{'got': 'a secret'}",
        "same fingerprint: True",
    ]


async def test_proxy() -> None:
    assert await lines("proxy.py") == [
        "{'bob got': 'for Bob alone'} Hello Ann!",
        "through a relay: True - encrypted: True",
        "the relay stopped: Proxy Connection Closed",
    ]


async def test_time_sync() -> None:
    there, trip, again = await lines("time_sync.py")
    assert re.fullmatch(r"there it is \d\d:\d\d:\d\d", there)
    assert re.fullmatch(r"round trip \d+ ms, ahead of us by -?\d+ ms", trip)
    assert again == "measured again: True"


async def test_heartbeats() -> None:
    assert await lines("heartbeats.py") == [
        *["alive, and answers within a second: True"] * 3,
        "lost: Remote Connection Closed",
    ]


async def test_http_server(tmp_path: Path) -> None:
    jar = tmp_path / "jar"
    async with serving("http_server.py", 0) as url:
        cookies = ("-b", jar, "-c", jar)
        for text in (b"visit 1\n", b"visit 2\n"):
            assert await curl(*cookies, f"{url}/") == text
        assert await curl(*cookies, f"{url}/forget") == b"forgotten\n"
        assert await curl(*cookies, f"{url}/") == b"visit 1\n"
        assert await curl("-X", "PATCH", f"{url}/greet/Ada?from=Bob") == b"patch Ada Bob\n"
        assert await curl(f"{url}/count") == b"0\n1\n2\n"
        assert await curl("-d", "x" * 1000, f"{url}/upload") == b"1000 bytes\n"
        assert await curl(f"{url}/nowhere") == b"No route for path: '/nowhere'\n"


async def test_https_server(tls: tuple[Path, Path, Path]) -> None:
    cert, key, ca = tls
    async with serving("https_server.py", cert, key, 0) as url:
        assert await curl("--cacert", ca, f"{url}/") == b"hello, encrypted\n"


async def test_static_files() -> None:
    async with serving("static_files.py", ROOT, 0) as url:
        here = Path(__file__)
        assert await curl(f"{url}/{here.relative_to(ROOT)}") == here.read_bytes()
        assert (
            await curl(f"{url.removesuffix('/files')}/source") == (EXAMPLES / "static_files.py").read_bytes()
        )


async def test_refused_upgrade() -> None:
    refused, connected = await lines("refused_upgrade.py")
    assert refused.startswith("refused: Unexpected server response: ")
    assert "401" in refused
    assert connected == "connected"


async def test_wss(tls: tuple[Path, Path, Path]) -> None:
    assert await lines("wss.py", *tls) == ["stressed", "a certificate that nobody vouches for is refused"]
