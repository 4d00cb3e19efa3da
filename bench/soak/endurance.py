"""Hours of load in minutes: one server that is never killed, and one that is, with all around it.

Both have a relay and clients of their own. The first is watched: memory, descriptors, tasks,
latency. Of the second the journals are compared.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soak import journal
from soak.children import Child, Family, fixed_ports
from soak.figures import MIB, Checks, Latencies
from soak.watch import Sample, wait_for

SESSIONS = {
    "peer": 3,
    "encrypted": 1,
    "proxied": 2,
    "refused": 1,
    "http": 3,
    "sockhop": 3,
    "faithful": 1,
}
"""Of each kind that one client process has at a time."""
KINDS = ("peer at once", "peer that waits", "sockhop at once", "sockhop that waits", "http")
"""Of readers that do not read; the server waits for their drain, or not."""
READERS = len(KINDS)
PIECES = 400
"""Of 64 KiB each that such a reader asks for: more than the system and the server keep for it."""
FILE = 300_000
DOWN = 1.0
"""Seconds, at most, for which somebody who was killed is not there."""
FINISH_SECONDS = 15.0
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    seconds: float
    sample_every: float
    kill_every: float
    clients: int
    rate: float
    requests: int
    readers: int
    rest: float
    """Seconds between two rounds of the readers that read nothing."""
    seed: int
    trace: bool


@dataclass
class Side:
    """A server with its relay and its clients."""

    name: str
    server: Child
    relay: Child
    clients: list[Child]
    runs: dict[int, Path]
    """The journals of the clients' runs."""
    journals: Path

    def servers(self) -> list[Path]:
        return [Path(str(self.journals).format(start=start + 1)) for start in range(self.server.starts)]

    @property
    def children(self) -> list[Child]:
        return [self.server, self.relay, *self.clients]


