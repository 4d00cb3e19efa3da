"""Run the targets: ``python -m fuzz [--seconds N] [--jobs N] [TARGET...]``, and what ``make fuzz`` does.

Each target gets so many seconds, in a process of its own, and begins where its last run ended. With
``--input FILE`` one input is tried, without atheris. Ends with 1 when a target found something.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz import targets
from fuzz.checks import Watch
from fuzz.report import Outcome, read, table

HERE = Path(__file__).parent

TIMEOUT = 10
"""Seconds after which an input that does not end is given up; a slow one that ends is found by
:mod:`fuzz.checks`."""

MEMORY = 1024
"""Mebibytes that a target may hold, which would be a leak: they need seventy."""

FOUND = ("crash-", "timeout-", "oom-", "leak-")
"""How libFuzzer's files begin that have what it found."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz Wirehop.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets.NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (2)")
    parser.add_argument("--output", type=Path, default=HERE / "build", help="what is found and learned")
    parser.add_argument("--input", type=Path, help="try this one with the target, and no other")
    arguments = parser.parse_args()
    names = arguments.targets or list(targets.NAMES)
    try:
        chosen = [targets.load(name) for name in names]
    except ValueError as error:
        parser.error(str(error))
    if arguments.input is not None:
        if len(chosen) != 1:
            parser.error("--input needs one target")
        Watch(chosen[0].fuzz_one)(arguments.input.read_bytes())
        return 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(run, target, arguments.seconds, arguments.output) for target in chosen]
        outcomes = [run.result() for run in runs]
    print(table(outcomes))
    for outcome in outcomes:
        if outcome.error is not None:
            print(f"\n{outcome.name}: {outcome.error}")
            for path in outcome.inputs:
                print(f"  again: {sys.executable} -m fuzz {outcome.name} --input {shlex.quote(str(path))}")
            print(f"  log:   {arguments.output / outcome.name / 'log'}")
    return int(any(outcome.error is not None for outcome in outcomes))


def run(target: targets.Target, seconds: int, output: Path) -> Outcome:
    """Fuzz one target; what an earlier run found is still there, and tried again first."""
    folder = (output / target.name).resolve()
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    dictionary = folder / "dictionary"
    dictionary.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens))
    for path in _found(folder):
        path.rename(corpus / path.name)
    command = [
        *(sys.executable, "-m", "fuzz.engine", target.name),
        f"-max_total_time={seconds}",
        f"-timeout={TIMEOUT}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={target.max_size}",
        f"-dict={dictionary}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        str(corpus),
        *map(str, HERE.glob(f"corpus/{target.name}")),
    ]
    environment = {**os.environ, "FUZZ_ARTIFACTS": str(folder)}
    start = time.monotonic()
    with (folder / "log").open("wb") as log:
        status = subprocess.run(
            command, stdout=log, stderr=log, cwd=HERE.parent, env=environment, check=False
        ).returncode
    took = time.monotonic() - start
    text = (folder / "log").read_text(errors="replace")
    return read(target.name, text, took, status, _found(folder))


def _found(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name.startswith(FOUND)]


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    sys.exit(main())
