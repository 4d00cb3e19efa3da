"""A plot as SVG: panels above one another, with the time as their common abscissa."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP, BOTTOM = 900, 150, 70, 20, 34, 34, 34
COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd")
GRID, TEXT, MARK = "#dddddd", "#333333", "#bbbbbb"
LINES = 4
"""Of the grid, at least."""


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]


@dataclass
class Panel:
    title: str
    lines: Sequence[Line]
    marks: Sequence[float] = field(default_factory=list)
    """Moments to be shown as thin lines from top to bottom."""


def svg(title: str, panels: Sequence[Panel], *, unit: str = "minutes") -> str:
    """The whole picture. The points of a line are ordered by their abscissa."""
    last = max((line.points[-1][0] for panel in panels for line in panel.lines if line.points), default=1.0)
    height = TOP + len(panels) * (PANEL + GAP) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, TOP + number * (PANEL + GAP) + GAP // 2, last or 1.0)
    bottom = height - BOTTOM + 14
    for tick in ticks(0, last or 1.0):
        parts.append(f'<text x="{_x(tick, last):.1f}" y="{bottom}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom + 14}" text-anchor="end">{escape(unit)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others: steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10.0 ** math.floor(math.log10(span / LINES))
    step *= next(times for times in (5, 2, 1) if times * step <= span / LINES)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _x(moment: float, last: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * moment / (last or 1.0)


def _panel(panel: Panel, top: float, last: float) -> list[str]:
    values = [value for line in panel.lines for _, value in line.points]
    low, high = min(values, default=0.0), max(values, default=1.0)
    # A flat line is drawn as one, and not as the noise that it has.
    low = 0.0 if low < high / 2 else low - 0.1 * (high - low)
    high = high + 0.05 * (high - low) or 1.0
    high = high if high > low else low + 1.0

    def y(value: float) -> float:
        return top + PANEL * (1 - (value - low) / (high - low))

    parts = [f'<text x="{LEFT}" y="{top - 5:.1f}">{escape(panel.title)}</text>']
    for tick in ticks(low, high):
        at = y(tick)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts += (
        f'<path d="M{_x(moment, last):.1f} {top}v{PANEL}" stroke="{MARK}" stroke-width="0.5"/>'
        for moment in panel.marks
    )
    for number, line in enumerate(panel.lines):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{_x(moment, last):.1f},{y(value):.1f}" for moment, value in line.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        at = WIDTH - RIGHT - 130 * (len(panel.lines) - number)
        parts.append(f'<text x="{at}" y="{top - 5:.1f}" fill="{colour}">&#9644; {escape(line.name)}</text>')
    return parts
