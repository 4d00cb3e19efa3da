"""A coroutine that is stepped at once behaves like one in a task of its own."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from typing import Any

import pytest

from wirehop.core.steps import Steps

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


def unexpected(error: Exception) -> None:
    raise AssertionError(error)


async def finished(steps: Steps) -> None:
    while steps.tasks:
        await asyncio.wait(steps.tasks)


async def test_the_first_step_runs_at_once() -> None:
    steps = Steps()
    calls = []

    async def work() -> None:
        calls.append("ran")

    steps.start(work(), unexpected)
    assert calls == ["ran"]
    assert not steps.tasks


async def test_the_rest_runs_in_a_task_with_the_same_identity() -> None:
    steps = Steps()
    seen: list[Any] = []

    async def work() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        assert await asyncio.sleep(0, "value") == "value"
        seen.append(asyncio.current_task())

    mine = asyncio.current_task()
    steps.start(work(), unexpected)
    assert asyncio.current_task() is mine
    assert seen[0] is not mine
    assert steps.tasks == {seen[0]}
    assert seen[0] in asyncio.all_tasks()
    await finished(steps)
    assert seen[0] is seen[1] is seen[2]


async def test_it_also_starts_outside_of_any_task() -> None:
    steps = Steps()
    done = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set_result(asyncio.current_task())

    asyncio.get_running_loop().call_soon(lambda: steps.start(work(), unexpected))
    assert isinstance(await done, asyncio.Task)
    await finished(steps)


async def test_timeouts_and_task_groups_work_in_the_first_step() -> None:
    steps = Steps()
    outcome = []

    async def times_out() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            outcome.append("timeout")

    async def groups() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, "grouped"))
        outcome.append(task.result())

    steps.start(times_out(), unexpected)
    steps.start(groups(), unexpected)
    await finished(steps)
    assert sorted(outcome) == ["grouped", "timeout"]


@pytest.mark.parametrize("suspends", [False, True])
async def test_an_exception_is_reported(suspends: bool) -> None:
    steps = Steps()
    errors: list[Exception] = []

    async def work() -> None:
        if suspends:
            await asyncio.sleep(0)
        raise ValueError("wrong")

    steps.start(work(), errors.append)
    await finished(steps)
    await asyncio.sleep(0)
    assert [str(error) for error in errors] == ["wrong"]


@pytest.mark.parametrize("suspends", [False, True])
async def test_a_cancelled_coroutine_is_no_failure(suspends: bool) -> None:
    steps = Steps()

    async def work() -> None:
        if suspends:
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    steps.start(work(), unexpected)
    await finished(steps)


async def test_cancel_reaches_a_suspended_coroutine() -> None:
    steps = Steps()
    outcome = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    steps.start(work(), unexpected)
    steps.cancel()
    await finished(steps)
    assert outcome == ["cancelled"]


async def test_a_coroutine_may_cancel_itself_in_its_first_step() -> None:
    steps = Steps()
    outcome = []

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    async def quick() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    steps.start(work(), unexpected)
    steps.start(quick(), unexpected)
    steps.start(asyncio.sleep(0), unexpected)
    await finished(steps)
    assert outcome == ["cancelled"]


async def test_coroutines_nest() -> None:
    steps = Steps()
    order = []

    async def inner() -> None:
        order.append("inner")
        await asyncio.sleep(0)
        order.append("inner again")

    async def outer() -> None:
        task = asyncio.current_task()
        steps.start(inner(), unexpected)
        assert asyncio.current_task() is task
        order.append("outer")
        await asyncio.sleep(0)

    steps.start(outer(), unexpected)
    await finished(steps)
    assert order == ["inner", "outer", "inner again"]


async def test_each_coroutine_sees_the_variables_of_who_starts_it() -> None:
    steps = Steps()
    seen: list[str | None] = []

    async def work() -> None:
        seen.append(variable.get(None))
        await asyncio.sleep(0)
        seen.append(variable.get(None))

    async def at_once() -> None:
        seen.append(variable.get(None))

    def start(value: str | None, coroutine: Any) -> None:
        if value is not None:
            variable.set(value)
        steps.start(coroutine, unexpected)

    values = (None, "one", "one", "two", None)
    for value in values:
        contextvars.Context().run(start, value, at_once())
    assert seen == [*values]
    for value in values:
        contextvars.Context().run(start, value, work())
        await finished(steps)
    assert seen[len(values) :: 2] == seen[len(values) + 1 :: 2] == [*values]


async def test_context_variables_stay_with_their_coroutine() -> None:
    steps = Steps()
    seen = []

    async def work(name: str, suspends: bool) -> None:
        seen.append(variable.get("unset"))
        variable.set(name)
        if suspends:
            await asyncio.sleep(0)
        seen.append(variable.get())

    steps.start(work("a", suspends=False), unexpected)
    steps.start(work("b", suspends=True), unexpected)
    steps.start(work("c", suspends=False), unexpected)
    await finished(steps)
    assert seen == ["unset", "a", "unset", "unset", "c", "b"]
    assert variable.get("unset") == "unset"


async def test_idle_steps_leave_no_task_behind() -> None:
    steps = Steps()
    before = asyncio.all_tasks()

    async def work() -> None: ...

    for _ in range(3):
        steps.start(work(), unexpected)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    del steps
    gc.collect()


def test_steps_outlive_a_loop() -> None:
    steps = Steps()
    calls = []

    async def work() -> None:
        calls.append(asyncio.get_running_loop())

    async def main() -> None:
        steps.start(work(), unexpected)

    asyncio.run(main())
    asyncio.run(main())
    assert len(calls) == 2
