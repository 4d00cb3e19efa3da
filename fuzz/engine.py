"""One target under atheris: ``python -m fuzz.engine TARGET [libFuzzer's options and corpora]``.

Only Wirehop's own modules are instrumented, so that the search is for new ways through them and the
rest runs at its usual speed. Nothing else of this folder needs atheris.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import atheris

from fuzz import targets
from fuzz.checks import Watch

__all__ = ["SLOWEST", "main"]

SLOWEST = "slowest-"
"""How the file begins that has the slowest input; its name goes on with the target's."""

NOTED = 0.001
"""Seconds from which on an input is worth a line in the log."""


def main(arguments: list[str]) -> None:
    """Search until libFuzzer's options say that it is enough; then, or at a crash, the process ends."""
    name, *options = arguments
    with atheris.instrument_imports(include=list(targets.INSTRUMENTED[name])):
        target = targets.load(name)
    folder = Path(os.environ.get("FUZZ_ARTIFACTS", "."))

    def noted(seconds: float, data: bytes) -> None:
        if seconds >= NOTED:
            (folder / f"{SLOWEST}{name}").write_bytes(data)
            sys.stderr.write(f"slowest: {seconds * 1000:.1f} ms, {len(data)} bytes\n")

    # What was imported stays: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    atheris.Setup([sys.argv[0], *options], Watch(target.fuzz_one, noted))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
