from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.anysocket.wire.pair import CLIENT, SERVER, Pair, Side, ready, text
from wirehop.anysocket.wire.packet import CHUNK, PacketType, encode, encode_head
from wirehop.anysocket.wire.protocol import Rules, State
from wirehop.errors import PayloadTooLarge, ProtocolError

LINK, AUTH, INTERNAL, HEARTBEAT = PacketType.LINK, PacketType.AUTH, PacketType.INTERNAL, PacketType.HEARTBEAT


# --- authentication


def test_both_sides_learn_who_the_other_is() -> None:
    pair = Pair()
    pair.authenticate({"token": 1}, "server's")
    assert pair.server.got == [(AUTH, 1, {"id": CLIENT, "auth": {"token": 1}})]
    assert pair.client.got == [(AUTH, 1, {"id": SERVER, "auth": "server's"})]
    assert pair.server.protocol.remote_id == CLIENT
    assert pair.client.protocol.state is pair.server.protocol.state is State.CONNECTED


def test_an_auth_that_is_none_is_left_out() -> None:
    side = Side(CLIENT, Rules())
    side.protocol.authenticate(None)
    assert side.out == [b'11\0\0\0\1{"id":"%s"}' % CLIENT.encode()]


@pytest.mark.parametrize(
    "payload",
    ["null", "{{{", "{}", "[]", "1", '{"id":1}', '{"id":"__proto__"}', '{"id":""}', '{"id":null}']
    + ['{"id":"' + "f" * 31 + 'F"}', '{"id":"' + "x" * 60_000 + '"}', '{"id":{"length":32}}', ""],
)
def test_a_bad_auth_is_refused(payload: str) -> None:
    server = Side(SERVER, Rules())
    with pytest.raises(ProtocolError, match="Invalid Auth Packet!") as refused:
        server.protocol.receive("11\0\0\0\1" + payload, 0.0)
    assert refused.value.close_code == 1008
    assert not server.out


def test_an_auth_may_come_in_chunks() -> None:
    server = Side(SERVER, Rules())
    auth = '{"id":"%s"}' % CLIENT
    assert server.protocol.receive("21\0\0\0\1" + auth[:9], 0.0) is None
    assert server.protocol.receive("11\0\0\0\1" + auth[9:], 0.0) == (AUTH, 1, {"id": CLIENT, "auth": None})


def test_a_stranger_may_not_say_much() -> None:
    server = Side(SERVER, Rules(max_message_size_before_auth=100))
    server.protocol.receive("21\0\0\0\1" + "x" * 60, 0.0)
    with pytest.raises(PayloadTooLarge, match="120 characters") as refused:
        server.protocol.receive("21\0\0\0\1" + "x" * 60, 0.0)
    assert refused.value.close_code == 1009
    with pytest.raises(PayloadTooLarge):
        Side(SERVER, Rules(max_message_size_before_auth=100)).protocol.receive("11\0\0\0\1" + "x" * 101, 0.0)
    held = Side(SERVER, Rules(max_message_size_before_auth=100))
    held.protocol.receive("13\0\0\0\2" + "1" * 60, 0.0)
    with pytest.raises(PayloadTooLarge, match="before the link was ready"):
        held.protocol.receive("13\0\0\0\3" + "1" * 60, 0.0)


def test_messages_behind_the_auth_wait_for_it() -> None:
    pair = Pair()
    pair.client.protocol.authenticate(None)
    for value in (1, 2):
        pair.client.protocol.send(LINK, text(value))
    pair.client.protocol.send(INTERNAL, text({"type": 5}))
    pair.carry()
    assert pair.server.values() == []
    pair.server.protocol.authenticate(None)
    pair.server.protocol.accept(0.0)
    released = [packet[2] for packet in pair.server.protocol.release(0.0)]
    assert released == [1, 2, {"type": 5}]


def test_what_is_held_is_dropped_when_the_link_ends_meanwhile() -> None:
    pair = Pair()
    pair.client.protocol.authenticate(None)
    for value in (1, 2):
        pair.client.protocol.send(LINK, text(value))
    pair.carry()
    pair.server.protocol.accept(0.0)
    released = []
    for packet in pair.server.protocol.release(0.0):
        released.append(packet[2])
        pair.server.protocol.close()
    assert released == [1]
    assert list(pair.server.protocol.release(0.0)) == []


