"""The unmodified npm sockhop against ours: its client with our server, our client with its server.

What npm's own tests show is here too, in our words. "S1" and the like number the quirks of the
JavaScript implementation; a test that has one in its name shows what becomes of it between the two.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.interop.npm import Npm, NpmError, npm, text_summary
from tests.interop.routes import through
from tests.raw import until
from wirehop import (
    SockhopClient,
    SockhopError,
    SockhopRequest,
    SockhopResponseWriteableStream,
    SockhopServer,
    SockhopSession,
)
from wirehop.errors import ConnectionClosed

UNDEFINED = {"$undefined": True}

DIRECTIONS = pytest.mark.parametrize("js_connects", [True, False], ids=["js connects", "js listens"])

Respond = Callable[[SockhopRequest, SockhopResponseWriteableStream], Any]


def sockhop() -> Any:
    return npm(driver="sockhop_driver.js")


class Link:
    """One end of ours, whichever it is, and what it saw; the other end is npm's."""

    def __init__(self, js: Npm, ours: SockhopServer | SockhopClient) -> None:
        self.js = js
        self.ours = ours
        self.sock: Any = None
        self.received: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.ended = asyncio.Event()
        self.gone: list[Any] = []
        ours.on("connect", self._on_connect)
        ours.on("receive", lambda value, meta: self.received.put_nowait((value, meta)))
        ours.on("error", lambda error, *where: self.errors.put_nowait(error))
        ours.on("disconnect", self._on_disconnect)

    def _on_connect(self, sock: Any, *session: SockhopSession) -> None:
        self.sock = sock
        self.connected.set()

    def _on_disconnect(self, sock: Any, *session: SockhopSession) -> None:
        self.gone.append(sock)
        self.ended.set()

    def send(self, value: Any, callback: Callable[..., Any] | None = None) -> Awaitable[Any]:
        if isinstance(self.ours, SockhopServer):
            return self.ours.send(self.sock, value, callback)
        return self.ours.send(value, callback)

    def request(self, value: Any, **options: Any) -> Any:
        if isinstance(self.ours, SockhopServer):
            return self.ours.request(self.sock, value, **options)
        return self.ours.request(value, **options)

    def respond(self, listener: Respond) -> None:
        self.ours.remove_all_listeners("request")
        self.ours.on("request", lambda req, res, *meta: listener(req, res))

    async def value(self) -> Any:
        """The next value that npm sent."""
        return (await self.received.get())[0]

    async def theirs(self) -> Any:
        """The next value that npm got."""
        return (await self.js.event("receive"))["value"]

    async def is_alive(self) -> None:
        """Both directions still work, and nothing else came before."""
        self.send("ping")
        assert await self.theirs() == "ping"
        await self.js.run("peer.send('pong')")
        assert await self.value() == "pong"


@asynccontextmanager
async def linked(js_connects: bool, ours: Any = None, theirs: Any = None) -> AsyncIterator[Link]:
    """npm and us, connected, each with its options."""
    ours, theirs = ours or {}, theirs or {}
    async with sockhop() as js:
        if js_connects:
            server = SockhopServer(**{"port": 0, **ours})
            link = Link(js, server)
            async with server:
                await js("connect", {"port": await through(server.port), **theirs})
                await link.connected.wait()
                yield link
        else:
            place = await js("listen", theirs)
            client = SockhopClient(**{"port": await through(place), **ours})
            link = Link(js, client)
            async with client:
                await js.event("connect")
                yield link


# --- values


@dataclass
class Widget:
    a: int
    b: str = "é"


class Gadget:
    def __init__(self) -> None:
        self.name = "g"
        self._hidden = 1


FROM_JS: list[tuple[str, Any, str | None]] = [
    ("'text \\ud83d\\ude80 漢'", "text 🚀 漢", "String"),
    ("'\\ud83d lone'", "\ud83d lone", "String"),
    ("1", 1, "Number"),
    ("-1.5e300", -1.5e300, "Number"),
    ("2 ** 53", 2**53, "Number"),
    ("Infinity", None, "Number"),
    ("true", True, "Boolean"),
    ("[1, 'a', null, [2], undefined]", [1, "a", None, [2], None], "Array"),
    ("({a: {b: [1]}, 'ü': 'é'})", {"a": {"b": [1]}, "ü": "é"}, "Object"),
    ("({a: undefined, b: () => 1, c: NaN})", {"c": None}, "Object"),
    ("new Widget({a: 1})", {"a": 1}, "Widget"),
    ("new (class {})()", {}, ""),
    ("new Date(1700000000123)", "2023-11-14T22:13:20.123Z", "Date"),
    ("new Date(NaN)", None, "Date"),
    ("Buffer.from([0, 255])", {"type": "Buffer", "data": [0, 255]}, "Buffer"),
    ("new Uint8Array([1, 2])", {"0": 1, "1": 2}, "Uint8Array"),
    ("new Map([[1, 2]])", {}, "Map"),
    ("new Set([1])", {}, "Set"),
    ("/x/", {}, "RegExp"),
    ("new Error('x')", {}, "Error"),
    ("Promise.resolve(1)", {}, "Promise"),
    ("() => 1", None, "Function"),
    ("Widget", None, "Function"),
    ("Symbol('s')", None, "Symbol"),
    ("({constructor: 1, a: 2})", {"constructor": 1, "a": 2}, None),
]

FALSY_FROM_JS: list[tuple[str, Any, str]] = [
    ("''", "", "String"),
    ("0", 0, "Number"),
    ("-0", 0, "Number"),
    ("NaN", None, "Number"),
    ("false", False, "Boolean"),
]

TO_JS: list[tuple[Any, Any, str]] = [
    ("text 🚀 漢", "text 🚀 漢", "String"),
    ("\ud83d lone", "\ud83d lone", "String"),
    ("", "", "String"),
    (1, 1, "Number"),
    (0, 0, "Number"),
    (-1.5e300, -1.5e300, "Number"),
    (math.nan, None, "Number"),
    (math.inf, None, "Number"),
    (True, True, "Boolean"),
    (False, False, "Boolean"),
    ([1, "a", None, [2]], [1, "a", None, [2]], "Array"),
    ((1, 2), [1, 2], "Array"),
    ([], [], "Array"),
    ({"a": {"b": [1]}, "ü": "é"}, {"a": {"b": [1]}, "ü": "é"}, "Object"),
    ({}, {}, "Object"),
    (Widget(1), {"a": 1, "b": "é"}, "Widget"),
    (Gadget(), {"name": "g"}, "Gadget"),
    (datetime(2023, 11, 14, 22, 13, 20, 123000, UTC), "2023-11-14T22:13:20.123Z", "Date"),
    (b"\x00\xff", {"type": "Buffer", "data": [0, 255]}, "Buffer"),
]


