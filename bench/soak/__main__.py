"""Load and endurance of Wirehop.

python -m soak [--minutes 30] [--write]      kills, journals, flat memory
python -m soak --idle | --storm | --slow     one scenario (see --help)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path

import harness
import report
from soak import crowds, summary
from soak.children import BENCH, SoakError, family
from soak.endurance import READERS, Endurance, Plan
from soak.figures import Checks

RESULTS_HEAD = """# Load and endurance

Written by `make soak` and `python -m soak ... --write` (from `bench/`), one section for each
scenario. What they do, and how to read them: [README.md](README.md#load-and-endurance).
"""
LONGEST_END = 60.0
"""Seconds, after the minutes that were asked for, in which everything is over or killed."""
SAMPLES = 360
"""In one run, at most: every five seconds in half an hour."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="of load; the end takes one more at most")
    parser.add_argument("--clients", type=int, default=2, help="client processes on each side")
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second of each session")
    parser.add_argument("--requests", type=int, default=20, help="in one session, about")
    parser.add_argument("--kill-every", type=float, default=4.0, metavar="SECONDS")
    parser.add_argument("--readers", type=int, default=READERS, help="that read nothing, at a time")
    parser.add_argument(
        "--rest", type=float, default=30.0, metavar="SECONDS", help="between two rounds of these"
    )
    parser.add_argument("--seed", type=int, default=1, help="of who is killed when")
    parser.add_argument("--trace", action="store_true", help="tell what grew in the server (slow)")
    for name, count, text in (
        ("--idle", 10_000, "idle connections to one process, and the memory of each (10,000)"),
        ("--storm", 5_000, "clients that come back after the server was killed (5,000)"),
        ("--slow", 1_000, "slow connections beside a good client (1,000)"),
    ):
        parser.add_argument(
            name, type=int, nargs="?", const=count, metavar="COUNT", help=f"{text} ({count:,})"
        )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each part of --idle and --slow")
    parser.add_argument("--no-timing", action="store_true", help="tell times and memory, judge neither")
    parser.add_argument("--write", action="store_true", help="into bench/SOAK.md and soak.svg")
    parser.add_argument("--plot", type=Path, help="put the plot there")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave journals and logs there")
    arguments = parser.parse_args()
    if not 0 < arguments.minutes <= 24 * 60 or arguments.clients < 1 or arguments.rate <= 0:
        parser.error("there must be some minutes (a day at most), a client, and a rate above 0")
    if arguments.requests < 1 or arguments.kill_every <= 0 or arguments.readers < 0 or arguments.seconds <= 0:
        parser.error("requests, kill-every and seconds are above 0, readers not below")
    return arguments


async def endure(arguments: argparse.Namespace, folder: Path, checks: Checks) -> str:
    seconds = arguments.minutes * 60
    plan = Plan(
        seconds=seconds,
        sample_every=max(1.0, seconds / SAMPLES),
        kill_every=arguments.kill_every,
        clients=arguments.clients,
        rate=arguments.rate,
        requests=arguments.requests,
        readers=arguments.readers,
        rest=arguments.rest,
        seed=arguments.seed,
        trace=arguments.trace,
    )
    async with family(folder) as children:
        run = Endurance(plan, children, checks)
        try:
            async with asyncio.timeout(seconds + LONGEST_END):
                await run.run()
        except TimeoutError:
            # What was found until then is told all the same.
            checks.add("it is over in time", False, f"not {LONGEST_END:g} s after its minutes")
    if not run.samples:
        raise SoakError("it was over before anything was measured")
    summary.judge_memory(run.samples, checks)
    text = summary.text(run, checks)
    plot = BENCH / "soak.svg" if arguments.write else arguments.plot
    if plot is not None:
        plot.write_text(summary.picture(run, f"{arguments.minutes:g} minutes of load"))
        text += f"\n\n![Memory, descriptors, tasks and latency over the time]({plot.name})"
    return text


async def run(arguments: argparse.Namespace, folder: Path) -> bool:
    """Returns whether all was as it should be."""
    is_good = True
    chosen = [name for name in ("idle", "storm", "slow") if getattr(arguments, name) is not None]
    for name in chosen or ["soak"]:
        checks = Checks(judges_timing=not arguments.no_timing)
        own = folder / name
        own.mkdir()
        if name == "soak":
            text = await endure(arguments, own, checks)
        else:
            async with family(own) as children:
                text = await crowds.SCENARIOS[name](
                    getattr(arguments, name), arguments.seconds, children, checks
                )
        is_good = is_good and checks.are_good
        print(f"\n## {name}\n\n{text}\n", flush=True)
        if arguments.write:
            command = shlex.join(["python", "-m", "soak", *sys.argv[1:]])
            section = report.dated_section(name, crowds.TITLES[name], [f"`{command}`"], text)
            report.write_section(BENCH / "SOAK.md", name, section, RESULTS_HEAD)
    return is_good


async def interruptible(arguments: argparse.Namespace, folder: Path) -> bool:
    task = asyncio.current_task()
    assert task is not None
    # As Ctrl-C does it already: the children are killed on the way out.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(arguments, folder)


def main() -> None:
    arguments = parse_arguments()
    harness.raise_descriptor_limit()
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        folder.mkdir(parents=True, exist_ok=True)
        if os.listdir(folder):
            sys.exit(f"soak: {folder} is not empty")
        try:
            is_good = asyncio.run(interruptible(arguments, folder))
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.exit("soak: interrupted; all children were killed")
        except SoakError as error:
            sys.exit(f"soak: {error}")
        except BaseExceptionGroup as group:
            found = group.subgroup(SoakError)
            if found is None:
                raise
            sys.exit("soak: " + "; ".join(map(str, found.exceptions)))
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
