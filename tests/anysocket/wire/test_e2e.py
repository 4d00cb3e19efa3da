from __future__ import annotations

import base64
import hashlib
import math
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.anysocket.wire.pair import CLIENT, SERVER, Pair, Side, ready, text
from wirehop.anysocket.wire import e2e
from wirehop.anysocket.wire.packet import CHUNK, PacketType, encode_head
from wirehop.anysocket.wire.protocol import Rules, State
from wirehop.anysocket.wire.sequence import LAST
from wirehop.anysocket.wire.switch import SETTLE
from wirehop.core import json
from wirehop.errors import LimitExceeded, ProtocolError

LINK, INTERNAL = PacketType.LINK, PacketType.INTERNAL
SWITCH, HEARTBEAT = PacketType.SWITCH, PacketType.HEARTBEAT

RANDOM = random.Random(1).randbytes


def secured(rules: Rules | None = None, *, server_begins: bool = False) -> Pair:
    """A pair that is encrypted and has delivered nothing yet."""
    pair = ready(rules)
    (pair.server if server_begins else pair.client).protocol.switch(0.0)
    pair.carry()
    pair.client.got.clear()
    pair.server.got.clear()
    return pair


# --- the exchange of keys


@pytest.mark.parametrize("server_begins", [True, False])
def test_both_sides_are_encrypted_and_know_it(server_begins: bool) -> None:
    pair = ready()
    pair.client.protocol.send(LINK, text("plain"))
    first, other = (pair.server, pair.client) if server_begins else (pair.client, pair.server)
    first.protocol.switch(0.0)
    assert first.protocol.state is State.SWITCHING
    assert first.protocol.fingerprint is None
    pair.carry()
    assert [kind for kind, _, _ in first.got if kind is SWITCH] == [SWITCH]
    assert [kind for kind, _, _ in other.got if kind is SWITCH] == [SWITCH]
    assert first.protocol.state is other.protocol.state is State.SECURED
    assert first.protocol.fingerprint == other.protocol.fingerprint
    assert len(first.protocol.fingerprint or "") == 32
    for side, receiver in ((first, other), (other, first)):
        side.protocol.send(LINK, text({"secret": 1}))
        assert b"secret" not in side.out[0]
        pair.carry()
        assert receiver.values()[-1] == {"secret": 1}
        assert not side.protocol.is_holding()


def test_every_pair_has_its_own_keys() -> None:
    first, second = ready(), ready()
    second.client.protocol._random = second.server.protocol._random = random.Random(7).randbytes
    for pair in (first, second):
        pair.client.protocol.switch(0.0)
        pair.carry()
    assert first.client.protocol.fingerprint != second.client.protocol.fingerprint


def test_what_is_sent_meanwhile_waits_and_comes_in_order() -> None:
    pair = ready()
    client, server = pair.client, pair.server
    client.protocol.send(LINK, text("before"))
    server.protocol.send(LINK, text("plain from the other"))
    client.protocol.switch(0.0)
    client.protocol.send(LINK, text("behind"))
    client.protocol.send(INTERNAL, text({"type": 5}))
    client.protocol.reply(LINK, 2, text("an answer"))
    assert len(client.out) == 2
    assert client.protocol.is_holding()
    pair.carry()
    assert [(kind, value) for kind, _, value in server.got if kind is not SWITCH] == [
        (LINK, "before"),
        (LINK, "behind"),
        (INTERNAL, {"type": 5}),
        (LINK, "an answer"),
    ]
    assert client.values() == ["plain from the other"]


def test_what_waits_has_a_limit() -> None:
    pair = ready(Rules(send_limit=280))
    client = pair.client.protocol
    client.switch(0.0)
    client.send(LINK, b"1" * 60)
    with pytest.raises(LimitExceeded, match="280 bytes wait"):
        client.send(LINK, b"1" * 160)
    client.send(LINK, b"1" * 40)
    with pytest.raises(LimitExceeded, match="280 bytes wait"):
        client.forward(b"6" + b"1" * 80)
    # A ping that cannot be answered is no mistake of the other side.
    client.receive("15\0\0\0\x091", 0.0)
    client.ping(0.0)
    pair.carry()
    assert len(pair.server.values()) == 2
    assert HEARTBEAT not in [kind for kind, _, _ in pair.server.got]


