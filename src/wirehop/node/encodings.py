"""How text becomes bytes and bytes text: "raw", "utf8" and "ascii" (seed: Node 0.1.0, "API")."""

from __future__ import annotations

import codecs
from collections.abc import Callable

__all__ = ["ASCII", "RAW", "UTF8", "Data", "Decode", "decoder", "encode", "name"]

RAW = "raw"
UTF8 = "utf8"
ASCII = "ascii"

Data = bytes | bytearray | memoryview | str

Decode = Callable[[bytes, bool], bytes | str]
"""Called with bytes, and whether they are the last; what is half a character waits."""

_NAMES = {"raw": RAW, "binary": RAW, "utf8": UTF8, "utf-8": UTF8, "ascii": ASCII}


def name(encoding: str) -> str:
    """The encoding under its own name, whatever its case. Raises ``ValueError`` for others."""
    known = _NAMES.get(encoding.lower())
    if known is None:
        raise ValueError(f"{encoding!r} is no encoding here: raw, utf8 or ascii")
    return known


def encode(data: Data, encoding: str = UTF8) -> bytes:
    """``data`` as bytes; text in ``encoding``.

    Raises ``ValueError`` for text that the encoding cannot say, ``TypeError`` for what is
    neither text nor bytes, and for text that is to be raw.
    """
    if isinstance(data, str):
        wanted = name(encoding)
        if wanted is RAW:
            raise TypeError("raw data is bytes, not text")
        return data.encode(wanted)
    # Through a view: bytes(5) would be five zeros.
    return data if type(data) is bytes else bytes(memoryview(data))


def decoder(encoding: str) -> Decode | None:
    """What turns a stream of bytes into text, piece by piece; None for raw. Bytes that are no
    text become U+FFFD."""
    wanted = name(encoding)
    if wanted is RAW:
        return None
    return codecs.getincrementaldecoder(wanted)("replace").decode
