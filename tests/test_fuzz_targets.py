"""What ``make fuzz`` runs for minutes, run for seconds: the seeds of every target, what was found so
far, and some thousand changes of both."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzz import checks, report, targets
from fuzz.choices import HEAD, Choices, cut
from wirehop.anysocket import relay
from wirehop.anysocket.transports.ws import WSConnection
from wirehop.anysocket.wire import e2e
from wirehop.anysocket.wire.sequence import Seen
from wirehop.core import json
from wirehop.errors import ProtocolError
from wirehop.node.http.parser import RequestParser
from wirehop.node.http.response_parser import ResponseParser
from wirehop.node.http.server_connection import ServerConnection
from wirehop.sockhop.wire.lines import Lines

ROOT = Path(__file__).parent.parent
FUZZ = ROOT / "fuzz"

CHANGED = 3000
"""Changed inputs for each target."""


def beginnings(target: targets.Target) -> list[bytes]:
    """The seeds of a target, and what was found with it."""
    found = sorted((FUZZ / "corpus" / target.name).glob("*"))
    return [*dict.fromkeys(target.seeds()), *(path.read_bytes() for path in found)]


def changed(random: Random, data: bytes, others: list[bytes], tokens: tuple[bytes, ...]) -> bytes:
    """One to four changes."""
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(data))
        size = random.choice((0, 1, 1, 2, 8))
        new = random.choice(
            (b"", random.randbytes(1), random.randbytes(4), random.choice(tokens), data[at : at + 16])
        )
        if random.random() < 0.1:
            other = random.choice(others)
            new, size = other[random.randint(0, len(other)) :], len(data)
        data = data[:at] + new + data[at + size :]
    return data


@pytest.mark.parametrize("name", targets.NAMES)
def test_nothing_breaks(name: str) -> None:
    target = targets.load(name)
    random = Random(name)
    inputs = beginnings(target)
    assert len(inputs) >= 20
    tried = [b"", b"\0", *inputs]
    tried += [changed(random, random.choice(inputs), inputs, target.tokens) for _ in range(CHANGED)]
    for data in tried:
        try:
            target.fuzz_one(data)
        except Exception as error:
            error.add_note(f"{name}: {data!r}")
            raise


def breaks(name: str) -> bool:
    target = targets.load(name)
    for data in beginnings(target):
        try:
            target.fuzz_one(data)
        except Exception:
            return True
    return False


def last_url(parser: Any, url: bytes) -> None:
    parser._url = url


def body_without_end(connection: Any, body: bytes) -> None:
    connection._receiving.feed(body[:-1])


def body_of_whatever(parser: Any, body: bytes) -> None:
    parser._receiver.body_arrived(body)


def all_fragments(connection: Any, frame: Any, kind: Any) -> None:
    connection._receiver.frame_received(frame.get_payload_as_bytes().decode())


DEFECTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "http_requests": (RequestParser, "on_url", last_url),
    "http_connections": (ServerConnection, "body_arrived", body_without_end),
    "http_responses": (ResponseParser, "on_body", body_of_whatever),
    "packets": (Seen, "first_time", lambda seen, seq: True),
    "protocol": (Seen, "first_time", lambda seen, seq: True),
    "peers": (relay, "lost", lambda peer: None),
    "websocket": (WSConnection, "_fragment", all_fragments),
    "e2e_records": (e2e, "undecipherable", lambda: ProtocolError("the padding is wrong")),
    "sockhop_lines": (Lines, "_hold", lambda lines, rest: None),
    "json_text": (json, "_number", int),
}
"""For each target something to spoil."""


@pytest.mark.parametrize("name", targets.NAMES)
def test_a_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not breaks(name)
    monkeypatch.setattr(*DEFECTS[name])
    assert breaks(name)


def test_targets_need_no_atheris() -> None:
    using = [path.name for path in FUZZ.rglob("*.py") if "atheris" in imported(path)]
    assert using == ["engine.py"]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_what_is_instrumented_exists() -> None:
    source = ROOT / "src"
    for modules in targets.INSTRUMENTED.values():
        for module in modules:
            path = source / module.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").exists(), module


def test_another_target_is_refused() -> None:
    with pytest.raises(ValueError, match="there are http_requests"):
        targets.load("other")


def test_one_input_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b'\1{"a":1}')

    def again(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fuzz", name, "--input", str(path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert again("json_text").returncode == 0
    other = again("other")
    assert other.returncode == 2
    assert "'other' is no target" in other.stderr


# --- what the targets are made of


def test_a_stream_is_cut_and_nothing_is_lost() -> None:
    random = Random(1)
    sizes = set()
    for _ in range(2000):
        head, stream = random.randbytes(HEAD), random.randbytes(random.choice((1, 2, 10, 90, 300)))
        pieces = cut(head, stream)
        assert b"".join(pieces) == stream
        assert all(pieces)
        sizes.add(len(pieces))
    assert {1, 2, 3, 90} <= sizes


def test_choices_end_in_zeros() -> None:
    choices = Choices(b"\5\2ab")
    assert choices
    assert (choices.byte(), choices.short(), choices.byte(), choices.rest()) == (5, b"ab", 0, b"")
    assert not choices


class Clock:
    """Goes on by the next of some times each time that it is asked twice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *took: float) -> None:
        self.took = list(took)
        self._is_started = False
        monkeypatch.setattr(checks, "time", self)

    def perf_counter(self) -> float:
        self._is_started = not self._is_started
        return 0.0 if self._is_started else self.took.pop(0)

    thread_time = perf_counter


