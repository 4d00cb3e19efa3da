"""Random ids: UUID version 4, as 32 lowercase hex digits or with dashes (RFC 9562, sections 4
and 5.4).

They are cut from one block of the system's randomness: a system call for each id would cost
more than the request that carries it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

__all__ = ["new_id", "new_uuid"]

_BLOCK = 256


def _ids(dash: str) -> Iterator[str]:
    while True:
        block = os.urandom(16 * _BLOCK).hex()
        for at in range(0, len(block), 32):
            variant = "89ab"[int(block[at + 16], 16) & 3]
            yield (
                f"{block[at : at + 8]}{dash}{block[at + 8 : at + 12]}{dash}4{block[at + 13 : at + 16]}"
                f"{dash}{variant}{block[at + 17 : at + 20]}{dash}{block[at + 20 : at + 32]}"
            )


_plain = _ids("")
_dashed = _ids("-")


def _forget() -> None:
    global _plain, _dashed
    _plain = _ids("")
    _dashed = _ids("-")


# A forked child would otherwise hand out its parent's ids.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def new_id() -> str:
    """A fresh id, for example ``"f30855a717d44392a8384b7979be050a"``."""
    return next(_plain)


def new_uuid() -> str:
    """A fresh id with dashes, for example ``"f30855a7-17d4-4392-a838-4b7979be050a"``."""
    return next(_dashed)
