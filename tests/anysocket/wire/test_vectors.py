"""The recorded traffic of npm anysocket, replayed against the pure machine, byte for byte."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from tests.anysocket.wire.pair import Pair, Side
from tests.vectors import load, messages
from wirehop.anysocket.wire import e2e
from wirehop.anysocket.wire.packet import (
    PacketType,
    encode,
    encode_forward_head,
    nested_frame,
    parse_forward,
    parse_head,
)
from wirehop.anysocket.wire.protocol import Protocol, Rules, State
from wirehop.anysocket.wire.switch import SETTLE
from wirehop.core import json

QUIET = Rules(heartbeat_enabled=False)

CONVERSATIONS = [
    "anysocket-auth-plain",
    "anysocket-auth-custom",
    "anysocket-send-values",
    "anysocket-unicode",
    "anysocket-seq",
    "anysocket-reply",
    "anysocket-rpc",
    "anysocket-timesync",
    "anysocket-browser-bundle",
    "anysocket-heartbeat-0.4.29",
    "anysocket-heartbeat-0.4.32",
    "anysocket-heartbeat-silent-peer",
]


def replay(frames: list[dict[str, Any]]) -> Pair:
    """Let both machines say what was said. Every byte must be the recorded one, and the other
    machine must take it."""
    auths = [json.loads(frame["text"][6:]) for frame in frames[:2]]
    pair = Pair(QUIET, auths[0]["id"], auths[1]["id"])
    for index, frame in enumerate(frames):
        from_client = frame["dir"] == "client->server"
        sender, receiver = (pair.client, pair.server) if from_client else (pair.server, pair.client)
        say(sender.protocol, frame["text"], auths[index].get("auth") if index < 2 else None)
        assert [out.hex() for out in sender.out] == [frame["hex"]]
        sender.out.clear()
        packet = receiver.protocol.receive(frame["text"], 0.0)
        # What the machine answers by itself (a pong) is recorded as well.
        receiver.out.clear()
        if packet is not None:
            receiver.get([packet])
            if packet[0] is PacketType.AUTH:
                admit(receiver.protocol, answers=from_client)
    return pair


def say(protocol: Protocol, frame: str, auth: Any) -> None:
    _, kind, seq = parse_head(frame)
    payload = frame[6:].encode()
    if kind is PacketType.AUTH:
        protocol.authenticate(auth)
        if protocol.state is State.DECIDING:
            protocol.accept(0.0)
            list(protocol.release(0.0))
    elif seq < 0:
        protocol.reply(kind, -seq, payload)
    else:
        # The recordings of "seq" set the sender's counter by force.
        protocol._seq = seq - 1
        protocol.send(kind, payload)


def admit(protocol: Protocol, *, answers: bool) -> None:
    if not answers:
        protocol.accept(0.0)
        list(protocol.release(0.0))


def heard(side: Side, kind: PacketType) -> list[Any]:
    return [value for of, seq, value in side.got if of is kind and seq > 0]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversations_replay(name: str) -> None:
    frames = messages(load(name))
    pair = replay(frames)
    assert pair.client.protocol.state is State.CONNECTED
    assert pair.server.protocol.state is State.CONNECTED
    for side, direction in ((pair.server, "client->server"), (pair.client, "server->client")):
        said = [frame["text"] for frame in frames if frame["dir"] == direction]
        for kind in (PacketType.LINK, PacketType.INTERNAL):
            expected = [json.loads(text[6:]) for text in said if text[1] == str(kind.value)]
            assert [value for of, _, value in side.got if of is kind] == expected


def test_values_arrive_as_they_did_in_javascript() -> None:
    recording = load("anysocket-send-values")
    pair = replay(messages(recording))
    # 123456789012345680000 is a double there and here; the recording has its digits.
    for side, direction in ((pair.server, "received_by_server"), (pair.client, "received_by_client")):
        expected = [
            float(value) if type(value) is int and value > 2**64 else value for value in recording[direction]
        ]
        assert heard(side, PacketType.LINK) == expected
    recording = load("anysocket-unicode")
    assert heard(replay(messages(recording)).server, PacketType.LINK) == recording["received"]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_our_json_is_the_same_text(name: str) -> None:
    for frame in messages(load(name)):
        text = frame["text"][6:]
        value = json.loads(text)
        # Python writes some numbers in another way: 1e-07, 123456789012345680000 as it is.
        if not isinstance(value, float):
            assert json.dumps(value).decode() == text


def test_onauth_sees_what_it_saw_in_javascript() -> None:
    recording = load("anysocket-auth-custom")
    pair = replay(messages(recording))
    assert heard(pair.server, PacketType.AUTH) == [recording["onauth_arguments"]["server"]]
    assert heard(pair.client, PacketType.AUTH) == [recording["onauth_arguments"]["client"]]


def test_a_rejected_auth_is_not_answered() -> None:
    frames = messages(load("anysocket-auth-rejected"))
    server = Side("0" * 32, QUIET)
    packet = server.protocol.receive(frames[0]["text"], 0.0)
    assert packet is not None
    assert packet[2]["auth"] == {"k": "wrong"}
    assert not server.out
    replay(frames[1:])


def test_a_duplicate_gets_its_answer_before_the_close() -> None:
    recording = load("anysocket-auth-duplicate")
    for conn in {frame["conn"] for frame in recording["frames"]}:
        replay(messages(recording, conn))


def test_heartbeats_are_sent_as_they_were() -> None:
    frames = messages(load("anysocket-heartbeat-0.4.29"))
    pings = [frame for frame in frames if frame["text"].startswith("15") and frame["text"][6:] == "1"]
    assert len(pings) > 3
    client = Side("0" * 32, Rules(heartbeat_interval=0.3, heartbeats_max_missed=1000))
    client.protocol.accept(0.0)
    client.protocol._seq = 2
    for _ in pings:
        client.protocol.expire(client.protocol.deadline())
    assert [out.hex() for out in client.out] == [frame["hex"] for frame in pings]


@pytest.mark.parametrize("index", range(7))
def test_large_messages_are_cut_where_javascript_cuts_them(index: int) -> None:
    recording = load("anysocket-chunks")
    case = recording["cases"][index]
    seq = index + 2
    recorded = [
        frame
        for frame in messages(recording)[2:]
        if frame["dir"] == "client->server"
        and parse_head((frame.get("text") or frame["text_prefix"])[:6])[2] == seq
    ]
    value = case["prefix"] + case["unit"] * case["count"] + case["suffix"]
    frames = encode(PacketType.LINK, seq, json.dumps(value))
    splits_a_pair = case["received"]["replacement_chars"] > 0
    if not splits_a_pair:
        assert len(frames) == len(recorded)
        for ours, theirs in zip(frames, recorded, strict=True):
            if "hex" in theirs:
                assert ours.hex() == theirs["hex"]
            else:
                assert len(ours) == theirs["length_bytes"]
                assert hashlib.sha256(ours).hexdigest() == theirs["sha256_utf8"]
    # Where JavaScript tears a character in two, we cut before it: the receiver gets it whole.
    receiver = Side("0" * 32, QUIET)
    receiver.protocol.accept(0.0)
    list(receiver.protocol.release(0.0))
    for frame in frames:
        receiver.take(frame, 0.0)
    assert receiver.values() == [value]


def test_every_case_of_the_recording_is_replayed() -> None:
    assert len(load("anysocket-chunks")["cases"]) == 7


# --- encryption


def test_keys_and_payloads_are_those_of_javascript() -> None:
    recording = load("anysocket-crypto")
    for exchange in recording["key_exchanges"]:
        initiator, responder = (recorded_keys(exchange, side) for side in ("initiator", "responder"))
        for keys, side in ((initiator, "initiator"), (responder, "responder")):
            assert keys.message() == {
                "type": 2,
                "key": exchange[f"{side}_public_base64"],
                "nonce": exchange[f"{side}_nonce"],
            }
        secret = exchange["secret"].encode()
        assert initiator.secret(e2e.Offer.parse(responder.message())) == secret
        assert responder.secret(e2e.Offer.parse(initiator.message())) == secret
        leader = exchange["initiator_id"]
        for session in (
            e2e.answer(responder, initiator, leader, bytes),
            e2e.agree(initiator, responder, leader, "0" * 32, bytes)[0],
            e2e.agree(responder, initiator, "0" * 32, leader, bytes)[1],
        ):
            assert session is not None
            keys_of_packets = {number: session.key(int(number)).hex() for number in exchange["packet_keys"]}
            assert keys_of_packets == exchange["packet_keys"]


def recorded_keys(exchange: dict[str, Any], side: str) -> e2e.Keys:
    return e2e.Keys(int(exchange[f"{side}_private_hex"], 16), exchange[f"{side}_nonce"])


def before_encryption(key: bytes, iv: str) -> bytes:
    """The random block from which this IV (in hex) is made under the key."""
    return Cipher(AES256(key), ECB()).decryptor().update(bytes.fromhex(iv))


def test_payloads_are_those_of_javascript(monkeypatch: pytest.MonkeyPatch) -> None:
    encryptions = load("anysocket-crypto")["encryptions"]
    assert len(encryptions) == 6
    for case in encryptions:
        key = bytes.fromhex(case["key_hex"])
        block = before_encryption(key, case["payload"][:32])
        session = e2e.Session(b"", "", "", lambda size, block=block: block)  # type: ignore[misc]
        monkeypatch.setattr(e2e.Session, "key", lambda self, number, key=key: key)
        assert session.open(1, case["payload"]) == case["decrypted"]
        assert session.seal(1, case["decrypted"].encode()).decode() == case["payload"]


class Recorded:
    """Two machines that make the recorded keys and IVs, and say what was said."""

    def __init__(self, recording: dict[str, Any], monkeypatch: pytest.MonkeyPatch, first: str) -> None:
        keys = recording["keys"]
        self.blocks: list[bytes] = []
        ids = {"client": recording.get("client_id"), "server": recording.get("server_id")}
        if "ids" in recording:
            ids = {"client": recording["ids"]["A"], "server": recording["ids"]["B"]}
        self.pair = Pair(QUIET, ids["client"], ids["server"])
        for side in (self.pair.client.protocol, self.pair.server.protocol):
            side._random = lambda size: self.blocks.pop() if self.blocks else bytes(16)
        self.leader = self.pair.client if keys["initiator_id"] == ids["client"] else self.pair.server
        self.pairs = [
            e2e.Keys(int(keys[side]["private_hex"], 16), keys[side]["nonce"])
            for side in ("initiator", "responder")
        ]
        monkeypatch.setattr(e2e.Keys, "make", lambda random, other=None: self.pairs.pop(0))
        self.first = first
        self.open: dict[int, list[str]] = {}
        self.offer = ""

    def replay(self, frame: str, plain: str, direction: str) -> None:
        """Let the machine of this direction say ``frame``, and the other one take it."""
        pair = self.pair
        sender, receiver = (
            (pair.client, pair.server) if direction == self.first else (pair.server, pair.client)
        )
        last, kind, seq = parse_head(frame)
        if sender.protocol.state is State.SECURED and kind is not PacketType.SWITCH:
            assert sender.protocol._switch is not None
            key = sender.protocol._switch.session.key(abs(seq))
            self.blocks.append(before_encryption(key, frame[6:38]))
        self.open.setdefault(seq, []).append(plain)
        if last:
            self.say(sender, kind, seq, self.open.pop(seq), frame)
        if kind is PacketType.SWITCH and sender is self.leader:
            # JavaScript makes its keys while others of its packets go out; we answer at once.
            self.offer = frame
            return
        receiver.take(frame.encode(), 0.0)
        # What the machine answers by itself (a pong) is recorded as well.
        receiver.out.clear()
        if receiver.got and receiver.got[-1][0] is PacketType.AUTH:
            admit(receiver.protocol, answers=receiver is pair.server)
        if receiver.protocol.state is State.SECURED:
            # JavaScript may speak first; nobody waits here.
            receiver.protocol.expire(SETTLE)

    def say(self, sender: Side, kind: PacketType, seq: int, chunks: list[str], frame: str) -> None:
        protocol = sender.protocol
        plain = "".join(chunks)
        if kind is PacketType.SWITCH:
            if sender is self.leader:
                protocol._seq = seq - 1
                protocol.switch(0.0)
            else:
                sender.take(self.offer.encode(), 0.0)
        elif len(chunks) == 1:
            say(protocol, frame[:6] + plain, None)
        else:
            # The recording was made with chunks of 32 units.
            self.blocks.reverse()
            assert protocol._switch is not None
            for chunk in chunks:
                sender.out.append(
                    frame[:6].encode() + protocol._switch.session.seal(abs(seq), chunk.encode())
                )
        assert sender.out[-1].decode() == frame
        sender.out.clear()


@pytest.mark.parametrize(
    "name", ["anysocket-e2e-client-initiator", "anysocket-e2e-server-initiator", "anysocket-e2e-small-chunks"]
)
def test_encrypted_conversations_replay(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = load(name)
    recorded = Recorded(recording, monkeypatch, "client->server")
    for frame in messages(recording):
        recorded.replay(frame["text"], frame["plain"], frame["dir"])
    check_all_was_heard(recorded, [(frame["dir"], frame) for frame in messages(recording)])
    if name.endswith("chunks"):
        assert recorded.pair.server.values() == recording["received"]


def check_all_was_heard(recorded: Recorded, frames: list[tuple[str, dict[str, Any]]]) -> None:
    count = 0
    for side, is_mine in ((recorded.pair.server, True), (recorded.pair.client, False)):
        texts: dict[int, str] = {}
        for direction, frame in frames:
            if (direction == recorded.first) is is_mine and frame["type"] in (2, 3):
                texts[frame["seq"]] = texts.get(frame["seq"], "") + frame["plain"]
        heard = {
            seq: value for kind, seq, value in side.got if kind in (PacketType.LINK, PacketType.INTERNAL)
        }
        assert heard == {seq: json.loads(text) for seq, text in texts.items()}
        count += len(heard)
    assert count > 2


# --- relaying


@pytest.mark.parametrize("name", ["anysocket-proxy", "anysocket-proxy-e2e"])
def test_forward_frames_are_laid_out_as_recorded(name: str) -> None:
    frames = [frame for frame in messages(load(name)) if "forward" in frame]
    assert len(frames) > 6
    for frame in frames:
        forward = frame["forward"]
        assert parse_forward(frame["text"]) == (forward["to"], forward["from"])
        assert nested_frame(frame["text"]) == forward["inner"]
        ours = encode_forward_head(forward["to"], forward["from"]) + forward["inner"].encode()
        assert ours.hex() == frame["hex"]


def test_an_encrypted_conversation_through_a_relay_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = load("anysocket-proxy-e2e")
    recorded = Recorded(recording, monkeypatch, "A->relay")
    for side, other in ((recorded.pair.client, "B"), (recorded.pair.server, "A")):
        side.protocol.remote_id = recording["ids"][other]
        side.protocol.accept(0.0)
        list(side.protocol.release(0.0))
    frames = [
        (frame["dir"], frame["forward"])
        for frame in messages(recording)
        if "forward" in frame and frame["dir"].endswith("->relay")
    ]
    for direction, forward in frames:
        recorded.replay(forward["inner"], forward["plain"], direction)
    check_all_was_heard(recorded, frames)


@pytest.mark.parametrize(
    ("name", "conn"),
    [
        ("anysocket-proxy", "A"),
        ("anysocket-proxy", "B"),
        ("anysocket-proxy-e2e", "A"),
        ("anysocket-proxy-e2e", "B"),
        ("anysocket-proxy-failures", "A"),
    ],
)
def test_each_hop_of_a_relayed_conversation_replays(name: str, conn: str) -> None:
    recording = load(name)
    hop = [frame for frame in messages(recording, conn) if "forward" not in frame]
    turned = {f"{conn}->relay": "client->server", f"relay->{conn}": "server->client"}
    assert hop
    if hop[0]["text"].startswith("11"):
        replay([{**frame, "dir": turned[frame["dir"]]} for frame in hop])
    else:
        for frame in hop:
            _, kind, seq = parse_head(frame["text"])
            assert [out.hex() for out in encode(kind, seq, frame["text"][6:].encode())] == [frame["hex"]]
