"""A URI in its parts (seed: Node 0.1.0, ``request.uri``; RFC 3986)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

__all__ = ["Uri", "parse"]

_PARTS = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
)
"""RFC 3986, appendix B: it matches any text."""

_PATH = re.compile(r"()()([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)

_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Uri:
    """What a URI says; a part that is not there is None.

    ``http://ryan:pw@example.com:8000/a/b.html?name=x#top`` has the protocol ``http``, the
    authority ``ryan:pw@example.com:8000`` (user, password, host and port), the relative part
    ``/a/b.html?name=x#top`` with the path ``/a/b.html`` (directory ``/a/`` and file ``b.html``),
    the query ``name=x`` and the anchor ``top``. The host of an IPv6 literal is without brackets,
    the port is a number. ``str(uri)`` is what was parsed.
    """

    source: str
    protocol: str | None = None
    authority: str | None = None
    user: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    relative: str | None = None
    path: str | None = None
    directory: str | None = None
    file: str | None = None
    query: str | None = None
    anchor: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    """The query's names and values, percent-decoded, with + as a blank. Of a name that is
    repeated the last value counts, as in the seed; ``query`` has them all."""

    def __str__(self) -> str:
        return self.source


def parse(text: str) -> Uri:
    """The parts of a URI, or of a request target such as ``/status?name=ryan``.

    What begins with a slash is a path, even if it begins with two: nobody may name another host
    that way. Never raises: of what is no URI it gives the parts that can be had, and a port that
    is none is None.
    """
    pattern = _PATH if text.startswith("/") else _PARTS
    match = pattern.match(text)
    # Neither pattern has anything that must be there.
    assert match is not None
    protocol, authority, path, query, anchor = match.groups()
    user, password, host, port = _of_authority(authority or "")
    directory, slash, file = path.rpartition("/")
    return Uri(
        source=text,
        protocol=protocol or None,
        authority=authority or None,
        user=user,
        password=password,
        host=host,
        port=port,
        relative=text[match.start(3) :] or None,
        path=path or None,
        directory=directory + slash or None,
        file=file or None,
        query=query,
        anchor=anchor,
        params=_of_query(query or ""),
    )


def _of_authority(authority: str) -> tuple[str | None, str | None, str | None, int | None]:
    userinfo, at, place = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    match = _HOST_AND_PORT.match(place)
    assert match is not None
    host, digits, rest = match.groups()
    # What follows the port makes it none; a number that is too long to be one is not read.
    is_port = bool(digits) and not rest and len(digits) <= 8 and int(digits) <= 65_535
    return (
        user if at else None,
        password if colon else None,
        host.removeprefix("[").removesuffix("]") or None,
        int(digits) if is_port else None,
    )


def _of_query(query: str) -> dict[str, str]:
    params = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name:
            params[unquote_plus(name)] = unquote_plus(value)
    return params
