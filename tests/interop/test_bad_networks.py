"""Every scenario with npm once more, over a network that slices and delays: nothing changes. And one of
each kind over a network that fails: both sides learn of it, nothing is delivered twice, and the next
connection works."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import LOOPS, guarded
from tests.faults import DIRECT, ROUGH, Proxy
from tests.interop import test_anysocket, test_anysocket_e2e, test_http, test_http_server, test_sockhop
from tests.interop.npm import NpmError
from tests.interop.routes import Route, routed
from tests.interop.test_sockhop import authority, server_tls  # noqa: F401 - fixtures of some of them
from wirehop import SockhopClient, SockhopError
from wirehop.errors import ConnectionClosed, ProtocolError
from wirehop.node import http

MODULES = (test_anysocket, test_anysocket_e2e, test_http, test_http_server, test_sockhop)

DIRECT_ONLY = {
    # What a port does that nobody listens on cannot be seen through one that somebody listens on.
    "test_our_server_closes",
    "test_our_client_reconnects_to_the_npm_server",
    "test_the_npm_client_reconnects_to_our_server",
    # It is about time, and the proxy takes some.
    "test_the_npm_client_is_not_kept_waiting_by_its_tls_attempt",
}


def parameters(scenario: Any) -> Iterator[dict[str, Any]]:
    """What a scenario is run with, as its marks have it."""
    tables = []
    for mark in getattr(scenario, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args
            names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
            rows = [getattr(row, "values", row) for row in values]
            rows = [row if isinstance(row, (tuple, list)) and len(names) > 1 else (row,) for row in rows]
            tables.append([dict(zip(names, row, strict=True)) for row in rows])
    for choice in itertools.product(*tables):
        yield {name: value for row in choice for name, value in row.items()}


def some_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of many rows half, so that each value is among them."""
    if len(rows) <= 6:
        return rows
    return [row for index, row in enumerate(rows) if (index + 2 * index // len(rows)) % 2 == 0]


def scenarios() -> Iterator[Any]:
    # Each on one of the loops, in turn.
    loops = itertools.cycle(LOOPS)
    for module in MODULES:
        for name, scenario in of(module):
            if name not in DIRECT_ONLY:
                for number, chosen in enumerate(some_of(list(parameters(scenario)))):
                    where = module.__name__.rpartition(".")[2]
                    yield pytest.param(scenario, chosen, next(loops), id=f"{where} {name} {number}")


def of(module: ModuleType) -> list[tuple[str, Any]]:
    """The scenarios of a module."""
    return [
        (name, scenario)
        for name, scenario in vars(module).items()
        if name.startswith("test_") and inspect.iscoroutinefunction(scenario)
    ]


@pytest.mark.parametrize(("scenario", "chosen", "loop"), list(scenarios()))
def test_slices_and_delays_change_nothing(
    scenario: Any, chosen: dict[str, Any], loop: str, request: pytest.FixtureRequest
) -> None:
    wanted = [name for name in inspect.signature(scenario).parameters if name not in chosen]
    arguments = {name: request.getfixturevalue(name) for name in wanted}

    async def run() -> None:
        async with routed(ROUGH):
            await scenario(**chosen, **arguments)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(guarded(run, {}))


def test_half_of_the_rows_have_every_value() -> None:
    rows = list(parameters(test_anysocket_e2e.test_npm_in_every_role_of_a_relayed_link))
    half = some_of(rows)
    assert len(half) == len(rows) / 2
    for name in rows[0]:
        assert {row[name] for row in half} == {row[name] for row in rows}


def test_there_are_scenarios_in_every_module() -> None:
    assert all(of(module) for module in MODULES)
    names = {name for module in MODULES for name, _ in of(module)}
    assert names >= DIRECT_ONLY


# --- networks that fail

FAULTS = {
    "reset": Proxy.reset,
    "the client's half is closed": lambda proxy: proxy.half_close(up=True),
    "the server's half is closed": lambda proxy: proxy.half_close(up=False),
    "black hole": Proxy.blackhole,
}
FAILS = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
DIRECTIONS = test_anysocket.DIRECTIONS

BEATS = {"heartbeat_interval": 0.2, "close_timeout": 0.2}


def only(route: Route) -> Proxy:
    (proxy,) = route.proxies.values()
    return proxy


async def exchange(link: test_anysocket.Link) -> None:
    """Ten messages each way."""
    for number in range(1, 11):
        await link.ask("send", number)
        link.peer.send(number)
    assert [await link.messages.get() for _ in range(10)] == list(range(1, 11))
    assert [(await link.js.event("message"))["msg"] for _ in range(10)] == list(range(1, 11))


@FAILS
@DIRECTIONS
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "encrypted"])
async def test_peers(fault: Any, js_connects: bool, is_encrypted: bool) -> None:
    async with (
        routed(DIRECT) as route,
        test_anysocket.linked(js_connects, BEATS, heartbeatInterval=100) as link,
    ):
        await link.js("mode", "silent")
        if is_encrypted:
            await test_anysocket_e2e.encrypt(link, js_begins=True)
        await exchange(link)
        waiting = link.peer.rpc.fail.never()
        asked = asyncio.ensure_future(link.ask("request", "never answered"))
        assert await link.messages.get() == "never answered"
        proxy, port = only(route), only(route).port
        fault(proxy)
        # Whatever is on its way now arrives once or never.
        link.peer.send("on its way")
        await link.ended
        with pytest.raises(ConnectionClosed):
            await waiting
        proxy.repair()
        # npm's server looks for dead clients only when it sends: the end of the connection tells it.
        await link.js.event("disconnected", peer=link.socket.id)
        with pytest.raises(NpmError):
            await asked
        assert [event["msg"] for event in link.js.seen("message")] in ([], ["on its way"])
        assert link.messages.empty()
        # The next connection works.
        link.ended = asyncio.get_running_loop().create_future()
        if js_connects:
            await link.js("connect", "127.0.0.1", port)
        else:
            await link.socket.connect("ws", "127.0.0.1", port, **BEATS)
        await link.js.event("connected", peer=link.socket.id)
        await link.js("mode", "echo")
        reply = await link.peer.send("again", await_reply=True)
        assert reply is not None
        assert reply.msg == "again"


