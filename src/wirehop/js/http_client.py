"""The client's side of HTTP (seed: Node 0.1.0, ``node.http.Client``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

from wirehop.core.steps import Steps
from wirehop.js.bodies import Bodies
from wirehop.js.bridge import Bridge, Operations
from wirehop.js.values import data, failure, pair_text, split_pairs, whole
from wirehop.node.dial import Target
from wirehop.node.http import Client, ClientLimits, ClientRequest, ClientResponse, create_client

__all__ = ["HttpClients"]


FORGET_AFTER = ClientLimits().idle_timeout + 1.0
"""Seconds without a request after which a client is forgotten: its connection is closed by then, and
who asks again gets a new one."""


class _Asking:
    """A client that JavaScript knows, while it may have requests."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.requests = 0
        self.end: asyncio.TimerHandle | None = None


class HttpClients:
    """Asks what JavaScript asks, and tells it of the responses."""

    def __init__(self, bridge: Bridge, bodies: Bodies) -> None:
        self._bridge = bridge
        self._bodies = bodies
        self._clients: dict[float, _Asking] = {}
        self._requests: dict[float, tuple[float, ClientRequest]] = {}
        self._waiting = Steps()

    @property
    def operations(self) -> Operations:
        return {
            "clientCheck": self._check,
            "clientNew": self._new,
            "clientAsk": self._ask,
            "clientSendBody": self._send_body,
            "clientFinish": self._finish,
        }

    def _check(self, port: Any, host: str) -> None:
        Target(whole(port, "a port"), host, None, None, None, None)

    def _new(self, number: float, port: Any, host: str) -> None:
        client = create_client(whole(port, "a port"), host)
        client.on("error", partial(self._failed, number))
        self._clients[number] = _Asking(client)

    def _ask(self, number: float, id: float, method: str, path: str, lines: str) -> None:
        asking = self._clients[number]
        request = asking.client.request(method, path, split_pairs(lines))
        asking.requests += 1
        if asking.end is not None:
            asking.end.cancel()
            asking.end = None
        self._requests[id] = (number, request)

    def _send_body(self, id: float, text: str, kind: int) -> None:
        asked = self._requests.get(id)
        if asked is None:
            raise RuntimeError("sendBody() comes before finish()")
        asked[1].send_body(data(text, kind))

    def _finish(self, id: float) -> None:
        asked = self._requests.pop(id, None)
        if asked is None:
            raise RuntimeError("this request was finished already")
        number, request = asked
        try:
            answer = request.finish()
        except ValueError:
            self._over(number)
            raise
        self._waiting.start(self._answered(number, id, answer), _never)

    async def _answered(self, number: float, id: float, answer: Awaitable[ClientResponse]) -> None:
        try:
            response = await answer
        except Exception:
            # The client's event told of it.
            self._over(number)
        else:
            it = self._bridge.number()
            self._bodies.offer(it, response, partial(self._over, number))
            lines = pair_text(response.raw_headers)
            self._bridge.up("response", id, it, response.status_code, response.http_version, lines)
        self._bridge.up("requestOver", id)

    def _failed(self, number: float, error: Exception) -> None:
        self._bridge.up("clientFailed", number, self._bridge.text(failure(error)))

    def _over(self, number: float) -> None:
        """A request and its response are."""
        asking = self._clients[number]
        asking.requests -= 1
        if not asking.requests:
            asking.end = asyncio.get_running_loop().call_later(FORGET_AFTER, self._forget, number)

    def _forget(self, number: float) -> None:
        self._clients.pop(number).client.close()
        self._bridge.up("clientForgotten", number)


def _never(error: Exception) -> None:
    """What waits for an answer raises nothing."""
