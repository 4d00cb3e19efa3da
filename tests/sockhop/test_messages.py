"""Values, callbacks, pings and what is between: a server and a client of ours."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.raw import until
from tests.sockhop.linking import linked, strange_server, stranger
from wirehop import SockhopClient, SockhopServer
from wirehop.errors import AuthError, ConnectionClosed, LimitExceeded, PayloadTooLarge, SockhopError
from wirehop.sockhop.link import BAD_LINES


@dataclass
class Widget:
    name: str
    size: int = 1


class Part(msgspec.Struct):
    name: str


async def test_values_both_ways() -> None:
    async with linked() as link:
        for value in ["text", 5, 0, False, "", [1, [2]], {"a": {"b": None}}, 1.5, {}]:
            await link.client.send(value)
            received, meta = await link.at_server.args("receive")
            assert (received, meta.socket, meta.session) == (value, link.sock, link.server.sessions[0])
            assert meta.callback is None
            await link.server.send(link.sock, value)
            received, meta = await link.at_client.args("receive")
            assert (received, meta.session) == (value, None)
            assert meta.socket.remote_port == link.server.port


async def test_order_and_one_write_for_many() -> None:
    async with linked() as link:
        for n in range(1000):
            link.client.send(n)
        assert [await link.at_server.first("receive") for _ in range(1000)] == list(range(1000))


async def test_typed_objects_come_back() -> None:
    options = {"types": [Widget, Part]}
    async with linked(options, options) as link:
        await link.client.send(Widget("w", 2))
        received, meta = await link.at_server.args("receive")
        assert (received, meta.type) == (Widget("w", 2), "Widget")
        await link.server.sendall(Part("p"))
        assert await link.at_client.first("receive") == Part("p")
        link.server.on("request", lambda req, res, meta: res.send(Part(req.data.name)))
        data, type = await link.client.request(Widget("w")).next()
        assert (data, type) == (Part("w"), "Part")


async def test_unknown_types_stay_mappings() -> None:
    async with linked() as link:
        await link.client.send(Widget("w"))
        received, meta = await link.at_server.args("receive")
        assert (received, meta.type) == ({"name": "w", "size": 1}, "Widget")


async def test_what_does_not_fit_is_an_error_that_names_the_field() -> None:
    async with linked({"types": [Widget]}, {"types": [Part]}) as link:
        await link.client.send(type("Widget", (), {})())
        error, sock, session = await link.at_server.args("error")
        assert "`name`" in str(error)
        assert (sock, session) == (link.sock, link.server.sessions[0])
        # A response that does not fit ends its stream, and is told, too.
        bad = type("Part", (), {})()
        bad.name = 5
        link.server.on("request", lambda req, res, meta: res.send(bad))
        with pytest.raises(SockhopError, match=r"\$\.name"):
            await link.client.request("x").next()
        assert "$.name" in str(await link.at_client.first("error"))
        await link.are_alive()


async def test_callbacks() -> None:
    async with linked() as link:
        called: asyncio.Queue[Any] = asyncio.Queue()
        await link.client.send("a", lambda value: called.put_nowait(value))
        await link.client.send("b", lambda value, meta: called.put_nowait((value, meta.type)))

        async def later(value: Any, meta: Any) -> None:
            await asyncio.sleep(0)
            called.put_nowait(value)

        await link.client.send("c", later)
        await link.client.send("d", called.put_nowait)
        for answer, expected in [("A", "A"), (2, (2, "Number")), ([3], [3]), (None, {})]:
            _, meta = await link.at_server.args("receive")
            await (meta.callback() if answer is None else meta.callback(answer))
            assert await called.get() == expected
        await link.server.send(link.sock, "e", called.put_nowait)
        _, meta = await link.at_client.args("receive")
        await meta.callback("E")
        assert await called.get() == "E"


async def test_a_callback_whose_arguments_nobody_knows() -> None:
    async with linked() as link:
        called: list[Any] = []

        class Mute:
            # As some builtins, which have none.
            __signature__ = None

            def __call__(self, value: Any) -> None:
                called.append(value)

        await link.client.send("x", Mute())
        _, meta = await link.at_server.args("receive")
        assert "callback" in repr(meta)
        await meta.callback("y")
        await link.are_alive()
        assert called == ["y"]


async def test_a_callback_that_raises_is_an_error_event() -> None:
    async with linked() as link:

        def fail(value: Any) -> None:
            raise ValueError(value)

        await link.client.send("x", fail)
        _, meta = await link.at_server.args("receive")
        await meta.callback("y")
        assert repr(await link.at_client.first("error")) == "ValueError('y')"
        await link.are_alive()


async def test_s3_a_callback_is_called_once() -> None:
    async with linked() as link:
        await link.client.send("x", lambda value: None)
        _, meta = await link.at_server.args("receive")
        await meta.callback(1)
        with pytest.raises(SockhopError) as raised:
            meta.callback(2)
        assert raised.value.code == "ERR_REMOTE_CALLBACK_TYPE"


async def test_a_callback_that_is_not_called_in_time() -> None:
    async with linked(None, {"callback_timeout": 0.01}) as link:
        called: list[Any] = []
        await link.client.send("x", called.append)
        error = await link.at_client.first("error")
        assert (error.code, "0.01 s" in str(error)) == ("ERR_RESPONSE_TIMEOUT", True)
        _, meta = await link.at_server.args("receive")
        await meta.callback("late")
        await link.are_alive()
        assert called == []


async def test_limits_of_what_waits() -> None:
    async with linked(None, {"max_callbacks": 2, "max_requests": 2}) as link:
        for _ in range(2):
            link.client.send("x", print)
            link.client.request("x")
        with pytest.raises(LimitExceeded, match="2 callbacks"):
            link.client.send("x", print)
        with pytest.raises(LimitExceeded, match="2 requests"):
            link.client.request("x")
        await link.client.send("plain")


async def test_codes_of_what_cannot_be_done() -> None:
    def code(call: Any, *args: Any) -> str | None:
        with pytest.raises(SockhopError) as raised:
            call(*args)
        return raised.value.code

    async with linked() as link, linked() as other:
        sock = link.sock
        assert code(link.server.send, None, "x") == "ERR_NO_SOCKET"
        assert code(link.server.request, None, "x") == "ERR_NO_SOCKET"
        assert code(link.server.send, other.sock, "x") == "ERR_NO_SOCKET"
        assert code(link.client.send, None) == "ERR_BAD_DATA"
        assert code(link.client.request, None) == "ERR_BAD_DATA"
        assert code(link.server.sendall, None) == "ERR_BAD_DATA"
        assert code(link.client.send, {1}) == "ERR_OBJECTBUFFER_BAD_OBJECT"
        assert code(link.client.send, "x", "no function") == "ERR_REMOTE_CALLBACK_TYPE"
        await link.client.disconnect()
        assert code(link.client.send, "x") == "ERR_SOCKET_DESTROYED"
        assert code(link.client.request, "x") == "ERR_SOCKET_DESTROYED"
        await link.at_server.args("disconnect")
        assert code(link.server.send, sock, "x") == "ERR_SOCKET_DESTROYED"
        assert code(link.server.request, sock, "x") == "ERR_SOCKET_DESTROYED"
        assert code(sock.session.send, "x") == "ERR_SOCKET_DESTROYED"


async def test_json_peers() -> None:
    options = {"peer_type": "json"}
    async with linked(options, options) as link:
        await link.client.send({"type": "SockhopRequest", "id": 1})
        received, meta = await link.at_server.args("receive")
        assert (received, meta.type, meta.callback) == ({"type": "SockhopRequest", "id": 1}, "Object", None)
        for call in (
            lambda: link.client.send("x", print),
            lambda: link.client.request("x"),
            lambda: link.client.send("a scalar"),
            lambda: link.client.send(None),
        ):
            with pytest.raises(SockhopError):
                call()
        link.client.ping(0)
        assert link.at_client.none("error")


async def test_s24_json_peers_are_not_pinged() -> None:
    options = {"peer_type": "json"}
    async with linked(options, options) as link:
        for end in (link.client, link.server):
            with pytest.raises(SockhopError, match="peer type must be Sockhop"):
                end.ping(1.0)  # type: ignore[attr-defined]


async def test_s1_null_between_json_peers_is_received() -> None:
    async with stranger(peer_type="json") as (raw, _server, told):
        await raw.send(b"null\n[1]\n")
        value, meta = await told.args("receive")
        assert (value, meta.type) == (None, None)
        assert await told.first("receive") == [1]


async def test_lines_that_are_no_objects_may_be_allowed() -> None:
    async with stranger(allow_non_objects=True) as (raw, _server, told):
        await raw.send(b'plain text\n5\n{"type":"T","data":1}\nnull\n')
        got = [await told.args("receive") for _ in range(3)]
        assert [(value, meta.type) for value, meta in got] == [
            ("plain text", "String"),
            (5, "Number"),
            (1, "T"),
        ]
        assert (await told.first("error")).code == "ERR_OBJECTBUFFER_BAD_BUFFER_DATA"


async def test_s21_a_reserved_name_is_refused_where_it_is_sent() -> None:
    async with linked() as link:
        with pytest.raises(SockhopError, match="SockhopPing"):
            link.client.send(type("SockhopPing", (), {})())
        await link.are_alive()


async def test_a_terminator_in_a_value_is_refused_where_it_is_sent() -> None:
    async with linked({"terminator": "END"}, {"terminator": "END"}) as link:
        with pytest.raises(SockhopError, match="terminator"):
            link.client.send("THE END")
        await link.are_alive()


async def test_pings_that_are_answered() -> None:
    async with linked() as link:
        link.client.ping(0.1)
        link.server.ping(0.1)
        ours = link.client._link
        assert ours is not None
        await until(lambda: len(ours._pings) == 4 and not ours._pings[0].unanswered())
        assert link.at_client.none("disconnect")
        link.client.ping(0)
        link.server.ping(0)
        await link.are_alive()


async def test_one_answered_ping_among_the_last_keeps_the_link() -> None:
    async with strange_server() as (raw, client, told):
        client.ping(0.2)
        for _ in range(3):
            ping = msgspec.json.decode(await raw.read_until(b"\n"))
            await raw.read_until(b"\n")
            await raw.send(
                msgspec.json.encode({"type": "SockhopPong", "data": {"_id": ping["data"]["_id"]}}) + b"\n"
            )
        assert told.none("disconnect")


async def test_ping_arguments() -> None:
    with pytest.raises(ValueError, match="delay"):
        SockhopClient().ping(-1)


async def test_sendall_and_those_who_left() -> None:
    async with linked() as link:
        async with SockhopClient(port=link.server.port) as second:
            await link.at_server.args("connect")
            heard: asyncio.Queue[Any] = asyncio.Queue()
            second.on("receive", lambda value, meta: heard.put_nowait(value))
            await link.server.sendall("to all")
            assert await heard.get() == await link.at_client.first("receive") == "to all"
            link.server.kill_socket(link.server.sockets[1])
            await link.server.sendall("to one")
        assert await link.at_client.first("receive") == "to one"


async def test_sending_waits_at_the_high_water_and_a_reader_that_stalls_is_cut(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = {"high_water": 1 << 16, "send_limit": 1 << 28, "send_timeout": 0.2}
    async with stranger(**limits) as (_raw, server, told):
        sock, _ = await told.args("connect")
        with pytest.raises(ConnectionClosed, match="nothing was read"):
            while True:
                await server.send(sock, "x" * (1 << 20))
        await told.args("disconnect")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_who_leaves_too_much_unread_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    async with stranger(send_limit=1 << 20) as (_raw, server, told):
        sock, _ = await told.args("connect")
        with pytest.raises(SockhopError, match="destroyed"):
            for _ in range(100):
                server.send(sock, "x" * (1 << 20))
        await told.args("disconnect")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_s23_a_line_that_is_too_long_is_an_error_and_the_end() -> None:
    async with stranger(max_line=100) as (raw, _server, told):
        await raw.send(b'{"type":"String","data":"first"}\n' + b"x" * 101)
        assert await told.first("receive") == "first"
        error, sock, _ = await told.args("error")
        assert isinstance(error, PayloadTooLarge)
        assert await raw.read_all() == b""
        assert (await told.args("disconnect"))[0] is sock


async def test_a_large_value() -> None:
    async with linked() as link:
        await link.client.send("é" * (1 << 20))
        assert await link.at_server.first("receive") == "é" * (1 << 20)


async def test_a_listener_may_pause_reading_between_two_messages_of_one_read() -> None:
    async with stranger() as (raw, server, told):
        sock, _ = await told.args("connect")
        seen: list[Any] = []

        @server.on("receive")
        def pause(value: Any, meta: Any) -> None:
            seen.append(value)
            meta.socket.pause_reading()

        await raw.send(b"".join(b'{"type":"Number","data":%d}\n' % n for n in range(3)) + b'{"type":"Num')
        await told.args("receive")
        assert seen == [0]
        sock.resume_reading()
        assert seen == [0, 1]
        sock.resume_reading()
        await raw.send(b'ber","data":3}\n')
        assert seen == [0, 1, 2]
        sock.resume_reading()
        await until(lambda: seen == [0, 1, 2, 3])
        sock.resume_reading()


@pytest.mark.parametrize("line", [b"", b"[", b"1", b"\xff"])
async def test_who_sends_nonsense_lets_others_have_their_turn(line: bytes) -> None:
    """Found by fuzzing: 64 KiB of empty lines kept a server from everything else for a second."""
    count = 10 * BAD_LINES
    most = before = 0

    async with stranger() as (raw, _, told):
        await told.args("connect")
        loop = asyncio.get_running_loop()

        def turn() -> None:
            nonlocal most, before
            errors = told.names.count("error")
            most, before = max(most, errors - before), errors
            if told.none("receive"):
                loop.call_soon(turn)

        turn()
        await raw.send((line + b"\n") * count + b'{"type":"String","data":"good"}\n')
        assert await told.first("receive") == "good"
        assert told.names.count("error") == count
        # Two turns may be seen as one.
        assert BAD_LINES <= most <= 2 * BAD_LINES


async def test_nothing_is_received_behind_the_end_of_who_sends_nonsense() -> None:
    async with stranger() as (raw, server, told):
        sock, _ = await told.args("connect")
        server.on("error", lambda error, *_: told.names.count("error") == BAD_LINES and sock.force_close())
        await raw.send(b"\n" * BAD_LINES + b'{"type":"String","data":"late"}\n')
        await told.args("disconnect")
        assert told.names.count("error") == BAD_LINES
        assert told.none("receive")


async def test_a_listener_may_close_between_two_messages_of_one_read() -> None:
    async with stranger() as (raw, server, told):
        server.on("receive", lambda value, meta: meta.session.kill())
        await raw.send(b'{"type":"Number","data":1}\n{"type":"Number","data":2}\n')
        assert await raw.read_all() == b""
        raw.finish()
        await told.args("disconnect")
        assert told.names.count("receive") == 1


async def test_async_listeners_that_fail_are_told_and_one_that_crossed_the_end_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with linked() as link:

        @link.server.on("receive")
        async def fail(value: Any, meta: Any) -> None:
            if value == "fail":
                raise ValueError("mine")
            await meta.session.kill()
            await meta.session.send("too late")

        await link.client.send("fail")
        error, sock, session = await link.at_server.args("error")
        assert (str(error), sock, session) == ("mine", None, None)
        await link.client.send("leave")
        await link.at_server.args("disconnect")
        assert link.at_server.none("error")
    assert len(caplog.records) == 1


async def test_unix_sockets(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with linked({"path": path}) as link:
        assert link.server.get_bound_address() == str(path)
        assert link.client.get_bound_address() == str(path)
        await link.are_alive()
    assert not path.exists()


async def test_addresses() -> None:
    server = SockhopServer(port=0)
    client = SockhopClient()
    assert server.get_bound_address() is None
    assert client.get_bound_address() is None
    async with linked() as link:
        assert link.server.get_bound_address() == "127.0.0.1"
        assert link.client.get_bound_address() == "127.0.0.1"
        assert link.server.port > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"peer_type": "Json"},
        {"response_timeout": 0},
        {"max_line": -1},
        {"high_water": "much"},
        {"send_limit": True},
        {"terminator": ""},
        {"types": [SockhopClient, SockhopClient]},
    ],
)
def test_options_that_make_no_sense(wrong: Any) -> None:
    for cls in (SockhopServer, SockhopClient):
        with pytest.raises((ValueError, TypeError)):
            cls(**wrong)


@pytest.mark.parametrize("wrong", [{"port": 70000}, {"connect_timeout": 0}, {"auto_reconnect_interval": -1}])
def test_options_of_a_client_that_make_no_sense(wrong: Any) -> None:
    with pytest.raises(ValueError):
        SockhopClient(**wrong)


async def test_s2_bad_data_without_a_listener_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    heard: asyncio.Queue[Any] = asyncio.Queue()
    server = SockhopServer(port=0)
    server.on("receive", lambda value, meta: heard.put_nowait(value))
    async with server:
        _reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b'bad\nbad\nbad\n{"type":"Number","data":1}\n')
        assert await heard.get() == 1
        writer.close()
        await writer.wait_closed()
    assert len(caplog.records) == 1
    assert "corrupted" in caplog.text


async def test_what_is_told_beside_a_value_is_its_own() -> None:
    lines = [
        b'{"type":"String","data":"a"}',
        b'{"type":"String","data":"b"}',
        b'{"type":"String","data":"c","id":"i"}',
        b'{"type":"String","data":"d"}',
        b'{"type":"String","data":"no value","callback_id":"i"}',
        b'{"type":"Number","data":5}',
        b'{"type":"","data":"e"}',
        b'{"data":"f","type":"SockhopPong"}',
        b'{"type":"String","data":"g"}',
    ]
    async with strange_server() as (raw, client, told):
        await raw.send(b"\n".join(lines) + b"\n")
        got = [await told.args("receive") for _ in range(7)]
        assert [(value, meta.type) for value, meta in got] == [
            *[("a", "String"), ("b", "String"), ("c", "String"), ("d", "String")],
            *[(5, "Number"), ("e", ""), ("g", "String")],
        ]
        assert [value for value, meta in got if meta.callback is not None] == ["c"]
        assert all(meta.socket is client._link and meta.session is None for _, meta in got)
        with pytest.raises(AttributeError):
            got[0][1].type = "another"


async def failing_listener(link: Any, error: Exception | None = None) -> list[Any]:
    """What is told of a listener that sends through another client, or raises ``error``; its own
    connection is open."""
    other = SockhopClient(port=1)

    @link.server.on("receive")
    async def received(value: Any, meta: Any) -> None:
        if value == "x":
            if error is not None:
                raise error
            await other.send(value)

    link.client.send("x")
    return list(await link.at_server.args("error"))


async def test_what_a_listener_did_to_another_connection_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with linked() as link:
        error, sock, session = await failing_listener(link)
        assert (error.code, sock, session) == ("ERR_SOCKET_DESTROYED", None, None)
    assert "a listener of 'receive' failed" in caplog.text


@pytest.mark.parametrize("error", [ConnectionClosed("another one"), AuthError("the database's")])
async def test_a_closed_connection_that_is_not_the_listeners_is_reported(error: Exception) -> None:
    async with linked() as link:
        assert await failing_listener(link, error) == [error, None, None]


@pytest.mark.parametrize("event", ["receive", "request", "connect", "callback"])
@pytest.mark.parametrize("error", [None, AuthError("refused")])
async def test_a_listener_whose_connection_ended_under_its_hands(
    event: str, error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with linked() as link:
        client = SockhopClient(port=link.server.port)
        failed = asyncio.Event()

        async def listener(*args: Any) -> None:
            client._link.force_close()  # type: ignore[union-attr]
            try:
                if error is not None:
                    raise error
                await client.send("x")
            finally:
                failed.set()

        told: list[Any] = []
        client.on("error", told.append)
        if event != "callback":
            client.on(event, listener)
        await client.connect()
        session = link.server.sessions[-1] if len(link.server.sessions) > 1 else None
        if session is None:
            session = (await link.at_server.args("connect"))[1]
        if event == "receive":
            session.send("x")
        elif event == "request":
            session.request("x")
        elif event == "callback":
            client.send("x", listener)
            (await link.at_server.args("receive"))[1].callback("y")
        await failed.wait()
        await client.disconnect()
        assert told == ([] if error is None else [error])
    assert bool(caplog.records) == (error is not None)


async def test_a_callback_of_what_was_refused_is_forgotten() -> None:
    options = {"terminator": "END"}
    async with linked(options, {**options, "callback_timeout": 0.01, "max_callbacks": 1}) as link:
        for _ in range(2):
            with pytest.raises(SockhopError) as raised:
                link.client.send("the END", print)
            assert raised.value.code == "ERR_OBJECTBUFFER_BAD_OBJECT"
        await link.client.send("x", print)
        assert await link.at_server.first("receive") == "x"
        assert (await link.at_client.first("error")).code == "ERR_RESPONSE_TIMEOUT"
        await link.are_alive()
        assert link.at_client.none("error")


class Slotted:
    __slots__ = ("_hidden", "name", "unset")

    def __init__(self) -> None:
        self.name = "n"
        self._hidden = 1


class Extended(Slotted):
    __slots__ = "size"

    def __init__(self) -> None:
        super().__init__()
        self.size = 2


class Open(Extended):
    def __init__(self) -> None:
        super().__init__()
        self.more = 3


async def test_public_attributes_in_slots() -> None:
    async with linked() as link:
        for value, data in (
            (Slotted(), {"name": "n"}),
            (Extended(), {"name": "n", "size": 2}),
            (Open(), {"name": "n", "size": 2, "more": 3}),
        ):
            link.client.send(value)
            received, meta = await link.at_server.args("receive")
            assert (received, meta.type) == (data, type(value).__name__)
        # Nothing of theirs is public: they are no objects of attributes.
        for value in (Path("x"), object(), 1j):
            with pytest.raises(SockhopError) as raised:
                link.client.send(value)
            assert raised.value.code == "ERR_OBJECTBUFFER_BAD_OBJECT"


@pytest.mark.parametrize("terminator", [5, ["a"], ("a", "b", "c"), {"a": 1, "b": 2}, ("a", b"b")])
def test_what_is_no_terminator(terminator: Any) -> None:
    with pytest.raises(TypeError, match=r"a terminator is text, or a pair of texts .*, not "):
        SockhopClient(terminator=terminator)