def test_a_forward_frame_does_not_overtake_what_waits() -> None:
    pair = ready()
    client = pair.client.protocol
    client.forward(b"6first")
    client.switch(0.0)
    client.send(INTERNAL, text({"type": 1}))
    client.forward(b"6second")
    assert [out[:2] for out in pair.client.out] == [b"6f", b"14"]
    pair.carry()
    client.forward(b"6third")
    pair.carry()
    assert [value for kind, _, value in pair.server.got if kind is not SWITCH] == [
        "6first",
        {"type": 1},
        "6second",
        "6third",
    ]


@pytest.mark.parametrize(("client", "server"), [(CLIENT, SERVER), (SERVER, CLIENT)])
def test_two_of_ours_may_begin_at_once(client: str, server: str) -> None:
    pair = Pair(None, client, server)
    pair.authenticate()
    for side in (pair.client, pair.server):
        side.protocol.switch(0.0)
        side.protocol.send(LINK, text("hello"))
    pair.carry()
    for side in (pair.client, pair.server):
        assert side.values() == ["hello"]
        assert side.protocol.state is State.SECURED
    assert pair.client.protocol.fingerprint == pair.server.protocol.fingerprint


def test_an_answer_that_does_not_come_is_not_waited_for_for_ever() -> None:
    client = ready(Rules(e2e_timeout=5.0, heartbeat_interval=1.0)).client
    client.protocol.switch(0.0)
    assert client.protocol.deadline() == 5.0
    client.protocol.expire(4.9)
    # No ping while the other side may not answer one.
    assert len(client.out) == 1
    with pytest.raises(ProtocolError, match="e2e timed out"):
        client.protocol.expire(5.0)


# --- a side that is not ours


class Foreign:
    """The keys of a JavaScript peer, who knows no marks in nonces."""

    def __init__(self) -> None:
        self.keys = e2e.Keys(random.Random(5).getrandbits(500), "ab" * 32)

    def switch(self, seq: int) -> str:
        return encode_head(SWITCH, seq).decode() + json.dumps(self.keys.message()).decode()

    def led_by_us(self, switch: bytes) -> e2e.Session:
        theirs = self._offer(switch)
        return e2e.Session(self.keys.secret(theirs), theirs.nonce + self.keys.nonce, CLIENT, RANDOM)

    def led_by_it(self, switch: bytes) -> e2e.Session:
        theirs = self._offer(switch)
        return e2e.Session(self.keys.secret(theirs), self.keys.nonce + theirs.nonce, SERVER, RANDOM)

    def _offer(self, switch: bytes) -> e2e.Offer:
        return e2e.Offer.parse(json.loads(switch.decode()[6:]))


def frame(kind: PacketType, seq: int, session: e2e.Session, value: object) -> str:
    return encode_head(kind, seq).decode() + session.seal(abs(seq), text(value)).decode()


def begun() -> tuple[Side, bytes, Foreign]:
    """A client that began, its SWITCH, and who it talks to."""
    client = ready().client
    client.protocol.switch(0.0)
    (switch,) = client.out
    client.out.clear()
    return client, switch, Foreign()


def test_a_foreign_answer() -> None:
    client, switch, foreign = begun()
    client.protocol.send(LINK, text("waits"))
    client.take(foreign.switch(2).encode(), 0.0)
    assert client.protocol.state is State.SECURED
    # It may be an offer that crossed ours: what it says next shows whom it follows.
    assert not client.out
    assert client.protocol.deadline() == SETTLE
    session = foreign.led_by_us(switch)
    client.take(frame(LINK, 3, session, "first").encode(), 0.0)
    assert client.values() == ["first"]
    (sent,) = client.out
    assert session.open(3, sent.decode()[6:]) == '"waits"'


def test_a_foreign_answer_of_one_who_keeps_silent() -> None:
    client, switch, foreign = begun()
    client.protocol.send(LINK, text("waits"))
    client.take(foreign.switch(2).encode(), 1.0)
    client.protocol.expire(1.0)
    assert not client.out
    client.protocol.expire(1.0 + SETTLE)
    session = foreign.led_by_us(switch)
    assert session.open(3, client.out[0].decode()[6:]) == '"waits"'
    client.take(frame(LINK, 3, session, "first").encode(), 2.0)
    assert client.values() == ["first"]


