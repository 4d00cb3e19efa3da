"""What can be read from a file or from a URL."""

from __future__ import annotations

from typing import Any

from wirehop.node import fs, http
from wirehop.node.encodings import UTF8
from wirehop.node.promise import Promise

__all__ = ["cat", "is_url"]


def is_url(location: object) -> bool:
    """Whether ``location`` is an http or https URL, and not the path of a file."""
    return isinstance(location, str) and location.lower().startswith(("http://", "https://"))


def cat(location: fs.Path, encoding: str = UTF8) -> Promise[Any]:
    """The whole content of a file, or of an http or https URL: see ``fs.cat`` and ``http.cat``."""
    if isinstance(location, str) and is_url(location):
        return http.cat(location, encoding)
    return fs.cat(location, encoding)
