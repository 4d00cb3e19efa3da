"""How a client connects, stays connected, and leaves."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.programs import free_port
from tests.raw import Raw, until
from tests.sockhop.linking import Told, linked, strange_server
from wirehop import SockhopClient, SockhopServer
from wirehop.core.loops import PerLoop
from wirehop.errors import ConnectionClosed, LimitExceeded, SockhopError
from wirehop.node import alive


def is_kept_alive(thing: object) -> bool:
    kept: PerLoop[Any] = alive._alive
    return id(thing) in kept.of(asyncio.get_running_loop()).things


async def test_connect_gives_the_client() -> None:
    async with SockhopServer(port=0) as server:
        client = SockhopClient(port=server.port)
        told = Told(client)
        assert not client.connected
        assert await client.connect() is client
        assert client.connected
        assert told.names == ["connect"]
        # Connected already.
        assert await client.connect() is client
        sock = await told.first("connect")
        await client.disconnect()
        assert await told.first("disconnect") is sock
        await client.disconnect()
        assert await client.connect() is client
        await client.disconnect()
        assert told.names == ["connect", "disconnect"] * 2


async def test_nobody_listens() -> None:
    client = SockhopClient(port=free_port())
    told = Told(client)
    with pytest.raises(ConnectionRefusedError):
        await client.connect()
    # Awaited: no event beside it.
    assert told.all == []
    client.connect()
    assert isinstance(await told.first("error"), ConnectionRefusedError)


async def test_multiconnect() -> None:
    async with SockhopServer(port=0) as server:
        client = SockhopClient(port=server.port)
        connecting = client.connect()
        with pytest.raises(SockhopError) as raised:
            client.connect()
        assert raised.value.code == "ERR_MULTICONNECT"
        await connecting
        await client.disconnect()


async def test_s14_a_connect_that_takes_too_long_is_over() -> None:
    """Nobody accepts, and the backlog is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        client = SockhopClient(port=port, connect_timeout=0.05)
        told = Told(client)
        with pytest.raises(TimeoutError):
            await client.connect()
        for filler in fillers:
            filler.close()
        assert not client.connected
        assert told.all == []


async def test_sends_before_and_while_connecting() -> None:
    async with SockhopServer(port=0) as server:
        heard = Told(server)
        client = SockhopClient(port=server.port, send_limit=1000)
        with pytest.raises(SockhopError) as raised:
            client.send("x")
        assert raised.value.code == "ERR_SOCKET_DESTROYED"
        client.on("connect", lambda sock: client.send("from the listener"))
        connecting = client.connect()
        sent = client.send("queued")
        with pytest.raises(LimitExceeded):
            client.send("x" * 1000)
        await connecting
        await sent
        await client.send("connected")
        assert [await heard.first("receive") for _ in range(3)] == [
            "from the listener",
            "queued",
            "connected",
        ]
        await client.disconnect()


async def test_awaiting_what_is_queued_waits_for_the_connection() -> None:
    async with SockhopServer(port=0) as server:
        client = SockhopClient(port=server.port)
        connecting = client.connect()
        sending = [asyncio.ensure_future(client.request(n)) for n in range(2)]
        await asyncio.sleep(0)
        sending[0].cancel()
        assert (await sending[1]).uuid
        assert client.connected
        await connecting
        await client.disconnect()


async def test_what_is_queued_fails_with_the_attempt() -> None:
    client = SockhopClient(port=free_port())
    connecting = client.connect()
    sent = client.send("x")
    stream = client.request("y")
    with pytest.raises(ConnectionRefusedError):
        await connecting
    with pytest.raises(ConnectionClosed):
        await sent
    with pytest.raises(ConnectionClosed):
        await stream
    with pytest.raises(SockhopError, match="stopped"):
        await stream.next()


async def test_s15_a_client_that_was_not_told_to_connect_does_nothing() -> None:
    async with SockhopServer(port=0) as server:
        told = Told(server)
        client = SockhopClient(port=server.port, auto_reconnect_interval=0.001)
        client.ping(0.001)
        assert not is_kept_alive(client)
        async with SockhopClient(port=server.port):
            # It would have been here, too.
            await told.args("connect")
            await asyncio.sleep(0.02)
            assert len(server.sockets) == 1


async def test_the_first_message_waits_for_who_awaits_connect() -> None:
    server = SockhopServer(port=0)
    server.on("connect", lambda sock, session: session.send("welcome"))
    async with server:
        for _ in range(20):
            client = SockhopClient(port=server.port)
            await client.connect()
            heard = Told(client)
            assert await heard.first("receive") == "welcome"
            await client.disconnect()


