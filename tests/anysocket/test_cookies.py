"""Cookies: what was sent is read and never sent back, what is set is what RFC 6265 allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.anysocket.site import port_of, site
from tests.node.serving import get
from tests.programs import curl
from wirehop import AnyHTTPPeer, AnySocket


def set_cookies(response: Any) -> list[str]:
    return [value for name, value in response.headers if name == "set-cookie"]


# --- read


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("a=b", {"a": "b"}),
        ("a=b; c=d", {"a": "b", "c": "d"}),
        (" a = b ;c=d=e;", {"a": "b", "c": "d=e"}),
        ("bare; =nameless; empty=", {"bare": "", "empty": ""}),
        ("a=first; a=second", {"a": "first"}),
        ("a=%C3%A9%3B; b=%; c=%zz; d=%ff", {"a": "é;", "b": "%", "c": "%zz", "d": "%ff"}),
        ('a="quoted"', {"a": '"quoted"'}),
        ("hasOwnProperty=1; __proto__=2; a=%", {"hasOwnProperty": "1", "__proto__": "2", "a": "%"}),
        ("__class__=3; constructor=4", {"__class__": "3", "constructor": "4"}),
        (";;;", {}),
    ],
)
async def test_what_was_sent_is_read_and_never_sent_back(header: str, cookies: dict[str, str]) -> None:
    async with site() as (_, router, raw):
        seen: list[dict[str, str]] = []

        @router.get("/")
        def read(peer: AnyHTTPPeer) -> None:
            seen.append(dict(peer.cookies))
            assert peer.query.cookies is not None
            peer.end()

        response = await raw.ask(get("/", f"Cookie: {header}"))
        assert (response.status, set_cookies(response), seen) == (200, [], [cookies])


async def test_no_cookies_are_none_and_what_was_read_does_not_change() -> None:
    async with site() as (_, router, raw):

        @router.get("/")
        def read(peer: AnyHTTPPeer) -> None:
            assert peer.query.cookies is None
            assert peer.cookies == {}
            with pytest.raises(TypeError):
                peer.cookies["a"] = "b"  # type: ignore[index]
            peer.set_cookie("set", "here")
            assert "set" not in peer.cookies
            peer.end()

        response = await raw.ask(get())
        assert set_cookies(response) == ["set=here; Path=/"]


async def test_a_long_header_of_quotes_and_backslashes_takes_no_time() -> None:
    async with site(max_head=128_000) as (_, router, raw):
        took = []

        @router.get("/")
        def read(peer: AnyHTTPPeer) -> None:
            began = time.perf_counter()
            assert len(peer.cookies["a"]) == 60_000
            took.append(time.perf_counter() - began)
            peer.end()

        assert (await raw.ask(get("/", "Cookie: a=" + '\\"' * 30_000))).status == 200
        assert took[0] < 0.05


# --- set


JUNE = datetime(2027, 6, 9, 10, 18, 14, tzinfo=UTC)
JUNE_TEXT = "Wed, 09 Jun 2027 10:18:14 GMT"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "a=b; Path=/"),
        ({"expires": JUNE.timestamp()}, f"a=b; Expires={JUNE_TEXT}; Path=/"),
        ({"expires": JUNE}, f"a=b; Expires={JUNE_TEXT}; Path=/"),
        (
            {"expires": JUNE.astimezone(timezone(timedelta(hours=9)))},
            f"a=b; Expires={JUNE_TEXT}; Path=/",
        ),
        ({"expires": 0}, "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"),
        ({"max_age": 60}, "a=b; Max-Age=60; Path=/"),
        ({"path": "/x", "domain": "example.org"}, "a=b; Domain=example.org; Path=/x"),
        (
            {"secure": True, "http_only": True, "same_site": "lax"},
            "a=b; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
    ],
)
async def test_what_is_set(options: dict[str, Any], text: str) -> None:
    async with site() as (_, router, raw):
        router.get("/", lambda peer: peer.set_cookie("a", "b", **options).end())
        assert set_cookies(await raw.ask(get())) == [text]


@pytest.mark.parametrize(
    "call",
    [
        lambda peer: peer.set_cookie("a", "b;c"),
        lambda peer: peer.set_cookie("a", "b\r\nSet-Cookie: c=d"),
        lambda peer: peer.set_cookie("a", "b c"),
        lambda peer: peer.set_cookie("a", "b,c"),
        lambda peer: peer.set_cookie("a", "é"),
        lambda peer: peer.set_cookie("a", '"half'),
        lambda peer: peer.set_cookie("a", '"'),
        lambda peer: peer.set_cookie("a", 'b"c"'),
        lambda peer: peer.set_cookie("a", "b\n"),
        lambda peer: peer.set_cookie("", "b"),
        lambda peer: peer.set_cookie("a b", "c"),
        lambda peer: peer.set_cookie("a;b", "c"),
        lambda peer: peer.set_cookie("a=b", "c"),
        lambda peer: peer.set_cookie("a\n", "c"),
        lambda peer: peer.set_cookie("a", "b", path="/; Domain=x"),
        lambda peer: peer.set_cookie("a", "b", path="/\n"),
        lambda peer: peer.set_cookie("a", "b", domain=""),
        lambda peer: peer.set_cookie("a", "b", same_site="lax; x"),
        lambda peer: peer.set_cookie("a", "b", float("nan")),
        lambda peer: peer.set_cookie("a", "b", float("inf")),
        lambda peer: peer.set_cookie("a", "b", -1),
        lambda peer: peer.set_cookie("a", "b", 253_402_300_800),
        lambda peer: peer.delete_cookie("a;b"),
    ],
)
async def test_what_no_cookie_may_be_raises_and_nothing_is_set(call: Callable[[AnyHTTPPeer], Any]) -> None:
    async with site() as (_, router, raw):
        errors = []

        @router.get("/")
        def set_(peer: AnyHTTPPeer) -> None:
            try:
                call(peer)
            except ValueError as error:
                errors.append(error)
            peer.end()

        assert set_cookies(await raw.ask(get())) == []
        assert len(errors) == 1


async def test_the_last_of_a_name_counts_and_deleting_expires_only_that_name() -> None:
    async with site() as (_, router, raw):

        @router.get("/")
        def set_(peer: AnyHTTPPeer) -> None:
            chained = peer.set_cookie("a", "1").set_cookie("b", '"2"').set_cookie("a", "3").delete_cookie("c")
            assert chained is peer
            peer.set_cookie("a", "elsewhere", path="/x").end()

        response = await raw.ask(get("/", "Cookie: a=0; c=0; d=0"))
        assert set_cookies(response) == [
            "a=3; Path=/",
            'b="2"; Path=/',
            "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
            "a=elsewhere; Path=/x",
        ]


async def test_an_answer_that_became_an_error_sets_nothing() -> None:
    async with site() as (_, router, raw):
        router.get("/", lambda peer: peer.set_cookie("secret", "1") and 1 / 0)
        response = await raw.ask(get())
        assert (response.status, set_cookies(response)) == (500, [])


async def test_curl_keeps_and_forgets_them() -> None:
    async with site() as (server, router, _):
        router.get("/in", lambda peer: peer.set_cookie("user", "ada", time.time() + 3600).end())
        router.get("/who", lambda peer: peer.body(f"{dict(peer.cookies)}\n").end())
        router.get("/out", lambda peer: peer.delete_cookie("user").end())
        base = f"http://127.0.0.1:{port_of(server)}"
        output = await curl("-b", "", f"{base}/in", f"{base}/who", f"{base}/out", f"{base}/who")
        assert output == b"{'user': 'ada'}\n{}\n"


# --- of a client that connects


async def test_cookies_and_headers_of_connect_reach_the_upgrade_callback() -> None:
    async with AnySocket() as server, AnySocket() as client:
        seen: list[Any] = []

        @server.http.upgrade
        def look(peer: AnyHTTPPeer) -> None:
            seen.append((peer.url, dict(peer.cookies), peer.query.headers["x-token"]))
            if peer.cookies.get("hello") != "world":
                peer.end()

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        await client.connect(
            "ws",
            "127.0.0.1",
            listener.port,
            path="/live",
            cookies={"hello": "world", "b": "2"},
            headers={"X-Token": "t"},
        )
        assert seen == [("/live", {"hello": "world", "b": "2"}, "t")]


@pytest.mark.parametrize(
    "options",
    [
        {"cookies": {"a": "b\r\nX: y"}},
        {"cookies": {"a": "b; c=d"}},
        {"cookies": {"a b": "c"}},
        {"headers": {"X": "y\r\nZ: w"}},
        {"headers": {"X Y": "z"}},
        {"path": "/\r\nX: y"},
        {"path": "/ HTTP/1.1"},
        {"path": "relative"},
    ],
)
async def test_what_cannot_be_sent_raises_before_anyone_connects(options: dict[str, Any]) -> None:
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        connections: list[Any] = []
        listener._server.on("connection", connections.append)
        with pytest.raises(ValueError):
            await client.connect("ws", "127.0.0.1", listener.port, **options)
        assert connections == []