def test_what_is_held_is_checked_when_it_is_released() -> None:
    pair = Pair()
    pair.client.protocol.authenticate(None)
    pair.carry()
    pair.server.protocol.receive("13\0\0\0\2{{{", 0.0)
    pair.server.protocol.accept(0.0)
    with pytest.raises(ProtocolError, match="not JSON"):
        list(pair.server.protocol.release(0.0))


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (["15\0\0\0\x011"], 1002),
        (["14\0\0\0\1{}"], 1002),
        (["6" + "\1" * 32 + "13\0\0\0\1{}"], 1008),
    ],
)
def test_what_a_stranger_may_not_send(frames: list[str], code: int) -> None:
    server = Side(SERVER, Rules())
    with pytest.raises(ProtocolError, match="Invalid Packet!") as refused:
        for frame in frames:
            server.protocol.receive(frame, 0.0)
    assert refused.value.close_code == code


def test_a_second_auth_is_refused_whether_or_not_the_first_was_decided() -> None:
    pair = Pair()
    pair.client.protocol.authenticate(None)
    auth = pair.client.out[0].decode()
    pair.carry()
    with pytest.raises(ProtocolError, match="AUTH while DECIDING"):
        pair.server.protocol.receive(auth, 0.0)
    pair = ready()
    with pytest.raises(ProtocolError, match="AUTH while CONNECTED"):
        pair.server.protocol.receive(auth, 0.0)


# --- messages


def test_requests_and_replies() -> None:
    pair = ready()
    assert pair.client.protocol.send(LINK, text({"ping": 1})) == 2
    pair.carry()
    assert pair.server.got == [(LINK, 2, {"ping": 1})]
    pair.server.protocol.reply(LINK, 2, text({"pong": 1}))
    assert pair.server.out == [b"13\xc3\xbf\xc3\xbf\xc3\xbf\xc3\xbe" + b'{"pong":1}']
    pair.carry()
    assert pair.client.got == [(LINK, -2, {"pong": 1})]


def test_a_repeated_packet_is_delivered_once() -> None:
    pair = ready()
    for _ in range(3):
        pair.server.take(b"13\0\0\0\x02{}", 0.0)
    assert pair.server.got == [(LINK, 2, {})]
    assert pair.server.protocol.dropped == 2


def test_large_messages_come_in_chunks_that_may_be_interleaved() -> None:
    pair = ready()
    first, second = "a" * (2 * CHUNK), "é" * (2 * CHUNK)
    frames = [encode(LINK, 2, text(first)), encode(LINK, 3, text(second))]
    assert [len(each) for each in frames] == [3, 3]
    for one, other in zip(*frames, strict=True):
        pair.server.take(one, 0.0)
        pair.server.take(other, 0.0)
    assert pair.server.values() == [first, second]


def test_a_message_has_a_limit_whole_or_in_chunks() -> None:
    rules = Rules(max_message_size=1000)
    with pytest.raises(PayloadTooLarge, match="1001 characters"):
        ready(rules).server.protocol.receive("13\0\0\0\2" + "1" * 1001, 0.0)
    server = ready(rules).server.protocol
    server.receive("23\0\0\0\2" + "1" * 600, 0.0)
    with pytest.raises(PayloadTooLarge, match="1200 characters"):
        server.receive("13\0\0\0\2" + "1" * 600, 0.0)


@pytest.mark.parametrize("text", ["", "1"])
def test_chunks_of_nothing_may_not_eat_the_memory(text: str) -> None:
    server = ready(Rules(max_message_size=1000)).server.protocol
    for _ in range(31):
        server.receive("23\0\0\0\2" + text, 0.0)
    with pytest.raises(PayloadTooLarge, match="1024 characters"):
        server.receive("23\0\0\0\2" + text, 0.0)


def test_a_small_last_chunk_counts_as_it_is() -> None:
    server = ready(Rules(max_message_size=1000)).server.protocol
    server.receive('23\0\0\0\2"' + "x" * 998, 0.0)
    assert server.receive('13\0\0\0\2"', 0.0) == (LINK, 2, "x" * 998)


