"""The browser client, and the routes that serve it.

``dist`` is built from the JavaScript in the folder ``browser`` of the sources and kept with them,
so that nobody needs Node to use it: ``anysocket.js`` is a classic script that defines the global
``AnySocket`` (seed: ``/@anysocket``), ``anysocket.mjs`` an ES module, ``anysocket.d.ts`` its types.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wirehop.anysocket.http import AnyHTTPPeer, AnyHTTPRouter

__all__ = ["serve"]

JAVASCRIPT = "text/javascript; charset=utf-8"

ROUTES = {
    "/@anysocket": "anysocket.js",
    "/@anysocket.mjs": "anysocket.mjs",
}


class _Script(NamedTuple):
    plain: bytes
    packed: bytes
    etag: str


def serve(router: AnyHTTPRouter) -> None:
    """Answer any method on ``/@anysocket`` with the classic script, as npm anysocket does, and on
    ``/@anysocket.mjs`` with the module. A route of the user's on the same path replaces it."""
    for path, name in ROUTES.items():
        router.any(path, partial(_answer, name))


def _answer(name: str, peer: AnyHTTPPeer) -> None:
    script = _read(name)
    # Pages ask each time and get it again only when it has changed.
    peer.header("Content-Type", JAVASCRIPT).header("Cache-Control", "no-cache")
    peer.header("ETag", script.etag).header("Vary", "Accept-Encoding")
    headers = peer.query.headers
    if headers.get("if-none-match") == script.etag:
        peer.status(304)
    elif "gzip" in headers.get("accept-encoding", ""):
        peer.header("Content-Encoding", "gzip").body(script.packed)
    else:
        peer.body(script.plain)
    peer.end()


@cache
def _read(name: str) -> _Script:
    # A small file of this package, once in the life of the process.
    plain = files("wirehop.anysocket.browser").joinpath("dist", name).read_bytes()
    return _Script(plain, gzip.compress(plain, 9, mtime=0), f'W/"{hashlib.sha256(plain).hexdigest()[:16]}"')
