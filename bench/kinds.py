"""What can be measured: the kinds of scenarios, and what a server is to them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Program = Literal["node", "python"]


@dataclass(frozen=True)
class Server:
    name: str
    program: Program
    arguments: tuple[str, ...]
    """Relative to ``servers/``; ``{port}`` becomes a free port, for who cannot pick one, and
    ``{path}`` a path where a Unix socket can be."""
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
    """Left out when what they stand on is not installed."""
    demands: tuple[tuple[Server, float], ...] = ()
    """Of the others: how many times the rate of each the subject is to reach, too."""
    generators: Mapping[Server, str] = field(default_factory=dict)
    """Of the others: those that get their load from another generator than the rest."""
    warmup: float = 2.0
    """Seconds of load before the measured window: Node's compiler needs about two."""

    def generator_for(self, server: Server) -> str:
        return self.generators.get(server, self.generator)

    @property
    def servers(self) -> tuple[Server, ...]:
        return (self.baseline, self.subject, *self.others)

    @property
    def needed(self) -> tuple[Server, ...]:
        """The servers without which there is nothing to compare."""
        return (self.baseline, self.subject)

    def without(self, servers: Container[Server]) -> Scenario:
        return replace(self, others=tuple(server for server in self.others if server not in servers))


@dataclass(frozen=True)
class IdleLoad:
    title: str
    """What the connections are, in the plural."""
    generator: str
    """One that knows ``--idle``."""
    connections: int
    servers: tuple[Server, ...]
    limit: tuple[Server, float] | None = None
    """A server, and the KiB for each connection that it may take at most."""


@dataclass(frozen=True)
class IdleScenario:
    """Memory that a connection takes which has had one answer and then does nothing."""

    name: str
    title: str
    loads: tuple[IdleLoad, ...]

    @property
    def servers(self) -> tuple[Server, ...]:
        return tuple(server for load in self.loads for server in load.servers)

    @property
    def needed(self) -> tuple[Server, ...]:
        return ()

    def without(self, servers: Container[Server]) -> IdleScenario:
        return replace(
            self,
            loads=tuple(
                replace(load, servers=tuple(server for server in load.servers if server not in servers))
                for load in self.loads
            ),
        )


@dataclass(frozen=True)
class GrowthScenario:
    """Memory of a server after very many requests: does it keep something of each?"""

    name: str
    title: str
    generator: str
    load: Mapping[str, int]
    servers: tuple[Server, ...]
    limit: float
    """Bytes for each request by which a server may grow at most in the second half."""

    @property
    def needed(self) -> tuple[Server, ...]:
        return ()

    def without(self, servers: Container[Server]) -> GrowthScenario:
        return replace(self, servers=tuple(server for server in self.servers if server not in servers))


AnyScenario = Scenario | IdleScenario | GrowthScenario