class Endurance:
    def __init__(self, plan: Plan, family: Family, checks: Checks) -> None:
        self._plan = plan
        self._family = family
        self._checks = checks
        self._random = random.Random(plan.seed)
        self._run = 0
        self.samples: list[Sample] = []
        self.kills: list[tuple[float, str]] = []
        """Minutes from the beginning, and who."""
        self.latencies = Latencies()
        self.verdicts: dict[str, journal.Verdict] = {}
        self.growth: list[str] = []
        self.cut: dict[str, int] = {}
        self._problems: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._file = family.folder / "files" / "file"
        self._began = 0.0

    async def run(self) -> None:
        self._file.parent.mkdir()
        self._file.write_bytes(random.randbytes(FILE))
        ports = fixed_ports(6)
        steady = self._side("steady", ports[:3])
        killed = self._side("killed", ports[3:])
        slow = self._family.child(
            "slow",
            "slow",
            port=ports[0],
            sockhop_port=ports[1],
            readers=self._plan.readers,
            rest=self._plan.rest,
            dribblers=0,
            kinds=KINDS,
            pieces=PIECES,
            spread=0,
        )
        starting = [child for side in (steady, killed) for child in (side.relay, side.server)]
        await asyncio.gather(*(child.start() for child in starting))
        await self._relayed(steady)
        before = await self._census([steady.server, steady.relay], objects=True)
        clients = [(side, client) for side in (steady, killed) for client in side.clients]
        await asyncio.gather(slow.start(), *(self._start_client(*client) for client in clients))
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(steady, slow))
            tasks.create_task(self._kill(killed))
        self._keep_samples()
        await self._finish(steady, killed, slow, before)

    # --- beginning

    def _side(self, name: str, ports: Sequence[int]) -> Side:
        folder = self._family.folder
        journals = folder / f"{name}-server-{{start}}.journal"
        port, sockhop_port, relay_port = ports
        server_id, relay_id = secrets.token_hex(16), secrets.token_hex(16)
        server = self._family.child(
            f"{name}-server",
            "server",
            port=port,
            sockhop_port=sockhop_port,
            relay=relay_port,
            relay_id=relay_id,
            id=server_id,
            journal=str(journals),
            files=str(self._file.parent),
        )
        relay = self._family.child(f"{name}-relay", "relay", port=relay_port, id=relay_id)
        place = {
            "port": port,
            "sockhop_port": sockhop_port,
            "relay_port": relay_port,
            "server_id": server_id,
            "relay_id": relay_id,
        }
        clients = [
            self._family.child(
                f"{name}-client-{number + 1}",
                "client",
                place=place,
                file=str(self._file),
                sessions=SESSIONS,
                rate=self._plan.rate,
                requests=self._plan.requests,
                may_fail=name == "killed",
            )
            for number in range(self._plan.clients)
        ]
        return Side(name, server, relay, clients, {}, journals)

    async def _start_client(self, side: Side, client: Child) -> None:
        self._run += 1
        path = side.runs[self._run] = self._family.folder / f"{side.name}-client-{self._run}.journal"
        await client.start(run=self._run, journal=str(path))

    async def _relayed(self, side: Side) -> None:
        async def is_there() -> bool:
            return bool((await side.server.ask("connections"))["relayed"])

        await wait_for(is_there, SETTLE_SECONDS)

    async def _census(self, children: Sequence[Child], **more: bool) -> list[dict[str, Any]]:
        return [await child.ask("census", **more) for child in children]

    # --- meanwhile

    def _minutes(self) -> float:
        return (time.monotonic() - self._began) / 60

    async def _watch(self, side: Side, slow: Child) -> None:
        plan = self._plan
        traced = [1 / 3, 2 / 3] if plan.trace else []
        if plan.trace:
            await side.server.ask("trace")
        was_quiet = False
        for number in range(1, int(plan.seconds / plan.sample_every) + 1):
            until = self._began + number * plan.sample_every
            await asyncio.sleep(until - time.monotonic())
            readers = await self._note(slow)
            self.cut = readers["cut"]
            is_quiet = not readers["open"]
            # What waited for the readers may take a moment to be freed: the second look counts.
            trims = is_quiet and was_quiet
            was_quiet = is_quiet
            server, relay = await self._census([side.server, side.relay], trim=trims)
            count, p50, p99 = await self._figures(side)
            self.samples.append(Sample(self._minutes(), server, relay, count, p50, p99))
            if traced and number * plan.sample_every > plan.seconds * traced[0]:
                traced.pop(0)
                self.growth = (await side.server.ask("trace"))["growth"]

    def _keep_samples(self) -> None:
        """For whoever wants to look closer, with ``--keep``."""
        samples = [dataclasses.asdict(sample) for sample in self.samples]
        (self._family.folder / "samples.json").write_text(json.dumps(samples))

    async def _figures(self, side: Side) -> tuple[int, float, float]:
        """Of the plain requests of peers since the last time: how many, p50 and p99 in seconds."""
        windows = []
        for client in side.clients:
            told = await self._note(client)
            self.latencies.add(told["latency"])
            if "peer" in told["latency"]:
                windows.append(told["latency"]["peer"])
        if not windows:
            return 0, 0.0, 0.0
        middle = sorted(p50 for _, p50, _ in windows)[len(windows) // 2]
        return sum(count for count, _, _ in windows), middle, max(p99 for _, _, p99 in windows)

    async def _note(self, client: Child) -> dict[str, Any]:
        """The figures of a client, whose problems are kept."""
        told = await client.ask("figures")
        if told["count"]:
            self._counts[client.name] = self._counts.get(client.name, 0) + told["count"]
            self._problems.setdefault(client.name, []).extend(told["problems"])
        return told

    async def _kill(self, side: Side) -> None:
        """Kill somebody now and then, and start him again."""
        plan = self._plan
        while True:
            pause = plan.kill_every * self._random.uniform(0.5, 1.5)
            down = DOWN * self._random.random()
            if time.monotonic() + pause + down > self._began + plan.seconds:
                return
            await asyncio.sleep(pause)
            victim = self._random.choice(side.children)
            if victim in side.clients:
                # What it knows would die with it.
                await self._note(victim)
            await victim.kill()
            self.kills.append((self._minutes(), victim.name))
            await asyncio.sleep(down)
            if victim in side.clients:
                await self._start_client(side, victim)
            else:
                await victim.start()

    # --- the end

    async def _finish(
        self, steady: Side, killed: Side, slow: Child, before: Sequence[dict[str, Any]]
    ) -> None:
        checks = self._checks
        await self._all_came_back(killed)
        left = [(await slow.ask("finish"))["left"]]
        clients = [*steady.clients, *killed.clients]
        finishing = [client.ask("finish", seconds=FINISH_SECONDS) for client in clients]
        left += [answer["left"] for answer in await asyncio.gather(*finishing)]
        checks.add("all sessions end when they are to end", not any(left), f"{sum(left)} did not")
        for client in (*clients, slow):
            await self._note(client)
            await self._stop(client)
        await self._relayed(killed)
        # The one that is killed is the same program: it has to come back to the same figures.
        for side, name in ((steady, "never killed"), (killed, "killed")):
            for child, was in zip((side.server, side.relay), before, strict=True):
                await self._is_as_before(child, was, f"{name}: {child.name.split('-')[1]}")
        for side in (steady, killed):
            for child in (side.server, side.relay):
                await self._stop(child)
            verdict = journal.compare(side.runs, side.servers(), killed=side is killed)
            self.verdicts[side.name] = verdict
            name = "never killed" if side is steady else "killed"
            checks.add(f"{name}: what was answered was executed once", verdict.is_good, str(verdict))
        problems = sum(self._counts.values())
        shown = "; ".join(text for texts in self._problems.values() for text in texts[:3])
        checks.add(
            "no wrong answer, none too late, no error", not problems, f"{problems}: {shown}".strip(": ")
        )
        victims = ", ".join(f"{victim} {count}" for victim, count in sorted(self.killed().items()))
        checks.add("somebody was killed", bool(self.kills), f"{len(self.kills)} times: {victims}")
        self._logs()

    async def _all_came_back(self, side: Side) -> None:
        """Sessions of every kind have to come to a good end after the last kill."""
        for client in side.clients:
            await self._note(client)
        missing = {(client.name, kind) for client in side.clients for kind in SESSIONS}

        async def is_complete() -> bool:
            for client in side.clients:
                done = (await self._note(client))["done"]
                missing.difference_update({(client.name, kind) for kind in done})
            return not missing

        is_good = await wait_for(is_complete, FINISH_SECONDS)
        found = ", ".join(f"{kind} of {client}" for client, kind in sorted(missing)) or "all kinds"
        self._checks.add("killed: everybody came back", is_good, found)

    async def _is_as_before(self, child: Child, was: dict[str, Any], name: str) -> None:
        wanted = {what: was[what] for what in ("descriptors", "tasks")}
        now: dict[str, Any] = {}

        async def is_so() -> bool:
            now.update(await child.ask("census"))
            return {what: now[what] for what in wanted} == wanted

        is_good = await wait_for(is_so, SETTLE_SECONDS)
        text = ", ".join(f"{what} {was[what]} before, {now[what]} after" for what in wanted)
        if name.startswith("never"):
            now = await child.ask("census", objects=True)
            text += f", objects {was['objects']:,} and {now['objects']:,}"
            text += f", RSS {was['rss'] / MIB:.1f} and {now['rss'] / MIB:.1f} MiB"
        self._checks.add(f"{name} is as before", is_good, text)

    async def _stop(self, child: Child) -> None:
        status = await child.stop()
        if status:
            self._checks.add(f"{child.name} ends in order", False, f"status {status}")

    def killed(self) -> dict[str, int]:
        """How often each was killed."""
        counts: dict[str, int] = {}
        for _, name in self.kills:
            counts[name] = counts.get(name, 0) + 1
        return counts

    def _logs(self) -> None:
        """At most a warning for each that was cut, and never a traceback."""
        errors = []
        warnings = 0
        for child in self._family.children:
            for line in child.log.read_text(errors="replace").splitlines():
                if line.startswith("WARNING"):
                    warnings += 1
                else:
                    errors.append(f"{child.name}: {line}")
        text = f"{warnings} warnings; {len(errors)} other lines: {' / '.join(errors[:5])}".rstrip(": ")
        self._checks.add("nothing in the logs but warnings", not errors, text)