async def test_disconnect_while_connecting() -> None:
    async with SockhopServer(port=0) as server:
        client = SockhopClient(port=server.port)
        told = Told(client)
        connecting = client.connect()
        await client.disconnect()
        with pytest.raises(ConnectionClosed):
            await connecting
        assert told.all == []
        assert await client.connect() is client
        await client.disconnect()


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("how", ["connect", "start"])
async def test_cancelled_at_any_moment(turns: int, how: str) -> None:
    async with SockhopServer(port=0) as server:
        client = SockhopClient(port=server.port)
        waiting = asyncio.ensure_future(getattr(client, how)())
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = waiting.done()
        waiting.cancel()
        if not was_done:
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await client.disconnect()
        assert not client.connected
        assert not client.auto_reconnect_active
        await client.connect()
        await client.disconnect()


async def test_cancelled_in_the_turn_in_which_it_is_connected() -> None:
    async with SockhopServer(port=0) as server:
        client = SockhopClient(port=server.port)
        told = Told(client)
        waiting = asyncio.ensure_future(client.connect())
        await asyncio.sleep(0)
        attempt: Any = client._link._attempt  # type: ignore[union-attr]
        attempt._task.add_done_callback(lambda task: waiting.cancel())
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await told.args("disconnect")
        assert not client.connected
        assert await client.connect() is client
        await client.disconnect()


async def test_a_listener_of_connect_may_disconnect() -> None:
    async with SockhopServer(port=0) as server:
        client = SockhopClient(port=server.port)
        client.on("connect", lambda sock: client.disconnect())
        await client.connect()
        assert not client.connected
        await client.disconnect()


async def test_start_tries_until_there_is_a_server() -> None:
    port = free_port()
    client = SockhopClient(port=port, auto_reconnect_interval=0.01)
    told = Told(client)
    starting = asyncio.ensure_future(client.start())
    await until(lambda: client._timer is not None)
    assert is_kept_alive(client)
    async with SockhopServer(port=port) as server:
        assert await starting is client
        assert not is_kept_alive(client)
        assert client.auto_reconnect_active
        # Connected: at once.
        assert await client.start() is client
        await told.args("connect")
        server.disconnect()
        await told.args("disconnect")
        await told.args("connect")
        await client.disconnect()
        assert not client.auto_reconnect_active
    assert told.none("error")


async def test_starting_ends_with_disconnect() -> None:
    client = SockhopClient(port=free_port(), auto_reconnect_interval=0.01)
    starting = asyncio.ensure_future(client.start())
    await until(lambda: client._timer is not None)
    await client.disconnect()
    assert not is_kept_alive(client)
    with pytest.raises(ConnectionClosed):
        await starting


async def test_connect_with_auto_reconnect_and_without() -> None:
    async with linked(None, {"auto_reconnect_interval": 0.01}) as link:
        client, told = link.client, link.at_client
        assert not client.auto_reconnect_active
        await client.connect(auto_reconnect=True)
        assert client.auto_reconnect_active
        await link.server.disconnect()
        await told.args("disconnect")
        await told.args("connect")
        await client.send("again")
        assert await link.at_server.first("receive") == "again"
        # A plain connect() switches it off, as in the seed.
        await client.connect()
        await link.server.disconnect()
        await told.args("disconnect")
        assert client._timer is None


async def test_a_failed_connect_changes_nothing() -> None:
    client = SockhopClient(port=free_port())
    with pytest.raises(ConnectionRefusedError):
        await client.connect(auto_reconnect=True)
    assert not client.auto_reconnect_active
    assert client._timer is None


async def test_connecting_by_hand_while_waiting_to_reconnect() -> None:
    port = free_port()
    client = SockhopClient(port=port, auto_reconnect_interval=60.0)
    client.start()
    await until(lambda: client._timer is not None)
    with pytest.raises(ConnectionRefusedError):
        await client.connect()
    assert client._timer is not None
    async with SockhopServer(port=port):
        await client.connect(auto_reconnect=True)
        assert client._timer is None
        await client.disconnect()


async def test_a_failure_other_than_refused_is_told_once_while_reconnecting() -> None:
    client = SockhopClient(path="/nonexistent/socket", auto_reconnect_interval=0.001)
    told = Told(client)
    attempts = 0
    attempt = client._attempt

    def counted() -> Any:
        nonlocal attempts
        attempts += 1
        return attempt()

    client._attempt = counted  # type: ignore[method-assign]
    client.start()
    await until(lambda: attempts > 3)
    await client.disconnect()
    assert told.names == ["error"]
    assert isinstance(await told.first("error"), FileNotFoundError)


async def test_s8_case_45_half_a_message_does_not_survive_a_reconnect() -> None:
    async with strange_server() as (raw, client, told):
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        await raw.send(b'{"type":"Str')
        raw.finish()
        await told.args("disconnect")
        listening = await asyncio.start_server(
            lambda reader, writer: accepted.put_nowait(writer), "127.0.0.1", 0
        )
        client._target["port"] = listening.sockets[0].getsockname()[1]
        await client.connect()
        writer = await accepted.get()
        writer.write(b'{"type":"String","data":"first"}\n')
        assert await told.first("receive") == "first"
        assert told.none("error")
        await client.disconnect()
        writer.close()
        listening.close()