def test_an_input_that_is_always_slow_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, 0.3, 0.2, 0.11, 0.2)
    with pytest.raises(checks.TooSlow, match="110 ms for 4 bytes"):
        checks.Watch(lambda data: None)(b"slow")


def test_an_input_that_was_slow_once_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[float, bytes]] = []
    watch = checks.Watch(lambda data: None, lambda seconds, data: noted.append((seconds, data)))
    Clock(monkeypatch, 0.3, 0.2, 0.01, 0.2)
    watch(b"one")
    Clock(monkeypatch, 0.3, 0.009)
    watch(b"two")
    Clock(monkeypatch, 0.009)
    watch(b"three")
    assert noted == [(0.01, b"one")]
    assert (watch.slowest, watch.slowest_input) == (0.01, b"one")


LOG = """\
#2\tINITED cov: 9 ft: 9 corp: 1/1b exec/s: 0 rss: 65Mb
slowest: 1.5 ms, 10 bytes
#204\tNEW    cov: 81 ft: 385 corp: 71/7360b lim: 1024 exec/s: 16550 rss: 65Mb
slowest: 2.5 ms, 20 bytes
"""


def test_the_outcome_of_a_run() -> None:
    done = LOG + "stat::number_of_executed_units: 1234567\n"
    good = report.read("packets", done, 10.0, 0, [])
    assert good == report.Outcome("packets", 10.0, 1234567, 81, 2.5, None, ())
    crash = Path("crash-1")
    failed = LOG + "\n === Uncaught Python exception: ===\nAssertionError: no\nTraceback\n"
    bad = report.read("json_text", failed, 5.0, 77, [crash])
    assert bad == report.Outcome("json_text", 5.0, 204, 81, 2.5, "AssertionError: no", (crash,))
    hung = report.read("protocol", "==1== ERROR: libFuzzer: timeout after 10 seconds\n", 5.0, 70, [])
    assert (hung.executions, hung.slowest, hung.error) == (0, None, "timeout after 10 seconds")
    assert report.read("protocol", "", 0.0, 1, []).error == "exit status 1"
    assert report.table([good, bad]).splitlines() == [
        "target             executions  per second  edges  crashes    slowest",
        "packets             1,234,567     123,457     81        0     2.5 ms",
        "json_text                 204          41     81        1     2.5 ms",
        "all                 1,234,771                           1",
    ]
