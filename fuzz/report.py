"""What a run of one target came to, out of libFuzzer's log, and the table of all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Outcome", "read", "table"]

_EXECUTIONS = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_PROGRESS = re.compile(r"^#(\d+)\t", re.MULTILINE)
_EDGES = re.compile(r"\bcov: (\d+)")
_SLOWEST = re.compile(r"^slowest: ([\d.]+) ms", re.MULTILINE)
_ERROR = re.compile(r"=== Uncaught Python exception: ===\n(.*)")
_FATAL = re.compile(r"ERROR: libFuzzer: (.*)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One target's run."""

    name: str
    seconds: float
    executions: int
    edges: int
    slowest: float | None
    """Milliseconds of the slowest input, or None for less than one."""
    error: str | None
    """What ended it before its time."""
    inputs: tuple[Path, ...]
    """Those that did."""


def read(name: str, log: str, seconds: float, status: int, inputs: list[Path]) -> Outcome:
    """The outcome of a run, of which ``status`` is the exit status."""
    done = _EXECUTIONS.search(log)
    counts = [done[1]] if done else _PROGRESS.findall(log)
    edges = _EDGES.findall(log)
    slowest = _SLOWEST.findall(log)
    error = None
    if status or inputs:
        found = _ERROR.search(log) or _FATAL.search(log)
        error = found[1] if found else f"exit status {status}"
    return Outcome(
        name,
        seconds,
        int(counts[-1]) if counts else 0,
        int(edges[-1]) if edges else 0,
        float(slowest[-1]) if slowest else None,
        error,
        tuple(inputs),
    )


def table(outcomes: list[Outcome]) -> str:
    """One line for each target, and their sum."""
    lines = [f"{'target':<17}{'executions':>12}{'per second':>12}{'edges':>7}{'crashes':>9}{'slowest':>11}"]
    for one in outcomes:
        slowest = "< 1 ms" if one.slowest is None else f"{one.slowest:.1f} ms"
        crashes = int(one.error is not None)
        rate = one.executions / one.seconds if one.seconds else 0.0
        lines.append(
            f"{one.name:<17}{one.executions:>12,}{rate:>12,.0f}{one.edges:>7}{crashes:>9}{slowest:>11}"
        )
    executions = sum(one.executions for one in outcomes)
    crashes = sum(one.error is not None for one in outcomes)
    lines.append(f"{'all':<17}{executions:>12,}{'':>12}{'':>7}{crashes:>9}")
    return "\n".join(lines)
