"""Requests and the streams that answer them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.raw import until
from tests.sockhop.linking import Told, linked, strange_server, stranger
from wirehop import (
    SockhopClient,
    SockhopRequest,
    SockhopResponsePacket,
    SockhopResponseReadableStream,
    SockhopResponseWriteableStream,
)
from wirehop.errors import LimitExceeded, SockhopError
from wirehop.sockhop import streams


def answer(uuid: str, data: Any, last: bool) -> bytes:
    body = {"uuid": uuid, "type": "Number", "data": data, "last": last}
    return json.dumps({"type": "SockhopResponsePacket", "data": body}).encode() + b"\n"


def count(req: Any, res: Any, *meta: Any) -> None:
    for n in range(req.data):
        res.write(n)
    res.end()


COUNTED = [(0, "Number"), (1, "Number"), ({}, "Object")]


async def test_next_all_iteration_and_events() -> None:
    async with linked() as link:
        link.server.on("request", count)
        stream = await link.client.request(2)
        packet = await stream.next()
        assert (packet.data, packet.type) == packet == (0, "Number")
        assert stream.ended
        assert await link.client.request(2).all() == COUNTED
        assert [packet async for packet in link.client.request(2)] == COUNTED
        stream = link.client.request(2)
        told = Told(stream, "data", "end")
        assert await told.args("end") == (None,)
        assert told.all == [*(("data", packet) for packet in COUNTED), ("end", (None,))]


async def test_both_sides_ask() -> None:
    async with linked() as link:
        link.client.on("request", count)
        sock, session = link.sock, link.server.sessions[0]
        assert await link.server.request(sock, 2).all() == COUNTED
        assert await session.request(1).all() == [(0, "Number"), ({}, "Object")]


async def test_what_a_listener_gets() -> None:
    async with linked() as link:
        link.client.request({"a": 1})
        req, res, meta = await link.at_server.args("request")
        assert isinstance(req, SockhopRequest)
        assert (req.data, req.type, res.uuid) == ({"a": 1}, "Object", req.uuid)
        assert (meta.type, meta.socket, meta.session) == ("Object", link.sock, link.server.sessions[0])
        assert "Object" in repr(req)
        link.server.request(link.sock, 5)
        assert len(await link.at_client.args("request")) == 2


async def test_an_async_listener_answers_later_and_others_overtake_it() -> None:
    async with linked() as link:
        first = asyncio.Event()

        @link.server.on("request")
        async def requested(req: Any, res: Any, meta: Any) -> None:
            if req.data == "slow":
                await first.wait()
            await res.send(req.data)

        slow = asyncio.ensure_future(link.client.request("slow").next())
        assert (await link.client.request("fast").next()).data == "fast"
        first.set()
        assert (await slow).data == "slow"


async def test_answers_that_came_before_anybody_took_them() -> None:
    async with linked() as link:
        link.server.on("request", count)
        for take in (lambda stream: stream.all(), lambda stream: told_all(stream)):
            stream = link.client.request(2)
            await until(lambda stream=stream: stream.ended)
            assert await take(stream) == COUNTED
        stream = link.client.request(2)
        await until(lambda: stream.ended)
        assert await stream.next() == (0, "Number")
        with pytest.raises(SockhopError, match="has ended"):
            await stream.next()


async def told_all(stream: Any) -> list[Any]:
    """Listen late."""
    told = Told(stream, "data", "end")
    assert await told.args("end") == (None,)
    return [args for name, args in told.all if name == "data"]


async def test_two_at_once_wait_for_a_stream() -> None:
    async with strange_server() as (raw, client, _):
        stream = client.request("x")
        taking = [asyncio.ensure_future(anext(stream)) for _ in range(3)]
        await asyncio.sleep(0)
        taking[0].cancel()
        uuid = stream.uuid
        await raw.send(answer(uuid, 1, False) + answer(uuid, 2, True))
        assert sorted(packet.data for packet in await asyncio.gather(*taking[1:])) == [1, 2]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_who_gives_up_waiting_may_wait_again() -> None:
    async with strange_server() as (raw, client, _):
        stream = client.request("x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.next(), 0.01)
        await raw.send(answer(stream.uuid, 1, True))
        assert await stream.next() == (1, "Number")


async def test_after_the_end_packets_are_ignored() -> None:
    async with strange_server() as (raw, client, told):
        stream = client.request("x")
        uuid = stream.uuid
        await raw.send(answer(uuid, 1, True) + answer(uuid, 2, True) + answer("unknown", 3, True))
        await raw.send(b'{"type":"SockhopResponsePacket","data":{"uuid":["x"]}}\n')
        assert await stream.all() == [(1, "Number")]
        await raw.send(b'{"type":"Number","data":5}\n')
        assert await told.first("receive") == 5
        assert told.none("error")


async def test_s11_next_all_and_iteration_fail_when_time_is_over() -> None:
    async with linked() as link:
        # One packet does not make the time longer.
        link.server.on("request", lambda req, res, meta: res.write(1))
        stream = link.client.request("x", timeout=0.05)
        assert (await anext(stream)).data == 1
        with pytest.raises(SockhopError) as raised:
            await anext(stream)
        assert raised.value.code == "ERR_RESPONSE_TIMEOUT"
        assert str(raised.value) == "Response stream timed out before ending"
        with pytest.raises(SockhopError, match="timed out"):
            await link.client.request("x", timeout=0.02).all()
        stream = link.client.request("x", timeout=0.02)
        assert (await Told(stream, "data", "end").first("end")).code == "ERR_RESPONSE_TIMEOUT"
        link.server.remove_all_listeners("request")
        with pytest.raises(SockhopError, match="timed out"):
            await link.client.request("x", timeout=0.02).next()
        await link.are_alive()


async def test_the_option_response_timeout_and_zero() -> None:
    async with linked(None, {"response_timeout": 0.02}) as link:
        with pytest.raises(SockhopError, match="timed out"):
            await link.client.request("x", timeout=0).next()


async def test_an_idle_timeout_is_extended_by_packets() -> None:
    async with strange_server() as (raw, client, _):
        stream = client.request("x", idle_timeout=0.2)
        for n in range(10):
            await raw.send(answer(stream.uuid, n, False))
            assert (await anext(stream)).data == n
            await asyncio.sleep(0.03)
        with pytest.raises(SockhopError, match="timed out"):
            await anext(stream)


async def test_case_46_request_then_reset_the_caller_learns_at_once() -> None:
    async with strange_server() as (raw, client, told):
        stream = client.request("x")
        ended = Told(stream, "data", "end")
        await raw.read_until(b"\n")
        raw.reset()
        with pytest.raises(SockhopError) as raised:
            await stream.next()
        assert (str(raised.value), raised.value.code) == (
            "Response stream was stopped locally because stopped",
            None,
        )
        assert await ended.first("end") is raised.value
        assert len(await told.args("disconnect")) == 1


@pytest.mark.parametrize("ours", [True, False])
async def test_s13_streams_end_with_their_connection(ours: bool) -> None:
    async with linked() as link:
        stream = link.client.request("x")
        asked = link.server.request(link.sock, "y")
        await link.at_server.args("request")
        await (link.client.disconnect() if ours else link.server.disconnect())
        for one in (stream, asked):
            with pytest.raises(SockhopError, match="stopped locally"):
                await one.all()


async def test_s7_end_is_an_empty_object() -> None:
    async with stranger() as (raw, server, _):
        server.on("request", lambda req, res, meta: res.end())
        await raw.send(b'{"type":"SockhopRequest","data":{"uuid":"u","data":1,"type":"Number"}}\n')
        assert json.loads(await raw.read_until(b"\n"))["data"] == {
            "uuid": "u",
            "type": "Object",
            "data": {},
            "last": True,
        }


async def test_nothing_after_the_last_answer() -> None:
    async with linked() as link:
        link.client.request("x")
        _, res, _ = await link.at_server.args("request")
        res.write(1)
        with pytest.raises(SockhopError) as raised:
            res.send(None)
        assert raised.value.code == "ERR_BAD_DATA"
        # What could not be sent was not the last one.
        await res.send()
        for call in (res.send, res.write, res.end):
            with pytest.raises(SockhopError) as raised:
                call()
            assert (raised.value.code, str(raised.value)) == (
                "ERR_RESPONSE_SEND",
                "Response packet cannot be sent after end",
            )


async def test_s4_a_request_without_a_uuid_gets_one_and_any_is_echoed() -> None:
    async with stranger() as (raw, server, told):
        server.on("request", lambda req, res, meta: res.send(req.data))
        await raw.send(b'{"type":"SockhopRequest","data":{"data":"x"}}\n')
        req, _, _ = await told.args("request")
        assert json.loads(await raw.read_until(b"\n"))["data"]["uuid"] == req.uuid
        await raw.send(b'{"type":"SockhopRequest","data":{"uuid":{"my\\"":1},"data":"x"}}\n')
        assert json.loads(await raw.read_until(b"\n"))["data"]["uuid"] == {'my"': 1}


async def test_packets_that_nobody_takes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_UNREAD", 10_000)
    async with linked() as link:
        link.server.on("request", lambda req, res, meta: [res.write("x" * 1000) for _ in range(20)])
        stream = link.client.request("x")
        await until(lambda: stream.ended)
        with pytest.raises(LimitExceeded, match="10000 bytes"):
            await stream.all()
        await link.are_alive()


async def test_a_reader_that_lags_may_read_any_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_UNREAD", 10_000)
    stream = SockhopResponseReadableStream()
    for number in range(50):
        # There are always some that it has not taken yet.
        stream._receive("x", "String", False, 1000)
        if number > 2:
            assert await anext(stream) == ("x", "String")
    assert not stream.ended


async def test_streams_and_packets_made_by_hand() -> None:
    req = SockhopRequest.from_data({"a": 1})
    assert (req.type, len(req.uuid)) == ("Object", 36)
    assert SockhopRequest.parse({"uuid": "u", "data": [1], "type": "Array"}).uuid == "u"
    assert (SockhopRequest().data, SockhopRequest().type) == ({}, "Object")
    stream = SockhopResponseReadableStream.from_request(req)
    assert stream.uuid == req.uuid
    assert await stream is stream
    stream.receive_packet(SockhopResponsePacket.for_data("one", req.uuid))
    stream.receive_packet(SockhopResponsePacket.parse({"uuid": req.uuid, "data": 2, "last": True}))
    stream.receive_packet(SockhopResponsePacket.for_data("late", req.uuid))
    assert await stream.all() == [("one", "String"), (2, "Number")]
    with pytest.raises(SockhopError) as raised:
        SockhopResponseWriteableStream(None).end()
    assert raised.value.code == "ERR_RESPONSE_SEND"


async def test_answers_through_a_client_and_a_session() -> None:
    async with linked() as link:
        stream = link.client.request("x")
        req, _, meta = await link.at_server.args("request")
        await SockhopResponseWriteableStream.from_request(req, meta.session).send("through the session")
        assert (await stream.next()).data == "through the session"
        stream = link.server.request(link.sock, "x")
        req, _ = await link.at_client.args("request")
        await SockhopResponseWriteableStream.from_request(req, link.client).send("through the client")
        assert (await stream.next()).data == "through the client"


async def test_requests_while_connecting_go_out_when_connected() -> None:
    async with linked() as link:
        link.server.on("request", count)
        client = SockhopClient(port=link.server.port)
        connecting = client.connect()
        stream = client.request(2)
        sent = client.send("first")
        await connecting
        await sent
        assert await stream.all() == COUNTED
        await client.disconnect()


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("end_first", [True, False])
async def test_late_listeners_are_told_in_order(turns: int, end_first: bool) -> None:
    """A packet that comes before they were told of those that came before does not overtake them."""
    stream = SockhopResponseReadableStream()

    def receive(*packets: int, last: bool = False) -> None:
        for n in packets:
            final = last and n == packets[-1]
            stream.receive_packet(SockhopResponsePacket.for_data(n, stream.uuid, final))

    receive(0, 1)
    if end_first:
        told = Told(stream, "end", "data")
    else:
        told = Told(stream, "data", "end")
    receive(2)
    for _ in range(turns):
        await asyncio.sleep(0)
    receive(3, 4, last=True)
    receive(5)
    assert await told.args("end") == (None,)
    assert [args[0] for _, args in told.all] == [0, 1, 2, 3, 4, None]


async def test_listeners_that_are_added_between_two_packets() -> None:
    async with strange_server() as (raw, client, _):
        stream = client.request("x")
        told: list[Told] = []
        client.on("receive", lambda value, meta: told.append(Told(stream, "data", "end")))
        middle = b'{"type":"Number","data":0}\n'
        await raw.send(answer(stream.uuid, 1, False) + middle + answer(stream.uuid, 2, True))
        await until(lambda: told)
        assert await told[0].args("end") == (None,)
        assert [args[0] for _, args in told[0].all] == [1, 2, None]


async def test_a_late_listener_of_the_end_alone() -> None:
    """It is told, and the packets stay for who takes or listens later."""
    async with linked() as link:
        link.server.on("request", count)
        stream = link.client.request(2)
        await until(lambda: stream.ended)
        assert await Told(stream, "end").args("end") == (None,)
        assert await told_all(stream) == COUNTED
        stream = link.client.request(2)
        at_once = Told(stream, "end")
        assert await at_once.args("end") == (None,)
        assert await stream.all() == COUNTED
        # Each is told once.
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        stream.once("end", ended.set_result)
        assert await ended is None
        assert len(at_once.all) == 1


async def test_a_listener_that_leaves_leaves_the_rest_to_others() -> None:
    async with linked() as link:
        link.server.on("request", count)
        stream = link.client.request(2)
        await until(lambda: stream.ended)
        got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        stream.once("data", lambda *packet: got.set_result(packet))
        assert await got == COUNTED[0]
        leaving: list[Any] = []
        stream.on("data", leaving.append)
        stream.off("data", leaving.append)
        assert await stream.all() == COUNTED[1:]
        assert leaving == []


async def test_a_late_listener_and_who_takes_in_the_same_turn_get_all() -> None:
    async with linked() as link:
        link.server.on("request", count)
        stream = link.client.request(2)
        await until(lambda: stream.ended)
        told = Told(stream, "data", "end")
        assert await stream.all() == COUNTED
        assert await told.args("end") == (None,)
        assert [args for name, args in told.all if name == "data"] == COUNTED


def test_a_late_listener_without_a_loop() -> None:
    stream = SockhopResponseReadableStream()
    stream.receive_packet(SockhopResponsePacket.for_data(1, stream.uuid, True))
    told = Told(stream, "data", "end")
    assert told.all == [("data", (1, "Number")), ("end", (None,))]


async def test_a_response_by_the_arguments_of_the_seed() -> None:
    async with linked() as link:
        for make in (
            lambda req, to: SockhopResponseWriteableStream(uuid=req.uuid, sockhop=to),
            lambda req, to: SockhopResponseWriteableStream.from_request(
                {"uuid": req.uuid, "data": req.data, "type": req.type}, to
            ),
        ):
            stream = link.client.request("x")
            req, _, meta = await link.at_server.args("request")
            await make(req, meta.session).send("y")
            assert (await stream.next()).data == "y"
    assert len(SockhopResponseWriteableStream(None).uuid) == 36
    assert SockhopResponseReadableStream.from_request({"uuid": "u"}).uuid == "u"


def test_requests_and_packets_that_cannot_be_sent() -> None:
    for make in (SockhopRequest.from_data, lambda data: SockhopResponsePacket.for_data(data, "u")):
        for data, code in ((None, "ERR_BAD_DATA"), ({1, 2}, "ERR_OBJECTBUFFER_BAD_OBJECT")):
            with pytest.raises(SockhopError) as raised:
                make(data)
            assert raised.value.code == code


def test_missing_data_is_an_empty_object() -> None:
    for cls in (SockhopRequest, SockhopResponsePacket):
        assert cls.parse({"uuid": "u", "type": "Object"}).data == {}
        assert cls.parse({"uuid": "u", "type": "Number", "data": None}).data is None