def test_a_foreign_offer_that_crossed_ours() -> None:
    client, switch, foreign = begun()
    client.protocol.send(LINK, text("waits"))
    client.take(foreign.switch(2).encode(), 0.0)
    session = foreign.led_by_it(switch)
    client.take(frame(LINK, 3, session, "first").encode(), 0.0)
    client.protocol.send(LINK, text("more"))
    assert client.values() == ["first"]
    assert [session.open(3 + n, sent.decode()[6:]) for n, sent in enumerate(client.out)] == [
        '"waits"',
        '"more"',
    ]


def test_a_foreign_offer_that_crossed_ours_and_nothing_waited() -> None:
    client, switch, foreign = begun()
    client.take(foreign.switch(2).encode(), 0.0)
    client.protocol.expire(SETTLE)
    session = foreign.led_by_it(switch)
    client.take(frame(LINK, 3, session, "first").encode(), 1.0)
    client.protocol.send(LINK, text("ours"))
    assert session.open(3, client.out[0].decode()[6:]) == '"ours"'


def test_who_has_spoken_has_chosen() -> None:
    client, switch, foreign = begun()
    client.take(foreign.switch(2).encode(), 0.0)
    client.protocol.expire(SETTLE)
    client.protocol.send(LINK, text("to one who leads, as it turns out"))
    with pytest.raises(ProtocolError, match="cannot be decrypted"):
        client.protocol.receive(frame(LINK, 3, foreign.led_by_it(switch), "first"), 1.0)


def test_what_waits_for_a_proof_goes_out_before_the_end() -> None:
    client, switch, foreign = begun()
    client.protocol.send(LINK, text("last words"))
    client.protocol.finish()
    assert not client.out
    client.take(foreign.switch(2).encode(), 0.0)
    client.protocol.finish()
    assert foreign.led_by_us(switch).open(3, client.out[0].decode()[6:]) == '"last words"'


def test_a_foreign_offer_is_answered_with_a_plain_switch() -> None:
    server, foreign = ready().server, Foreign()
    server.take(foreign.switch(2).encode(), 0.0)
    (answer,) = server.out
    assert answer.startswith(b'14\0\0\0\2{"type":2,"key":"B')
    message = json.loads(answer.decode()[6:])
    assert set(message) == {"type", "key", "nonce"}
    assert len(base64.b64decode(message["key"])) == 133
    assert len(message["nonce"]) == 64


# --- heartbeats


def test_a_ping_during_the_switch_is_answered_after_it() -> None:
    pair = ready()
    pair.server.protocol.ping(0.0)
    pair.client.protocol.switch(0.0)
    (ping,) = pair.server.out
    pair.server.out.clear()
    pair.client.take(ping, 0.0)
    assert len(pair.client.out) == 1
    pair.now = 0.5
    pair.carry()
    assert (HEARTBEAT, 3, 0.5) in pair.server.got


def test_a_ping_of_the_side_that_switches_waits() -> None:
    pair = ready()
    pair.client.protocol.switch(0.0)
    pair.client.protocol.ping(0.0)
    assert len(pair.client.out) == 1
    pair.now = 0.25
    pair.carry()
    assert [value for kind, _, value in pair.client.got if kind is HEARTBEAT] == [0.25]


@pytest.mark.parametrize("payload", ["1", "2"])
def test_a_plain_heartbeat_is_taken_until_the_first_encrypted_frame(payload: str) -> None:
    pair = secured()
    pair.server.protocol.receive("15\0\0\0\5" + payload, 0.0)
    assert len(pair.server.out) == (payload == "1")
    pair.server.out.clear()
    pair.client.protocol.send(LINK, text(1))
    pair.carry()
    with pytest.raises(ProtocolError, match="cannot be decrypted"):
        pair.server.protocol.receive("15\0\0\0\6" + payload, 0.0)


def test_encrypted_heartbeats() -> None:
    pair = secured(Rules(heartbeat_interval=5.0))
    pair.client.protocol.expire(5.0)
    assert len(pair.client.out[0]) == 6 + 64
    pair.now = 5.5
    pair.carry()
    assert pair.client.got == [(HEARTBEAT, 3, 0.5)]
    assert pair.client.protocol.deadline() == 10.5


