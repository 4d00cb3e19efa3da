"""Waiting for a link to be encrypted."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from wirehop.anysocket.transports import Outlet
from wirehop.core.waiters import Moment
from wirehop.errors import ConnectionClosed

__all__ = ["AfterSwitch", "Secured"]


class Secured:
    """The moment from which a link is encrypted. Any number may await it, or none."""

    __slots__ = ("_failure", "_moment")

    def __init__(self) -> None:
        self._moment = Moment()
        self._failure: str | None = None

    def succeed(self) -> None:
        self._moment.come()

    def fail(self, reason: str) -> None:
        if not self._moment.is_past:
            self._failure = reason
            self._moment.come()

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._moment.__await__()
        if self._failure is not None:
            raise ConnectionClosed(self._failure)


class AfterSwitch:
    """What awaiting ``send`` waits for while the link switches: the encryption, then the drain."""

    __slots__ = ("_output", "_secured")

    def __init__(self, secured: Secured, output: Outlet) -> None:
        self._secured = secured
        self._output = output

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._secured.__await__()
        yield from self._output.__await__()
