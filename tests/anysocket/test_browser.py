"""The routes that serve the browser client."""

from __future__ import annotations

import gzip

import pytest

from tests.node.serving import get
from tests.raw import connect
from wirehop import AnySocket
from wirehop.anysocket import browser

DIST = browser.files("wirehop.anysocket.browser") / "dist"


@pytest.mark.parametrize("path", list(browser.ROUTES))
async def test_the_client_is_served(path: str) -> None:
    source = (DIST / browser.ROUTES[path]).read_bytes()
    async with AnySocket() as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connect(listener.port) as raw:
            for method in ("GET", "POST", "PUT"):
                response = await raw.ask(get(path, method=method))
                assert (response.status, response.body) == (200, source)
            assert response.header("content-type") == "text/javascript; charset=utf-8"
            etag = response.header("etag")
            assert etag is not None
            packed = await raw.ask(get(path, "Accept-Encoding: br, gzip"))
            assert packed.header("content-encoding") == "gzip"
            assert gzip.decompress(packed.body) == source
            assert len(packed.body) < 12_000
            unchanged = await raw.ask(get(path, f"If-None-Match: {etag}"))
            assert (unchanged.status, unchanged.body) == (304, b"")


async def test_a_route_of_the_users_replaces_it() -> None:
    async with AnySocket() as server:
        server.http.any("/@anysocket", lambda peer: peer.status(404).end())
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        async with connect(listener.port) as raw:
            assert (await raw.ask(get("/@anysocket"))).status == 404


def test_the_types_are_there_too() -> None:
    assert "export declare class AnySocket" in (DIST / "anysocket.d.ts").read_text()
