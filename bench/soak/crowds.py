"""One-off scenarios with very many connections: idle ones, a storm of them, slow ones."""

from __future__ import annotations

import asyncio
import resource
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from soak.children import Child, Family, SoakError, fixed_ports
from soak.figures import Checks, percentile, table
from soak.watch import wait_for

CLIENTS = 4
EACH = 1000
"""Processes that share the connections of a scenario, at most, and how many one has at least."""
SPARE = 200
"""Descriptors of a process that are no connections."""
FIRST_CONNECTIONS = 16
"""What a process needs only once belongs to these, which come and go before the others."""
SETTLE_SECONDS = 30.0
STORM_SECONDS = 60.0
"""In which everybody has to be back (threats.md of the project's design, case 52)."""
DOWN_SECONDS = 1.0
PIECES = 100
"""Of 64 KiB each that a slow reader asks for."""
SPREAD = 3.0
"""Seconds in which the slow ones come: connecting is not what is measured."""
KIB = 1024

TITLES = {
    "soak": "Load with kills: every answer checked, memory, descriptors, tasks and latency over the time",
    "idle": "Idle connections of peers to one process, with heartbeats; and what each of them takes",
    "storm": "Peers and sockhop clients that all come back after the server was killed",
    "slow": "Slow heads, slow bodies and readers that do not read, beside a client that does",
}


