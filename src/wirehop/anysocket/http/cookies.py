"""Cookies (RFC 6265): what a client sent, and what it is told to keep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import formatdate
from urllib.parse import unquote

from wirehop.node.http.headers import TOKEN

__all__ = ["cookie_header", "parse", "set_cookie"]

_OCTETS = r"[!#-+\--:<-\[\]-~]*"

_VALUE = re.compile(f'{_OCTETS}|"{_OCTETS}"')
"""RFC 6265, 4.1.1: no blank, comma, semicolon or backslash, and quotes around all or none."""

_ATTRIBUTE = re.compile(r"[ -:<-~]+")

_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}

_LAST_SECOND = 253_402_300_799
"""Of the year 9999: a cookie's date has four digits for the year."""


def parse(header: str) -> dict[str, str]:
    """The cookies of a Cookie header, whatever it looks like.

    Values are percent-decoded where that makes text, as in JavaScript; a name without "=" has
    "". Of a name that comes twice the first counts, which belongs to the longer path (5.4).
    """
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, _, value = pair.partition("=")
        name = name.strip(" \t")
        if name and name not in cookies:
            cookies[name] = _decode(value.strip(" \t"))
    return cookies


def cookie_header(cookies: Mapping[str, str]) -> str:
    """The Cookie header that sends ``cookies``. Raises ``ValueError`` for one that cannot be sent."""
    return "; ".join(_pair(name, value) for name, value in cookies.items())


def set_cookie(
    name: str,
    value: str,
    expires: float | datetime | None,
    *,
    path: str,
    domain: str | None,
    max_age: int | None,
    secure: bool,
    http_only: bool,
    same_site: str | None,
) -> str:
    """The value of a Set-Cookie header. Raises ``ValueError`` for what no cookie may have."""
    parts = [_pair(name, value)]
    if expires is not None:
        parts.append(f"Expires={_date(expires)}")
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age)}")
    if domain is not None:
        parts.append(f"Domain={_attribute(domain)}")
    parts.append(f"Path={_attribute(path)}")
    if secure:
        parts.append("Secure")
    if http_only:
        parts.append("HttpOnly")
    if same_site is not None:
        if same_site.lower() not in _SAME_SITE:
            raise ValueError(f"same_site is strict, lax or none, not {same_site!r}")
        parts.append(f"SameSite={_SAME_SITE[same_site.lower()]}")
    return "; ".join(parts)


def _pair(name: str, value: str) -> str:
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a cookie")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the cookie {name} has a value that none may have, percent-encode it: {value!r}")
    return f"{name}={value}"


def _attribute(text: str) -> str:
    if not _ATTRIBUTE.fullmatch(text):
        raise ValueError(f"{text!r} is no path or domain of a cookie")
    return text


def _date(expires: float | datetime) -> str:
    seconds = expires.timestamp() if isinstance(expires, datetime) else expires
    if not 0 <= seconds <= _LAST_SECOND:
        raise ValueError(f"{expires!r} is no time in seconds since 1970 at which a cookie can expire")
    return formatdate(seconds, usegmt=True)


def _decode(value: str) -> str:
    if "%" not in value:
        return value
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        return value
