from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirehop.node import http
from wirehop.node.http import Uri, uri

FIELDS = (
    "protocol", "authority", "user", "password", "host", "port", "relative", "path", "directory", "file",
    "query", "anchor",
)  # fmt: skip


def parts(text: str) -> dict[str, Any]:
    """What is there of a URI."""
    parsed = uri.parse(text)
    assert str(parsed) == parsed.source == text
    found = {name: getattr(parsed, name) for name in FIELDS}
    found = {name: value for name, value in found.items() if value is not None}
    return {**found, "params": parsed.params} if parsed.params else found


def test_the_request_of_the_seed() -> None:
    assert parts("/status?name=ryan") == {
        "relative": "/status?name=ryan",
        "path": "/status",
        "directory": "/",
        "file": "status",
        "query": "name=ryan",
        "params": {"name": "ryan"},
    }
    assert uri.parse("/status?name=ryan").protocol is None


def test_every_part() -> None:
    assert parts("http://ryan:p:w@example.com:8000/a/b.html?x=1&y#top#2") == {
        "protocol": "http",
        "authority": "ryan:p:w@example.com:8000",
        "user": "ryan",
        "password": "p:w",
        "host": "example.com",
        "port": 8000,
        "relative": "/a/b.html?x=1&y#top#2",
        "path": "/a/b.html",
        "directory": "/a/",
        "file": "b.html",
        "query": "x=1&y",
        "anchor": "top#2",
        "params": {"x": "1", "y": ""},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/", {"relative": "/", "path": "/", "directory": "/"}),
        ("/a/", {"relative": "/a/", "path": "/a/", "directory": "/a/"}),
        ("a", {"relative": "a", "path": "a", "file": "a"}),
        ("*", {"relative": "*", "path": "*", "file": "*"}),
        ("", {}),
        ("http://h", {"protocol": "http", "authority": "h", "host": "h"}),
        ("//evil/x", {"relative": "//evil/x", "path": "//evil/x", "directory": "//evil/", "file": "x"}),
        ("/a:b@c/d", {"relative": "/a:b@c/d", "path": "/a:b@c/d", "directory": "/a:b@c/", "file": "d"}),
        ("1a:b", {"relative": "1a:b", "path": "1a:b", "file": "1a:b"}),
        ("/?", {"relative": "/?", "path": "/", "directory": "/", "query": ""}),
        ("/#", {"relative": "/#", "path": "/", "directory": "/", "anchor": ""}),
        ("?a", {"relative": "?a", "query": "a", "params": {"a": ""}}),
    ],
)
def test_what_is_absent_is_none(text: str, expected: dict[str, Any]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("authority", "user", "password", "host", "port"),
    [
        ("h:80", None, None, "h", 80),
        ("h:", None, None, "h", None),
        ("h:x", None, None, "h", None),
        ("h:80x", None, None, "h", None),
        ("h:65535", None, None, "h", 65_535),
        ("h:65536", None, None, "h", None),
        ("h:" + "9" * 5000, None, None, "h", None),
        ("[::1]", None, None, "::1", None),
        ("[::1]:8080", None, None, "::1", 8080),
        ("[::1]8080", None, None, "::1", None),
        ("[::", None, None, None, None),
        ("u@h", "u", None, "h", None),
        ("u:@h", "u", "", "h", None),
        ("@h", "", None, "h", None),
        ("a@b@h", "a@b", None, "h", None),
        (":80", None, None, None, 80),
    ],
)
def test_the_authority(
    authority: str, user: str | None, password: str | None, host: str | None, port: int | None
) -> None:
    parsed = uri.parse(f"http://{authority}/p")
    assert parsed.authority == authority
    assert (parsed.user, parsed.password, parsed.host) == (user, password, host)
    assert parsed.port == port
    assert parsed.path == "/p"


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("&&=x&", {}),
        ("a+b=c+d", {"a b": "c d"}),
        ("%61=%c3%a9%2B", {"a": "é+"}),
        ("a=%&b=%zz", {"a": "%", "b": "%zz"}),
        ("a=%ff", {"a": "\ufffd"}),
        ("__proto__=1&hasOwnProperty=2", {"__proto__": "1", "hasOwnProperty": "2"}),
    ],
)
def test_params(query: str, params: dict[str, str]) -> None:
    assert uri.parse(f"/p?{query}#anchor").params == params


@given(st.text() | st.text(alphabet="/:?#[]@&=%+.ah19 \r\n"))
def test_nothing_makes_it_fail(text: str) -> None:
    parsed = uri.parse(text)
    assert str(parsed) == text
    assert isinstance(parsed, Uri)
    assert text.endswith(parsed.relative or "")
    assert (parsed.directory or "") + (parsed.file or "") == (parsed.path or "")


def test_two_of_the_same_are_equal_and_stay_as_they_are() -> None:
    assert http.uri.parse("/a?b=c") == uri.parse("/a?b=c") != uri.parse("/a?b=d")
    with pytest.raises(AttributeError):
        uri.parse("/a").path = "/b"  # type: ignore[misc]
