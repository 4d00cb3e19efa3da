"""Timers, and what keeps a program alive."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from wirehop.node import alive
from wirehop.node.promise import Promise
from wirehop.node.timers import clear_interval, clear_timeout, set_interval, set_timeout


async def test_a_timeout_fires_once_and_not_too_early() -> None:
    loop = asyncio.get_running_loop()
    fired = loop.create_future()
    began = loop.time()
    timer = set_timeout(lambda: fired.set_result(loop.time()), 0.05)
    # uvloop's clock counts milliseconds.
    assert await fired - began >= 0.049
    clear_timeout(timer)
    clear_timeout(timer)
    clear_timeout(None)


async def test_arguments_and_async_callbacks() -> None:
    done: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()

    async def later(*args: Any) -> None:
        await asyncio.sleep(0)
        done.set_result(args)

    set_timeout(later, 0.0, 1, "two")
    assert await done == (1, "two")


async def test_a_cleared_timeout_does_not_fire() -> None:
    fired: list[str] = []
    first = set_timeout(fired.append, 0.0, "first")
    set_timeout(lambda: clear_timeout(third), 0.0)
    third = set_timeout(fired.append, 0.001, "third")
    first.clear()
    time.sleep(0.003)  # noqa: ASYNC251 -- a turn so long that all are due in the next
    await alive.wait_until_idle()
    assert fired == []


async def test_timers_fire_in_the_order_of_their_times() -> None:
    fired: list[int] = []
    for delay in (30, 10, 20, -5, 0):
        set_timeout(fired.append, delay / 1000, delay)
    await alive.wait_until_idle()
    assert fired == [-5, 0, 10, 20, 30]


async def test_an_interval_fires_until_it_is_cleared() -> None:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == 3:
            clear_interval(timer)

    timer = set_interval(tick, 0.001)
    await alive.wait_until_idle()
    assert count == 3


async def test_an_interval_survives_a_callback_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == 1:
            raise RuntimeError("once")
        timer.clear()

    timer = set_interval(tick, 0.0)
    await alive.wait_until_idle()
    assert count == 2
    assert "once" in caplog.text


@pytest.mark.parametrize("delay", [float("nan"), float("inf")])
async def test_a_delay_that_is_none(delay: float) -> None:
    with pytest.raises(ValueError, match="no number of seconds"):
        set_timeout(print, delay)


# --- alive


async def test_a_program_without_anything_pending_is_idle_at_once() -> None:
    await alive.wait_until_idle()


async def test_what_is_kept_twice_is_released_once() -> None:
    thing = object()
    order: list[str] = []

    def release() -> None:
        order.append("released")
        alive.release(thing)
        alive.release(thing)

    alive.keep(thing)
    alive.keep(thing)
    asyncio.get_running_loop().call_later(0.001, release)
    await alive.wait_until_idle()
    assert order == ["released"]


async def test_what_the_last_thing_begins_counts() -> None:
    order: list[str] = []

    def second() -> None:
        order.append("second")
        promise.emit_success()

    promise: Promise[None] = Promise()
    promise.add_callback(lambda: set_timeout(order.append, 0.0, "third"))
    set_timeout(lambda: set_timeout(second, 0.0), 0.0)
    await alive.wait_until_idle()
    assert order == ["second", "third"]


async def test_a_task_keeps_the_program_alive() -> None:
    order: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.001)
        order.append("task")
        set_timeout(order.append, 0.0, "timer")

    task = asyncio.ensure_future(work())
    await alive.wait_until_idle()
    assert order == ["task", "timer"]
    assert task.done()