def test_open_packets_have_a_limit() -> None:
    server = ready(Rules(max_open_packets=3)).server.protocol
    for seq in (2, 3, 4):
        server.receive(encode_head(LINK, seq, last=False).decode() + "[", 0.0)
    assert server.receive("13\0\0\0\x09[]", 0.0) == (LINK, 9, [])
    with pytest.raises(PayloadTooLarge, match="3 packets are open"):
        server.receive(encode_head(LINK, 5, last=False).decode() + "[", 0.0)


def test_a_packet_keeps_its_type() -> None:
    server = ready().server.protocol
    server.receive("23\0\0\0\2[", 0.0)
    with pytest.raises(ProtocolError, match="type of a packet changed"):
        server.receive("12\0\0\0\2]", 0.0)


def test_the_rest_of_a_packet_must_come() -> None:
    server = ready(Rules(packet_timeout=30.0, heartbeat_enabled=False)).server.protocol
    server.receive("23\0\0\0\2[", 0.0)
    server.receive("23\0\0\0\x021", 10.0)
    assert server.deadline() == 40.0
    server.expire(39.0)
    with pytest.raises(ProtocolError, match="the rest of a packet"):
        server.expire(40.0)


@pytest.mark.parametrize("payload", ["", "{{{", "NaN", "nul"])
def test_what_is_no_json_closes_the_link(payload: str) -> None:
    with pytest.raises(ProtocolError, match="not JSON") as refused:
        ready().server.protocol.receive("13\0\0\0\2" + payload, 0.0)
    assert refused.value.close_code == 1007


def test_heartbeats_are_no_replies() -> None:
    with pytest.raises(ProtocolError, match="a reply of type HEARTBEAT"):
        ready().server.protocol.receive("15\xff\xff\xff\xfe1", 0.0)


def test_a_forward_frame_is_handed_up_as_it_is() -> None:
    pair = ready()
    frame = "6" + "\1" * 32 + "13\0\0\0\1{}"
    assert pair.server.protocol.receive(frame, 0.0) == (PacketType.FORWARD, 0, frame)


def test_a_closed_link_ignores_everything() -> None:
    pair = ready()
    pair.server.protocol.close()
    assert pair.server.protocol.receive("garbage", 0.0) is None
    pair.server.protocol.expire(100.0)
    assert pair.server.protocol.deadline() == math.inf


# --- time


def test_a_stranger_has_to_authenticate_in_time() -> None:
    for side in (Side(SERVER, Rules(auth_timeout=5.0)), Side(CLIENT, Rules(auth_timeout=5.0))):
        if side.protocol._id == CLIENT:
            side.protocol.authenticate(None)
        side.protocol.receive("13\0\0\0\x091", 1.0)
        assert side.protocol.deadline() == 5.0
        side.protocol.expire(4.9)
        with pytest.raises(ProtocolError, match="auth timed out"):
            side.protocol.expire(5.0)


def test_silence_is_answered_with_pings_and_then_with_the_end() -> None:
    pair = ready(Rules(heartbeat_interval=5.0, heartbeats_max_missed=2))
    server = pair.server
    server.protocol.expire(4.9)
    assert not server.out
    for now in (5.0, 10.0):
        assert server.protocol.deadline() == now
        server.protocol.expire(now)
    assert server.out == [b"15\0\0\0\x021", b"15\0\0\0\x031"]
    with pytest.raises(ProtocolError, match="Missed Heartbeats"):
        server.protocol.expire(15.0)


def test_any_frame_is_a_sign_of_life() -> None:
    pair = ready(Rules(heartbeat_interval=5.0))
    server = pair.server.protocol
    server.expire(5.0)
    server.expire(10.0)
    server.receive("23\0\0\0\x02[", 14.0)
    assert server.deadline() == 19.0
    server.expire(19.0)
    assert pair.server.out[-1] == b"15\0\0\0\x041"


def test_a_remote_is_silent_from_a_ping_until_its_next_frame() -> None:
    pair = ready()
    server = pair.server.protocol
    assert not server.is_silent()
    server.ping(0.0)
    assert server.is_silent()
    server.receive('13\0\0\0\2"anything"', 0.0)
    assert not server.is_silent()


