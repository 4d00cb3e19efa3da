"""Whether both ways to read a call say the same of a text."""

from __future__ import annotations

import msgspec

from wirehop.anysocket.wire.calls import CallRequest, read_call
from wirehop.core import json


def quickly(text: str) -> CallRequest | None:
    """What is read in one step, and None where that refuses."""
    try:
        return read_call(text)
    except (ValueError, RecursionError):
        return None


def agree(text: str) -> bool:
    """Whether both ways say the same, as far as the quick one says anything."""
    said = quickly(text)
    return said is None or _shown(json.loads(text)) == _shown(msgspec.structs.asdict(said))


def _shown(value: dict[str, object]) -> str:
    # Unlike ==, this tells 1 from 1.0, and takes NaN for itself.
    return repr(sorted(value.items()))