@DIRECTIONS
async def test_every_value_of_javascript_arrives_with_its_type(js_connects: bool) -> None:
    # The npm server refuses to send what is falsy (S6).
    values = FROM_JS + FALSY_FROM_JS if js_connects else FROM_JS
    async with linked(js_connects) as link:
        for source, data, type in values:
            await link.js.run(f"await peer.send({source})")
            value, meta = await link.received.get()
            assert (value, meta.type, meta.callback) == (data, type, None), source


@DIRECTIONS
async def test_every_value_of_python_arrives_with_its_type(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        for value, data, type in TO_JS:
            await link.send(value)
            event = await link.js.event("receive")
            assert (event["value"], event["type"], event["asks"]) == (data, type, False), value


@DIRECTIONS
async def test_s1_s20_nothing_is_no_message(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        # A bare null would end the other process.
        with pytest.raises(SockhopError) as refused:
            await link.send(None)
        assert refused.value.code == "ERR_BAD_DATA"
        for nothing in ("null", "undefined"):
            with pytest.raises(NpmError):
                await link.js.run(f"peer.send({nothing})")
        await link.is_alive()


@DIRECTIONS
async def test_s21_no_class_of_ours_is_taken_for_the_protocol(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        for name in ("SockhopPing", "SockhopPong", "SockhopRequest", "SockhopResponsePacket"):
            with pytest.raises(SockhopError) as refused:
                await link.send(type(name, (), {})())
            assert refused.value.code == "ERR_BAD_DATA"
        await link.is_alive()


@DIRECTIONS
async def test_objects_come_back_as_what_they_were(js_connects: bool) -> None:
    async with linked(js_connects, {"types": [Widget]}) as link:
        await link.js.run("answer = (value, meta) => meta.callback(new Widget(value))")
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await link.send(Widget(5, "x"), lambda value, meta: answered.set_result((value, meta.type)))
        assert await answered == (Widget(5, "x"), "Widget")
        assert await link.theirs() == {"a": 5, "b": "x"}
        await link.js.run("await peer.send(new Widget({a: 1, b: 'y', c: 'more'}))")
        assert await link.value() == Widget(1, "y")
        await link.js.run("await peer.send(new Widget({a: 'one'}))")
        assert "`$.a`" in str(await link.errors.get())
        # An answer that does not fit is no answer, and there will be no other.
        await link.js.run("""
            answer = (value, meta) => {
                meta.callback(new Widget({a: 'one'}));
                meta.callback(new Widget({a: 1}));
            };
        """)
        answers: list[Any] = []
        link.send("q", lambda *args: answers.append(args))
        assert await link.theirs() == "q"
        assert "`$.a`" in str(await link.errors.get())
        await link.is_alive()
        assert answers == []


@DIRECTIONS
async def test_a_thousand_messages_each_way_keep_their_order(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        going = asyncio.ensure_future(
            link.js.run(
                "for (let n = 0; n < 1000; n++) { peer.send({n}); if (n % 100 == 99) await sleep(0); }"
            )
        )
        for n in range(1000):
            link.send({"n": n})
        assert [await link.theirs() for _ in range(1000)] == [{"n": n} for n in range(1000)]
        assert [await link.value() for _ in range(1000)] == [{"n": n} for n in range(1000)]
        await going


@DIRECTIONS
async def test_large_messages_arrive_whole(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        for text, source in [
            ("x" * (1 << 20), "'x'.repeat(1 << 20)"),
            ("a🚀" * 300_000, "'a🚀'.repeat(300000)"),
        ]:
            await link.send(text)
            assert await link.theirs() == text_summary(text)
            await link.js.run(f"await peer.send({source})")
            assert await link.value() == text
        await link.send({"n": list(range(100_000))})
        assert await link.theirs() == {"n": list(range(100_000))}


@DIRECTIONS
async def test_messages_in_any_pieces(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("""
            peer.socket.setNoDelay();
            const bytes = Buffer.from('{"type":"String","data":"é🚀"}\\n{"type":"Number","data":2}\\n');
            for (const byte of bytes) {
                await new Promise((done) => peer.socket.write(Buffer.from([byte]), done));
                await new Promise(setImmediate);
            }
            peer.socket.write(Buffer.concat([bytes, bytes, bytes.subarray(0, 20)]));
            await sleep(1);
            peer.socket.write(bytes.subarray(20));
        """)
        assert [await link.value() for _ in range(8)] == ["é🚀", 2] * 4


@DIRECTIONS
async def test_who_awaits_its_sends_goes_at_the_pace_of_npm(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("peer.socket.pause()")
        sent = 0

        async def send_all() -> None:
            nonlocal sent
            for n in range(48):
                await link.send({"n": n, "text": "x" * (1 << 20)})
                sent += 1

        sending = asyncio.ensure_future(send_all())
        # Once a mebibyte more than both systems keep is waiting, so is who sends.
        await until(lambda: link.sock.output.transport.get_write_buffer_size() > 1 << 20)
        for _ in range(100):
            await asyncio.sleep(0)
        assert sent < 48
        await link.js.run("peer.socket.resume()")
        await sending
        for n in range(48):
            assert (await link.theirs())["n"] == n
        assert not link.ended.is_set()


@DIRECTIONS
async def test_npm_is_cut_when_it_leaves_too_much_unread(js_connects: bool) -> None:
    async with linked(js_connects, {"send_limit": 1 << 22}) as link:
        await link.js.run("peer.socket.pause()")
        with pytest.raises(ConnectionClosed, match="more than 4194304 bytes were waiting to be read"):
            waiting = link.send("first")
            while link.sock.ready_state == "open":
                waiting = link.send("x" * (1 << 20))
            await waiting
        await link.ended.wait()
        assert len(link.gone) == 1
        await link.js.run("peer.socket.resume()")
        await link.js.event("disconnect")


async def test_clients_do_not_mix() -> None:
    async with linked(True) as link, sockhop() as other:
        await other("connect", {"port": await through(link.ours.port)})
        await asyncio.gather(
            link.js.run("for (let n = 0; n < 5; n++) await client.send({large: 'X'.repeat(1 << 20)})"),
            other.run("for (let n = 0; n < 500; n++) await client.send({small: 'YYYYYYYYY'})"),
        )
        seen = [await link.value() for _ in range(505)]
        assert seen.count({"large": "X" * (1 << 20)}) == 5
        assert seen.count({"small": "YYYYYYYYY"}) == 500


# --- callbacks


@DIRECTIONS
async def test_npm_calls_our_callback(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("answer = (value, meta) => meta.callback({got: value})")
        for value in ("call me", [1], {"a": None}):
            answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            await link.send(value, lambda *args, answered=answered: answered.set_result(args))
            data, meta = await answered
            assert data == {"got": value}
            assert meta.type == "Object"
            event = await link.js.event("receive")
            assert (event["value"], event["asks"]) == (value, True)


@DIRECTIONS
async def test_we_call_the_callback_of_npm(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        for answer, data, type in TO_JS:
            asked = asyncio.ensure_future(
                link.js.run(
                    "return new Promise((done) => peer.send('q', (data, meta) => done([data, meta.type])))"
                )
            )
            value, meta = await link.received.get()
            assert value == "q"
            await meta.callback(answer)
            assert await asked == [data, type], answer


@DIRECTIONS
async def test_an_answer_without_a_value(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        asked = asyncio.ensure_future(
            link.js.run(
                "return new Promise((done) => peer.send('q', (data, meta) => done([data, meta.type])))"
            )
        )
        _, meta = await link.received.get()
        await meta.callback()
        assert await asked == [{}, "Object"]
        if not js_connects:
            answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            await link.js.run("answer = (value, meta) => meta.callback()")
            await link.send("q", lambda *args: answered.set_result(args[0]))
            assert await answered == {}


@DIRECTIONS
async def test_s3_an_answer_goes_out_once(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("globalThis.answers = 0; peer.send('q', () => answers++)")
        _, meta = await link.received.get()
        await meta.callback("one")
        # Another one would end the other process.
        with pytest.raises(SockhopError):
            await meta.callback("two")
        await link.is_alive()
        assert await link.js.run("return answers") == 1


@DIRECTIONS
async def test_s3_an_answer_that_comes_again_is_ignored(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        answers: list[Any] = []
        await link.js.run("answer = (value, meta) => { meta.callback('one'); meta.callback('two'); }")
        await link.send("q", lambda *args: answers.append(args[0]))
        await link.js.event("receive")
        await link.is_alive()
        assert answers == ["one"]


async def test_s16_nobody_answers_for_another() -> None:
    async with linked(True) as link, sockhop() as other:
        asked, meddler = link.sock, asyncio.Event()
        link.ours.on("connect", lambda *args: meddler.set())
        await link.js.run("""
            answer = () => {};
            const handle = client._on_recieved_object;
            client._on_recieved_object = function (message) {
                if (message.id) say({event: 'asked', id: message.id});
                return handle.call(this, message);
            };
        """)
        answers: list[Any] = []
        assert isinstance(link.ours, SockhopServer)
        await link.ours.send(asked, "q", lambda *args: answers.append(args[0]))
        id = (await link.js.event("asked"))["id"]
        await other("connect", {"port": await through(link.ours.port)})
        await meddler.wait()
        await other.run(
            "await client._send_message({type: 'String', data: 'forged', callback_id: args[0]});"
            "await client.send('sent')",
            id,
        )
        assert await link.value() == "sent"
        assert answers == []
        await link.js.run(
            "await client._send_message({type: 'String', data: 'own', callback_id: args[0]})", id
        )
        await link.js.run("await client.send('sent')")
        assert await link.value() == "sent"
        assert answers == ["own"]


# --- requests


def echo(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
    res.send(req.data)


def stream_three(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
    res.write("Sure!")
    res.write(req.data)
    res.write({"n": 3})
    res.end()


JS_STREAM_THREE = """
    respond = async (req, res) => {
        try {
            await res.write('Sure!');
            await sleep(1);
            await res.write(req.data);
            await res.write({n: 3});
            await res.end();
        } catch (error) {
            // Who wants the first packet only may have left.
        }
    };
"""

THREE = [("Sure!", "String"), (["q"], "Array"), ({"n": 3}, "Object"), ({}, "Object")]
"""What is streamed, and the packet of ``end`` (S7)."""


@DIRECTIONS
async def test_npm_asks_and_gets_one_response(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.respond(echo)
        for source, data, type in FROM_JS:
            if data is not None and type:
                answer = await link.js.run(f"return (await peer.request({source})).next()")
                # It comes back as what JSON made of it.
                assert answer["data"] == data, source


@DIRECTIONS
async def test_requests_tell_their_type(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        seen: list[Any] = []

        def respond(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
            seen.append((req.data, req.type))
            res.send(Widget(1))

        link.respond(respond)
        answer = await link.js.run("return (await peer.request(new Widget({x: 1}))).all()")
        assert answer == [{"data": {"a": 1, "b": "é"}, "type": "Widget"}]
        # request() without a value asks with {}.
        await link.js.run("return (await peer.request()).next()")
        assert seen == [({"x": 1}, "Widget"), ({}, "Object")]
        stream = await link.request(Widget(2))
        data, type = await stream.next()
        assert (data, type) == ({"a": 2, "b": "é"}, "Object")
        event = await link.js.event("request")
        assert (event["data"], event["type"]) == ({"a": 2, "b": "é"}, "Widget")


@DIRECTIONS
async def test_s7_npm_asks_and_gets_a_stream(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.respond(stream_three)
        answers = await link.js.run("return (await peer.request(['q'])).all()")
        assert [(answer["data"], answer["type"]) for answer in answers] == THREE
        events = await link.js.run("""
            const stream = await peer.request(['q']);
            const events = [];
            stream.on('data', (data, type) => events.push([data, type]));
            const error = await event(stream, 'end');
            return [events, error, stream.ended];
        """)
        assert events == [[list(packet) for packet in THREE], UNDEFINED, True]
        answer = await link.js.run("return (await peer.request(['q'])).next()")
        assert answer == {"data": "Sure!", "type": "String"}


@DIRECTIONS
async def test_an_async_listener_streams(js_connects: bool) -> None:
    async def respond(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
        for n in range(req.data):
            await asyncio.sleep(0)
            await res.write(n)
        await res.send("done")

    async with linked(js_connects) as link:
        link.respond(respond)
        answers = await link.js.run("return (await peer.request(20)).all()")
        assert [answer["data"] for answer in answers] == [*range(20), "done"]


@DIRECTIONS
async def test_we_ask_and_get_one_response(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        for value, data, type in TO_JS:
            if data is None:
                continue  # what echoes it would end with it (S1)
            answer = await (await link.request(value)).next()
            assert answer.data == data, value
            event = await link.js.event("request")
            assert (event["data"], event["type"]) == (data, type), value


@DIRECTIONS
async def test_s7_we_ask_and_get_a_stream(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run(JS_STREAM_THREE)
        assert await (await link.request(["q"])).all() == THREE
        stream = await link.request(["q"])
        assert [(data, type) async for data, type in stream] == THREE
        assert stream.ended
        stream = await link.request(["q"])
        packets: list[Any] = []
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        stream.on("data", lambda *packet: packets.append(packet))
        stream.on("end", lambda *error: ended.set_result(error))
        assert await ended in ((), (None,))
        assert packets == THREE
        assert await (await link.request(["q"])).next() == THREE[0]
        await link.is_alive()


@DIRECTIONS
async def test_many_requests_at_once_both_ways(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.respond(echo)
        theirs = asyncio.ensure_future(
            link.js.run("""
                const one = async (n) => (await (await peer.request({n})).next()).data.n;
                return Promise.all(Array.from({length: 1000}, (_, n) => one(n)));
            """)
        )
        streams = [await link.request({"n": n}) for n in range(1000)]
        answers = await asyncio.gather(*(stream.next() for stream in streams))
        assert [answer.data["n"] for answer in answers] == list(range(1000))
        assert await theirs == list(range(1000))


@DIRECTIONS
async def test_a_large_request_and_its_large_response(js_connects: bool) -> None:
    text = "é🚀" * 200_000
    async with linked(js_connects) as link:
        link.respond(echo)
        assert (await (await link.request(text)).next()).data == text
        answer = await link.js.run("return (await peer.request('é🚀'.repeat(200000))).next()")
        assert answer["data"] == text_summary(text)


@DIRECTIONS
async def test_s11_npm_does_not_respond_in_time(js_connects: bool) -> None:
    async with linked(js_connects, {"response_timeout": 0.05}) as link:
        await link.js.run("respond = () => {}")
        stream = await link.request("q")
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        stream.on("end", ended.set_result)
        for wait in (stream.next, stream.all):
            with pytest.raises(SockhopError) as late:
                await wait()
            assert late.value.code == "ERR_RESPONSE_TIMEOUT"
        assert (await ended).code == "ERR_RESPONSE_TIMEOUT"
        # A packet that is not the last one does not help.
        await link.js.run("respond = (req, res) => res.write('part')")
        stream = await link.request("q")
        packets = aiter(stream)
        assert await anext(packets) == ("part", "String")
        with pytest.raises(SockhopError, match="timed out before ending"):
            await anext(packets)
        # More time does.
        await link.js.run("respond = async (req, res) => { await sleep(100); res.send('late'); }")
        assert (await (await link.request("q", timeout=30.0)).next()).data == "late"
        await link.is_alive()


@DIRECTIONS
async def test_we_do_not_respond_in_time(js_connects: bool) -> None:
    async with linked(js_connects, None, {"response_timeout": 50}) as link:
        kept: list[SockhopResponseWriteableStream] = []

        def part(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
            if req.data == "part":
                res.write("part")
            kept.append(res)

        link.respond(part)
        for question in ("nothing", "part"):
            ended = await link.js.run("return event(await peer.request(args[0]), 'end')", question)
            assert ended == {
                "$error": "Response stream timed out before ending",
                "$code": "ERR_RESPONSE_TIMEOUT",
            }
        # Nobody waits for these any more.
        for res in kept:
            await res.send("late")
        asked = asyncio.ensure_future(
            link.js.run("return (await peer.request('more', {timeout: 30000})).next()")
        )
        await until(lambda: len(kept) == 3)
        await kept[-1].send("late")
        assert (await asked)["data"] == "late"


@DIRECTIONS
async def test_nothing_follows_the_end_of_a_response(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        codes: list[str] = []

        def respond(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
            res.send("one")
            for more in (lambda: res.send("two"), lambda: res.write("two"), res.end):
                with pytest.raises(SockhopError) as refused:
                    more()
                codes.append(refused.value.code)

        link.respond(respond)
        answers = await link.js.run("return (await peer.request('q')).all()")
        assert [answer["data"] for answer in answers] == ["one"]
        assert codes == ["ERR_RESPONSE_SEND"] * 3
        # npm sends both when they share one turn; whoever asked ignores the second.
        await link.js.run("respond = (req, res) => { res.send('one'); res.send('two'); }")
        assert await (await link.request("q")).all() == [("one", "String")]
        await link.is_alive()


@DIRECTIONS
async def test_s4_incomplete_protocol_messages_hurt_nobody(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.respond(echo)
        await link.js.run("""
            for (const type of ['SockhopPing', 'SockhopPong', 'SockhopRequest', 'SockhopResponsePacket']) {
                for (const data of [undefined, null, 5, 'x', [], {}, {uuid: 5}, {uuid: null, data: null}]) {
                    peer.socket.write(JSON.stringify({type, data}) + '\\n');
                }
            }
            peer.socket.write('{"type":"String","data":"x","callback_id":"unknown"}\\n');
            peer.socket.write('{"type":"String","data":"end"}\\n');
        """)
        while await link.value() != "end":
            pass
        link.send("still there")
        while await link.theirs() != "still there":
            pass


@DIRECTIONS
async def test_who_answers_when_the_other_has_left_disturbs_nobody(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        asked = asyncio.Event()
        failed: list[str] = []

        async def respond(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
            asked.set()
            await link.ended.wait()
            try:
                await res.send("too late")
            except SockhopError as error:
                failed.append(error.code)
                raise

        link.respond(respond)
        await link.js.run("peer.request('q')")
        await asked.wait()
        await link.js.run("await client.disconnect()" if js_connects else "await server.disconnect()")
        await link.ended.wait()
        await until(lambda: failed)
        assert failed == ["ERR_SOCKET_DESTROYED"]
        assert link.errors.empty()


@DIRECTIONS
async def test_a_listener_that_fails_costs_its_request_only(js_connects: bool) -> None:
    async with linked(js_connects) as link:

        def respond(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
            if req.data == "bad":
                raise ValueError("not this one")
            res.send(req.data)

        link.respond(respond)
        answers = await link.js.run("""
            const bad = await peer.request('bad', {timeout: 50});
            const good = await (await peer.request('good')).next();
            return [good.data, (await event(bad, 'end')).code];
        """)
        assert answers == ["good", "ERR_RESPONSE_TIMEOUT"]
        assert isinstance(await link.errors.get(), ValueError)


async def test_who_is_killed_by_its_own_message_gets_the_answer_and_no_more_is_received() -> None:
    async with linked(True) as link:
        seen: list[Any] = []
        server = link.ours
        assert isinstance(server, SockhopServer)

        def respond(req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
            seen.append(req.data)
            res.send("bye")
            server.kill_socket(link.sock)

        link.respond(respond)
        answers = await link.js.run("""
            const streams = await Promise.all([1, 2, 3].map((n) => client.request(n, {timeout: 30000})));
            streams.forEach((stream, n) => stream.on('data', (data) => say({event: 'data', n, data})));
        """)
        assert answers == UNDEFINED
        assert (await link.js.event("data")) == {"event": "data", "n": 0, "data": "bye"}
        await link.js.event("disconnect")
        await link.ended.wait()
        assert seen == [1]
        assert not link.js.seen("data")


# --- more than one client, and sessions


async def test_sendall_reaches_everyone() -> None:
    async with linked(True) as link, sockhop() as other:
        two = asyncio.Event()
        link.ours.on("connect", lambda *args: two.set())
        await other("connect", {"port": await through(link.ours.port)})
        await two.wait()
        assert isinstance(link.ours, SockhopServer)
        await link.ours.sendall({"to": "all"})
        for js in (link.js, other):
            assert (await js.event("receive"))["value"] == {"to": "all"}
    async with linked(False) as link:
        second = SockhopClient(port=await through(await link.js.run("return server.server.address().port")))
        got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        second.on("receive", lambda value, meta: got.set_result(value))
        async with second:
            await link.js.event("connect")
            await link.js.run("await server.sendall({to: 'all'})")
            assert await got == {"to": "all"}
            assert await link.value() == {"to": "all"}


async def test_s9_disconnect_ends_every_client_and_the_server_goes_on() -> None:
    async with linked(True) as link:
        assert isinstance(link.ours, SockhopServer)
        for _ in range(3):
            link.connected.clear()
            await link.js("connect", {"port": await through(link.ours.port)})
            await link.connected.wait()
        assert len(link.ours.sockets) == len(link.ours.sessions) == 4
        link.ours.remove_all_listeners("disconnect")
        left = asyncio.Semaphore(0)
        link.ours.on("disconnect", lambda *args: left.release())
        await link.ours.disconnect()
        for _ in range(4):
            await left.acquire()
            await link.js.event("disconnect")
        assert len(link.ours.sockets) == len(link.ours.sessions) == 0
        link.connected.clear()
        await link.js("connect", {"port": await through(link.ours.port)})
        await link.connected.wait()
        await link.is_alive()


async def test_what_is_over_is_forgotten() -> None:
    async with linked(True) as link, sockhop() as other:
        server = link.ours
        assert isinstance(server, SockhopServer)
        first = link.sock
        link.connected.clear()
        await other("connect", {"port": await through(server.port)})
        await link.connected.wait()
        assert list(server.sockets) == [first, link.sock]
        assert [session.sock for session in server.sessions] == [first, link.sock]
        await other.run("await client.disconnect()")
        await link.ended.wait()
        assert list(server.sockets) == [session.sock for session in server.sessions] == [first]
        link.sock = first
        await link.is_alive()


async def test_our_session_starts_before_everything_and_ends_after_it() -> None:
    order: list[str] = []
    may_start, may_end = asyncio.Event(), asyncio.Event()

    class Session(SockhopSession):
        async def start(self) -> None:
            order.append("start begins")
            await may_start.wait()
            self.greeting = "hello"
            order.append("start ends")

        async def end(self) -> None:
            order.append("end begins")
            await may_end.wait()
            order.append("end ends")

    server = SockhopServer(port=0, session_type=Session)
    received, ended = asyncio.Event(), asyncio.Event()

    @server.on("connect")
    def connect(sock: Any, session: Session) -> None:
        assert session.sock is sock
        assert session.server is server
        order.append(f"connect {session.greeting}")

    @server.on("receive")
    def receive(value: Any, meta: Any) -> None:
        assert isinstance(meta.session, Session)
        assert meta.socket is meta.session.sock
        order.append(f"receive {value}")
        received.set()

    @server.on("disconnect")
    def disconnect(sock: Any, session: Session) -> None:
        order.append(f"disconnect {session.greeting}")
        ended.set()

    async with server, sockhop() as js:
        await js("connect", {"port": await through(server.port)})
        await js.run("await client.send('early')")
        assert order in ([], ["start begins"])
        may_start.set()
        await received.wait()
        await server.sessions[0].send("from the session")
        assert (await js.event("receive"))["value"] == "from the session"
        await js.run("respond = (req, res) => res.send(req.data + '!')")
        assert (await (await server.sessions[0].request("asked")).next()).data == "asked!"
        await js.run("await client.disconnect()")
        await until(lambda: "end begins" in order)
        assert not server.sessions
        may_end.set()
        await ended.wait()
    assert order == [
        "start begins",
        "start ends",
        "connect hello",
        "receive early",
        "end begins",
        "end ends",
        "disconnect hello",
    ]


async def test_s19_a_session_that_cannot_start_costs_its_connection_only() -> None:
    class Session(SockhopSession):
        first = True

        async def start(self) -> None:
            if Session.first:
                Session.first = False
                raise ValueError("not you")

    server = SockhopServer(port=0, session_type=Session)
    server.on("error", lambda *args: None)
    got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    server.on("receive", lambda value, meta: got.set_result(value))
    async with server, sockhop() as js:
        await js("connect", {"port": await through(server.port)})
        await js.event("disconnect")
        await js("connect", {"port": await through(server.port)})
        await js.run("await client.send('hello')")
        assert await got == "hello"


async def test_a_server_closes_although_a_session_never_starts() -> None:
    class Session(SockhopSession):
        async def start(self) -> None:
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    server = SockhopServer(port=0, session_type=Session)
    connects: list[Any] = []
    server.on("connect", lambda *args: connects.append(args))
    async with sockhop() as js:
        async with server:
            await js("connect", {"port": await through(server.port)})
            await started.wait()
            await server.close(0.1)
        await js.event("disconnect")
    assert connects == []


async def test_the_session_of_npm_sees_our_client_come_and_go() -> None:
    async with linked(False) as link:
        assert isinstance(link.ours, SockhopClient)
        await link.js.event("start")
        await link.js.run("await server.sessions[0].send('from the session')")
        assert await link.value() == "from the session"
        link.respond(echo)
        answer = await link.js.run("return (await server.sessions[0].request('q')).next()")
        assert answer["data"] == "q"
        await link.ours.disconnect()
        await link.js.event("end")
        await link.js.event("disconnect")


# --- ping


@DIRECTIONS
async def test_our_pings_are_answered_by_npm(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.ours.ping(0.2)
        pings = [await link.js.event("SockhopPing") for _ in range(5)]
        assert len({ping["_id"] for ping in pings}) == 5
        assert [ping["_returned"] for ping in pings] == [None] * 5
        assert not link.ended.is_set()
        link.ours.ping(0)
        await link.is_alive()


@DIRECTIONS
async def test_pings_of_npm_are_answered_by_us(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("peer.ping(200)")
        pongs = [await link.js.event("SockhopPong") for _ in range(5)]
        assert all(pong["_id"] and pong["_created"] <= pong["_returned"] for pong in pongs)
        assert not link.js.seen("disconnect")
        await link.js.run("peer.ping(0)")
        await link.is_alive()


@DIRECTIONS
async def test_both_ping_at_once(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.ours.ping(0.2)
        await link.js.run("peer.ping(200)")
        for _ in range(5):
            await link.js.event("SockhopPing")
            await link.js.event("SockhopPong")
        assert not link.ended.is_set()
        assert not link.js.seen("disconnect")


@DIRECTIONS
async def test_we_drop_an_npm_peer_that_is_dead(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("peer.socket.pause()")
        link.ours.ping(0.03)
        await link.ended.wait()
        assert len(link.gone) == 1


@DIRECTIONS
async def test_npm_drops_us_when_we_are_dead(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        link.sock.pause_reading()
        await link.js.run("peer.ping(30)")
        await link.js.event("disconnect")
        assert not link.js.seen("SockhopPong")
        link.sock.resume_reading()
        await link.ended.wait()


# --- json peers, terminators, and what is no JSON

JSON = {"peer_type": "json"}
JSON_ALL = {"peer_type": "json", "allow_non_objects": True}


@DIRECTIONS
async def test_json_peers(js_connects: bool) -> None:
    async with linked(js_connects, JSON, JSON) as link:
        for value, type in [({"a": 1, "type": "mine"}, "Object"), ([1, None], "Array"), ({}, "Object")]:
            link.send(value)
            event = await link.js.event("receive")
            assert (event["value"], event["type"], event["asks"]) == (value, type, False)
            await link.js.run("await peer.send(args[0])", value)
            got, meta = await link.received.get()
            assert (got, meta.type, meta.callback) == (value, type, None)
        # The object is the message: what looks like a callback's answer is none.
        await link.js.run("await peer.send({id: 'a', callback_id: 'b'})")
        assert await link.value() == {"id": "a", "callback_id": "b"}
        with pytest.raises(SockhopError) as refused:
            await link.send({}, lambda *args: None)
        assert refused.value.code == "ERR_REMOTE_CALLBACK_TYPE"
        with pytest.raises(SockhopError) as refused:
            await link.request({})
        assert refused.value.code == "ERR_REQUEST_TYPE"
        with pytest.raises((SockhopError, TypeError)):
            await link.send("no object")
        await link.send({"still": "there"})
        assert await link.theirs() == {"still": "there"}


@DIRECTIONS
async def test_json_peers_of_any_value(js_connects: bool) -> None:
    async with linked(js_connects, JSON_ALL, JSON_ALL) as link:
        for value, type in [("text", "String"), (5, "Number"), (True, "Boolean"), ({"a": 1}, "Object")]:
            await link.send(value)
            event = await link.js.event("receive")
            assert (event["value"], event["type"]) == (value, type)
            await link.js.run("await peer.send(args[0])", value)
            got, meta = await link.received.get()
            assert (got, meta.type) == (value, type)
        # What is no JSON is delivered as text, with U+FFFD for what is no UTF-8.
        await link.js.run(
            "peer.socket.write(Buffer.from('706c61696e ff 20c3a9 0a'.replaceAll(' ', ''), 'hex'))"
        )
        got, meta = await link.received.get()
        assert (got, meta.type) == ("plain\ufffd é", "String")


@DIRECTIONS
async def test_s24_json_peers_are_not_pinged(js_connects: bool) -> None:
    async with linked(js_connects, JSON, JSON) as link:
        # It would take a ping for a message like any other, and never answer.
        with pytest.raises(SockhopError, match="peer type must be Sockhop"):
            link.ours.ping(0.01)
        link.ours.ping(0)
        # Raw mode stays raw: an object may have such a type of its own.
        ping = {"type": "SockhopPing", "data": {"_id": "p1"}}
        await link.js.run("peer.socket.write(JSON.stringify(args[0]) + '\\n'); peer.send({})", ping)
        assert await link.value() == ping
        assert await link.value() == {}
        link.send({"a": 1})
        assert await link.theirs() == {"a": 1}


TERMINATORS = [
    ("\r\n", "\r\n"),
    ("\0", "\0"),
    ("END", "END"),
    (("\n", "\r\n"), ["\n", "\n"]),
    (("\r\n", "END"), ["END", "\r\n"]),
    # No hexadecimal digits: they would be in the id of some request.
    (("xxy", "\n\n"), ["\n\n", "xxy"]),
]


@DIRECTIONS
@pytest.mark.parametrize(("ours", "theirs"), TERMINATORS, ids=[repr(ours) for ours, _ in TERMINATORS])
async def test_terminators(js_connects: bool, ours: Any, theirs: Any) -> None:
    async with linked(js_connects, {"terminator": ours}, {"terminator": theirs}) as link:
        link.respond(echo)
        for value in ("text\nwith lines\r\n", [1], {"a": "\0"}):
            link.send(value)
            link.send(value)
            await link.js.run("peer.send(args[0]); peer.send(args[0])", value)
            for _ in range(2):
                assert await link.theirs() == value
                assert await link.value() == value
        assert (await (await link.request("q")).next()).data == "q"
        assert (await link.js.run("return (await peer.request('q')).next()"))["data"] == "q"


@DIRECTIONS
async def test_s10_terminators_of_several_bytes(js_connects: bool) -> None:
    options = {"terminator": "☃"}
    async with linked(js_connects, options, options) as link:
        await link.js.run("peer.send('one'); peer.send('two'); peer.send('three')")
        assert [await link.value() for _ in range(3)] == ["one", "two", "three"]
        # npm understands only the first message, which it takes for a shorter one.
        link.send("first")
        assert await link.theirs() == "first"


async def test_s10_an_empty_terminator_is_refused() -> None:
    for make in (SockhopServer, SockhopClient):
        for terminator in ("", ("\n", "")):
            with pytest.raises(ValueError):
                make(port=1, terminator=terminator)


@DIRECTIONS
async def test_s2_s5_what_is_no_message_is_reported_and_skipped(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("""
            peer.socket.write('rubbish\\n\\n{"a":\\n');
            peer.socket.write('{"type":"String","data":"good"}\\r\\n');
        """)
        for _ in range(3):
            error = await link.errors.get()
            assert isinstance(error, SockhopError)
            assert error.code == "ERR_OBJECTBUFFER_BAD_BUFFER_DATA"
        assert await link.value() == "good"
        # JSON that is no message; null would end a process of npm (S1).
        await link.js.run("peer.socket.write('null\\n5\\n')")
        await link.js.run("await peer.send('after')")
        while await link.value() != "after":
            pass
        await link.is_alive()


async def test_s23_a_line_without_an_end_is_cut() -> None:
    async with linked(True, {"max_line": 1000}) as link:
        await link.js.run("await client.send('x'.repeat(900))")
        assert await link.value() == "x" * 900
        await link.js.run("client.send('x'.repeat(1000))")
        await link.ended.wait()
        await link.js.event("disconnect")


# --- places


@DIRECTIONS
async def test_unix_sockets(js_connects: bool, tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "socket"), "port": 1}
    async with linked(js_connects, place, place) as link:
        link.respond(echo)
        await link.is_alive()
        assert (await (await link.request("q")).next()).data == "q"
        assert (await link.js.run("return (await peer.request('q')).next()"))["data"] == "q"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def test_the_npm_client_talks_tls(authority: trustme.CA, server_tls: ssl.SSLContext) -> None:
    ca = authority.cert_pem.bytes().decode()
    tls = {"ssl": True, "ssl_options": {"ca": ca}}
    async with linked(True, {"ssl_context": server_tls}, tls) as link:
        link.respond(echo)
        await link.is_alive()
        assert (await (await link.request("é" * 100_000)).next()).data == "é" * 100_000
        answer = await link.js.run("return (await peer.request('x'.repeat(1 << 20))).next()")
        assert answer["data"] == text_summary("x" * (1 << 20))
        await link.js.run("await client.disconnect()")
        await link.ended.wait()
    # Who does not know the authority does not connect; who does goes on.
    async with linked(True, {"ssl_context": server_tls}, tls) as link:
        with pytest.raises(NpmError) as refused:
            await link.js("connect", {"port": await through(link.ours.port), "ssl": True})
        assert "CERT" in refused.value.value["$code"] or "VERIFY" in refused.value.value["$code"]
        await link.js.event("error")  # npm reports it twice (S18)
        link.connected.clear()
        await link.js("connect", {"port": await through(link.ours.port), **tls})
        await link.connected.wait()
        await link.is_alive()


# --- coming and going


@DIRECTIONS
async def test_npm_disconnects(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        await link.js.run("respond = () => {}; peer.send('last words')")
        assert await link.value() == "last words"
        stream = await link.request("never answered")
        await link.js.event("request")
        waiting = asyncio.ensure_future(stream.all())
        await link.js.run("await client.disconnect()" if js_connects else "await server.disconnect()")
        await link.ended.wait()
        await link.js.event("disconnect")
        # S13: the stream ends with the connection.
        with pytest.raises(SockhopError):
            await waiting
        with pytest.raises(SockhopError) as gone:
            await link.send("too late")
        assert gone.value.code == "ERR_SOCKET_DESTROYED"
        with pytest.raises(SockhopError) as gone:
            await link.request("too late")
        assert gone.value.code == "ERR_SOCKET_DESTROYED"
        # S12: it is told once.
        await asyncio.sleep(0)
        assert len(link.gone) == 1


@DIRECTIONS
async def test_s22_we_disconnect_and_what_was_sent_arrives(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        for n in range(100):
            link.send(n)
        link.send("x" * (4 << 20))
        await link.ours.disconnect()
        await link.ended.wait()
        assert [await link.theirs() for _ in range(100)] == list(range(100))
        assert await link.theirs() == text_summary("x" * (4 << 20))
        await link.js.event("disconnect")
        assert len(link.gone) == 1


@pytest.mark.parametrize("how", ["kill_socket", "session.kill"])
async def test_we_kill_one_of_two(how: str) -> None:
    async with linked(True) as link, sockhop() as other:
        victim = link.sock
        link.connected.clear()
        await other("connect", {"port": await through(link.ours.port)})
        await link.connected.wait()
        survivor, link.sock = link.sock, victim
        server = link.ours
        assert isinstance(server, SockhopServer)
        [session] = [session for session in server.sessions if session.sock is victim]
        server.send(victim, "last words")
        await (server.kill_socket(victim) if how == "kill_socket" else session.kill())
        assert await link.theirs() == "last words"
        await link.js.event("disconnect")
        await link.ended.wait()
        assert list(server.sockets) == [survivor]
        link.sock = survivor
        await server.send(survivor, "still there")
        assert (await other.event("receive"))["value"] == "still there"


async def test_npm_kills_our_client() -> None:
    async with linked(False) as link:
        await link.js.run("await server.kill_socket(server.sockets[0])")
        await link.ended.wait()
        assert isinstance(link.ours, SockhopClient)
        assert not link.ours.connected
        await link.ours.connect()
        await link.js.event("connect")
        await link.is_alive()


async def test_our_server_closes() -> None:
    async with linked(True) as link:
        assert isinstance(link.ours, SockhopServer)
        await link.ours.close()
        await link.js.event("disconnect")
        with pytest.raises(NpmError) as refused:
            await link.js.run("await client.connect()")
        assert refused.value.value["$code"] == "ECONNREFUSED"
        # And it may listen again.
        await link.ours.listen()
        link.connected.clear()
        await link.js("connect", {"port": await through(link.ours.port)})
        await link.connected.wait()
        await link.is_alive()


async def test_a_process_that_is_killed_is_a_disconnect() -> None:
    async with linked(True) as link:
        with pytest.raises(ConnectionError):
            await link.js.run("process.exit(1)")
        await link.ended.wait()


@DIRECTIONS
async def test_connecting_again(js_connects: bool) -> None:
    async with linked(js_connects) as link:
        for _ in range(5):
            link.ended.clear()
            link.connected.clear()
            if js_connects:
                await link.js.run("await client.disconnect(); await client.connect()")
            else:
                assert isinstance(link.ours, SockhopClient)
                assert link.ours.connected
                assert await link.ours.connect() is link.ours
                await link.ours.disconnect()
                assert not link.ours.connected
                await link.ours.connect()
                await link.js.event("connect")
            await link.ended.wait()
            await link.connected.wait()
            await link.is_alive()
        assert len(link.gone) == 5


async def test_s8_half_a_message_dies_with_its_connection() -> None:
    async with linked(False) as link:
        await link.js.run("""
            peer.socket.write('{"type":"String","da');
            await server.disconnect();
        """)
        await link.ended.wait()
        assert isinstance(link.ours, SockhopClient)
        await link.ours.connect()
        await link.js.event("connect")
        await link.is_alive()
        assert link.errors.empty()


async def test_the_npm_client_reconnects_to_our_server() -> None:
    async with linked(True, None, {"auto_reconnect_interval": 50}) as link:
        await link.js.event("connect")
        await link.js.run("client.auto_reconnect = true")
        assert isinstance(link.ours, SockhopServer)
        port = link.ours.port
        await link.ours.close()
        await link.js.event("disconnect")
        server = SockhopServer(port=port)
        again = Link(link.js, server)
        async with server:
            await link.js.event("connect")
            await again.connected.wait()
            await again.is_alive()
            await link.js.run("await client.disconnect()")
            await again.ended.wait()
        assert len(again.gone) == 1


async def test_our_client_reconnects_to_the_npm_server() -> None:
    async with linked(False, {"auto_reconnect_interval": 0.2}) as link:
        client = link.ours
        assert isinstance(client, SockhopClient)
        # Always later than npm's server takes to close: it might accept us meanwhile, and drop us again.
        client._backoff._random = lambda: 1.0
        await client.connect(auto_reconnect=True)
        assert client.auto_reconnect_active
        for _ in range(2):
            link.ended.clear()
            link.connected.clear()
            port = await link.js.run("return server.server.address().port")
            await link.js.run("await server.close()")
            await link.ended.wait()
            await link.js("listen", {"port": port})
            await link.connected.wait()
            await link.js.event("connect")
            await link.is_alive()
        assert len(link.gone) == 2
        await client.disconnect()
        assert not client.auto_reconnect_active
        assert len(link.gone) == 3


async def test_our_client_starts_before_the_npm_server() -> None:
    async with sockhop() as js:
        port = await js("listen", {})
        await js.run("await server.close()")
        client = SockhopClient(port=port, auto_reconnect_interval=0.02)
        link = Link(js, client)
        connects: list[Any] = []
        client.on("connect", connects.append)
        started = asyncio.ensure_future(client.start())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(started), 0.1)
        await js("listen", {"port": port})
        assert await started is client
        await js.event("connect")
        await link.is_alive()
        assert len(connects) == 1
        await client.disconnect()


async def test_the_npm_client_reconnects_when_we_were_silent() -> None:
    async with linked(True, None, {"auto_reconnect_interval": 50}) as link:
        await link.js.event("connect")
        await link.js.run("client.auto_reconnect = true")
        silent = link.sock
        link.connected.clear()
        silent.pause_reading()
        await link.js.run("client.ping(150)")
        await link.js.event("disconnect")
        await link.connected.wait()
        await link.js.run("client.ping(0)")
        assert link.sock is not silent
        await link.is_alive()
        silent.resume_reading()
        await link.ended.wait()
        assert link.gone == [silent]


async def test_our_client_reconnects_each_time_the_process_of_npm_dies() -> None:
    async with sockhop() as js:
        port = await js("listen", {})
        client = SockhopClient(port=port, auto_reconnect_interval=0.02)
        link = Link(js, client)
        await client.start()
        with pytest.raises(ConnectionError):
            await js.run("process.exit(1)")
        await link.ended.wait()
    for _ in range(2):
        link.ended.clear()
        link.connected.clear()
        async with sockhop() as js:
            await js("listen", {"port": port})
            await link.connected.wait()
            link.js = js
            await link.is_alive()
        await link.ended.wait()
    assert len(link.gone) == 3
    await client.disconnect()


async def test_our_client_reconnects_after_a_server_died_of_silence() -> None:
    async with linked(False, {"auto_reconnect_interval": 0.02}) as link:
        client = link.ours
        assert isinstance(client, SockhopClient)
        await link.js.event("start")
        await client.connect(auto_reconnect=True)
        link.connected.clear()
        await link.js.run("server.sockets[0].pause()")
        client.ping(0.15)
        await link.ended.wait()
        await link.connected.wait()
        client.ping(0)
        await client.send("hello again")
        while (await link.theirs()) != "hello again":
            pass


async def test_nobody_listens() -> None:
    async with sockhop() as js:
        port = await js("listen", {})
        await js.run("await server.close()")
        client = SockhopClient(port=port)
        errors: list[Exception] = []
        client.on("error", errors.append)
        with pytest.raises(ConnectionRefusedError):
            await client.connect()
        assert errors == []
        with pytest.raises(SockhopError) as refused:
            await client.send("x")
        assert refused.value.code == "ERR_SOCKET_DESTROYED"


async def test_a_server_without_tls_never_answers_a_client_with_it() -> None:
    async with linked(False) as link:
        port = await link.js.run("return server.server.address().port")
        client = SockhopClient(port=port, ssl=True, connect_timeout=0.2)
        with pytest.raises(TimeoutError):
            await client.connect()
        assert not client.connected
        await link.is_alive()
    async with linked(True) as link:
        first = link.sock
        with pytest.raises(NpmError, match="Timeout exceeded on connect"):
            await link.js(
                "connect",
                {
                    "port": await through(link.ours.port),
                    "ssl": True,
                    "ssl_options": {},
                    "connect_timeout": 200,
                },
            )
        assert not first.output.is_closing()


async def test_what_is_sent_while_connecting_goes_out() -> None:
    async with sockhop() as js:
        client = SockhopClient(port=await through(await js("listen", {})))
        connecting = asyncio.ensure_future(client.connect())
        await asyncio.sleep(0)
        client.send("one")
        client.send("two")
        with pytest.raises(SockhopError) as twice:
            await client.connect()
        assert twice.value.code == "ERR_MULTICONNECT"
        await connecting
        assert client.get_bound_address() == "127.0.0.1"
        for text in ("one", "two"):
            assert (await js.event("receive"))["value"] == text
        await client.disconnect()


async def test_a_killed_npm_client_that_does_not_read_is_gone_at_once_and_gets_what_was_sent() -> None:
    async with linked(True, {"send_timeout": 600.0}) as link:
        assert isinstance(link.ours, SockhopServer)
        await link.js.run("peer.socket.pause()")
        for _ in range(24):
            link.send("x" * (1 << 20))
        killed = link.ours.kill_socket(link.sock, timeout=600.0)
        await link.ended.wait()
        assert link.ours.sockets == []
        assert not link.sock.is_over
        await link.js.run("peer.socket.resume()")
        for _ in range(24):
            assert await link.theirs() == text_summary("x" * (1 << 20))
        await link.js.event("disconnect")
        await killed
        assert link.gone == [link.sock]
