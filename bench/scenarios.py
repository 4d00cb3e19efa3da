"""What is measured: each scenario sets servers against each other under one load.

A new scenario is a declaration at the end of this file. A new generator is a file
``load/NAME_load.c``, a new server a program in ``servers/`` that prints ``ready PORT``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Program = Literal["node", "python"]


@dataclass(frozen=True)
class Server:
    name: str
    program: Program
    arguments: tuple[str, ...]
    """Relative to ``servers/``; ``{port}`` becomes a free port, for who cannot pick one."""
    packages: tuple[str, ...]
    """Of npm or PyPI, as the program wants it: what must be there, and whose version matters."""


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    generator: str
    load: Mapping[str, int]
    """The generator's options, by name."""
    baseline: Server
    subject: Server
    target: float
    """How many times the baseline's rate the subject is to reach."""
    others: tuple[Server, ...] = ()
    warmup: float = 2.0
    """Seconds of load before the measured window: Node's compiler needs about two."""

    @property
    def servers(self) -> tuple[Server, ...]:
        return (self.baseline, self.subject, *self.others)


NPM_ANYSOCKET = Server("npm anysocket", "node", ("npm_anysocket.js", "{port}"), ("anysocket",))
WIREHOP_ANYSOCKET = Server(
    "wirehop", "python", ("wirehop_anysocket.py",), ("wirehop", "uvloop", "picows", "orjson")
)
BARE_PICOWS = Server("bare picows", "python", ("bare_picows.py",), ("picows", "orjson", "uvloop"))

SCENARIOS = (
    Scenario(
        name="anysocket-64x1",
        title="anysocket request and reply: 64 peers with 1 request under way each, 64 bytes",
        generator="anysocket",
        load={"connections": 64, "outstanding": 1, "size": 64},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=3.0,
        others=(BARE_PICOWS,),
    ),
    Scenario(
        name="anysocket-1x64",
        title="anysocket request and reply: 1 peer with 64 requests under way, 64 bytes",
        generator="anysocket",
        load={"connections": 1, "outstanding": 64, "size": 64},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=4.5,
        others=(BARE_PICOWS,),
    ),
    Scenario(
        name="anysocket-1mib",
        # Two peers, so that the server has work while the generator has the other message.
        title="anysocket request and reply: 2 peers with 1 request under way each, 1 MiB (one packet)",
        generator="anysocket",
        load={"connections": 2, "outstanding": 1, "size": 1 << 20},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=6.0,
        others=(BARE_PICOWS,),
    ),
)
