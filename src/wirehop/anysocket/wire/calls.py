"""Requests for a call in the form that nearly all have, read in one step (wire document, "RPC").

What is refused here is for :mod:`wirehop.core.json`, which has the last word; what is taken means
the same there.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from wirehop.core.json import Exact

__all__ = ["CallRequest", "read_call"]


Position = str | Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class CallRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """``{"type":3,"method":[…],"params":[…],"bin":[…]}``: the path of a function, its arguments, and
    which of these are binary."""

    type: Literal[3]
    method: list[str]
    params: list[Exact]
    bin: list[Position]


read_call = msgspec.json.Decoder(CallRequest).decode
"""The request of a text. Raises ``ValueError`` or ``RecursionError`` for what is another packet, or has
to be read exactly."""
