"""The exchanges that npm anysocket had over HTTP, with the same routes here: the same answers, but
for what is different on purpose."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from tests.node.serving import get
from tests.raw import Raw, Response, connect
from tests.vectors import load
from wirehop import AnyHTTPPeer, AnyHTTPRouter, AnySocket
from wirehop.core import json

LOGO = b"\x89PNG\r\n\x1a\n\xff\xfe"

MEANINGFUL = (
    "connection",
    "content-type",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "upgrade",
    "x-a",
    "x-cookies",
)


def routes(http: AnyHTTPRouter, folder: Path) -> None:
    """What the recorded server had."""
    pub = folder / "pub"
    pub.mkdir()
    (pub / "index.html").write_text("<h1>hi</h1>")
    (pub / "logo.png").write_bytes(LOGO)
    (pub / "data").write_text("x")
    (pub / "readme.MD").write_text("# r")

    def fail(peer: AnyHTTPPeer) -> None:
        raise RuntimeError("thrown")

    def cookies(peer: AnyHTTPPeer) -> None:
        found = json.dumps(dict(peer.cookies)).decode()
        peer.header("X-Cookies", found).body("ok").end()

    def set_cookies(peer: AnyHTTPPeer) -> None:
        peer.set_cookie("a", "1").set_cookie("b", "z", 1_700_000_000).delete_cookie("c").body("ok").end()

    def posted(peer: AnyHTTPPeer) -> None:
        query = peer.query
        answer = {"len": len(query.body), "qs": query.qs, "method": query.method}
        peer.body(json.dumps(answer)).end()

    http.get("/hello", lambda peer: peer.status(201).header("X-A", "b").body("part1").body("part2").end())
    http.get("/throw", fail)
    http.any("/any", lambda peer: peer.body(f"any {peer.query.method}").end())
    http.get("/any", lambda peer: peer.body("get").end())
    http.get(re.compile(r"^/re/\d+$"), lambda peer: peer.body("get-re").end())
    http.any(re.compile("^/re/.*$"), lambda peer: peer.body("any-re").end())
    http.get("/cookies", cookies)
    http.get("/setcookie", set_cookies)
    http.post("/post", posted)
    http.delete("/item", lambda peer: peer.body("deleted").end())
    http.static("/static", pub)
    http.get("/file", lambda peer: peer.serve_file(pub / "index.html", "text/x-custom"))
    http.on("GET", "/upper", lambda peer: peer.body("upper").end())

    @http.error
    def error(peer: AnyHTTPPeer, problem: Exception) -> None:
        if peer.url == "/teapot":
            peer.status(418).body(str(problem)).end()

    @http.upgrade
    def upgrade(peer: AnyHTTPPeer) -> None:
        if "deny" in peer.cookies:
            peer.end()


def on_purpose(request: str, theirs: Response | None) -> Response:
    """What we answer instead."""
    if theirs is None:
        # A refusal that can be read.
        return Response("HTTP/1.1", 403, [("connection", "close")])
    if "/throw" in request:
        return replace(theirs, status=500)
    if "/cookies" in request:
        # What was read is not sent back.
        return replace(theirs, headers=[header for header in theirs.headers if header[0] != "set-cookie"])
    if "/logo.png" in request:
        return replace(theirs, body=LOGO)
    if "/@anysocket?" in request:
        # A query, which npm does not expect there, does not make it another script.
        client = files("wirehop.anysocket.browser").joinpath("dist", "anysocket.js").read_bytes()
        javascript = ("content-type", "text/javascript; charset=utf-8")
        return replace(theirs, status=200, body=client, headers=[*theirs.headers, javascript])
    if "/upper" in request:
        # A method in any case is that method.
        return replace(theirs, status=200, body=b"upper")
    return theirs


def comparable(response: Response) -> Any:
    headers = sorted(header for header in response.headers if header[0] in MEANINGFUL)
    headers = [(name, value.lower() if name == "connection" else value) for name, value in headers]
    cookies = [value.replace("; ", ";") for name, value in response.headers if name == "set-cookie"]
    return response.status, response.body, headers, cookies


async def recorded(text: str) -> Response | None:
    if not text:
        return None
    reader = asyncio.StreamReader()
    reader.feed_data(text.encode("latin-1"))
    reader.feed_eof()
    return await Raw(reader, None).response()  # type: ignore[arg-type]


async def test_the_answers_are_those_of_npm(tmp_path: Path) -> None:
    frames = load("anysocket-http")["frames"]
    exchanges = list(zip(frames[::2], frames[1::2], strict=True))
    assert len(exchanges) == 28
    async with AnySocket() as server:
        server.on("error", lambda error: None)
        routes(server.http, tmp_path)
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        for asked, answered in exchanges:
            request = asked["text"]
            assert (asked["dir"], answered["dir"]) == ("client->server", "server->client")
            expected = on_purpose(request, await recorded(answered["text"]))
            async with connect(listener.port) as raw:
                ours = await raw.ask(bytes.fromhex(asked["hex"]))
                assert comparable(ours) == comparable(expected), request
                if answered["connection_closed_by_server"]:
                    assert await raw.read_all() == b""
        async with connect(listener.port) as raw:
            response = await raw.ask(get("/hello"))
            assert response.header("anysocket-id") == server.id
