"""ObjectBuffer, TimedMap, SockhopPing and SockhopPong, by themselves."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from wirehop import ObjectBuffer, SockhopPing, SockhopPong, TimedMap
from wirehop.errors import PayloadTooLarge, SockhopError


def test_there_and_back_again() -> None:
    buffer = ObjectBuffer(terminator=("\n", "\n"))
    line = buffer.obj2buf({"a": [1, "é"]})
    assert buffer.buf2obj(line[:5]) == []
    assert buffer.buf2obj(bytearray(line[5:]) + line) == [{"a": [1, "é"]}] * 2


def test_what_is_no_buffer() -> None:
    errors: list[Any] = []
    buffer = ObjectBuffer()
    buffer.on("error", errors.append)
    assert buffer.buf2obj("text") == []
    assert [error.code for error in errors] == ["ERR_OBJECTBUFFER_BAD_BUFFER"]


def test_bad_data_without_a_listener_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert ObjectBuffer().buf2obj(b"bad\n{}\n") == [{}]
    assert "corrupted" in caplog.text


def test_a_line_that_is_too_long_is_told_once() -> None:
    errors: list[Any] = []
    buffer = ObjectBuffer(max_line=5)
    buffer.on("error", errors.append)
    assert buffer.buf2obj(b"[1]\n[1,2,3]\n[2]\n") == [[1]]
    assert buffer.buf2obj(b"[3]\n") == []
    assert [type(error) for error in errors] == [PayloadTooLarge]


def test_what_cannot_be_encoded() -> None:
    for value in ("text", {1, 2}):
        with pytest.raises(SockhopError) as raised:
            ObjectBuffer().obj2buf(value)
        assert raised.value.code == "ERR_OBJECTBUFFER_BAD_OBJECT"


async def test_a_timed_map() -> None:
    reasons: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def left(key: str) -> Any:
        return lambda reason: reasons.put_nowait((key, reason))

    timed: TimedMap[str, int] = TimedMap(timeout=60.0)
    timed.set("a", 1, left("a"))
    assert (timed.get("a"), timed.get("b"), len(timed), "a" in timed) == (1, None, 1, True)
    timed.set("a", 2, left("a2"))
    assert await reasons.get() == ("a", "overwritten")
    timed.set("c", 3, left("c"), 0.01)
    timed.set("quiet", 4, None, 0.005)
    assert await reasons.get() == ("c", "timed-out")
    assert (timed.get("c"), timed.get("quiet"), timed.get("a")) == (None, None, 2)
    assert timed.delete("a")
    assert not timed.delete("a")
    assert await reasons.get() == ("a2", "deleted")
    timed.set("d", 5, left("d"))
    timed.set("e", 6)
    timed.stop()
    assert await reasons.get() == ("d", "stopped")
    assert (len(timed), reasons.empty()) == (0, True)
    timed.set("f", 7, left("f"), 0.001)
    assert await reasons.get() == ("f", "timed-out")


async def test_a_callback_that_fails_keeps_no_other_from_leaving(caplog: pytest.LogCaptureFixture) -> None:
    timed: TimedMap[int, int] = TimedMap(timeout=0.001)
    left = asyncio.Event()

    def fail(reason: str) -> None:
        raise ValueError(reason)

    timed.set(1, 1, fail)
    timed.set(2, 2, lambda reason: left.set())
    await left.wait()
    assert "ValueError: timed-out" in caplog.text


def test_pings_and_pongs() -> None:
    ping = SockhopPing()
    assert ping.unanswered()
    assert list(ping.fields()) == ["_id", "_created", "_returned", "_finished"]
    ping.conclude_with_pong(SockhopPong({"_id": "another"}))
    assert ping.unanswered()
    pong = SockhopPong(ping.fields())
    ping.conclude_with_pong(pong)
    assert not ping.unanswered()
    assert ping.returned == pong.returned
    assert ping.id in repr(ping)
    assert SockhopPong().id is None
    assert SockhopPing({"_id": "x", "_created": "then"}).fields()["_created"] == "then"
