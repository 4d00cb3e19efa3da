"""Side by side: Wirehop and its peers under the same load, in alternating rounds.

python bench/run.py [scenario ...] [--rounds 7] [--seconds 3] [--list] [--write]
"""

from __future__ import annotations

import argparse
import shlex
import sys

import harness
import report
from scenarios import SCENARIOS, Scenario

ROUNDS_WORTH_KEEPING = 5


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Wirehop against its peers, side by side.")
    parser.add_argument("scenarios", nargs="*", type=scenario_named, metavar="scenario", help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="the measured window of each server")
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--write", action="store_true", help="put the outcome into bench/RESULTS.md")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not 0.1 <= arguments.seconds <= 3600:
        parser.error("there must be at least one round, and a window of 0.1 to 3600 seconds")
    if arguments.write and arguments.rounds < ROUNDS_WORTH_KEEPING:
        parser.error(f"figures are kept only from {ROUNDS_WORTH_KEEPING} rounds on")
    return arguments


def scenario_named(name: str) -> Scenario:
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    known = ", ".join(scenario.name for scenario in SCENARIOS)
    raise argparse.ArgumentTypeError(f"there is no scenario {name!r}, only {known}")


def run(scenario: Scenario, rounds: int, seconds: float) -> list[report.Round]:
    cores = harness.two_cores()
    harness.build(scenario.generator)
    outcomes: list[report.Round] = []
    for number in range(rounds):
        # Whoever comes second finds the machine as the first one left it: take turns.
        order = scenario.servers if number % 2 == 0 else scenario.servers[::-1]
        outcome = {server: harness.measure(server, scenario, seconds, cores) for server in order}
        outcomes.append(outcome)
        rates = ", ".join(f"{server.name} {outcome[server].rate:,.0f}/s" for server in scenario.servers)
        print(f"{scenario.name}, round {number + 1} of {rounds}: {rates}", file=sys.stderr, flush=True)
    return outcomes


def main() -> None:
    arguments = parse_arguments()
    if arguments.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:16} {scenario.title}")
        return
    chosen: list[Scenario] = arguments.scenarios or list(SCENARIOS)
    command = shlex.join(["python", "bench/run.py", *sys.argv[1:]])
    try:
        # All of them first: a missing package is better told now than after ten minutes.
        versions = {scenario.name: harness.versions(scenario.servers) for scenario in chosen}
        for scenario in chosen:
            outcomes = run(scenario, arguments.rounds, arguments.seconds)
            print(f"\n## {scenario.title}\n\n{report.table(scenario, outcomes)}\n", flush=True)
            if arguments.write:
                text = report.section(scenario, outcomes, versions[scenario.name], command)
                report.write_section(harness.BENCH / "RESULTS.md", scenario.name, text)
    except harness.BenchError as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