# --- what no peer sends


PLAIN = [
    "13\0\0\0\5{}",
    '12\0\0\0\5{"type":5}',
    "13\0\0\0\5null",
    "15\0\0\0\x053",
    '14\0\0\0\5{"type":2}',
    '11\0\0\0\5{"id":"%s"}' % CLIENT,
]


@pytest.mark.parametrize("packet", PLAIN)
def test_plain_packets_are_not_taken_any_more(packet: str) -> None:
    pair = secured()
    with pytest.raises(ProtocolError, match="Invalid Packet!"):
        pair.server.protocol.receive(packet, 0.0)


def test_a_link_is_encrypted_once() -> None:
    pair = secured()
    pair.client.protocol.send(SWITCH, json.dumps(Foreign().keys.message()))
    with pytest.raises(ProtocolError, match="SWITCH while SECURED"):
        pair.carry()


POINT = Foreign().keys.point
OFF_CURVE = POINT[:-1] + bytes([POINT[-1] ^ 1])
P256 = ec.derive_private_key(5, ec.SECP256R1()).public_key().public_numbers()


@pytest.mark.parametrize(
    ("key", "nonce"),
    [
        (None, "ab" * 32),
        ("", "ab" * 32),
        (1, "ab" * 32),
        ("?", "ab" * 32),
        (OFF_CURVE, "ab" * 32),
        (bytes(133), "ab" * 32),
        (b"\4" + bytes(132), "ab" * 32),
        (b"\0", "ab" * 32),
        (b"\4" + P256.x.to_bytes(32, "big") + P256.y.to_bytes(32, "big"), "ab" * 32),
        (b"\2" + POINT[1:67], "ab" * 32),
        (POINT + b"\0", "ab" * 32),
        (POINT, None),
        (POINT, ""),
        (POINT, "ab" * 31),
        (POINT, "AB" * 32),
        (POINT, ["ab"] * 64),
    ],
)
@pytest.mark.parametrize("begins", [True, False])
def test_bad_keys_close_the_link(key: Any, nonce: Any, begins: bool) -> None:
    client = ready().client
    if begins:
        client.protocol.switch(0.0)
        client.out.clear()
    if isinstance(key, bytes):
        key = base64.b64encode(key).decode()
    offer = json.dumps({"type": 2, "key": key, "nonce": nonce}).decode()
    with pytest.raises(ProtocolError, match="Invalid Packet!") as refused:
        client.protocol.receive("14\0\0\0\2" + offer, 0.0)
    assert refused.value.close_code == 1002
    assert not client.out
    assert client.protocol.state is not State.SECURED


@pytest.mark.parametrize("value", ["null", "[]", "1", '""', "{}"])
def test_a_switch_that_is_no_object_closes_the_link(value: str) -> None:
    with pytest.raises(ProtocolError, match="Invalid Packet!"):
        ready().client.protocol.receive("14\0\0\0\2" + value, 0.0)


def failure(mangled: str) -> str:
    pair = secured()
    with pytest.raises(ProtocolError) as failed:
        pair.server.protocol.receive(mangled, 0.0)
    return f"{failed.value} {failed.value.close_code}"


def encrypted(value: object) -> str:
    """A LINK packet of the client of :func:`secured`."""
    pair = secured()
    pair.client.protocol.send(LINK, text(value))
    return pair.client.out[0].decode()


def test_whatever_does_not_decrypt_fails_alike() -> None:
    whole = encrypted({"secret": "x" * 30})
    head, payload = whole[:6], whole[6:]
    shapes = set()
    for mangled in (
        "",
        payload[:-1],
        payload[:-2],
        payload[:-32],
        payload[:32],
        payload[:16],
        payload[32:],
        payload + "00" * 16,
        payload + "0",
        "zz" + payload[2:],
        payload[:31] + " " + payload[32:],
        "é" + payload[1:],
        "😀" * 32,
        payload[32:64] + payload[:32] + payload[64:],
        "00" * 64,
    ):
        shapes.add(failure(head + mangled))
    assert shapes == {"Invalid Packet! (a payload that cannot be decrypted) 1002"}


