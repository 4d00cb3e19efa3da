"""By which names a server may be asked: a page that has its name lead here is told nothing."""

from __future__ import annotations

import pytest

from tests.anysocket.stranger import connected
from tests.node.serving import get
from tests.raw import connect
from wirehop import AnySocket
from wirehop.anysocket.http.hosts import LOOPBACK, Hosts


@pytest.mark.parametrize(
    ("header", "is_allowed"),
    [
        ("example.org", True),
        ("EXAMPLE.org.:8080", True),
        (" example.org ", True),
        ("www.example.org", False),
        ("below.example.net", True),
        ("far.below.example.net:1", True),
        ("example.net", False),
        ("evilexample.net", False),
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("[2001:db8::5]:80", True),
        ("[2001:db9::5]", False),
        ("[", False),
        ("", False),
        (":80", False),
        ("example.org:80:80", True),
        (None, True),
    ],
)
def test_names_and_addresses(header: str | None, is_allowed: bool) -> None:
    hosts = Hosts(["Example.org.", ".example.net", "10.0.0.0/8", "2001:db8::/32"])
    assert hosts.allows(header) is is_allowed


def test_loopback() -> None:
    hosts = Hosts(LOOPBACK)
    assert all(hosts.allows(host) for host in ("localhost", "a.localhost", "127.1.2.3:1", "[::1]:1"))
    assert not any(hosts.allows(host) for host in ("localhost.example", "128.0.0.1", "127.0.0.1.example"))


@pytest.mark.parametrize("entry", ["", ".", "a:80", "http://a", "a b", "10.0.0.1/8", "a..b", "[::1]:80"])
def test_what_is_no_host(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        Hosts([entry])


async def test_requests_and_peers_under_another_name_are_refused() -> None:
    async with AnySocket() as server:
        asked: list[str] = []
        server.http.get("/", lambda peer: (asked.append(peer.url), peer.body("page").end()))
        listener = await server.listen("ws", ip="127.0.0.1", port=0, allowed_hosts=["test", ".good.example"])
        async with connect(listener.port) as raw:
            assert (await raw.ask(get())).status == 200
        async with connect(listener.port) as raw:
            response = await raw.ask(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            assert (response.status, response.header("connection")) == (421, "close")
            assert await raw.read_all() == b""
        for host, status in (("evil.example", b"421"), ("a.good.example:80", b"101")):
            async with connected(listener.port) as stranger:
                assert (await stranger.upgrade(Host=host)).startswith(b"HTTP/1.1 " + status)
        assert asked == ["/"]


async def test_peers_that_join_a_listener_have_their_own_names() -> None:
    async with AnySocket() as server:
        listener = await server.listen("http", ip="127.0.0.1", port=0)
        await server.listen("ws", allowed_hosts=["good.example"])
        async with connect(listener.port) as raw:
            assert (await raw.ask(get())).status == 404
        for host, status in (("test", b"421"), ("good.example", b"101")):
            async with connected(listener.port) as stranger:
                assert (await stranger.upgrade(Host=host)).startswith(b"HTTP/1.1 " + status)


async def test_a_text_is_no_collection_of_hosts() -> None:
    async with AnySocket() as server:
        with pytest.raises(TypeError, match="allowed_hosts"):
            await server.listen("ws", port=0, allowed_hosts="localhost")
        with pytest.raises(ValueError, match="is no host"):
            await server.listen("ws", port=0, allowed_hosts=["a:80"])
