"""Promises: one event, once; awaited by anybody; an error is heard of or reported."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from wirehop.core.events import EventEmitter
from wirehop.errors import WirehopError
from wirehop.node.promise import Promise


async def test_it_emits_success_once_to_all_in_order() -> None:
    promise: Promise[int] = Promise()
    got: list[Any] = []
    assert promise.add_callback(lambda value: got.append(("first", value))) is promise
    assert promise.add_callback(lambda value: got.append(("second", value))) is promise
    promise.add_errback(lambda error: got.append(error))
    assert not promise.has_settled
    assert promise.emit_success(5)
    assert promise.has_settled
    assert not promise.emit_success(6)
    assert not promise.emit_error(ValueError())
    assert not promise.emit("success", 7)
    assert got == [("first", 5), ("second", 5)]
    assert isinstance(promise, EventEmitter)


async def test_it_emits_error_once() -> None:
    promise: Promise[None] = Promise()
    got: list[Any] = []
    promise.add_callback(lambda: got.append("success"))
    promise.add_errback(got.append)
    error = OSError("broken")
    assert promise.emit("error", error)
    assert not promise.emit_success()
    assert got == [error]


@pytest.mark.parametrize("late", [False, True])
async def test_listeners_need_not_take_the_values(late: bool) -> None:
    promise: Promise[Any] = Promise()
    failing: Promise[Any] = Promise()
    got: list[Any] = []

    def add() -> None:
        promise.add_callback(lambda: got.append("none"))
        promise.add_callback(lambda a, b: got.append((a, b)))
        promise.add_callback(lambda *all: got.append(all))
        promise.add_callback(lambda a, b, c=3: got.append((a, b, c)))
        failing.add_errback(lambda: got.append("failed"))

    if not late:
        add()
    promise.emit_success(1, 2)
    failing.emit_error(ValueError())
    if late:
        add()
        assert got == []
        await asyncio.sleep(0)
    assert got == ["none", (1, 2), (1, 2), (1, 2, 3), "failed"]


async def test_a_listener_that_takes_too_much_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    promise: Promise[int] = Promise()
    got: list[int] = []
    promise.add_callback(lambda a, b: None)
    promise.add_callback(got.append)
    promise.emit_success(1)
    assert got == [1]
    assert "positional argument" in caplog.text


async def test_what_settled_already_is_told_in_the_next_turn() -> None:
    promise: Promise[int] = Promise()
    promise.emit_success(5)
    got: list[int] = []
    promise.add_callback(got.append)
    promise.add_errback(got.append)
    assert got == []
    await asyncio.sleep(0)
    assert got == [5]
    assert promise.on("success")(got.append)
    promise.add_listener("success", got.append)
    promise.once("success", got.append)
    await asyncio.sleep(0)
    assert got == [5] * 4


async def test_async_listeners() -> None:
    promise: Promise[int] = Promise()
    got: list[int] = []
    told = asyncio.Event()

    @promise.on("success")
    async def later(value: int) -> None:
        await asyncio.sleep(0)
        got.append(value)
        told.set()

    promise.emit_success(1)
    await told.wait()
    assert got == [1]


async def test_awaiting_gives_the_value() -> None:
    values: list[tuple[Any, ...]] = [(), (1,), (1, 2), (None,)]
    for given, expected in zip(values, (None, 1, (1, 2), None), strict=True):
        promise: Promise[Any] = Promise()
        waiting = asyncio.ensure_future(_value(promise))
        other = asyncio.ensure_future(_value(promise))
        await asyncio.sleep(0)
        promise.emit_success(*given)
        assert await waiting == expected
        assert await other == expected
        assert await promise == expected


async def test_awaiting_raises_the_error() -> None:
    promise: Promise[Any] = Promise()
    waiting = asyncio.ensure_future(_value(promise))
    await asyncio.sleep(0)
    promise.emit_error(OSError("broken"))
    with pytest.raises(OSError, match="broken"):
        await waiting
    with pytest.raises(OSError, match="broken"):
        await promise
    nameless: Promise[Any] = Promise()
    nameless.emit_error()
    with pytest.raises(WirehopError, match="the operation failed"):
        await nameless


async def test_one_who_gives_up_waiting_takes_nothing_with_him() -> None:
    promise: Promise[int] = Promise()
    waiting = asyncio.ensure_future(_value(promise))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert promise.emit_success(5)
    assert await promise == 5


async def test_an_error_that_nobody_hears_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    promise: Promise[int] = Promise()
    promise.add_callback(lambda value: None)
    promise.emit_error(ValueError("lost"))
    assert not caplog.records
    del promise
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == ["a promise failed and nobody was told"]
    assert "lost" in caplog.text


async def test_an_error_that_somebody_hears_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    for hear in (_by_errback, _by_late_errback, _by_await):
        promise: Promise[int] = Promise()
        await hear(promise)
        del promise
        gc.collect()
    assert not caplog.records


async def test_a_listener_that_fails_is_reported_and_the_others_are_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    promise: Promise[int] = Promise()
    got: list[int] = []
    promise.add_callback(lambda value: 1 / 0)
    promise.add_callback(got.append)
    promise.add_errback(lambda error: got.append(-1))
    promise.emit_success(5)
    assert got == [5]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert promise.has_settled


async def test_there_are_no_other_events() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(ValueError, match="no event 'data'"):
        promise.on("data", print)
    with pytest.raises(ValueError, match="no event 'data'"):
        promise.emit("data")
    with pytest.raises(TypeError, match="callable"):
        promise.add_callback(5)  # type: ignore[arg-type]
    promise.emit_success(1)
    with pytest.raises(TypeError, match="callable"):
        promise.add_callback(5)  # type: ignore[arg-type]
    assert repr(promise) == "<Promise success>"
    assert repr(Promise()) == "<Promise pending>"


def test_a_promise_needs_a_loop(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Promise()
    gc.collect()


async def _value(promise: Promise[Any]) -> Any:
    return await promise


async def _by_errback(promise: Promise[Any]) -> None:
    promise.add_errback(lambda: None)
    promise.emit_error(ValueError())


async def _by_late_errback(promise: Promise[Any]) -> None:
    promise.emit_error(ValueError())
    promise.add_errback(lambda: None)
    await asyncio.sleep(0)


async def _by_await(promise: Promise[Any]) -> None:
    promise.emit_error(ValueError())
    with pytest.raises(ValueError):
        await promise
