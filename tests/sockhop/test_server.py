"""Sessions, and how a server listens and ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.raw import connect, until
from tests.sockhop.linking import Told, linked, strange_server, stranger
from wirehop import SockhopClient, SockhopServer, SockhopSession
from wirehop.errors import SockhopError


async def test_a_session_has_its_socket_and_server() -> None:
    class Visitor(SockhopSession):
        count = 0

    async with linked({"session_type": Visitor}) as link:
        sock, session = link.sock, link.server.sessions[0]
        assert isinstance(session, Visitor)
        assert (session.sock, session.server, sock.session) == (sock, link.server, session)
        await session.send("hi")
        assert await link.at_client.first("receive") == "hi"
        await session.kill()
        assert await link.at_server.args("disconnect") == (sock, session)
        assert link.server.sockets == link.server.sessions == []


async def test_plain_start_and_end() -> None:
    order: list[str] = []

    class Plain(SockhopSession):
        def start(self) -> None:  # type: ignore[override]
            order.append("start")

        def end(self) -> None:  # type: ignore[override]
            order.append("end")

    async with linked({"session_type": Plain}) as link:
        link.server.on("disconnect", lambda sock, session: order.append("disconnect"))
        assert order == ["start"]
        await link.client.disconnect()
        await link.at_server.args("disconnect")
    assert order == ["start", "end", "disconnect"]


async def test_connect_comes_before_the_first_receive() -> None:
    """JavaScript has them the other way round, when the client was fast."""
    server = SockhopServer(port=0)
    told = Told(server)
    async with server:
        async with connect(server.port) as raw:
            await raw.send(b'{"type":"Number","data":1}\n' * 3)
            raw.finish()
            await told.args("disconnect")
        assert told.names == ["connect", "receive", "receive", "receive", "disconnect"]


@pytest.mark.parametrize("where", ["__init__", "start", "later"])
async def test_s19_a_session_that_cannot_start(where: str) -> None:
    class Failing(SockhopSession):
        def __init__(self, sock: Any, server: Any) -> None:
            super().__init__(sock, server)
            if where == "__init__":
                raise ValueError("no session")

        async def start(self) -> None:
            if where == "later":
                await asyncio.sleep(0)
            raise ValueError("no session")

    server = SockhopServer(port=0, session_type=Failing)
    told = Told(server)
    async with server, connect(server.port) as raw:
        assert await raw.read_all() == b""
        error, sock, _ = await told.args("error")
        assert (str(error), sock.ready_state) == ("no session", "closed")
        assert server.sockets == []
        await until(lambda: not server._all)
    assert told.names == ["error"]


async def test_s19_a_client_that_leaves_while_its_session_starts() -> None:
    going = asyncio.Event()
    ended = asyncio.Event()
    socks: list[Any] = []

    class Slow(SockhopSession):
        async def start(self) -> None:
            socks.append(self.sock)
            await going.wait()

        async def end(self) -> None:
            ended.set()

    server = SockhopServer(port=0, session_type=Slow)
    told = Told(server)
    async with server:
        async with connect(server.port) as raw:
            await until(lambda: socks)
            raw.reset()
        # Nothing is read yet, so the system has to be asked.
        socks[0].force_close()
        await until(lambda: socks[0].is_over)
        going.set()
        await ended.wait()
        assert told.all == []


async def test_a_session_may_kill_while_it_starts() -> None:
    class Refusing(SockhopSession):
        async def start(self) -> None:
            self.send("go away")
            self.kill()

    server = SockhopServer(port=0, session_type=Refusing)
    told = Told(server)
    async with server, connect(server.port) as raw:
        assert await raw.read_all() == b'{"type":"String","data":"go away"}\n'
    assert told.all == []


async def test_an_end_that_fails_is_an_error_and_disconnect_comes_all_the_same() -> None:
    class Failing(SockhopSession):
        async def end(self) -> None:
            await asyncio.sleep(0)
            raise ValueError("no end")

    async with linked({"session_type": Failing}) as link:
        await link.client.disconnect()
        await link.at_server.args("disconnect")
        assert str(await link.at_server.first("error")) == "no end"


async def test_s9_disconnect_disconnects_all_and_goes_on_listening() -> None:
    async with SockhopServer(port=0) as server:
        told = Told(server)
        clients = [SockhopClient(port=server.port) for _ in range(4)]
        for client in clients:
            await client.connect()
            await told.args("connect")
        server.ping(60.0)
        await server.disconnect()
        assert server.sockets == []
        assert told.names.count("disconnect") == 4
        await until(lambda: not any(client.connected for client in clients))
        await clients[0].connect()
        await told.args("connect")
        await clients[0].disconnect()


async def test_s9_close_closes_all_and_it_may_listen_again() -> None:
    server = SockhopServer(port=0)
    told = Told(server)
    async with server:
        client = SockhopClient(port=server.port)
        await client.connect()
        await told.args("connect")
        port = server.port
        await server.close()
        await told.args("disconnect")
        with pytest.raises(ConnectionRefusedError):
            await SockhopClient(port=port).connect()
        assert await server.listen() is server
        with pytest.raises(RuntimeError):
            server.listen()
        async with SockhopClient(port=server.port):
            await told.args("connect")
    await server.close()


async def test_close_lets_answers_out() -> None:
    async with linked() as link:
        going = asyncio.Event()

        @link.server.on("request")
        async def slow(req: Any, res: Any, meta: Any) -> None:
            await going.wait()
            res.send("done")

        stream = link.client.request("x")
        await link.at_server.args("request")
        closing = link.server.close()
        await asyncio.sleep(0)
        going.set()
        assert (await stream.next()).data == "done"
        await closing


async def test_close_cuts_what_takes_too_long() -> None:
    cancelled = asyncio.Event()

    class Slow(SockhopSession):
        async def end(self) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    async with linked({"session_type": Slow}) as link:

        @link.server.on("request")
        async def never(req: Any, res: Any, meta: Any) -> None:
            await asyncio.Event().wait()

        @link.server.on("connect")
        async def watch(sock: Any, session: Any) -> None:
            await asyncio.Event().wait()

        link.client.request("x")
        await link.at_server.args("request")
        await link.server.close(timeout=0.05)
        assert cancelled.is_set()
        await link.at_server.args("disconnect")


async def test_close_from_a_listener() -> None:
    async with linked() as link:
        done = asyncio.Event()

        @link.server.on("receive")
        async def close(value: Any, meta: Any) -> None:
            await asyncio.sleep(0)
            await link.server.close()
            done.set()

        await link.client.send("close")
        await done.wait()
        await link.at_client.args("disconnect")


async def test_close_cancels_a_session_that_does_not_start() -> None:
    begun = asyncio.Event()

    class Slow(SockhopSession):
        async def start(self) -> None:
            begun.set()
            await asyncio.Event().wait()

    server = SockhopServer(port=0, session_type=Slow)
    told = Told(server)
    async with server, connect(server.port):
        await begun.wait()
        await server.close(timeout=0.01)
        assert not server._all
    assert told.all == []


async def test_sendall_does_not_mind_who_leaves() -> None:
    async with linked() as link:
        sending = link.server.sendall("x")
        link.sock.force_close()
        await sending


async def test_a_close_that_is_cancelled_cuts() -> None:
    async with stranger() as (_raw, server, told):
        await told.args("connect")
        closing = asyncio.ensure_future(asyncio.wait_for(server.close(), 0.01))
        with pytest.raises(TimeoutError):
            await closing
        await told.args("disconnect")


async def test_a_port_that_is_taken() -> None:
    async with SockhopServer(port=0) as server:
        second = SockhopServer(port=server.port)
        told = Told(second)
        with pytest.raises(OSError, match="in use"):
            await second.listen()
        assert told.all == []
        second.listen()
        error, sock, session = await told.args("error")
        assert (type(error), sock, session) == (OSError, None, None)
        assert second.get_bound_address() is None


async def test_emit_async() -> None:
    async with SockhopServer(port=0) as server:
        told = Told(server, "mine")
        server.emit_async("mine", 1, 2)
        assert told.all == []
        assert await told.args("mine") == (1, 2)


async def test_s16_callbacks_belong_to_a_connection() -> None:
    async with linked() as link, SockhopClient(port=link.server.port) as other:
        await link.at_server.args("connect")
        called: list[Any] = []
        await link.server.send(link.sock, "x", called.append)
        _, meta = await link.at_client.args("receive")
        await other._link.call_back(meta.callback._id, "not mine")  # type: ignore[union-attr]
        await other.send("after it")
        assert await link.at_server.first("receive") == "after it"
        assert called == []
        await meta.callback("mine")
        await link.are_alive()
        assert called == ["mine"]


S1_LINES = [
    b"null",
    b"",
    b"{bad json}",
    b'{"type":"String","data":"x","callback_id":"unknown"}',
    b'{"type":"String","data":"x","callback_id":["a"]}',
    b'{"type":"SockhopPing","data":null}',
    b'{"type":"SockhopPong","data":null}',
    b'{"type":"SockhopPong","data":{"_id":["a"]}}',
    b'{"type":"SockhopRequest"}',
    b'{"type":"SockhopRequest","data":null}',
    b'{"type":"SockhopResponsePacket"}',
    b'{"type":"SockhopResponsePacket","data":null}',
    b'{"constructor":null}',
    b'{"type":{"a":1},"data":1,"id":{"b":2}}',
    b'\xef\xbb\xbf{"type":"Number","data":1}',
    b"\xff\xfe",
    b'{"type":"String","data":"\xff"}',
    b"[" * 100_000,
    b"5",
    b'"s"',
    b"[]",
    b"1e999",
    b'{"type":"String","data":"x"}\r',
]


@pytest.mark.parametrize("peer_type", ["Sockhop", "json"])
async def test_case_44_no_line_does_any_harm(peer_type: str, caplog: pytest.LogCaptureFixture) -> None:
    async with stranger(peer_type=peer_type) as (raw, _server, told), linked() as others:
        await raw.send(b"\n".join(S1_LINES) + b"\n")
        last = b'{"type":"String","data":"last"}\n'
        await raw.send(last)
        while True:
            value, _ = await told.args("receive")
            if value == "last" or value == {"type": "String", "data": "last"}:
                break
        codes = {args[0].code for name, args in told.all if name == "error"}
        assert codes == {"ERR_OBJECTBUFFER_BAD_BUFFER_DATA"}
        assert told.none("disconnect")
        await others.are_alive()
    assert caplog.records == []


async def test_a_client_survives_these_lines_too() -> None:
    async with strange_server() as (raw, client, told):
        await raw.send(b"\n".join(S1_LINES) + b'\n{"type":"String","data":"last"}\n')
        while await told.first("receive") != "last":
            pass
        assert client.connected


async def test_s6_a_server_sends_what_is_falsy() -> None:
    async with linked() as link:
        for value in (0, "", False, []):
            await link.server.send(link.sock, value)
            assert await link.at_client.first("receive") == value
        with pytest.raises(SockhopError) as raised:
            link.server.send(link.sock, None)
        assert raised.value.code == "ERR_BAD_DATA"


async def test_who_is_killed_is_no_longer_among_the_sockets() -> None:
    """A loop over them may send to each."""
    async with linked() as link, SockhopClient(port=link.server.port) as other:
        await link.at_server.args("connect")
        sock, session = link.sock, link.server.sessions[0]
        staying = [one for one in link.server.sockets if one is not sock]
        session.kill()
        assert link.server.sockets == staying
        assert link.server.sessions == [one.session for one in staying]
        heard = Told(other)
        for one in link.server.sockets:
            link.server.send(one, "x")
        assert await heard.first("receive") == "x"
        await link.at_server.args("disconnect")


@pytest.mark.parametrize("how", ["kill", "FIN"])
async def test_a_session_ends_when_it_is_closed_and_what_was_sent_goes_out_behind_it(how: str) -> None:
    order: list[str] = []

    class Visitor(SockhopSession):
        async def end(self) -> None:
            assert self.server.sockets == self.server.sessions == []
            order.append("end")

    # Nothing of this ends by itself while the test runs.
    options = {"session_type": Visitor, "high_water": 1 << 16, "send_timeout": 600.0}
    server = SockhopServer(port=0, **options)  # type: ignore[arg-type]
    told = Told(server)
    text = "x" * (32 << 20)
    async with server, connect(server.port) as raw:
        sock, session = await told.args("connect")
        server.send(sock, text)
        if how == "kill":
            killed = asyncio.ensure_future(_of(session.kill(timeout=600.0)))
        else:
            raw.finish()
        assert await told.args("disconnect") == (sock, session)
        assert order == ["end"]
        assert not sock.is_over
        closing = asyncio.ensure_future(_of(server.disconnect(timeout=600.0)))
        received = await raw.read_all()
        assert len(received) == len(text) + len(b'{"type":"String","data":""}\n')
        raw.finish()
        await closing
        assert sock.is_over
        if how == "kill":
            await killed
    assert order == ["end"]
    assert told.names == ["connect", "disconnect"]


async def _of(awaitable: Any) -> None:
    await awaitable


async def test_disconnect_cuts_what_does_not_go_out_in_time() -> None:
    server = SockhopServer(port=0, high_water=1 << 16, send_timeout=600.0)
    told = Told(server)
    async with server, connect(server.port) as raw:
        sock, _ = await told.args("connect")
        server.send(sock, "x" * (32 << 20))
        raw.finish()
        await told.args("disconnect")
        assert not sock.is_over
        await server.disconnect(timeout=0.01)
        assert sock.is_over


async def test_little_that_nobody_reads_is_cut_too() -> None:
    """Below the high water, where nothing else looks for a stall."""
    server = SockhopServer(port=0, high_water=64 << 20, send_timeout=0.05)
    told = Told(server)
    async with server, connect(server.port) as raw:
        sock, _ = await told.args("connect")
        server.send(sock, "x" * (32 << 20))
        raw.finish()
        await sock.gone()


@pytest.mark.parametrize("slow", ["start", "end"])
async def test_disconnect_does_not_wait_for_ever_for_a_session(slow: str) -> None:
    begun = asyncio.Event()
    going = asyncio.Event()

    class Slow(SockhopSession):
        async def start(self) -> None:
            if slow == "start":
                begun.set()
                await going.wait()

        async def end(self) -> None:
            if slow == "end":
                await going.wait()

    server = SockhopServer(port=0, session_type=Slow)
    told = Told(server)
    async with server, connect(server.port):
        await (begun.wait() if slow == "start" else told.args("connect"))
        await server.disconnect(timeout=0.01)
        assert told.none("disconnect")
        # It was not cancelled.
        going.set()
        if slow == "end":
            await told.args("disconnect")
        await until(lambda: not server._all)


@pytest.mark.parametrize("hook", ["start", "end"])
@pytest.mark.parametrize("what", ["disconnect", "close"])
async def test_a_session_that_disconnects_all_does_not_wait_for_itself(hook: str, what: str) -> None:
    done: list[str] = []

    class Last(SockhopSession):
        async def start(self) -> None:
            if hook == "start":
                await self._do()

        async def end(self) -> None:
            if hook == "end":
                await self._do()

        async def _do(self) -> None:
            # Not to be had by waiting for the timeout.
            await getattr(self.server, what)(timeout=600.0)
            done.append(hook)

    server = SockhopServer(port=0, session_type=Last)
    async with server:
        # Two of them wait for each other, too. (After close() nobody starts any more.)
        count = 1 if (hook, what) == ("start", "close") else 2
        clients = [SockhopClient(port=server.port) for _ in range(count)]
        for client in clients:
            await client.connect()
        if hook == "end":
            await until(lambda: len(server.sockets) == count)
        for client in clients:
            client.disconnect()
        await until(lambda: len(done) == count)
        await until(lambda: not server._all)
        for client in clients:
            await client.disconnect()


async def test_a_bind_error_that_a_listener_took_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with SockhopServer(port=0) as server:
        second = SockhopServer(port=server.port)
        told = Told(second)
        second.listen()
        await told.args("error")
        assert caplog.records == []
        third = SockhopServer(port=server.port)
        third.listen()
        await until(lambda: caplog.records)
        assert [record.name for record in caplog.records] == ["wirehop.sockhop"]


def test_a_server_has_no_interval_to_reconnect() -> None:
    with pytest.raises(TypeError, match="SockhopClient alone"):
        SockhopServer(auto_reconnect_interval=2.0)  # type: ignore[call-arg]


async def test_a_socket_can_be_ended_without_a_timeout() -> None:
    async with linked() as link:
        sock = link.sock
        await sock.end()
        assert (await link.at_server.args("disconnect"))[0] is sock
        await link.at_client.args("disconnect")
