from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

from wirehop.core.deadlines import Deadlines


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """A loop that has nothing but a clock, which the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []
        self.errors: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(when, callback)
        self.timers.append(timer)
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.is_cancelled]

    def advance(self, now: float) -> None:
        """Let the time pass, stopping wherever a timer is due."""
        while due := [timer for timer in self.pending() if timer.when <= now]:
            timer = min(due, key=lambda timer: timer.when)
            self.now = timer.when
            self.timers.remove(timer)
            timer.callback()
        self.now = now


def setup() -> tuple[Clock, Deadlines]:
    clock = Clock()
    return clock, Deadlines(clock)  # type: ignore[arg-type]


def test_alarms_ring_in_the_order_of_their_times_and_not_before() -> None:
    clock, deadlines = setup()
    rung: list[tuple[str, float]] = []

    def alarm(name: str, when: float) -> None:
        def ring(now: float) -> float:
            rung.append((name, now))
            return math.inf

        deadlines.alarm(ring).by(when)

    alarm("c", 103)
    alarm("a", 101)
    alarm("b", 102)
    clock.advance(100.999)
    assert rung == []
    clock.advance(102.5)
    assert [name for name, _ in rung] == ["a", "b"]
    assert all(when <= now <= when + 0.01 for when, (_, now) in zip((101, 102), rung, strict=True))
    clock.advance(110)
    assert [name for name, _ in rung] == ["a", "b", "c"]
    assert clock.pending() == []


def test_many_alarms_need_one_timer() -> None:
    clock, deadlines = setup()
    rung = []
    for number in range(1000):

        def ring(now: float, number: int = number) -> float:
            rung.append(number)
            return math.inf

        deadlines.alarm(ring).by(200 - number / 1000)
    assert len(clock.pending()) == 1
    clock.advance(199.5)
    assert len(clock.pending()) == 1
    clock.advance(300)
    assert rung == list(range(999, -1, -1))
    assert clock.pending() == []


def test_what_is_due_at_once_rings_in_one_sweep() -> None:
    clock, deadlines = setup()
    sweeps = []
    for _ in range(50):
        deadlines.alarm(lambda now: sweeps.append(now) or math.inf).by(101)
    clock.advance(200)
    assert len(sweeps) == 50
    assert len(set(sweeps)) == 1


def test_an_alarm_is_armed_again_by_what_it_returns() -> None:
    clock, deadlines = setup()
    rung = []

    def ring(now: float) -> float:
        rung.append(now)
        return now + 10 if len(rung) < 3 else math.inf

    deadlines.alarm(ring).by(110)
    clock.advance(1000)
    assert [round(now) for now in rung] == [110, 120, 130]


def test_a_deadline_that_moves_back_is_asked_for_again() -> None:
    clock, deadlines = setup()
    asked, late = [], []
    due = 110.0

    def ring(now: float) -> float:
        asked.append(now)
        if now < due:
            return due
        late.append(now)
        return math.inf

    alarm = deadlines.alarm(ring)
    alarm.by(due)
    due = 150.0
    alarm.by(due)
    assert len(clock.timers) == 1, "a later time changes nothing"
    clock.advance(149)
    assert [round(now) for now in asked] == [110]
    assert late == []
    clock.advance(200)
    assert [round(now) for now in late] == [150]


def test_an_earlier_time_replaces_a_later_one() -> None:
    clock, deadlines = setup()
    rung = []
    alarm = deadlines.alarm(lambda now: rung.append(round(now)) or math.inf)
    alarm.by(150)
    alarm.by(120)
    alarm.by(130)
    assert len(clock.pending()) == 1
    clock.advance(200)
    assert rung == [120]


def test_asking_for_a_replaced_time_again_rings_once() -> None:
    clock, deadlines = setup()
    rung = []

    def ring(now: float) -> float:
        rung.append(round(now))
        return 150 if now < 150 else math.inf

    alarm = deadlines.alarm(ring)
    alarm.by(150)
    alarm.by(120)
    clock.advance(200)
    assert rung == [120, 150]


def test_a_stopped_alarm_is_silent_for_good() -> None:
    clock, deadlines = setup()
    rung = []
    alarm = deadlines.alarm(lambda now: rung.append(now) or math.inf)
    alarm.by(110)
    alarm.stop()
    alarm.by(120)
    alarm.stop()
    clock.advance(200)
    assert rung == []
    assert clock.pending() == []


def test_an_alarm_may_stop_itself_and_others_while_it_rings() -> None:
    clock, deadlines = setup()
    rung = []

    def first(now: float) -> float:
        rung.append("first")
        one.stop()
        two.stop()
        return now + 1

    one = deadlines.alarm(first)
    two = deadlines.alarm(lambda now: rung.append("second") or math.inf)
    one.by(110)
    two.by(110)
    clock.advance(200)
    assert rung == ["first"]


def test_an_alarm_may_move_another_while_it_rings() -> None:
    clock, deadlines = setup()
    rung = []

    def first(now: float) -> float:
        rung.append("first")
        two.by(now + 5)
        return math.inf

    deadlines.alarm(first).by(110)
    two = deadlines.alarm(lambda now: rung.append(round(now)) or math.inf)
    two.by(150)
    clock.advance(200)
    assert rung == ["first", 115]


def test_one_that_fails_does_not_cost_the_others_their_call() -> None:
    clock, deadlines = setup()
    rung = []
    error = RuntimeError("a defect")

    def fails(now: float) -> float:
        raise error

    broken = deadlines.alarm(fails)
    broken.by(110)
    deadlines.alarm(lambda now: rung.append(1) or math.inf).by(110)
    deadlines.alarm(lambda now: rung.append(2) or math.inf).by(150)
    clock.advance(200)
    assert rung == [1, 2]
    assert [context["exception"] for context in clock.errors] == [error]
    broken.by(210)
    clock.advance(220)
    assert len(clock.errors) == 2, "it can be armed again"


def test_stopped_alarms_do_not_pile_up() -> None:
    clock, deadlines = setup()
    rung = []
    kept = deadlines.alarm(lambda now: rung.append(round(now)) or math.inf)
    kept.by(150)
    for _ in range(10_000):
        alarm = deadlines.alarm(lambda now: math.inf)
        alarm.by(160)
        alarm.stop()
    assert len(deadlines._heap) < 200
    moved = deadlines.alarm(lambda now: rung.append(round(now)) or math.inf)
    for step in range(10_000):
        moved.by(1000 - step / 100)
    assert len(deadlines._heap) < 200
    clock.advance(2000)
    assert rung == [150, 900]


def test_a_stopped_alarm_lets_its_owner_go() -> None:
    class Owner:
        def ring(self, now: float) -> float:
            return math.inf

    _, deadlines = setup()
    owner = Owner()
    alarm = deadlines.alarm(owner.ring)
    alarm.by(110)
    alarm.stop()
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_close_stops_all_of_them() -> None:
    clock, deadlines = setup()
    rung = []
    alarms = [deadlines.alarm(lambda now: rung.append(now) or math.inf) for _ in range(10)]
    for alarm in alarms:
        alarm.by(110)
    deadlines.close()
    assert clock.pending() == []
    for alarm in alarms:
        alarm.by(105)
    assert clock.pending() == []
    clock.advance(200)
    assert rung == []
    deadlines.close()


async def test_with_a_real_loop() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    rung: asyncio.Future[float] = loop.create_future()
    times: list[float] = []

    def ring(now: float) -> float:
        times.append(now)
        if len(times) == 1:
            return now + 0.02
        rung.set_result(now)
        return math.inf

    due = loop.time() + 0.01
    deadlines.alarm(ring).by(due)
    assert await rung >= times[0] + 0.02
    assert times[0] >= due
    assert len(times) == 2
    deadlines.close()
