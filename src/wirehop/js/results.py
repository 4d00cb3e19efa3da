"""The ends of operations: promises of storey 1 settle those of a program (seed: Node 0.1.0,
``node.Promise``)."""

from __future__ import annotations

from typing import Any

from wirehop.js.bridge import Bridge, Operations
from wirehop.js.values import TEXT, crossing, failure
from wirehop.node import alive
from wirehop.node.promise import Promise

__all__ = ["Results"]


class Results:
    """Tells JavaScript how promises end, and holds the program for those that it made itself."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    @property
    def operations(self) -> Operations:
        return {"hold": self._hold}

    def of(self, number: float, promise: Promise[Any]) -> None:
        """Settle the program's promise of that number as this one is."""
        bridge = self._bridge

        def succeeded(*values: Any) -> None:
            kind, value = crossing(values[0]) if values else (TEXT, None)
            bridge.up("succeeded", number, bool(values), kind, _given(bridge, value))

        def failed(error: BaseException) -> None:
            bridge.up("failed", number, bridge.text(failure(error)))

        promise.add_callback(succeeded)
        promise.add_errback(failed)

    def _hold(self, is_held: bool) -> None:
        if is_held:
            alive.keep(self)
        else:
            alive.release(self)


def _given(bridge: Bridge, value: Any) -> Any:
    return bridge.text(value) if isinstance(value, str) else value
