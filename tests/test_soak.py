"""The soak finds what it looks for, and runs: the real thing in small."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import xml.etree.ElementTree as ElementTree
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

import pytest

import report
from soak import journal, summary
from soak.figures import Checks, Latencies, percentile, slope
from soak.plot import Line, Panel, svg, ticks
from soak.watch import Sample

ROOT = Path(__file__).parent.parent
DEADLINE = 90.0

linux = pytest.mark.skipif(sys.platform != "linux", reason="the soak looks at /proc")


# --- journals


def written(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def compared(folder: Path, client: list[str], server: list[str], *, killed: bool = True) -> journal.Verdict:
    clients = {7: written(folder, "client", *client)}
    return journal.compare(clients, [written(folder, "server", *server)], killed=killed)


def test_what_was_answered_was_executed_once(tmp_path: Path) -> None:
    verdict = compared(tmp_path, ["a 1", "a 2", "r 1", "r 2"], ["7 1", "7 2"], killed=False)
    assert verdict.is_good
    assert str(verdict) == "asked 2, answered 2, executed 2, failed 0, asker killed 0"


def test_who_learned_that_there_is_no_answer_knows_no_more(tmp_path: Path) -> None:
    verdict = compared(tmp_path, ["a 1", "f 1", "a 2", "f 2", "a 3"], ["7 2"])
    assert (verdict.is_good, verdict.failed, verdict.open) == (True, 2, 1)


@pytest.mark.parametrize(
    ("client", "server", "problem"),
    [
        (["a 1", "r 1"], [], "1 answered, but never executed (7/1)"),
        (["a 1", "r 1"], ["7 1", "7 1"], "1 executed more than once (7/1)"),
        (["a 1", "f 1"], ["7 1", "7 1"], "1 executed more than once (7/1)"),
        (["a 1"], ["7 1", "7 1", "7 1"], "1 executed more than once (7/1)"),
        (["a 1", "r 1"], ["7 1", "7 2"], "1 executed, but never asked for (7/2)"),
        (["a 1", "r 1"], ["7 1", "8 1"], "1 executed, but never asked for (8/1)"),
    ],
)
def test_journals_that_do_not_agree(
    tmp_path: Path, client: list[str], server: list[str], problem: str
) -> None:
    verdict = compared(tmp_path, client, server)
    assert not verdict.is_good
    assert problem in str(verdict)


def test_nothing_is_left_open_where_nobody_was_killed(tmp_path: Path) -> None:
    verdict = compared(tmp_path, ["a 1", "r 1", "a 2"], ["7 1"], killed=False)
    assert "1 neither answered nor failed (7/2)" in str(verdict)


def test_half_a_line_is_what_never_left(tmp_path: Path) -> None:
    client = written(tmp_path, "client", "a 1", "r 1")
    client.write_text(client.read_text() + "a 2")
    verdict = journal.compare({7: client}, [written(tmp_path, "server", "7 1")], killed=True)
    assert (verdict.is_good, verdict.asked) == (True, 1)


def test_a_server_that_was_started_twice_has_two_journals(tmp_path: Path) -> None:
    client = written(tmp_path, "client", "a 1", "a 2", "r 1", "r 2")
    servers = [written(tmp_path, "one", "7 1"), written(tmp_path, "two", "7 2"), tmp_path / "none"]
    assert journal.compare({7: client}, servers, killed=True).is_good
    servers[1].write_text("7 2\n7 1\n")
    assert not journal.compare({7: client}, servers, killed=True).is_good


def test_an_asking_client_writes_what_is_compared(tmp_path: Path) -> None:
    asking = journal.Asking(str(tmp_path / "client"))
    first, second = asking.ask(), asking.ask()
    asking.answered(first)
    asking.failed(second)
    server = journal.Journal(str(tmp_path / "server"))
    server.write(f"7 {first}")
    verdict = journal.compare({7: tmp_path / "client"}, [tmp_path / "server"], killed=False)
    assert (verdict.is_good, verdict.answered, verdict.failed) == (True, 1, 1)


# --- figures


def test_percentiles() -> None:
    assert [percentile(range(1, 101), percent) for percent in (0, 50, 99, 100)] == [1, 51, 100, 100]
    assert percentile([3.0], 99) == 3.0


def test_the_slope_of_a_line_and_of_noise() -> None:
    assert slope([(x, 3 * x + 7) for x in range(10)]) == pytest.approx(3)
    noise = random.Random(1)
    assert slope([(x, noise.random()) for x in range(10_000)]) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="two points"):
        slope([(1, 1)])
    with pytest.raises(ValueError, match="above one another"):
        slope([(1, 1), (1, 2)])


def samples(minutes: int, growth: float, free: float = 0) -> list[Sample]:
    """The samples of a server that grows by so many bytes a minute, and keeps so many more each
    minute of those that are free."""
    relay = {"rss": 40_000_000, "held": 40_000_000, "descriptors": 15, "tasks": 1}
    course = []
    for minute in range(minutes + 1):
        held = 50_000_000 + growth * minute
        server = {**relay, "held": held, "rss": held + free * minute}
        course.append(Sample(minute, server, relay, 10, 0.001, 0.002))
        course.append(Sample(minute + 0.4, server, relay, 10, 0.001, 0.002))
        course.append(Sample(minute + 0.6, {"rss": held + free * minute}, {"rss": 4e7}, 10, 0.001, 0.002))
    return course[:-2]


@pytest.mark.parametrize(("growth", "is_flat"), [(0, True), (16_000, True), (17_000, False)])
def test_memory_has_to_be_flat(growth: float, is_flat: bool) -> None:
    checks = Checks()
    # The warm-up does not count, however steep it is.
    cold = {"rss": 1, "held": 1}
    summary.judge_memory([Sample(0, cold, cold, 0, 0.0, 0.0), *samples(30, growth)[10:]], checks)
    assert checks.are_good is is_flat
    assert f"{growth * 60 / 1e6:+.2f} MB/h from minute 5.0 to 30.0 in 51 looks" in checks.table()


def test_what_is_free_is_no_growth() -> None:
    checks = Checks()
    summary.judge_memory(samples(30, 0, free=100_000), checks)
    assert checks.are_good
    found = "+0.00 MB/h from minute 5.0 to 30.0 in 51 looks; +6.00 with what is free"
    assert f"| yes | {found} |" in checks.table()


def test_what_was_hardly_looked_at_is_not_called_flat() -> None:
    checks = Checks()
    seldom = [sample for sample in samples(30, 0) if "held" not in sample.server or sample.minutes > 20]
    summary.judge_memory(seldom, checks)
    assert "+0.00 MB/h from minute 5.0 to 30.0 in 20 looks" in checks.table()
    assert not checks.are_good


def test_a_short_run_says_nothing_of_memory() -> None:
    checks = Checks()
    summary.judge_memory(samples(14, 1e6), checks)
    assert checks.are_good
    assert "too short to be judged" in checks.table()


def test_what_takes_time_is_judged_only_if_wanted() -> None:
    for judges, are_good in ((True, False), (False, True)):
        checks = Checks(judges_timing=judges)
        checks.add_timing("fast", False, "slow")
        assert checks.are_good is are_good
    checks.add("right", False, "wrong")
    assert not checks.are_good


def test_latencies_of_windows() -> None:
    latencies = Latencies()
    for count, p50, p99 in ((10, 0.001, 0.002), (20, 0.002, 0.1), (30, 0.003, 0.004)):
        latencies.add({"peer": (count, p50, p99)})
    assert "| peer | 60 | 2.0 ms | 4.0 ms | 100.0 ms |" in latencies.table()


def test_a_report_has_each_scenario_once(tmp_path: Path) -> None:
    path = tmp_path / "SOAK.md"
    for name, text in (("idle", "first"), ("storm", "other"), ("idle", "second")):
        report.write_section(path, name, report.dated_section(name, "Title", ["fact"], text), "# Head\n")
    written = path.read_text()
    assert written.startswith("# Head\n")
    assert written.count("## idle\n\nTitle.\n\n- ") == 1
    assert "first" not in written
    assert written.index("second") < written.index("other")


# --- the plot


def test_a_plot_is_svg_with_every_line() -> None:
    wave = Line("a & b", [(0, 1.0), (1, 5.0), (2, 3.0)])
    flat = Line("flat", [(0, 2.0), (2, 2.0)])
    picture = ElementTree.fromstring(
        svg("<title>", [Panel("both", [wave, flat], marks=[1.0]), Panel("one", [flat]), Panel("none", [])])
    )
    space = "{http://www.w3.org/2000/svg}"
    drawn = [line.attrib["points"].split() for line in picture.iter(f"{space}polyline")]
    assert [len(points) for points in drawn] == [3, 2, 2]
    heights = [float(point.split(",")[1]) for point in drawn[0]]
    # A picture counts from its top.
    assert heights[1] < heights[2] < heights[0]
    texts = [text.text for text in picture.iter(f"{space}text")]
    assert {"<title>", "both", "one", "none"} <= set(texts)


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 4, [0, 1, 2, 3, 4]),
        (0, 30, [0, 5, 10, 15, 20, 25, 30]),
        (0.0, 0.09, [0, 0.02, 0.04, 0.06, 0.08]),
        (47.2, 51.9, [48, 49, 50, 51]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(wanted)


# --- the real thing, in small


async def start(folder: Path, *arguments: str) -> Process:
    paths = [str(ROOT / "bench"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "soak", *arguments, "--no-timing", "--keep", folder),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=PIPE,
        stderr=PIPE,
    )


def left_of(folder: Path) -> list[str]:
    """The processes that have to do with a run: each has its folder among its arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            # It has just ended.
            continue
        if str(folder).encode() in line:
            found.append(line.decode(errors="replace"))
    return found


