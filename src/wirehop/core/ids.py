"""Random ids: UUID version 4, as 32 lowercase hex digits or with dashes (RFC 9562, sections 4
and 5.4).

They are cut from one block of the system's randomness: a system call for each id would cost
more than the request that carries it.
"""

from __future__ import annotations

import os

__all__ = ["new_id", "new_uuid"]

_BLOCK = 512

_VARIANT = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)


def _block(dashes: tuple[int, ...]) -> list[str]:
    """Ids with dashes at these places."""
    size = 32 + len(dashes)
    places = [place for place in range(size) if place not in dashes]
    # All ids of a block at once, digit by digit: each costs a fifth of what it would by itself.
    digits = os.urandom(16 * _BLOCK).hex().encode()
    block = bytearray(b"-" * size + b" ") * _BLOCK
    for digit, place in enumerate(places):
        block[place :: size + 1] = digits[digit::32]
    block[places[12] :: size + 1] = b"4" * _BLOCK
    block[places[16] :: size + 1] = digits[16::32].translate(_VARIANT)
    return block.decode().split()


_DASHES = (8, 13, 18, 23)

_plain: list[str] = []
_dashed: list[str] = []


def _forget() -> None:
    _plain.clear()
    _dashed.clear()


# A forked child would otherwise hand out its parent's ids.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def new_id() -> str:
    """A fresh id, for example ``"f30855a717d44392a8384b7979be050a"``."""
    try:
        return _plain.pop()
    except IndexError:
        return _next(_plain, ())


def new_uuid() -> str:
    """A fresh id with dashes, for example ``"f30855a7-17d4-4392-a838-4b7979be050a"``."""
    try:
        return _dashed.pop()
    except IndexError:
        return _next(_dashed, _DASHES)


def _next(ids: list[str], dashes: tuple[int, ...]) -> str:
    fresh = _block(dashes)
    id = fresh.pop()
    ids += fresh
    return id