def test_every_flipped_bit_is_an_error_or_another_message_but_never_null() -> None:
    # The wire has no tag: a flipped bit of the IV may pass for another value.
    value = {"secret": "x" * 30}
    whole = encrypted(value)
    raw = bytearray.fromhex(whole[6:])
    failures, shapes = 0, set()
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        pair = secured()
        try:
            packet = pair.server.protocol.receive(whole[:6] + flipped.hex(), 0.0)
        except ProtocolError as error:
            shapes.add(str(error))
            failures += 1
        else:
            assert packet is not None
            assert packet[2] is not None
            assert packet[2] != value
    assert shapes == {"Invalid Packet! (a payload that cannot be decrypted)"}
    assert failures > len(raw) * 6


def test_what_decrypts_to_something_else_than_json_fails_alike() -> None:
    pair = secured()
    pair.client.protocol.send(LINK, b"{{{")
    with pytest.raises(ProtocolError, match="cannot be decrypted"):
        pair.carry()


def test_the_number_is_part_of_the_key() -> None:
    whole = encrypted({"a": 1})
    other = whole[:2] + encode_head(LINK, 9).decode()[2:] + whole[6:]
    assert "cannot be decrypted" in failure(other)


def test_a_repeated_packet_is_delivered_once() -> None:
    pair = secured()
    pair.client.protocol.send(LINK, text("once"))
    sealed = pair.client.out[0]
    for _ in range(3):
        pair.server.take(sealed, 0.0)
    assert pair.server.values() == ["once"]
    assert pair.server.protocol.dropped == 2


def test_numbers_are_not_used_twice_with_the_same_keys() -> None:
    pair = secured()
    client = pair.client.protocol
    client._seq = LAST - 2
    pair.server.protocol._seen.upcoming = LAST - 1
    client.send(LINK, text("the last"))
    for _ in range(2):
        with pytest.raises(LimitExceeded, match="used up"):
            client.send(LINK, text("one too many"))
    client.ping(0.0)
    pair.carry()
    assert pair.server.values() == ["the last"]
    assert HEARTBEAT in [kind for kind, _, _ in pair.client.got]


def test_encrypted_chunks() -> None:
    pair = secured()
    for value in ("a" * (2 * CHUNK), "é😀" * CHUNK, "b" * (CHUNK - 2), "b" * (CHUNK - 1)):
        pair.client.protocol.send(LINK, text(value))
        assert not [out for out in pair.client.out if out[6:].isalpha()]
        pair.carry()
        assert pair.server.values()[-1] == value


def test_swapped_chunks_are_no_message() -> None:
    pair = secured()
    pair.client.protocol.send(LINK, text(["x" * CHUNK, "y" * CHUNK]))
    first, second, last = pair.client.out
    pair.client.out[:] = [second, first, last]
    with pytest.raises(ProtocolError, match="cannot be decrypted"):
        pair.carry()


def test_a_switch_behind_the_auth_waits_for_the_decision() -> None:
    # A server may encrypt as soon as it has accepted; the client may still be deciding.
    pair = Pair()
    pair.client.protocol.authenticate(None)
    pair.carry()
    pair.server.protocol.authenticate(None)
    pair.server.protocol.accept(0.0)
    list(pair.server.protocol.release(0.0))
    pair.server.protocol.send(LINK, text("plain"))
    pair.server.protocol.ping(0.0)
    pair.server.protocol.switch(0.0)
    pair.server.protocol.send(LINK, text("secret"))
    pair.carry()
    assert pair.client.protocol.state is State.DECIDING
    pair.client.protocol.accept(0.0)
    pair.client.got += pair.client.protocol.release(0.0)
    pair.carry()
    assert pair.client.values() == ["plain", "secret"]
    assert pair.client.protocol.state is State.SECURED


def test_a_closed_link_forgets_its_switch() -> None:
    client, _, _ = begun()
    client.protocol.send(LINK, text("waits"))
    client.protocol.close()
    client.protocol.expire(100.0)
    assert client.protocol.deadline() == math.inf
    assert not client.out


# --- the cryptography beside the plain interfaces


