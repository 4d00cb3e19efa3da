"""Waiting for a link to be encrypted."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from wirehop.anysocket.transports import Outlet
from wirehop.errors import ConnectionClosed

__all__ = ["AfterSwitch", "Secured"]


class Secured:
    """The moment from which a link is encrypted. Any number may await it, or none."""

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    def succeed(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def fail(self, reason: str) -> None:
        if not self._future.done():
            self._future.set_exception(ConnectionClosed(reason))
            # Whoever did not await it does not want to read of it either.
            self._future.exception()

    def __await__(self) -> Generator[Any, None, None]:
        # Shielded: one waiter that gives up must not stop the others.
        yield from asyncio.shield(self._future).__await__()


class AfterSwitch:
    """What awaiting ``send`` waits for while the link switches: the encryption, then the drain."""

    __slots__ = ("_output", "_secured")

    def __init__(self, secured: Secured, output: Outlet) -> None:
        self._secured = secured
        self._output = output

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._secured.__await__()
        yield from self._output.__await__()
