"""The Content-Type of a file, by its name."""

from __future__ import annotations

import mimetypes
import os

__all__ = ["content_type"]

_UTF8 = ";charset=utf-8"

_TYPES = {
    "txt": "text/plain" + _UTF8,
    "html": "text/html" + _UTF8,
    "htm": "text/html" + _UTF8,
    "css": "text/css" + _UTF8,
    "js": "text/javascript" + _UTF8,
    "md": "text/markdown" + _UTF8,
    "sh": "application/x-shellscript" + _UTF8,
    "svg": "image/svg+xml" + _UTF8,
    "xml": "text/xml" + _UTF8,
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jpe": "image/jpeg",
    "gif": "image/gif",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "eot": "application/vnd.ms-fontobject",
    "gz": "application/gzip",
    "bz": "application/x-bzip",
    "bz2": "application/x-bzip2",
    "xz": "application/x-xz",
    "zst": "application/zst",
}
"""The seed's, which differ here and there from the system's."""


def content_type(path: str) -> str:
    """The type of a file of this name: the seed's, then the system's, else bytes.

    May read the system's tables, so it belongs into a thread.
    """
    name = os.path.basename(path)
    _, dot, extension = name.rpartition(".")
    if dot and extension.lower() in _TYPES:
        return _TYPES[extension.lower()]
    guessed, encoding = mimetypes.guess_type(name)
    # A compressed file is not what its inner name says.
    return guessed if guessed and not encoding else "application/octet-stream"
