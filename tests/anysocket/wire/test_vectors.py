"""The recorded traffic of npm anysocket, replayed against the pure machine, byte for byte."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.anysocket.wire.pair import Pair, Side
from tests.vectors import load, messages
from wirehop.anysocket.wire.packet import PacketType, encode, parse_head
from wirehop.anysocket.wire.protocol import Protocol, Rules, State
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
            receiver.got.append(packet)
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
