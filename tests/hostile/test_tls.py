"""Cases 47 and 48, against servers in processes of their own: encrypted, or nothing."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.anysocket.test_tls import Certificates, old
from tests.faults import proxy_to
from tests.hostile.running import House, Running, attack, case
from tests.raw import connect
from wirehop import AnySocket, SockhopClient

HELLO = bytes.fromhex("1603010200010001fc0303")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def ports(house: House, cert: Path, key: Path) -> tuple[int, int]:
    """Of an anysocket and of a Sockhop server with this certificate."""
    files = {"cert": str(cert), "key": str(key)}
    return house.listen("wss", **files), house.sockhop(**files)


@pytest.mark.parametrize(
    ("which", "trusts"),
    [
        case(47, "self-signed", "strange", True),
        case(47, "expired", "expired", True),
        case(47, "of another host", "other", True),
        case(47, "of an authority that nobody knows", "good", False),
    ],
)
async def test_certificates_that_are_not_good(
    which: str, trusts: bool, tls: Certificates, running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    of = {
        "good": (tls.cert, tls.key),
        "strange": (tls.strange_cert, tls.strange_key),
        "expired": (tls.expired_cert, tls.expired_key),
        "other": (tls.other_cert, tls.other_key),
    }
    any_port, sockhop_port = ports(house, *of[which])
    trust: dict[str, Any] = {"ca": tls.ca} if trusts else {}
    async with attack(house):
        async with proxy_to(any_port, records=True) as tap, AnySocket() as client:
            with pytest.raises(ssl.SSLError):
                await client.connect("wss", "127.0.0.1", tap.port, **trust)
            assert [pair.up.passed[:1] for pair in tap.pairs] == [b"\x16"]
        async with proxy_to(sockhop_port, records=True) as tap:
            sockhop = SockhopClient(port=tap.port, ssl=True, **trust)
            connecting = sockhop.connect()
            sockhop.send("SECRET")
            with pytest.raises(ssl.SSLError):
                await connecting
            assert [pair.up.passed[:1] for pair in tap.pairs] == [b"\x16"]
            assert b"SECRET" not in tap.pairs[0].up.passed
        assert house("take", "heard") == []


@pytest.mark.parametrize(
    "options",
    [
        case(47, "ssl only", {"ssl": True}),
        case(47, "one option of Node's", {"ssl_options": {"ciphers": "HIGH"}}),
        case(47, "ca only", {"ca": "ca"}),
    ],
)
async def test_one_option_means_tls(
    options: dict[str, Any], tls: Certificates, running: Running, loop_name: str
) -> None:
    """Against a server without it: refused, and nothing in plaintext."""
    house = await running.house(loop_name)
    if "ca" in options:
        options = {"ca": tls.ca}
    async with attack(house), proxy_to(house.sockhop(), records=True) as tap:
        client = SockhopClient(port=tap.port, connect_timeout=0.3, **options)
        connecting = client.connect()
        client.send("SECRET")
        with pytest.raises(OSError):
            await connecting
        assert tap.pairs[0].up.passed[:1] == b"\x16"
        assert b"SECRET" not in tap.pairs[0].up.passed


async def test_case_47_a_certificate_that_is_missing(
    tls: Certificates, running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    async with attack(house):
        for scheme, options in (
            ("wss", {}),
            ("wss", {"cert": "/nonexistent"}),
            ("wss", {"cert": str(tls.empty)}),
            ("wss", {"key": str(tls.key)}),
            ("ws", {"cert": str(tls.cert), "key": str(tls.key)}),
        ):
            with pytest.raises(AssertionError, match="error"):
                house("listen", scheme, options)
        for options in ({"cert": "/nonexistent"}, {"key": str(tls.key)}):
            with pytest.raises(AssertionError, match="error"):
                house("sockhop", options)


async def test_case_47_tls_1_0(tls: Certificates, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house):
        for port in ports(house, tls.cert, tls.key):
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                async with connect(port, tls=old(tls.trusting())):
                    pass


@pytest.mark.parametrize(
    "said",
    [
        case(48, "silence", b""),
        case(48, "a byte", b"\x16"),
        case(48, "half a ClientHello", HELLO),
        case(48, "plaintext", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ],
)
async def test_who_never_shakes_hands(
    said: bytes, tls: Certificates, running: Running, loop_name: str
) -> None:
    house = await running.house(loop_name)
    async with attack(house):
        for port in ports(house, tls.cert, tls.key):
            async with connect(port) as raw:
                await raw.send(said)
                await house.serves()
                try:
                    assert b"HTTP" not in await raw.read_all()
                except ConnectionResetError:
                    pass
        async with AnySocket() as client:
            peer = await client.connect("wss", "127.0.0.1", ports(house, tls.cert, tls.key)[0], ca=tls.ca)
            assert await peer.send("served?", await_reply=True) is not None
        await asyncio.sleep(0)
