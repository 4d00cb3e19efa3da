"""Who asked for what, what was executed, and whether the two agree.

Each run of a client numbers what it asks for. It writes down ``a 17`` before number 17 leaves, and
``r 17`` when its answer (or an acknowledgement) is there, or ``f 17`` when it learns that there will
be none. A server writes ``RUN 17`` before it answers. Every line is one write to a file, so that
what was written is there after a SIGKILL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SHOWN = 3
"""Examples of each kind of problem that are told."""

ASKED, ANSWERED, FAILED = 1, 2, 4
_MARKS = {"a": ASKED, "r": ANSWERED, "f": FAILED}
_MANY = 255


class Journal:
    """A file to which lines are only ever added."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._fd)


class Asking:
    """The journal of one run of a client."""

    def __init__(self, path: str) -> None:
        self._journal = Journal(path)
        self._count = 0

    def ask(self) -> int:
        """The number of something that will leave now."""
        self._count += 1
        self._journal.write(f"a {self._count}")
        return self._count

    def answered(self, *numbers: int) -> None:
        for number in numbers:
            self._journal.write(f"r {number}")

    def failed(self, *numbers: int) -> None:
        for number in numbers:
            self._journal.write(f"f {number}")


@dataclass
class Verdict:
    """What the journals say together."""

    asked: int = 0
    answered: int = 0
    executed: int = 0
    failed: int = 0
    """Its asker learned that there will be no answer; it may have been executed or not."""
    open: int = 0
    """Its asker was killed before it learned anything."""
    problems: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not self.problems

    def _add(self, problem: str, run: int, number: int) -> None:
        self.problems.setdefault(problem, []).append(f"{run}/{number}")

    def __str__(self) -> str:
        counts = (
            f"asked {self.asked:,}, answered {self.answered:,}, executed {self.executed:,}, "
            f"failed {self.failed:,}, asker killed {self.open:,}"
        )
        problems = [
            f"{len(which):,} {problem} ({', '.join(which[:SHOWN])})"
            for problem, which in self.problems.items()
        ]
        return "; ".join([counts, *problems])


def compare(clients: Mapping[int, Path], servers: Sequence[Path], *, killed: bool) -> Verdict:
    """Whether each answered request was executed exactly once, none twice, and none that nobody
    asked for. ``clients`` are journals by the number of the run. Unless some were ``killed``, nothing
    may be left open either."""
    verdict = Verdict()
    asked = {run: _asked(path) for run, path in clients.items()}
    executed = {run: bytearray(len(marks)) for run, marks in asked.items()}
    for path in servers:
        for line in _lines(path):
            run, number = map(int, line.split())
            verdict.executed += 1
            times = executed.get(run, b"")
            if number >= len(times):
                verdict._add("executed, but never asked for", run, number)
            else:
                executed[run][number] = min(times[number] + 1, _MANY)
    for run, marks in asked.items():
        for number, mark in enumerate(marks):
            if not mark:
                continue
            times_executed = executed[run][number]
            verdict.asked += 1
            if mark & ANSWERED:
                verdict.answered += 1
                if not times_executed:
                    verdict._add("answered, but never executed", run, number)
            elif mark & FAILED:
                verdict.failed += 1
            else:
                verdict.open += 1
                if not killed:
                    verdict._add("neither answered nor failed", run, number)
            if times_executed > 1:
                verdict._add("executed more than once", run, number)
    return verdict


def _asked(path: Path) -> bytearray:
    """The marks of each number, at its index; there is no number 0."""
    marks = bytearray(1)
    for line in _lines(path):
        kind, number = line.split()
        at = int(number)
        if at >= len(marks):
            marks.extend(bytes(at + 1 - len(marks)))
        marks[at] |= _MARKS[kind]
    return marks


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open() as journal:
            for line in journal:
                # Who is killed while he writes leaves half a line behind, of what never left.
                if line.endswith("\n"):
                    yield line