async def test_s12_disconnect_is_told_once() -> None:
    async with linked() as link:
        sock = link.sock
        await link.client.disconnect()
        await link.at_server.args("disconnect")
        for _ in range(2):
            with pytest.raises(SockhopError):
                link.server.send(sock, "x")
            await link.server.kill_socket(sock)
            await link.server.sendall("x")
        assert link.at_server.names.count("disconnect") == 1
        assert link.at_client.names.count("disconnect") == 1


async def test_s22_what_was_sent_arrives_before_the_end() -> None:
    async with linked() as link:
        text = "x" * (4 << 20)
        link.client.send(text)
        await link.client.disconnect()
        assert await link.at_server.first("receive") == text


async def test_s22_what_a_server_sent_arrives_although_it_was_sent_more() -> None:
    async with linked() as link:
        # Unread data at the time of the close would become a reset.
        link.sock.pause_reading()
        for _ in range(100):
            link.client.send("unread" * 1000)
        await link.client.send("x")
        for n in range(100):
            link.server.send(link.sock, n)
        await link.server.close()
        assert [await link.at_client.first("receive") for _ in range(100)] == list(range(100))


async def test_disconnect_cuts_who_does_not_read() -> None:
    async with strange_server(high_water=1 << 16) as (_raw, client, told):
        client.send("x" * (8 << 20))
        await client.disconnect(timeout=0.05)
        await told.args("disconnect")


async def test_the_end_of_a_peer_that_stays_is_waited_for_a_moment_only() -> None:
    async with strange_server() as (raw, client, _told):
        await client.disconnect()
        assert await raw.read_all() == b""


async def test_force_close_of_a_socket() -> None:
    async with linked() as link:
        sock = link.sock
        sock.force_close()
        assert (await link.at_server.args("disconnect"))[0] is sock
        await link.at_client.args("disconnect")
        sock.force_close()
        sock.close()


async def test_a_server_that_closes_without_reading_does_not_delay_what_follows() -> None:
    """``disconnect`` and the next connection come at the server's end, not when the last byte is out."""
    accepted: asyncio.Queue[Raw] = asyncio.Queue()
    listening = await asyncio.start_server(
        lambda reader, writer: accepted.put_nowait(Raw(reader, writer)), "127.0.0.1", 0
    )
    client = SockhopClient(
        port=listening.sockets[0].getsockname()[1],
        high_water=1 << 16,
        send_timeout=600.0,
        auto_reconnect_interval=0.001,
    )
    told = Told(client)
    await client.start()
    first = await told.first("connect")
    raws = [await accepted.get()]
    text = "x" * (32 << 20)
    client.send(text)
    raws[0].finish()
    assert await told.first("disconnect") is first
    assert not first.is_over
    assert await told.first("connect") is not first
    raws.append(await accepted.get())
    # What was on its way goes out.
    assert len(await raws[0].read_all()) > len(text)
    await until(lambda: first.is_over)
    client.send("x")
    assert b'"x"' in await raws[1].read_until(b"\n")
    for raw in raws:
        raw.writer.close()
    await client.disconnect()
    assert told.names.count("disconnect") == 2
    listening.close()


async def test_disconnect_waits_for_what_a_server_closed_and_left_unread() -> None:
    async with strange_server(high_water=1 << 16, send_timeout=600.0) as (raw, client, told):
        first = await told.first("connect")
        client.send("x" * (32 << 20))
        raw.finish()
        await told.args("disconnect")
        assert not first.is_over
        await client.disconnect(timeout=0.01)
        assert first.is_over
        assert told.none("disconnect")


async def test_disconnect_and_connect_that_nobody_awaits_come_in_that_order() -> None:
    async with SockhopServer(port=0) as server, SockhopClient(port=server.port) as client:
        told = Told(client)
        client.disconnect()
        assert told.all == []
        await client.connect()
        assert told.names == ["disconnect", "connect"]


async def test_auto_reconnect_cannot_be_set() -> None:
    client = SockhopClient()
    with pytest.raises(AttributeError, match=r"^The \.auto_reconnect setter has been deprecated in v2$"):
        client.auto_reconnect = True
    assert not hasattr(client, "auto_reconnect")
    assert not client.auto_reconnect_active


async def test_what_is_sent_while_connecting_is_for_that_attempt_alone() -> None:
    port = free_port()
    client = SockhopClient(port=port, auto_reconnect_interval=0.01)
    client.start()
    sent = client.send("lost")
    with pytest.raises(ConnectionClosed):
        await sent
    async with SockhopServer(port=port) as server:
        heard = Told(server)
        await client.start()
        client.send("kept")
        assert await heard.first("receive") == "kept"
        await client.disconnect()
