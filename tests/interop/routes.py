"""The way that a scenario's connections go: directly, or through a proxy that is no good network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any

from tests.faults import Pace, Proxy, proxy_to

_route: ContextVar[Route | None] = ContextVar("route", default=None)


class Route:
    """Proxies, one for each port that is asked for."""

    def __init__(self, pace: Pace, stack: AsyncExitStack) -> None:
        self.pace = pace
        self.proxies: dict[int, Proxy] = {}
        self._stack = stack

    async def through(self, port: int) -> int:
        if port not in self.proxies:
            self.proxies[port] = await self._stack.enter_async_context(proxy_to(port, self.pace))
        return self.proxies[port].port


async def through(place: Any) -> Any:
    """The port to connect to instead of this one. The path of a Unix socket stays what it is."""
    route = _route.get()
    return await route.through(place) if route is not None and isinstance(place, int) else place


@asynccontextmanager
async def routed(pace: Pace) -> AsyncIterator[Route]:
    """Lead whoever asks for :func:`through` in this task through proxies."""
    async with AsyncExitStack() as stack:
        route = Route(pace, stack)
        token = _route.set(route)
        try:
            yield route
        finally:
            _route.reset(token)
