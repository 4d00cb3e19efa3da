from __future__ import annotations

import asyncio
import math

import pytest

from wirehop.core.pending import Pending
from wirehop.errors import ConnectionClosed, LimitExceeded, ReplyTimeout


def late(key: int) -> Exception:
    return ReplyTimeout(f"no reply to {key}")


async def test_a_reply_reaches_who_waits_for_it() -> None:
    pending: Pending[int] = Pending(asyncio.get_running_loop(), 10)
    future = pending.add(1, 5.0)
    assert pending.resolve(1, "reply")
    assert await future == "reply"
    assert not pending.resolve(1, "again")
    assert not pending.resolve(2, "to nothing")


async def test_only_what_is_late_expires() -> None:
    pending: Pending[int] = Pending(asyncio.get_running_loop(), 10)
    assert pending.deadline == math.inf
    slow, quick = pending.add(1, 9.0), pending.add(2, 5.0)
    assert pending.deadline == 5.0
    pending.expire(4.9, late)
    assert not quick.done()
    pending.expire(5.0, late)
    with pytest.raises(ReplyTimeout, match="no reply to 2"):
        await quick
    assert not slow.done()
    assert pending.deadline == 9.0
    pending.resolve(1, None)


async def test_a_request_that_was_given_up_is_forgotten() -> None:
    pending: Pending[int] = Pending(asyncio.get_running_loop(), 10)
    pending.add(1, 5.0).cancel()
    assert not pending.resolve(1, "reply")
    pending.add(2, 5.0).cancel()
    pending.expire(1.0, late)
    assert len(pending) == 0
    assert pending.deadline == math.inf


async def test_all_fail_with_the_connection_and_nobody_complains() -> None:
    pending: Pending[int] = Pending(asyncio.get_running_loop(), 10)
    first = pending.add(1, 5.0)
    pending.add(2, 5.0)
    pending.add(3, 5.0).cancel()
    pending.fail(lambda: ConnectionClosed("over"))
    with pytest.raises(ConnectionClosed, match="over"):
        await first
    assert len(pending) == 0


async def test_the_table_has_a_limit() -> None:
    pending: Pending[int] = Pending(asyncio.get_running_loop(), 2)
    for key in (1, 2):
        pending.check()
        pending.add(key, 5.0)
    with pytest.raises(LimitExceeded, match="2 requests"):
        pending.check()
    pending.fail(lambda: ConnectionClosed("over"))
