"""What many await."""

from __future__ import annotations

import asyncio

import pytest

from wirehop.core.waiters import Moment, Waiters


async def wait(for_: Waiters | Moment) -> str:
    await for_
    return "woken"


async def test_all_who_wait_are_woken_and_nobody_later() -> None:
    waiters = Waiters()
    both = asyncio.gather(wait(waiters), wait(waiters))
    await asyncio.sleep(0)
    waiters.wake()
    assert await both == ["woken", "woken"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(waiters), 0.01)
    waiters.wake()


async def test_one_that_gives_up_disturbs_none_of_the_others() -> None:
    waiters = Waiters()
    first, second = asyncio.ensure_future(wait(waiters)), asyncio.ensure_future(wait(waiters))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not second.done()
    waiters.wake()
    assert await second == "woken"


async def test_a_moment_wakes_those_before_it_and_holds_up_nobody_after_it() -> None:
    moment = Moment()
    early = asyncio.ensure_future(wait(moment))
    await asyncio.sleep(0)
    assert not moment.is_past
    assert not early.done()
    moment.come()
    moment.come()
    assert moment.is_past
    assert [await early, await wait(moment)] == ["woken", "woken"]