def test_a_ping_is_answered_and_its_round_trip_measured() -> None:
    pair = ready(Rules(heartbeat_interval=5.0))
    pair.server.protocol.expire(5.0)
    pair.now = 5.25
    pair.carry()
    assert pair.server.got == [(HEARTBEAT, 2, 0.25)]
    assert pair.client.got == []


@pytest.mark.parametrize("payload", ["1", '"1"', "true", "1.0"])
def test_what_javascript_takes_for_a_ping(payload: str) -> None:
    pair = ready()
    pair.server.protocol.receive("15\0\0\0\2" + payload, 0.0)
    assert pair.server.out == [b"15\0\0\0\x022"]


def test_a_pong_that_nobody_asked_for_has_no_round_trip() -> None:
    assert ready().server.protocol.receive("15\0\0\0\x022", 0.0) == (HEARTBEAT, 2, None)


def test_pings_can_be_turned_off_but_are_answered() -> None:
    pair = ready(Rules(heartbeat_enabled=False))
    assert pair.server.protocol.deadline() == math.inf
    pair.server.protocol.receive("15\0\0\0\x021", 1.0)
    assert pair.server.protocol.deadline() == math.inf
    assert pair.server.out == [b"15\0\0\0\x022"]


def test_a_heartbeat_timeout_ends_the_link_sooner() -> None:
    server = ready(Rules(heartbeat_interval=5.0, heartbeat_timeout=1.0)).server.protocol
    server.expire(5.0)
    assert server.deadline() == 6.0
    with pytest.raises(ProtocolError, match="Missed Heartbeats"):
        server.expire(6.0)


# --- anything


@given(st.lists(st.text(st.characters(max_codepoint=0x120), max_size=12) | st.sampled_from(
    ['11\0\0\0\1{"id":"%s"}' % CLIENT, "13\0\0\0\2{}", "23\0\0\0\3[", "13\0\0\0\3]", "15\0\0\0\x041"]
)))  # fmt: skip
def test_only_protocol_errors_come_out(frames: list[str]) -> None:
    server = Side(SERVER, Rules())
    try:
        for frame in frames:
            packet = server.protocol.receive(frame, 0.0)
            if packet is not None and packet[0] is AUTH:
                server.protocol.authenticate(None)
                server.protocol.accept(0.0)
                list(server.protocol.release(0.0))
    except ProtocolError:
        pass


class Conversation(RuleBasedStateMachine):
    """Two machines, any interleaving: each message arrives once and in order."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = ready()
        self.sent: dict[str, list[object]] = {"client": [], "server": []}

    @rule(side=st.sampled_from(["client", "server"]), value=st.integers() | st.text(max_size=5))
    def send(self, side: str, value: object) -> None:
        getattr(self.pair, side).protocol.send(LINK, text(value))
        self.sent[side].append(value)

    @rule(side=st.sampled_from(["client", "server"]))
    def send_much(self, side: str) -> None:
        value = "é" * (CHUNK + 5)
        getattr(self.pair, side).protocol.send(LINK, text(value))
        self.sent[side].append(value)

    @rule(side=st.sampled_from(["client", "server"]), count=st.integers(1, 5))
    def deliver(self, side: str, count: int) -> None:
        sender, other = getattr(self.pair, side), self._other(side)
        for frame in sender.out[:count]:
            other.take(frame, self.pair.now)
        del sender.out[:count]

    @rule(side=st.sampled_from(["client", "server"]), again=st.booleans())
    def ping(self, side: str, again: bool) -> None:
        getattr(self.pair, side).protocol.ping(self.pair.now)

    @rule()
    def wait(self) -> None:
        self.pair.now += 1.0

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        for side in ("client", "server"):
            arrived = self._other(side).values()
            sent = self.sent[side]
            assert (
                [v if isinstance(v, str) else int(v) for v in arrived]
                == [  # type: ignore[call-overload]
                    v if isinstance(v, str) else int(float(v) if not -(2**63) <= v < 2**64 else v)  # type: ignore[operator, call-overload]
                    for v in sent[: len(arrived)]
                ]
            )

    def teardown(self) -> None:
        self.pair.carry()
        for side in ("client", "server"):
            assert len(self._other(side).values()) == len(self.sent[side])

    def _other(self, side: str) -> Side:
        return self.pair.server if side == "client" else self.pair.client


TestConversation = Conversation.TestCase
