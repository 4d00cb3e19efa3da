"""One module for each thing that is fuzzed, each with the same three names.

``fuzz_one(data)`` raises ``AssertionError``, or whatever else should not have escaped, for an input
that breaks an invariant, and changes nothing that outlives it. ``seeds()`` gives inputs to begin with.
``TOKENS`` are byte strings that mean something there, for the dictionary of the mutator.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = ["NAMES", "Target", "load"]

INSTRUMENTED = {
    "http_requests": ("wirehop.node.http.parser",),
    "http_connections": ("wirehop.node.http.server_connection", "wirehop.node.http.parser"),
    "http_responses": ("wirehop.node.http.response_parser",),
    "packets": (
        "wirehop.anysocket.wire.packet",
        "wirehop.anysocket.wire.chunks",
        "wirehop.anysocket.wire.packer",
        "wirehop.anysocket.wire.sequence",
    ),
    "protocol": (
        "wirehop.anysocket.wire.protocol",
        "wirehop.anysocket.wire.switch",
        "wirehop.anysocket.wire.chunks",
    ),
    "peers": (
        "wirehop.anysocket.internal",
        "wirehop.anysocket.peer",
        "wirehop.anysocket.relay",
        "wirehop.anysocket.rpc",
        "wirehop.anysocket.clock",
    ),
    "websocket": ("wirehop.anysocket.transports.ws",),
    "e2e_records": ("wirehop.anysocket.wire.e2e",),
    "sockhop_lines": ("wirehop.sockhop.wire", "wirehop.sockhop.object_buffer"),
    "json_text": ("wirehop.core.json",),
}
"""The targets, and the modules whose branches they are to find: each branch of another one that is
counted costs time, and would lead the search astray."""

NAMES = tuple(INSTRUMENTED)


class Target(NamedTuple):
    """A module of this package."""

    name: str
    fuzz_one: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    tokens: tuple[bytes, ...]
    max_size: int
    """Bytes of an input at most: beyond that the mutator only makes more of the same."""


def load(name: str) -> Target:
    """The target of this name, imported now. Raises ``ValueError`` for another name."""
    if name not in NAMES:
        raise ValueError(f"{name!r} is no target; there are {', '.join(NAMES)}")
    module = importlib.import_module(f"{__name__}.{name}")
    return Target(name, module.fuzz_one, module.seeds, module.TOKENS, module.MAX_SIZE)
