"""Delays before connecting again."""

from __future__ import annotations

import pytest

from wirehop.core.backoff import Backoff


def bounds(interval: float, count: int) -> list[float]:
    backoff = Backoff(interval, lambda: 1.0)
    return [backoff.delay() for _ in range(count)]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (2.0, [2, 4, 8, 16, 30, 30]),
        (0.5, [0.5, 1, 2, 4, 8, 8]),
        (100.0, [100, 100, 100]),
    ],
)
def test_the_bound_doubles_up_to_a_limit(interval: float, expected: list[float]) -> None:
    assert bounds(interval, len(expected)) == expected


def test_it_is_reset_by_a_connection_that_held() -> None:
    backoff = Backoff(2.0, lambda: 1.0)
    backoff.delay()
    backoff.delay()
    backoff.held(1.0)
    assert backoff.delay() == 8.0
    backoff.held(17.0)
    assert backoff.delay() == 2.0


def test_each_delay_is_random_below_its_bound() -> None:
    delays = [Backoff(2.0).delay() for _ in range(200)]
    assert all(0 <= delay <= 2.0 for delay in delays)
    assert len({round(delay, 6) for delay in delays}) > 100
