"""Side by side: Wirehop and its peers under the same load, in alternating rounds.

python bench/run.py [scenario ...] [--rounds 7] [--seconds 3] [--requests 1000000] [--list] [--write]
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import harness
import report
from kinds import AnyScenario, GrowthScenario, IdleScenario, Scenario, Server
from scenarios import SCENARIOS

ROUNDS_WORTH_KEEPING = 5
T = TypeVar("T")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Wirehop against its peers, side by side.")
    parser.add_argument("scenarios", nargs="*", type=scenario_named, metavar="scenario", help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="the measured window of each server")
    parser.add_argument(
        "--requests", type=int, default=1_000_000, help="of a scenario that looks for growth, once"
    )
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--write", action="store_true", help="put the outcome into bench/RESULTS.md")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not 0.1 <= arguments.seconds <= 3600:
        parser.error("there must be at least one round, and a window of 0.1 to 3600 seconds")
    if arguments.write and arguments.rounds < ROUNDS_WORTH_KEEPING:
        parser.error(f"figures are kept only from {ROUNDS_WORTH_KEEPING} rounds on")
    return arguments


def scenario_named(name: str) -> AnyScenario:
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    known = ", ".join(scenario.name for scenario in SCENARIOS)
    raise argparse.ArgumentTypeError(f"there is no scenario {name!r}, only {known}")


@dataclass(frozen=True)
class Plan:
    scenario: AnyScenario
    """Without the servers that cannot run here."""
    versions: dict[str, str]
    left_out: list[str]
    """A line for each of those servers: why."""


def plan(scenario: AnyScenario) -> Plan | None:
    """None where its load generator cannot be built here: then there is nothing to measure with."""
    if isinstance(scenario, Scenario):
        try:
            harness.check_generator(scenario.generator)
        except harness.Missing as missing:
            print(f"{scenario.name}: left out, because {missing}.", file=sys.stderr, flush=True)
            return None
    versions: dict[str, str] = {}
    left_out: dict[Server, str] = {}
    for server in scenario.servers:
        try:
            versions |= harness.versions(server)
        except harness.Missing as missing:
            if server in scenario.needed:
                raise
            left_out[server] = f"Left out: {server.name}, because {missing}."
            print(f"{scenario.name}: {left_out[server]}", file=sys.stderr, flush=True)
    return Plan(scenario.without(left_out), versions, list(left_out.values()))


def in_turns(servers: Sequence[T], number: int) -> Sequence[T]:
    """Whoever comes second finds the machine as the first one left it: take turns."""
    return servers if number % 2 == 0 else servers[::-1]


def run(scenario: Scenario, rounds: int, seconds: float) -> str:
    cores = harness.two_cores()
    for generator in {scenario.generator_for(server) for server in scenario.servers}:
        harness.build(generator)
    outcomes: list[report.Round] = []
    for number in range(rounds):
        order = in_turns(scenario.servers, number)
        outcome = {server: harness.measure(server, scenario, seconds, cores) for server in order}
        outcomes.append(outcome)
        rates = ", ".join(f"{server.name} {outcome[server].rate:,.0f}/s" for server in scenario.servers)
        print(f"{scenario.name}, round {number + 1} of {rounds}: {rates}", file=sys.stderr, flush=True)
    return report.table(scenario, outcomes)


def run_idle(scenario: IdleScenario, rounds: int) -> str:
    cores = harness.two_cores()
    pairs = [(load, server) for load in scenario.loads for server in load.servers]
    for load in scenario.loads:
        harness.build(load.generator)
    outcomes: list[report.IdleRound] = []
    for number in range(rounds):
        order = in_turns(pairs, number)
        outcome = {(load, server): harness.measure_idle(server, load, cores) for load, server in order}
        outcomes.append(outcome)
        sizes = ", ".join(f"{pair[1].name} {outcome[pair].each_kib:.1f} KiB" for pair in pairs)
        print(f"{scenario.name}, round {number + 1} of {rounds}: {sizes}", file=sys.stderr, flush=True)
    return report.idle_table(scenario, outcomes)


def run_growth(scenario: GrowthScenario, requests: int) -> str:
    cores = harness.two_cores()
    harness.build(scenario.generator)
    outcome: dict[Server, harness.Growth] = {}
    for server in scenario.servers:
        outcome[server] = growth = harness.measure_growth(server, scenario, requests, cores)
        sizes = f"{growth.first_kib:,} KiB, {growth.half_kib:,} KiB, {growth.last_kib:,} KiB"
        print(f"{scenario.name}: {server.name} {sizes}", file=sys.stderr, flush=True)
    return report.growth_table(scenario, outcome)


def main() -> None:
    arguments = parse_arguments()
    if arguments.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:18} {scenario.title}")
        return
    chosen: list[AnyScenario] = arguments.scenarios or list(SCENARIOS)
    command = shlex.join(["python", "bench/run.py", *sys.argv[1:]])
    try:
        harness.raise_descriptor_limit()
        # All of them first: a missing package is better told now than after ten minutes.
        plans = [plan(scenario) for scenario in chosen]
        for planned in filter(None, plans):
            scenario = planned.scenario
            if isinstance(scenario, Scenario):
                table = run(scenario, arguments.rounds, arguments.seconds)
            elif isinstance(scenario, IdleScenario):
                table = run_idle(scenario, arguments.rounds)
            else:
                table = run_growth(scenario, arguments.requests)
            text = "\n\n".join([table, *planned.left_out])
            print(f"\n## {scenario.title}\n\n{text}\n", flush=True)
            if arguments.write:
                section = report.section(scenario, text, planned.versions, command)
                report.write_section(harness.BENCH / "RESULTS.md", scenario.name, section)
    except harness.BenchError as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