@DIRECTIONS
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "encrypted"])
async def test_peers_and_a_bit_that_is_another(js_connects: bool, is_encrypted: bool) -> None:
    """On its way to us: what npm does about one is to end its process."""
    async with routed(DIRECT) as route, test_anysocket.linked(js_connects, BEATS) as link:
        await link.js("mode", "silent")
        if is_encrypted:
            await test_anysocket_e2e.encrypt(link, js_begins=True)
        await exchange(link)
        only(route).corrupt(up=js_connects)
        await link.ask("send", "corrupt")
        assert await link.ended == "Invalid Packet!"
        await link.js.event("disconnected", peer=link.socket.id)
        assert link.messages.empty()


@FAILS
@DIRECTIONS
async def test_sockhop_links(fault: Any, js_connects: bool) -> None:
    async with routed(DIRECT) as route, test_sockhop.linked(js_connects) as link:
        await link.is_alive()
        await link.js.run("respond = () => {}")
        waiting = link.request("never answered", timeout=3600)
        await link.js.event("request")
        link.ours.ping(0.1)
        proxy, port = only(route), only(route).port
        fault(proxy)
        link.send("on its way")
        await link.ended.wait()
        with pytest.raises(SockhopError):
            await waiting.next()
        assert len(link.gone) == 1
        proxy.repair()
        await link.js.event("disconnect")
        assert [event["value"] for event in link.js.seen("receive")] in ([], ["on its way"])
        assert link.received.empty()
        link.js._events.clear()
        link.ours.ping(0)
        link.connected.clear()
        if js_connects:
            await link.js("connect", {"port": port})
        else:
            assert isinstance(link.ours, SockhopClient)
            await link.ours.connect()
        await link.connected.wait()
        await link.is_alive()


@DIRECTIONS
async def test_sockhop_links_and_a_bit_that_is_another(js_connects: bool) -> None:
    async with routed(DIRECT) as route, test_sockhop.linked(js_connects) as link:
        await link.is_alive()
        only(route).corrupt(up=js_connects)
        await link.js.run("peer.send('corrupt')")
        error = await link.errors.get()
        assert isinstance(error, SockhopError)
        assert error.code == "ERR_OBJECTBUFFER_BAD_BUFFER_DATA"
        # That message is lost, and known to be; the connection is as good as before.
        await link.is_alive()


HTTP_FAULTS = {
    **{name: fault for name, fault in FAULTS.items() if "client" not in name},
    "a bit is another": lambda proxy: proxy.corrupt(up=False),
}


@pytest.mark.parametrize("fault", HTTP_FAULTS.values(), ids=HTTP_FAULTS.keys())
async def test_our_http_client(fault: Any) -> None:
    limits = http.ClientLimits(response_timeout=0.3, body_timeout=0.3)
    async with (
        routed(DIRECT) as route,
        test_http.node() as port,
        http.create_client(port, limits=limits) as client,
    ):
        assert await test_http.text(client.get("/length")) == "hello"
        request = client.post("/echo")
        await request.send_body("half of it")
        fault(only(route))
        with pytest.raises((ConnectionError, TimeoutError, ProtocolError)):
            await (await request.finish()).read()
        only(route).repair()
        assert await test_http.text(client.get("/length")) == "hello"
        assert client._connection is not None
