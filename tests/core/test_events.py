from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest

from wirehop import EventEmitter


def test_listeners_are_called_in_order_with_the_arguments() -> None:
    emitter = EventEmitter()
    calls: list[Any] = []
    emitter.on("event", lambda *args: calls.append(("first", args)))
    emitter.add_listener("event", lambda *args: calls.append(("second", args)))
    assert emitter.emit("event", 1, 2)
    assert calls == [("first", (1, 2)), ("second", (1, 2))]
    assert not emitter.emit("nothing")


def test_on_and_once_decorate() -> None:
    emitter = EventEmitter()
    calls = []

    @emitter.on("event")
    def always() -> None:
        calls.append("always")

    @emitter.once("event")
    def first() -> None:
        calls.append("once")

    emitter.emit("event")
    emitter.emit("event")
    assert calls == ["always", "once", "always"]
    assert emitter.listeners("event") == [always]


def test_a_listener_must_be_callable() -> None:
    emitter = EventEmitter()
    with pytest.raises(TypeError, match="callable, not int"):
        emitter.on("event", 5)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="callable, not str"):
        emitter.once("event", "x")  # type: ignore[type-var]


def test_off_removes_the_last_of_equal_listeners_and_those_for_once() -> None:
    emitter = EventEmitter()
    calls = []

    def listener() -> None:
        calls.append(1)

    emitter.on("event", listener)
    emitter.once("event", listener)
    emitter.off("event", listener)
    emitter.emit("event")
    emitter.emit("event")
    assert calls == [1, 1]
    emitter.remove_listener("event", listener)
    emitter.off("event", listener)
    emitter.off("unknown", listener)
    assert not emitter.emit("event")


def test_the_list_of_listeners_is_live() -> None:
    emitter = EventEmitter()

    def listener() -> None: ...

    emitter.listeners("event").append(listener)
    emitter.once("event", listener)
    emitter.listeners("event").remove(listener)
    assert len(emitter.listeners("event")) == 1
    emitter.listeners("event").clear()
    assert not emitter.emit("event")


def test_remove_all_listeners_of_one_event_or_of_all() -> None:
    emitter = EventEmitter()
    for name in ("a", "b", "c"):
        emitter.on(name, print)
    emitter.remove_all_listeners("a")
    assert [bool(emitter.listeners(name)) for name in "abc"] == [False, True, True]
    emitter.remove_all_listeners()
    assert not emitter.listeners("b")


def test_a_listener_added_during_an_emit_waits_for_the_next() -> None:
    emitter = EventEmitter()
    calls = []

    def adds() -> None:
        calls.append("adds")
        emitter.on("event", lambda: calls.append("added"))

    emitter.once("event", adds)
    emitter.emit("event")
    assert calls == ["adds"]
    emitter.emit("event")
    assert calls == ["adds", "added"]


def test_a_once_listener_runs_once_even_when_it_emits_again() -> None:
    emitter = EventEmitter()
    calls = []

    def again() -> None:
        calls.append(1)
        emitter.emit("event")

    emitter.on("event", lambda: None)
    emitter.once("event", again)
    emitter.once("event", lambda: calls.append(2))
    emitter.emit("event")
    assert calls == [1, 2]


def test_a_listener_that_fails_is_reported_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    emitter = EventEmitter()
    errors, calls = [], []
    emitter.on("error", errors.append)
    emitter.on("event", lambda: 1 / 0)
    emitter.on("event", lambda: calls.append(1))
    with caplog.at_level(logging.ERROR):
        emitter.emit("event")
    assert calls == [1]
    assert isinstance(errors[0], ZeroDivisionError)
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info


def test_an_error_listener_that_fails_does_not_call_itself(caplog: pytest.LogCaptureFixture) -> None:
    emitter = EventEmitter()
    emitter.on("error", lambda error: 1 / 0)
    emitter.emit("error", ValueError("x"))
    assert len(caplog.records) == 1


def test_a_subclass_need_not_call_init() -> None:
    class Thing(EventEmitter):
        def __init__(self, name: str) -> None:
            self.name = name

    thing = Thing("x")
    thing.on("event", lambda: None)
    assert thing.emit("event")


async def test_an_async_listener_that_never_suspends_costs_no_task() -> None:
    emitter = EventEmitter()
    calls = []

    @emitter.on("event")
    async def listener(value: int) -> None:
        calls.append(value)

    before = len(asyncio.all_tasks())
    emitter.emit("event", 1)
    assert calls == [1]
    assert len(asyncio.all_tasks()) == before


async def test_an_async_listener_that_suspends_becomes_a_task(caplog: pytest.LogCaptureFixture) -> None:
    emitter = EventEmitter()
    gate = asyncio.get_running_loop().create_future()
    done = asyncio.Event()
    errors = []

    @emitter.on("error")
    def failed(error: Exception) -> None:
        errors.append(error)
        done.set()

    @emitter.on("event")
    async def listener() -> None:
        await gate
        raise ValueError("after the wait")

    emitter.emit("event")
    assert not errors
    gate.set_result(None)
    await done.wait()
    assert str(errors[0]) == "after the wait"


async def test_what_a_plain_listener_returns_is_ignored() -> None:
    emitter = EventEmitter()
    future = asyncio.get_running_loop().create_future()
    emitter.on("event", lambda: future)
    emitter.emit("event")
    future.cancel()


@pytest.mark.parametrize("values", [(1,), (1, 2)], ids=["emit_one", "emit_pair"])
async def test_emit_one_and_emit_pair_are_emit(values: tuple[int, ...]) -> None:
    emitter = EventEmitter()
    heard: list[object] = []
    emit = functools.partial(emitter.emit_one if len(values) == 1 else emitter.emit_pair, "event")
    assert not emit(*values)
    emitter.once("event", lambda *args: heard.append(args))
    assert emit(*values)
    assert not emit(*values)
    assert heard == [values]

    @emitter.on("event")
    async def slow(*args: int) -> None:
        await asyncio.sleep(0)
        heard.append(sum(args))

    assert emit(*values)
    assert heard == [values]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert heard == [values, sum(values)]
    emitter.on("event", lambda *args: heard.append(args))
    assert emit(*values)
    assert heard == [values, sum(values), values]


async def test_emit_one_and_emit_pair_survive_a_listener_that_raises() -> None:
    emitter = EventEmitter()
    errors: list[str] = []
    emitter.on("error", lambda error: errors.append(str(error)))
    emitter.on("event", lambda *args: 1 / 0)
    assert emitter.emit_one("event", 1)
    assert emitter.emit_pair("event", 1, 0)
    assert errors == ["division by zero"] * 2


def test_an_emit_of_ones_own_sees_all_events() -> None:
    class Loud(EventEmitter):
        def emit(self, event: str, *args: Any) -> bool:
            seen.append((event, args))
            return super().emit(event, *args)

    class Louder(Loud): ...

    seen: list[Any] = []
    heard: list[Any] = []
    for emitter in (Loud(), Louder()):
        emitter.on("event", lambda *args: heard.append(args))
        assert emitter.emit_one("event", 1)
        assert emitter.emit_pair("event", 1, 2)
    assert seen == [("event", (1,)), ("event", (1, 2))] * 2
    assert heard == [(1,), (1, 2)] * 2