class Stage:
    """A server with its clients, of which each has a part of the connections."""

    def __init__(self, family: Family, connections: int) -> None:
        check_descriptors(connections)
        self.ports = fixed_ports(2)
        port, sockhop_port = self.ports
        self.server = family.child(
            "server",
            "server",
            port=port,
            sockhop_port=sockhop_port,
            relay=None,
            id=secrets.token_hex(16),
            journal=str(family.folder / "server-{start}.journal"),
            files=str(family.folder),
        )
        self.probe = family.child("probe", "probe", port=port)
        self.crowds = [
            family.child(f"crowd-{number + 1}", "crowd", port=port, sockhop_port=sockhop_port)
            for number in range(min(CLIENTS, 1 + connections // EACH))
        ]
        self.family = family

    async def start(self) -> None:
        await asyncio.gather(*(child.start() for child in (self.server, self.probe, *self.crowds)))

    async def stop(self, checks: Checks) -> None:
        for child in reversed(self.family.children):
            if child.is_running and (status := await child.stop()):
                checks.add(f"{child.name} ends in order", False, f"status {status}")
        lines = [line for child in self.family.children for line in _errors(child.log)]
        found = f"{len(lines)} other lines {' / '.join(lines[:3])}".rstrip()
        checks.add("nothing in the logs but warnings", not lines, found)

    async def grow(self, peers: int, sockhops: int = 0) -> None:
        shares = zip(self.crowds, self.shares(peers), self.shares(sockhops), strict=True)
        await asyncio.gather(
            *(crowd.ask("grow", peers=share, sockhops=others) for crowd, share, others in shares)
        )

    def shares(self, count: int) -> list[int]:
        """How many of so many each of the client processes has."""
        processes = len(self.crowds)
        return [count // processes + (number < count % processes) for number in range(processes)]

    async def leave(self) -> None:
        await asyncio.gather(*(crowd.ask("leave") for crowd in self.crowds))

    async def connected(self) -> int:
        """How many connections the server has."""
        told = await self.server.ask("connections")
        return int(told["peers"] + told["sessions"])

    async def has(self, count: int, seconds: float) -> bool:
        async def is_so() -> bool:
            return await self.connected() == count

        return await wait_for(is_so, seconds)

    async def census(self) -> dict[str, Any]:
        return await self.server.ask("census", objects=True, trim=True)

    async def is_as_before(self, was: dict[str, Any], checks: Checks) -> None:
        now: dict[str, Any] = {}

        async def is_so() -> bool:
            now.update(await self.server.ask("census"))
            return all(now[what] == was[what] for what in ("descriptors", "tasks"))

        is_good = await wait_for(is_so, SETTLE_SECONDS)
        text = ", ".join(f"{what} {was[what]} before, {now[what]} after" for what in ("descriptors", "tasks"))
        checks.add("the server is as before", is_good, text)


def check_descriptors(connections: int) -> None:
    """Raises ``SoakError`` where the limits of this machine do not allow so many connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connections + SPARE > most:
        raise SoakError(
            f"{connections:,} connections take {connections + SPARE:,} descriptors in the server's process, "
            f"and the hard limit is {most:,} (ulimit -Hn): raise it, or ask for {max(0, most - SPARE):,}"
        )
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    if connections > (high - low) * 0.9:
        raise SoakError(
            f"{connections:,} connections need as many ports of clients, and the system gives "
            f"{high - low:,} (net.ipv4.ip_local_port_range)"
        )


def _errors(log: Path) -> list[str]:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [line for line in lines if not line.startswith("WARNING")]


async def idle(count: int, seconds: float, family: Family, checks: Checks) -> str:
    """So many peers that do nothing."""
    stage = Stage(family, count)
    await stage.start()
    await stage.grow(FIRST_CONNECTIONS)
    await stage.leave()
    await stage.has(0, SETTLE_SECONDS)
    crowd = stage.crowds[0]
    before, crowd_before = await stage.census(), await crowd.ask("census", objects=True)
    alone = await stage.probe.ask("measure", seconds=seconds)
    began = time.monotonic()
    await stage.grow(count)
    took = time.monotonic() - began
    full, crowd_full = await stage.census(), await crowd.ask("census", objects=True)
    beside = await stage.probe.ask("measure", seconds=seconds)
    stayed = await stage.connected()
    checks.add("all are connected, and stay", stayed == count, f"{stayed:,} of {count:,}")
    await stage.leave()
    checks.add("all leave", await stage.has(0, SETTLE_SECONDS), f"{await stage.connected()} are left")
    await stage.is_as_before(before, checks)
    after = await stage.census()
    await stage.stop(checks)
    share = stage.shares(count)[0]
    rows = [
        ("connections", f"{count:,}, made in {took:.1f} s"),
        ("server: memory of each", f"{(full['rss'] - before['rss']) / count / KIB:.1f} KiB"),
        ("server: RSS before, with them, after", _mib("rss", before, full, after)),
        ("... once what is free was given back", _mib("held", before, full, after)),
        ("server: objects before, with them, after", _counts(before, full, after)),
        ("client: memory of each", f"{(crowd_full['rss'] - crowd_before['rss']) / share / KIB:.1f} KiB"),
        ("one that asks, alone", _latency(alone)),
        ("one that asks, beside them", _latency(beside)),
    ]
    return "\n".join([checks.table(), "", table(("of", "found"), rows)])


def _mib(what: str, *censuses: dict[str, Any]) -> str:
    return ", ".join(f"{census[what] / KIB / KIB:.0f}" for census in censuses) + " MiB"


def _counts(*censuses: dict[str, Any]) -> str:
    return ", ".join(f"{census['objects']:,}" for census in censuses)


def _latency(told: dict[str, Any]) -> str:
    return f"p50 {told['p50'] * 1000:.2f} ms, p99 {told['p99'] * 1000:.2f} ms, {told['count']:,} answers"


async def storm(count: int, seconds: float, family: Family, checks: Checks) -> str:
    """Half of them peers, half sockhop clients; the server is killed and comes back."""
    stage = Stage(family, count)
    await stage.start()
    await stage.grow(count - count // 2, count // 2)
    checks.add("all are connected", await stage.has(count, SETTLE_SECONDS), f"{await stage.connected():,}")
    attempts = sum(told["attempts"] for told in await _told(stage))
    await stage.server.kill()
    await asyncio.sleep(DOWN_SECONDS)
    await stage.server.start()
    began = time.monotonic()
    is_good = await stage.has(count, STORM_SECONDS)
    took = time.monotonic() - began
    told = await _told(stage)
    came = sorted(moment - began for each in told for moment in each["came"])
    text = f"{await stage.connected():,} of {count:,} after {took:.1f} s"
    checks.add_timing(f"all are back within {STORM_SECONDS:g} s", is_good, text)
    probe = await stage.probe.ask("measure", seconds=min(seconds, 5.0))
    await stage.leave()
    checks.add("all leave", await stage.has(0, SETTLE_SECONDS), f"{await stage.connected()} are left")
    await stage.stop(checks)
    rows = [
        *(
            (f"{share} % were back after", f"{percentile(came, share):.1f} s")
            for share in (50, 90, 99)
            if came
        ),
        ("busiest second", f"{_busiest(came):,} connections"),
        ("attempts of the peers, each", f"{(_attempts(told) - attempts) / max(1, count - count // 2):.1f}"),
        ("one that asks, afterwards", _latency(probe)),
    ]
    return "\n".join([checks.table(), "", table(("of", "found"), rows)])


async def _told(stage: Stage) -> list[dict[str, Any]]:
    return [await crowd.ask("connected") for crowd in stage.crowds]


def _attempts(told: list[dict[str, Any]]) -> int:
    return sum(each["attempts"] for each in told)


def _busiest(moments: list[float]) -> int:
    seconds: dict[int, int] = {}
    for moment in moments:
        seconds[int(moment)] = seconds.get(int(moment), 0) + 1
    return max(seconds.values(), default=0)


async def slow(count: int, seconds: float, family: Family, checks: Checks) -> str:
    """A third each of slow heads, slow bodies and readers that do not read."""
    stage = Stage(family, count)
    port, sockhop_port = stage.ports
    readers = count // 3
    others: Child = family.child(
        "slow",
        "slow",
        port=port,
        sockhop_port=sockhop_port,
        readers=readers,
        rest=0,
        dribblers=count - readers,
        kinds=("peer that waits", "sockhop that waits", "http"),
        pieces=PIECES,
        spread=SPREAD,
    )
    await stage.start()
    before = await stage.census()
    alone = await stage.probe.ask("measure", seconds=seconds)
    await others.start()

    problems: list[str] = []

    async def figures() -> dict[str, Any]:
        told = await others.ask("figures")
        problems.extend(told["problems"])
        return told

    async def are_there() -> bool:
        return bool((await figures())["open"] >= 0.9 * count)

    there = await wait_for(are_there, SETTLE_SECONDS)
    checks.add("the slow ones are there", there, f"{(await figures())['open']:,} of {count:,}")

    async def were_cut() -> bool:
        return bool(sum((await figures())["cut"].values()) + len(problems) >= readers)

    # The first of them are not measured: they touch a hundred megabytes that the virtual machine had
    # not touched before, and clearing those takes nearly half of the server's time.
    cut = await wait_for(were_cut, SETTLE_SECONDS)
    beside = await stage.probe.ask("measure", seconds=seconds)
    told = await figures()
    text = "; ".join(problems[:3]) or f"{sum(told['cut'].values()):,} times"
    checks.add("readers that do not read are cut", cut and not problems, text)
    await others.ask("finish")
    await stage.is_as_before(before, checks)
    again = await stage.probe.ask("measure", seconds=seconds)
    await stage.stop(checks)
    base = max(alone["p99"], again["p99"])
    text = f"{base * 1000:.2f} ms alone, {beside['p99'] * 1000:.2f} ms beside them"
    checks.add_timing("p99 of a good client at most doubles", beside["p99"] <= 2 * base, text)
    rows = [
        ("one that asks, alone", _latency(alone)),
        ("beside them", _latency(beside)),
        ("alone again", _latency(again)),
        ("cut meanwhile", ", ".join(f"{kind} {number}" for kind, number in told["cut"].items())),
    ]
    return "\n".join([checks.table(), "", table(("of", "found"), rows)])


SCENARIOS: dict[str, Callable[[int, float, Family, Checks], Awaitable[str]]] = {
    "idle": idle,
    "storm": storm,
    "slow": slow,
}
