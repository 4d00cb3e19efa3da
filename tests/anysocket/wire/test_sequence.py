from __future__ import annotations

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
    assert len(seen._missing) <= GAP
    assert not seen.first_time(2)