@given(
    st.binary(min_size=65, max_size=200), st.integers(1, LAST), st.binary(min_size=64, max_size=64), st.text()
)
@example(b"s" * 128, 1, b"0" * 64, "a" * 15)
@example(b"s" * 128, 1, b"0" * 64, "a" * 16)
def test_keys_and_payloads_are_what_their_definition_says(
    secret: bytes, number: int, nonces: bytes, plain: str
) -> None:
    session = e2e.Session(secret, nonces.hex(), CLIENT, RANDOM)
    nonce = hashlib.pbkdf2_hmac("sha256", nonces.hex().encode(), f"{CLIENT}_0".encode(), 1, 32).hex()
    key = hashlib.pbkdf2_hmac("sha256", secret, f"{nonce}_{number}".encode(), 1, 32)
    assert session.key(number) == key
    data = plain.encode("utf-8", "surrogatepass")
    sealed = session.seal(number, data)
    raw = bytes.fromhex(sealed.decode())
    cipher = Cipher(algorithms.AES(key), modes.CBC(raw[:16])).decryptor()
    padded = cipher.update(raw[16:]) + cipher.finalize()
    count = padded[-1]
    assert padded == data + bytes([count]) * count
    assert session.open(number, sealed.decode()) == plain


def test_no_iv_is_used_twice() -> None:
    session = e2e.Session(b"x" * 128, "", CLIENT, RANDOM)
    ivs = {session.seal(1, b"same")[:32] for _ in range(3 * e2e.IVS)}
    assert len(ivs) == 3 * e2e.IVS


# --- anything


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=0x120), max_size=80), st.sampled_from([2, 3, 4, 5]))
def test_only_protocol_errors_come_out(payload: str, kind: int) -> None:
    pair = secured()
    with pytest.raises(ProtocolError, match="Invalid Packet!"):
        pair.server.protocol.receive(f"1{kind}\0\0\0\x09" + payload + "!", 0.0)


class Switching(RuleBasedStateMachine):
    """Two machines, any interleaving, and a switch in the middle that either side or both begin:
    each message arrives once and in order, and what was sent after the switch began is not plain."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, list[object]] = {"client": [], "server": []}

    @initialize(turned=st.booleans())
    def start(self, turned: bool) -> None:
        self.pair = Pair(Rules(heartbeat_enabled=False), *((SERVER, CLIENT) if turned else (CLIENT, SERVER)))
        self.pair.authenticate()
        self.pair.client.got.clear()
        self.pair.server.got.clear()

    def side(self, name: str) -> Side:
        side: Side = getattr(self.pair, name)
        return side

    @rule(name=st.sampled_from(["client", "server"]))
    def switch(self, name: str) -> None:
        if self.side(name).protocol.state is State.CONNECTED:
            self.side(name).protocol.switch(self.pair.now)

    @rule(name=st.sampled_from(["client", "server"]), is_reply=st.booleans(), is_large=st.booleans())
    def send(self, name: str, is_reply: bool, is_large: bool) -> None:
        side = self.side(name)
        count = len(self.sent[name])
        value = f"SECRET {count} " + ("x" * CHUNK if is_large else "")
        wrote = len(side.out)
        if is_reply:
            side.protocol.reply(LINK, count + 1, text(value))
        else:
            side.protocol.send(LINK, text(value))
        self.sent[name].append(value)
        if side.protocol.state is not State.CONNECTED:
            assert not any(b"SECRET" in out for out in side.out[wrote:])

    @rule(name=st.sampled_from(["client", "server"]))
    def ping(self, name: str) -> None:
        self.side(name).protocol.ping(self.pair.now)

    @rule(name=st.sampled_from(["client", "server"]), count=st.integers(1, 5))
    def deliver(self, name: str, count: int) -> None:
        sender, other = self.side(name), self.other(name)
        for out in sender.out[:count]:
            other.take(out, self.pair.now)
        del sender.out[:count]

    @precondition(lambda self: hasattr(self, "pair"))
    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        for name in ("client", "server"):
            arrived = self.other(name).values()
            assert arrived == self.sent[name][: len(arrived)]

    def teardown(self) -> None:
        if not hasattr(self, "pair"):
            return
        self.pair.carry()
        for name in ("client", "server"):
            assert self.other(name).values() == self.sent[name]
        states = {self.pair.client.protocol.state, self.pair.server.protocol.state}
        assert states in ({State.CONNECTED}, {State.SECURED})

    def other(self, name: str) -> Side:
        return self.pair.server if name == "client" else self.pair.client


Switching.TestCase.settings = settings(deadline=None, max_examples=60)
TestSwitching = Switching.TestCase
