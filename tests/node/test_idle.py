"""The clock of idle connections, at times that the test sets."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref

from tests.core.test_deadlines import Clock
from wirehop.node.idle import IDLE_TIMEOUT, Idle


class Subject:
    """Something that may be idle, and when that was said."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.waiting = 0
        self.said: list[float] = []
        self.idle = Idle(self.clock, self.call, lambda: self.waiting)  # type: ignore[arg-type]

    def call(self) -> None:
        self.said.append(self.clock.now)

    def advance(self, seconds: float) -> None:
        self.clock.advance(self.clock.now + seconds)


def rounded(times: list[float]) -> list[float]:
    return [round(time, 1) for time in times]


def test_60_seconds_and_again_after_as_many() -> None:
    subject = Subject()
    subject.idle.start()
    subject.advance(59.9)
    assert subject.said == []
    subject.advance(70)
    assert rounded(subject.said) == [160.0, 220.0]
    assert IDLE_TIMEOUT == 60.0


def test_it_counts_from_the_last_traffic() -> None:
    subject = Subject()
    subject.idle.start()
    for _ in range(10):
        subject.advance(50)
        subject.idle.touch()
    assert subject.said == []
    subject.advance(59.9)
    assert subject.said == []
    subject.advance(0.2)
    assert rounded(subject.said) == [660.0]


def test_what_leaves_slowly_is_traffic_and_what_stays_is_none() -> None:
    subject = Subject()
    subject.waiting = 1000
    subject.idle.start()
    subject.advance(61)
    subject.waiting = 500
    subject.advance(60)
    assert subject.said == []
    subject.advance(60)
    assert rounded(subject.said) == [280.0]


def test_before_it_starts_and_after_it_stops_nothing_is_said() -> None:
    subject = Subject()
    subject.advance(100)
    subject.idle.start()
    subject.idle.start()
    subject.idle.stop()
    subject.idle.stop()
    subject.advance(100)
    assert subject.said == []
    subject.idle.start()
    subject.advance(61)
    assert len(subject.said) == 1


def test_another_timeout_counts_from_when_it_was_set() -> None:
    subject = Subject()
    subject.idle.set_timeout(10)
    subject.idle.start()
    subject.advance(5)
    subject.idle.set_timeout(8)
    subject.advance(7.9)
    assert subject.said == []
    subject.advance(0.2)
    assert rounded(subject.said) == [113.0]
    subject.idle.set_timeout(100)
    subject.advance(99)
    assert len(subject.said) == 1
    subject.idle.set_timeout(None)
    assert subject.idle.timeout is None
    subject.advance(1000)
    assert len(subject.said) == 1
    subject.idle.set_timeout(1)
    subject.advance(1.1)
    assert len(subject.said) == 2
    subject.idle.set_timeout(math.inf)
    subject.advance(1000)
    assert len(subject.said) == 2


def test_a_stop_by_whom_it_is_said_to() -> None:
    subject = Subject()
    subject.call = subject.idle.stop  # type: ignore[method-assign]
    subject.idle._call = lambda: (subject.said.append(0), subject.idle.stop())
    subject.idle.start()
    subject.advance(1000)
    assert subject.said == [0]
    assert subject.clock.pending() == []


def test_many_share_one_timer() -> None:
    clock = Clock()
    subjects = [Subject(clock) for _ in range(100)]
    for subject in subjects:
        subject.idle.start()
    assert len(clock.pending()) == 1
    clock.advance(161)
    assert all(len(subject.said) == 1 for subject in subjects)


def test_a_loop_that_ends_before_them_is_forgotten() -> None:
    loop = asyncio.new_event_loop()
    idle = Idle(loop, lambda: None, lambda: 0)
    idle.start()
    gone = weakref.ref(loop)
    loop.close()
    del loop, idle
    gc.collect()
    assert gone() is None
