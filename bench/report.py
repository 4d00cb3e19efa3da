"""From the figures of all rounds to a table, and into RESULTS.md."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from harness import Figures, Growth, IdleMemory
from kinds import AnyScenario, GrowthScenario, IdleLoad, IdleScenario, Scenario, Server

Round = Mapping[Server, Figures]
IdleRound = Mapping[tuple[IdleLoad, Server], IdleMemory]
BUSY_LIMIT = 0.9

RESULTS_HEAD = """# Results

Written by `bench/run.py --write`, one section for each scenario. What the columns mean and how
far to trust them: [README.md](README.md).
"""


def table(scenario: Scenario, rounds: Sequence[Round]) -> str:
    lines = [
        f"| server | requests/s | times {scenario.baseline.name} "
        "| p50 | p99 | generator busy | RSS | peak RSS |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *(_row(scenario, server, rounds) for server in scenario.servers),
        "",
        _verdict(scenario, rounds),
        *_warnings(scenario, rounds),
    ]
    return "\n".join(lines)


def _median(server: Server, rounds: Sequence[Round], figure: Callable[[Figures], float]) -> float:
    return median(figure(outcome[server]) for outcome in rounds)


def _ratios(one: Server, other: Server, rounds: Sequence[Round]) -> list[float]:
    # Inside one round, because the machine's own speed drifts from round to round.
    return [outcome[one].rate / outcome[other].rate for outcome in rounds]


def _spread(values: Sequence[float], form: str) -> str:
    """Their median and their range."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _row(scenario: Scenario, server: Server, rounds: Sequence[Round]) -> str:
    ratio = "1"
    if server != scenario.baseline:
        ratio = _spread(_ratios(server, scenario.baseline, rounds), ".2f")
    cells = [
        server.name,
        f"{_median(server, rounds, lambda figures: figures.rate):,.0f}",
        ratio,
        f"{_median(server, rounds, lambda figures: figures.p50_us) / 1000:.2f} ms",
        f"{_median(server, rounds, lambda figures: figures.p99_us) / 1000:.2f} ms",
        f"{_median(server, rounds, lambda figures: figures.busy):.2f}",
        f"{_median(server, rounds, lambda figures: figures.rss_kib) / 1024:.0f} MiB",
        f"{_median(server, rounds, lambda figures: figures.peak_rss_kib) / 1024:.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def _verdict(scenario: Scenario, rounds: Sequence[Round]) -> str:
    demands = [(scenario.baseline, scenario.target), *scenario.demands]
    verdicts = "; ".join(_met(scenario.subject, other, times, rounds) for other, times in demands)
    return f"Target of {scenario.subject.name}: {verdicts}. Medians; rounds: {len(rounds)}."


def _met(subject: Server, other: Server, times: float, rounds: Sequence[Round]) -> str:
    if other not in rounds[0]:
        return f"{times:g} times {other.name}, not measured"
    reached = median(_ratios(subject, other, rounds))
    verdict = "reached" if reached >= times else "missed"
    return f"{times:g} times {other.name}, {verdict} with {reached:.2f}"


def _warnings(scenario: Scenario, rounds: Sequence[Round]) -> list[str]:
    return [
        f"\n**No headroom**: against {server.name} the generator was busy for more than {BUSY_LIMIT:.0%} of"
        " the time, so it may be the generator's rate that this shows."
        for server in scenario.servers
        if _median(server, rounds, lambda figures: figures.busy) > BUSY_LIMIT
    ]


def idle_table(scenario: IdleScenario, rounds: Sequence[IdleRound]) -> str:
    lines = [
        "| idle | server | KiB for each | RSS before | RSS after |",
        "|---|---|--:|--:|--:|",
        *(_idle_row(load, server, rounds) for load in scenario.loads for server in load.servers),
        "",
        " ".join([*_idle_verdicts(scenario, rounds), f"Medians; rounds: {len(rounds)}."]),
    ]
    return "\n".join(lines)


def _idle_verdicts(scenario: IdleScenario, rounds: Sequence[IdleRound]) -> list[str]:
    verdicts = []
    for load in scenario.loads:
        # A server that cannot run here has no figures.
        if load.limit is not None and load.limit[0] in load.servers:
            server, most = load.limit
            reached = median(outcome[load, server].each_kib for outcome in rounds)
            verdict = "reached" if reached <= most else "missed"
            verdicts.append(
                f"Target of {server.name} for {load.title}: "
                f"{most:g} KiB at most, {verdict} with {reached:.1f}."
            )
    return verdicts


def _idle_row(load: IdleLoad, server: Server, rounds: Sequence[IdleRound]) -> str:
    outcomes = [outcome[load, server] for outcome in rounds]
    cells = [
        f"{load.connections:,} {load.title}",
        server.name,
        _spread([memory.each_kib for memory in outcomes], ".1f"),
        f"{median(memory.before_kib for memory in outcomes) / 1024:.0f} MiB",
        f"{median(memory.after_kib for memory in outcomes) / 1024:.0f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def growth_table(scenario: GrowthScenario, outcome: Mapping[Server, Growth]) -> str:
    verdicts = [
        f"Target of {server.name}: {scenario.limit:g} bytes for each request at most, "
        f"{'reached' if growth.each_bytes <= scenario.limit else 'missed'} with {growth.each_bytes:.1f}."
        for server, growth in outcome.items()
        if server.program == "python"
    ]
    return "\n".join(
        [
            "| server | requests | RSS after a tenth | after half | at the end | bytes for each since half |",
            "|---|--:|--:|--:|--:|--:|",
            *(
                f"| {server.name} | {growth.requests:,} | {growth.first_kib / 1024:.1f} MiB"
                f" | {growth.half_kib / 1024:.1f} MiB | {growth.last_kib / 1024:.1f} MiB"
                f" | {growth.each_bytes:.1f} |"
                for server, growth in outcome.items()
            ),
            "",
            " ".join(verdicts),
        ]
    )


def section(scenario: AnyScenario, table: str, versions: Mapping[str, str], command: str) -> str:
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    return dated_section(scenario.name, scenario.title, [software, f"`{command}`"], table)


def dated_section(name: str, title: str, facts: Sequence[str], table: str) -> str:
    """What was found, when and on which machine."""
    return "\n".join(
        [
            f"## {name}",
            "",
            f"{title}.",
            "",
            f"- {datetime.date.today().isoformat()}; {_machine()}",
            *(f"- {fact}" for fact in facts),
            "",
            table,
        ]
    )


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    # Only some architectures name their processor there.
    model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "")
    return f"{model or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def write_section(path: Path, name: str, text: str, head: str = RESULTS_HEAD) -> None:
    """Puts the text between the markers of this name, which it adds where they are missing."""
    begin, end = f"<!-- {name} begins -->", f"<!-- {name} ends -->"
    content = path.read_text() if path.exists() else head
    before, found, rest = content.partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    if not found:
        before = f"{before.rstrip()}\n\n"
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")
