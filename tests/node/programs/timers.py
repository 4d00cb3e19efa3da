"""A timeout fires once, a cleared one never, an interval until it is cleared."""

import time

from wirehop import node

EARLY = 0.002
"""How much too early a clock of milliseconds may be. A late one says nothing: machines pause."""

interval_count = 0
timeout_called = False


def on_load():
    began = time.monotonic()

    def once():
        global timeout_called
        assert time.monotonic() - began >= 0.1 - EARLY
        timeout_called = True

    def never():
        raise AssertionError("this timer was cleared")

    def tick():
        global interval_count
        interval_count += 1
        assert time.monotonic() - began >= 0.1 * interval_count - EARLY
        assert interval_count <= 3
        if interval_count == 3:
            node.clear_interval(interval)

    node.set_timeout(once, 0.1)
    node.clear_timeout(node.set_timeout(never, 0.05))
    interval = node.set_interval(tick, 0.1)


def on_exit():
    assert timeout_called
    assert interval_count == 3
