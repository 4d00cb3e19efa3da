"""What npm sockhop 1.8.4 said and did, line by line."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.raw import connect, until
from tests.sockhop.linking import Told, strange_server, stranger
from wirehop import ObjectBuffer, SockhopClient, SockhopPong, SockhopServer, SockhopSession
from wirehop.errors import SockhopError

VECTORS = Path(__file__).parent.parent / "vectors"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def load(name: str) -> Any:
    return json.loads((VECTORS / f"sockhop-{name}.json").read_text())


def lines(name: str, direction: str) -> list[bytes]:
    return [bytes.fromhex(frame["hex"]) for frame in load(name)["frames"] if frame["dir"] == direction]


UP, DOWN = "client->server", "server->client"


class Widget:
    def __init__(self, a: Any, cls: str = "Widget", more: Any = ()) -> None:
        self.__class__ = type(cls, (Widget,), {})
        self.a = a
        self.list = [1]
        self.__dict__.update(more)


PYTHON: dict[str, Any] = {
    "string": "hello",
    "empty string": "",
    "zero": 0,
    "float": 1.5,
    "negative": -3,
    "1e21": 1e21,
    "big integer number": 123456789012345680000,
    "0.1+0.2": 0.1 + 0.2,
    "-0": -0.0,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "true": True,
    "false": False,
    "array": [1, "a", None],
    "array with undefined/function/NaN": [None, None, float("nan")],
    "empty array": [],
    "object": {"k": 1, "n": None},
    "empty object": {},
    "object with undefined member": {"k": 1},
    "integer-like keys": {"1": "a", "2": "b", "x": 1},
    "Widget instance": Widget(7),
    "subclass instance": Widget("foo", "Foo", {"self": "x"}),
    "anonymous class instance": type("", (), {})(),
    "Date": datetime(2023, 11, 14, 22, 13, 20, 123000, UTC),
    "Buffer": b"hi\0\xff",
    "boxed string": type("Boxed", (str,), {})("boxed"),
    "unicode": "café 😀 中",
    "lone surrogate": "a\ud800b",
    "line separators": "\u2028\u2029\n\r\t",
    "looks like a ping": {"type": "SockhopPing", "data": {}},
}
ONLY_JAVASCRIPT = {
    "Uint8Array", "Map", "Set", "RegExp", "Error", "symbol", "function", "class", "promise",
    "object with toJSON", "own constructor property", "null", "undefined", "null prototype object", "bigint",
    "invalid Date",
}  # fmt: skip
VALUES = {value["name"]: value for value in load("send-values")["values"]}


def test_every_value_is_replayed() -> None:
    assert PYTHON.keys() <= VALUES.keys()
    assert VALUES.keys() - PYTHON.keys() <= ONLY_JAVASCRIPT


async def test_values_sent_as_javascript_sends_them() -> None:
    async with strange_server() as (raw, client, _):
        for name, value in PYTHON.items():
            await client.send(value)
            line = await raw.read_until(b"\n")
            theirs = VALUES[name]["client_sends"]["text"]
            if isinstance(value, float | int):
                assert json.loads(line) == json.loads(theirs)
            else:
                assert line.decode("utf-8", "surrogatepass") == theirs


async def test_values_received_from_javascript() -> None:
    async with stranger() as (raw, _server, told):
        for frame in lines("send-values", UP):
            await raw.send(frame)
            message = json.loads(frame)
            value, meta = await told.args("receive")
            assert meta.type == message.get("type")
            data = message.get("data")
            # Beyond 64 bits a number is a double, as in JavaScript.
            assert value == (float(data) if type(data) is int else data)
        assert told.none("error")


@pytest.mark.parametrize("case", load("objectbuffer")["decode"], ids=lambda case: case["name"])
def test_object_buffer_decodes(case: Any) -> None:
    errors: list[SockhopError] = []
    buffer = ObjectBuffer(**case["options"])
    buffer.on("error", errors.append)
    if case["name"] == "multi-byte terminator":
        # S10: JavaScript counts its characters where it should count bytes.
        assert buffer.buf2obj(bytes.fromhex(case["steps"][0]["chunk_hex"])) == [{"a": 1}, {"b": 2}]
        assert buffer.buf2obj(bytes.fromhex(case["steps"][1]["chunk_hex"])) == [{"c": 3}]
        return
    for step in case["steps"]:
        assert buffer.buf2obj(bytes.fromhex(step["chunk_hex"])) == step["objects"]
        assert [{"code": error.code, "message": error.message} for error in errors] == step["errors"]
        errors.clear()


@pytest.mark.parametrize("case", load("objectbuffer")["encode"], ids=lambda case: repr(case["object"]))
def test_object_buffer_encodes(case: Any) -> None:
    buffer = ObjectBuffer(**case["options"])
    if case["errors"]:
        with pytest.raises(SockhopError) as raised:
            buffer.obj2buf(case["object"])
        assert [{"code": raised.value.code, "message": raised.value.message}] == case["errors"]
    else:
        assert buffer.obj2buf(case["object"]) == bytes.fromhex(case["result"]["hex"])


async def test_callbacks() -> None:
    """Both halves of each conversation: we answer what they asked, and they what we ask."""
    frames = load("callback")["frames"]
    pairs = list(zip(frames[::2], frames[1::2], strict=True))
    for asked, answered in pairs:
        question, answer = json.loads(asked["text"]), json.loads(answered["text"])
        async with stranger() as (raw, _server, told):
            await raw.send(bytes.fromhex(asked["hex"]))
            value, meta = await told.args("receive")
            assert value == question["data"]
            if answer["data"] == {}:
                await meta.callback()
            else:
                await meta.callback(answer["data"])
            assert await raw.read_until(b"\n") == bytes.fromhex(answered["hex"])
        async with strange_server() as (raw, client, _):
            called: asyncio.Queue[Any] = asyncio.Queue()
            await client.send(
                question["data"], lambda value, meta, called=called: called.put_nowait((value, meta.type))
            )
            ours = json.loads(await raw.read_until(b"\n"))
            assert UUID.fullmatch(ours["id"])
            if question["type"] != "Widget":
                assert ours == {**question, "id": ours["id"]}
            await raw.send(json.dumps({**answer, "callback_id": ours["id"]}).encode() + b"\n")
            assert await called.get() == (answer["data"], answer["type"])


async def replay_requests(name: str, direction: str) -> list[Any]:
    """Ask what they asked, and give us their answers under our ids. Returns what came of it."""
    streams: dict[str, Any] = {}
    results: dict[str, asyncio.Future[Any]] = {}
    ended: set[str] = set()
    async with strange_server() as (raw, client, told):
        for frame in load(name)["frames"]:
            message = json.loads(frame["text"])
            body = message["data"]
            uuid = body["uuid"]
            if message["type"] == "SockhopRequest" and frame["dir"] == direction:
                stream = streams[uuid] = client.request(body["data"])
                results[uuid] = asyncio.ensure_future(stream.all())
                ours = json.loads(await raw.read_until(b"\n"))
                assert UUID.fullmatch(stream.uuid)
                body["uuid"] = stream.uuid
                if body["type"] not in ("Widget", "Date"):
                    assert ours == message
            elif message["type"] == "SockhopResponsePacket" and frame["dir"] != direction:
                body["uuid"] = streams[uuid].uuid
                await raw.send(json.dumps(message).encode() + b"\n")
                if body["last"]:
                    ended.add(uuid)
        await raw.send(b'{"type":"String","data":"that was all"}\n')
        assert await told.first("receive") == "that was all"
        # Whom nobody ended there, the time did; all() hides that in JavaScript.
        got = [await result for uuid, result in results.items() if uuid in ended]
        for uuid in results.keys() - ended:
            streams[uuid].end()
            got.append(await results[uuid])
        return [[{"data": data, "type": type} for data, type in packets] for packets in got]


async def test_single_responses() -> None:
    expected = [entry.get("all") or [entry["response"]] for entry in load("request-single")["results"]]
    assert expected == [
        *await replay_requests("request-single", UP),
        *await replay_requests("request-single", DOWN),
    ]


async def test_streamed_responses() -> None:
    results = load("request-stream")["results"]
    stream = results["stream"]
    assert await replay_requests("request-stream", UP) == [
        stream,
        results["write then send"],
        results["end only"],
        results["two sends"],
        results["undefined payload"],
        # all() here; next() took the first of them there.
        stream,
        results["no answer, all()"],
    ]
    assert await replay_requests("request-stream", DOWN) == [results["server asks"]]


@pytest.mark.parametrize("name", ["request-single", "request-stream"])
@pytest.mark.parametrize("direction", [UP, DOWN])
async def test_requests_are_answered_byte_for_byte(name: str, direction: str) -> None:
    frames = [(frame["dir"], json.loads(frame["text"])["data"], frame) for frame in load(name)["frames"]]
    asked = [(body, frame) for towards, body, frame in frames if towards == direction and "last" not in body]
    async with stranger() as (raw, _, told):
        for request, frame in asked:
            await raw.send(bytes.fromhex(frame["hex"]))
            req, res, _ = await told.args("request")
            assert {"uuid": req.uuid, "data": req.data, "type": req.type} == request
            is_over = False
            for back, body, response in frames:
                if back == direction or body["uuid"] != req.uuid:
                    continue
                data = Widget(body["data"]["a"]) if body["type"] == "Widget" else body["data"]
                if is_over:
                    # "two sends": JavaScript lets the second one pass.
                    with pytest.raises(SockhopError, match="cannot be sent after end"):
                        res.send(data)
                    continue
                is_over = body["last"]
                if not is_over:
                    res.write(data)
                elif data == {}:
                    res.end()
                else:
                    res.send(data)
                assert await raw.read_until(b"\n") == bytes.fromhex(response["hex"])


async def test_pongs() -> None:
    for name in ("ping", "pong-crafted"):
        frames = load(name)["frames"]
        async with stranger() as (raw, _server, told):
            for asked, answered in zip(frames[::2], frames[1::2], strict=True):
                await raw.send(bytes.fromhex(asked["hex"]))
                ours = json.loads(await raw.read_until(b"\n"))
                theirs = json.loads(answered["text"])
                if theirs["data"]["_returned"] != "kept":
                    assert TIME.fullmatch(ours["data"].pop("_returned"))
                    del theirs["data"]["_returned"]
                assert ours == theirs
                assert list(ours["data"]) == list(theirs["data"])
            assert told.none("receive")


async def pinged(raw: Any) -> list[Any]:
    said = await raw.read_all()
    return [json.loads(line) for line in said.splitlines()]


def check_pings(pings: list[Any], name: str) -> None:
    theirs = [json.loads(frame["text"]) for frame in load(name)["frames"] if "text" in frame]
    assert len(pings) == len(theirs)
    for ping, other in zip(pings, theirs, strict=True):
        assert UUID.fullmatch(ping["data"].pop("_id"))
        assert TIME.fullmatch(ping["data"].pop("_created"))
        del other["data"]["_id"], other["data"]["_created"]
        assert ping == other


async def test_unanswered_pings_of_a_client() -> None:
    async with strange_server() as (raw, client, told):
        client.ping(0.01)
        check_pings(await pinged(raw), "ping-unanswered-client")
        await told.args("disconnect")


async def test_unanswered_pings_of_a_server() -> None:
    server = SockhopServer(port=0)
    server.ping(0.01)
    told = Told(server)
    async with server, connect(server.port) as raw:
        check_pings(await pinged(raw), "ping-unanswered-server")
        await told.args("disconnect")


async def test_json_peers() -> None:
    vector = load("json-peer")
    expected = [entry for entry in vector["received"] if entry["at"] == "server"]
    options: Any = {"peer_type": "json", "allow_non_objects": True}
    async with stranger(**options) as (raw, server, told):
        for frame in [*lines("json-peer", UP), bytes.fromhex(vector["raw_non_json"]["hex"])]:
            await raw.send(frame)
            if b"SockhopPing" in frame:
                # S9 of the audit: JavaScript takes this one away from its user.
                assert (await told.args("receive"))[0]["type"] == "SockhopPing"
                continue
            for _ in range(frame.count(b"\n")):
                value, meta = await told.args("receive")
                entry = expected.pop(0)
                assert (value, meta.type, meta.callback) == (entry["object"], entry["type"], None)
        assert expected == []
        for frame in lines("json-peer", DOWN)[:-1]:
            await server.sendall(json.loads(frame))
            assert await raw.read_until(b"\n") == frame
        codes = []
        for attempt in (
            lambda: server.send(server.sockets[0], {}, lambda: None),
            lambda: server.request(server.sockets[0], {}),
        ):
            with pytest.raises(SockhopError) as raised:
                attempt()
            codes.append({"code": raised.value.code, "message": raised.value.message})
        assert codes == vector["errors"][:2]


@pytest.mark.parametrize("number", range(4))
async def test_terminators(number: int) -> None:
    vector = load("terminators")
    case = vector["cases"][number]
    frames = [frame for frame in vector["frames"] if frame["case"] == number]
    async with stranger(terminator=case["server_terminator"]) as (raw, server, told):
        server.on("request", lambda req, res, meta: res.send("ok"))
        await raw.send(b"".join(bytes.fromhex(frame["hex"]) for frame in frames if frame["dir"] == UP))
        assert await told.first("receive") == {"t": 1}
        answers = [bytes.fromhex(frame["hex"]) for frame in frames if frame["dir"] == DOWN]
        assert await raw.read(len(answers[-1])) == answers[-1]
        await server.sendall("from server")
        assert await raw.read(len(answers[0])) == answers[0]


async def test_the_order_of_sessions_and_events() -> None:
    order: list[str] = []
    going = asyncio.Event()

    class Ses(SockhopSession):
        async def start(self) -> None:
            order.append(f"session.start begin, registered sockets={len(server.sockets)}")
            await going.wait()
            order.append("session.start end")

        async def end(self) -> None:
            # In JavaScript the one that is closed is still among them.
            assert server.sockets == server.sessions == []
            order.append("session.end begin, registered sockets=1")
            await asyncio.sleep(0)
            order.append("session.end end")

    server = SockhopServer(port=0, session_type=Ses)
    gone = asyncio.Event()
    received = asyncio.Event()

    @server.on("connect")
    def connected(sock: Any, session: Any) -> None:
        name = type(session).__name__
        order.append(f"server connect event, registered sockets={len(server.sockets)}, session is {name}")

    @server.on("receive")
    def heard(value: Any, meta: Any) -> None:
        order.append(f"server receive {json.dumps(value)}")
        received.set()

    @server.on("disconnect")
    def disconnected(sock: Any, session: Any) -> None:
        order.append(f"server disconnect event, registered sockets={len(server.sockets)}")
        gone.set()

    async with server:
        client = SockhopClient(port=server.port)
        client.on("connect", lambda sock: order.append("client connect event"))
        client.on("disconnect", lambda sock: order.append("client disconnect event"))
        await client.connect()
        order.append("client connect() resolved")
        await client.send("x")
        await until(lambda: "session.start begin, registered sockets=0" in order)
        going.set()
        await received.wait()
        await client.disconnect()
        order.append("client disconnect() resolved")
        await gone.wait()
    theirs = load("session-order")["events"]
    # Which of two processes is first is nobody's business: each has its own order.
    for side in ("client", "se"):
        assert [event for event in order if event.startswith(side)] == [
            event for event in theirs if event.startswith(side)
        ]


def test_a_pong_of_a_javascript_peer() -> None:
    data = json.loads(load("ping")["frames"][1]["text"])["data"]
    pong = SockhopPong(data)
    assert pong.fields() == data
