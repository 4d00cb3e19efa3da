"""From the samples of a run to its slope, its table and its plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from soak.endurance import Endurance
from soak.figures import MIB, Checks, slope, table
from soak.plot import Line, Panel, svg
from soak.watch import Sample

WARM_UP = 5.0
"""Minutes that do not count for the slope."""
JUDGED = 10.0
"""Minutes that have to follow for the slope to say anything."""
LIMIT = 1.0
"""MB an hour."""
LOOKS = 30
"""At what is held, at least, for a slope that says anything."""


def judge_memory(samples: Sequence[Sample], checks: Checks) -> None:
    """Whether the resident memory is flat after the warm-up, or, of a short run, what it did. Judged
    is what is held while no slow reader is there and when glibc has just given back what is free; what
    the system says at all other times is told."""
    last = samples[-1].minutes
    is_long = last >= WARM_UP + JUDGED
    warm_up = WARM_UP if is_long else last / 3
    for who in ("server", "relay"):
        looks = [(sample.minutes, getattr(sample, who)) for sample in samples if sample.minutes >= warm_up]
        held = [(minutes, look["held"]) for minutes, look in looks if "held" in look]
        growth = _growth(held)
        found = (
            f"{growth:+.2f} MB/h from minute {warm_up:.1f} to {last:.1f} in {len(held)} looks; "
            f"{_growth([(minutes, look['rss']) for minutes, look in looks]):+.2f} with what is free"
        )
        name = f"never killed: RSS of the {who} is flat (below {LIMIT:g} MB/h)"
        if is_long:
            checks.add_timing(name, growth < LIMIT and len(held) >= LOOKS, found)
        else:
            checks.add(name, True, f"{found}: too short to be judged")


def _growth(points: Sequence[tuple[float, float]]) -> float:
    """MB an hour, of minutes and bytes."""
    return slope(points) * 60 / 1e6 if len(points) > 1 else 0.0


def _server(sample: Sample) -> float:
    return float(sample.server["rss"])


def _relay(sample: Sample) -> float:
    return float(sample.relay["rss"])


def _held(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    return [(sample.minutes, sample.server["held"] / MIB) for sample in samples if "held" in sample.server]


def text(run: Endurance, checks: Checks) -> str:
    """The report in Markdown."""
    parts = [checks.table(), "", _course(run.samples), "", run.latencies.table()]
    if any(run.cut.values()):
        parts += ["", f"Slow readers that were cut: {', '.join(f'{k} {n}' for k, n in run.cut.items())}."]
    if run.growth:
        parts += ["", "Growth of allocated memory in the last third:", "", "```", *run.growth, "```"]
    return "\n".join(parts)


def _course(samples: Sequence[Sample]) -> str:
    """The run in some ten lines."""
    step = max(1, len(samples) // 10)
    rows = []
    for at in range(0, len(samples), step):
        part = samples[at : at + step]
        rows.append(
            (
                f"{part[-1].minutes:.1f}",
                f"{median(map(_server, part)) / MIB:.1f}",
                f"{median(map(_relay, part)) / MIB:.1f}",
                _range(part, lambda sample: sample.server["descriptors"]),
                _range(part, lambda sample: sample.server["tasks"]),
                f"{sum(sample.answers for sample in part):,}",
                f"{median(sample.p50 for sample in part) * 1000:.1f} ms",
                f"{median(sample.p99 for sample in part) * 1000:.1f} ms",
            )
        )
    heads = ("minute", "server MiB", "relay MiB", "descriptors", "tasks", "answers", "p50", "p99")
    return table(heads, rows)


def _range(samples: Sequence[Sample], figure: Callable[[Sample], int]) -> str:
    values = [figure(sample) for sample in samples]
    return f"{min(values)} to {max(values)}"


def picture(run: Endurance, title: str) -> str:
    """The plot, as SVG."""
    samples = run.samples

    def line(name: str, figure: Callable[[Sample], float]) -> Line:
        return Line(name, [(sample.minutes, figure(sample)) for sample in samples])

    marks = [minutes for minutes, _ in run.kills]
    return svg(
        title,
        [
            Panel(
                "resident memory, MiB",
                [
                    line("server", lambda s: _server(s) / MIB),
                    line("relay", lambda s: _relay(s) / MIB),
                    Line("server, held", _held(samples)),
                ],
            ),
            Panel(
                "descriptors",
                [
                    line("server", lambda s: s.server["descriptors"]),
                    line("relay", lambda s: s.relay["descriptors"]),
                ],
            ),
            Panel(
                "tasks",
                [line("server", lambda s: s.server["tasks"]), line("relay", lambda s: s.relay["tasks"])],
            ),
            Panel(
                "latency of plain requests, ms (grey: somebody was killed, on the other side)",
                [line("p50", lambda s: s.p50 * 1000), line("p99", lambda s: s.p99 * 1000)],
                marks,
            ),
        ],
    )