async def until(is_so: Callable[[], object]) -> None:
    """Wait for what other processes do, and no event tells."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def report_of(folder: Path, *arguments: str) -> str:
    async with asyncio.timeout(DEADLINE):
        process = await start(folder, *arguments)
        output, errors = await process.communicate()
    report = output.decode()
    assert (process.returncode, errors) == (0, b""), f"{report}{errors.decode()}"
    assert left_of(folder) == []
    return report


@linux
def test_a_soak_of_seconds(tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    small = ("--minutes", "0.1", "--clients", "1", "--rate", "40", "--requests", "4")
    run = report_of(tmp_path / "run", *small, "--kill-every", "1.5", "--readers", "2", "--plot", str(plot))
    report = asyncio.run(run)
    assert report.count("| yes |") == 13
    for kind in ("encrypted", "http upload", "peer", "proxied", "sockhop stream"):
        assert f"| {kind} |" in report
    assert ElementTree.parse(plot).getroot().tag.endswith("svg")


@linux
@pytest.mark.parametrize(
    ("scenario", "found"),
    [
        (("--idle", "30", "--seconds", "0.2"), "| all are connected, and stay | yes | 30 of 30 |"),
        (("--storm", "8", "--seconds", "0.2"), "| yes | 8 of 8 after "),
        (("--slow", "12", "--seconds", "0.2"), "| the slow ones are there | yes |"),
    ],
)
def test_a_scenario_in_small(tmp_path: Path, scenario: tuple[str, ...], found: str) -> None:
    report = asyncio.run(report_of(tmp_path / "run", *scenario))
    assert found in report
    assert "**NO**" not in report


@linux
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_run_that_is_ended(tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "run"

    async def run() -> tuple[int | None, bytes]:
        async with asyncio.timeout(DEADLINE):
            process = await start(folder, "--minutes", "10", "--clients", "1")
            await until(lambda: list(folder.rglob("*-client-*.journal")))
            process.send_signal(how)
            _, errors = await process.communicate()
            await until(lambda: not left_of(folder))
        return process.returncode, errors

    status, errors = asyncio.run(run())
    if how is signal.SIGKILL:
        assert status == -signal.SIGKILL
    else:
        assert (status, errors) == (1, b"soak: interrupted; all children were killed\n")


@linux
def test_too_many_connections_for_this_machine(tmp_path: Path) -> None:
    async def run() -> bytes:
        process = await start(tmp_path / "run", "--idle", "100000000")
        _, errors = await process.communicate()
        assert process.returncode == 1
        return errors

    assert b"the hard limit is " in asyncio.run(run())
