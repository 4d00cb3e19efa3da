from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wirehop.anysocket.wire.sequence import BEHIND, GAP, LAST, Seen, following


def test_numbers_wrap_to_one() -> None:
    assert following(0) == 1
    assert following(LAST - 1) == LAST
    assert following(LAST) == 1


def test_each_number_passes_once() -> None:
    seen = Seen()
    assert [seen.first_time(seq) for seq in (1, 2, 2, 4, 3, 3, 4, 1)] == [
        True, True, False, True, True, False, False, False,
    ]  # fmt: skip


@given(st.permutations(range(1, 60)), st.lists(st.integers(1, 59)))
def test_any_order_passes_each_number_once(order: list[int], again: list[int]) -> None:
    seen = Seen()
    assert all(seen.first_time(seq) for seq in order)
    assert not any(seen.first_time(seq) for seq in again)


def test_the_wrap_is_passed_in_order_and_out_of_it() -> None:
    seen = Seen()
    assert seen.first_time(16_777_215)
    assert seen.first_time(LAST - 1)
    assert [seen.first_time(seq) for seq in (1, LAST, 3, 2)] == [True] * 4
    assert [seen.first_time(seq) for seq in (LAST, 1, 2, 3, LAST - 1)] == [False] * 5


def test_what_is_old_does_not_pass() -> None:
    seen = Seen()
    assert seen.first_time(BEHIND)
    assert not seen.first_time(BEHIND - GAP - 1)
    assert seen.first_time(BEHIND - GAP)


def test_gaps_are_bounded() -> None:
    seen = Seen()
    for seq in range(1, 20 * GAP, GAP // 2):
        assert seen.first_time(seq)
    assert seen._missing <= GAP
    assert not seen.first_time(2)


@given(st.lists(st.integers(-12, 9), max_size=60), st.sampled_from([1, LAST - 20]))
def test_what_passes_is_what_did_not(steps: list[int], start: int) -> None:
    seen = Seen()
    if start > 1:
        assert seen.first_time(LAST // 2)
        assert seen.first_time(start - 1)
    passed: set[int] = set()
    at = start - 1
    for step in steps:
        at = max(start, at + step)
        assert seen.first_time((at - 1) % LAST + 1) == (at not in passed)
        passed.add(at)


def test_the_oldest_gaps_are_forgotten_first() -> None:
    seen = Seen()
    for seq in (3, 5, 5 + GAP - 1):
        assert seen.first_time(seq)
    # With 1, 2, 4 and those from 6 on one too many is missing.
    assert [seen.first_time(seq) for seq in (1, 2, 4, 6)] == [False, True, True, True]
    assert seen.first_time(5 + 2 * GAP)
    assert not seen.first_time(7)
    assert seen.first_time(4 + 2 * GAP)


def lines_of(seen: Seen, seq: int) -> int:
    """How many lines of Python a number costs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        seen.first_time(seq)
    finally:
        sys.settrace(before)
    return count


def test_a_jump_costs_no_more_than_a_step_even_the_thousandth() -> None:
    """Found by fuzzing: 64 KiB of frames whose numbers jumped took 86 seconds."""
    seen = Seen()
    costs = {lines_of(seen, 2 + jump * (GAP + 1)) for jump in range(1000)}
    assert max(costs) < 50
    assert len(seen._starts) == 1
