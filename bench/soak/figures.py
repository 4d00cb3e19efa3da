"""Percentiles, slopes, and what was found to be so or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

MIB = 1 << 20


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value in a sorted sequence below which so many percent of the others are."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line that fits best, by least squares. Raises ``ValueError`` for
    less than two points, or where all have the same abscissa."""
    count = len(points)
    if count < 2:
        raise ValueError("a line takes two points")
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread:
        raise ValueError("these points are above one another")
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


@dataclass(frozen=True)
class Check:
    """Something that must be so; ``text`` says what was found."""

    name: str
    is_good: bool
    text: str


@dataclass
class Checks:
    """All of them. Where the machine is busy with other things, those of times and of memory are
    told but not judged."""

    judges_timing: bool = True
    all: list[Check] = field(default_factory=list)

    def add(self, name: str, is_good: bool, text: str) -> None:
        self.all.append(Check(name, is_good, text))

    def add_timing(self, name: str, is_good: bool, text: str) -> None:
        verdict = text if self.judges_timing else f"{text} (not judged)"
        self.all.append(Check(name, is_good or not self.judges_timing, verdict))

    @property
    def are_good(self) -> bool:
        return all(check.is_good for check in self.all)

    def table(self) -> str:
        rows = ((check.name, "yes" if check.is_good else "**NO**", check.text) for check in self.all)
        return table(("check", "holds", "found"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join('---' for _ in heads)}|"]
    lines += (f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)
    return "\n".join(lines)


@dataclass
class Latencies:
    """Windows of one client process after another: count, p50 and p99 (seconds), by kind."""

    windows: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)

    def add(self, told: Mapping[str, Sequence[float]]) -> None:
        for kind, (count, p50, p99) in told.items():
            self.windows.setdefault(kind, []).append((int(count), p50, p99))

    def table(self) -> str:
        rows = (
            (
                kind,
                f"{sum(count for count, _, _ in windows):,}",
                f"{median(p50 for _, p50, _ in windows) * 1000:.1f} ms",
                f"{median(p99 for _, _, p99 in windows) * 1000:.1f} ms",
                f"{max(p99 for _, _, p99 in windows) * 1000:.1f} ms",
            )
            for kind, windows in sorted(self.windows.items())
        )
        return table(("of", "answers", "p50", "p99", "worst p99 of a window"), rows)
