from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import load
from wirehop.anysocket.wire import packet
from wirehop.anysocket.wire.packer import Packer
from wirehop.anysocket.wire.packet import (
    CHUNK,
    PacketType,
    encode,
    encode_forward_head,
    encode_head,
    is_id,
    nested_frame,
    parse_forward,
    parse_head,
)
from wirehop.errors import ProtocolError

PACKER = load("anysocket-packer")

kinds = st.sampled_from([kind for kind in PacketType if kind is not PacketType.FORWARD])
numbers = st.integers(-(2**31), 2**31 - 1).filter(bool)


@pytest.mark.parametrize("case", PACKER["int32"], ids=lambda case: str(case["value"]))
def test_numbers_are_four_characters(case: dict[str, object]) -> None:
    value = case["value"]
    assert isinstance(value, int)
    head = encode_head(PacketType.LINK, value)
    assert head[2:].hex() == case["hex"]
    if value:
        assert parse_head(head.decode()) == (True, PacketType.LINK, value)


@given(st.booleans(), kinds, numbers)
def test_heads_come_back(last: bool, kind: PacketType, seq: int) -> None:
    assert parse_head(encode_head(kind, seq, last=last).decode()) == (last, kind, seq)


@pytest.mark.parametrize("last_character", ["\0", "\u0101", "\U00010000", ""])
def test_the_last_byte_of_a_number_is_looked_at_each_time(last_character: str) -> None:
    parse_head("13\0\0\0\1")
    with pytest.raises(ProtocolError, match="Invalid Packet!"):
        parse_head("13\0\0\0" + last_character)


def test_heads_in_any_number_come_back() -> None:
    for seq in range(1, 3000 << 8, 255):
        assert parse_head(encode_head(PacketType.LINK, seq).decode()) == (True, PacketType.LINK, seq)
    assert max(len(packet._in), len(packet._out)) <= packet._KEPT


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "1",
        "11",
        "13\0\0\0",
        "19\0\0\0\1{}",
        "10\0\0\0\1{}",
        "33\0\0\0\1{}",
        "1x\0\0\0\1{}",
        "\xff3\0\0\0\1",
    ]
    + ["\xff3\0\0\0\1", "13\0\0\0\0{}", "13\u0100\0\0\1{}", "16\0\0\0\1{}", "1³\0\0\0\1{}"],
)
def test_what_is_no_head_is_refused(frame: str) -> None:
    with pytest.raises(ProtocolError, match="Invalid Packet!") as refused:
        parse_head(frame)
    assert refused.value.close_code == 1002


@given(st.text())
def test_no_text_breaks_the_codec(text: str) -> None:
    try:
        parse_head(text)
    except ProtocolError:
        pass


def test_a_text_of_one_chunk_is_one_frame() -> None:
    for unit in (b"x", "漢".encode()):
        text = unit * CHUNK
        assert encode(PacketType.LINK, 5, text) == [b"13\0\0\0\x05" + text]
    assert len(encode(PacketType.LINK, 5, b"x" * (CHUNK + 1))) == 2
    assert len(encode(PacketType.LINK, 5, "漢".encode() * (CHUNK + 1))) == 2


@pytest.mark.parametrize("before", [0, 1, 2, 3])
@pytest.mark.parametrize("character", ["😀", "é", "漢", "\U0010ffff"])
def test_chunks_never_cut_a_character(before: int, character: str) -> None:
    text = "a" * (CHUNK - before) + character * 3 + "b" * CHUNK
    frames = encode(PacketType.LINK, 7, text.encode())
    decoded = [frame.decode() for frame in frames]
    assert "".join(frame[6:] for frame in decoded) == text
    assert [frame[0] for frame in decoded] == ["2"] * (len(frames) - 1) + ["1"]
    for frame in decoded:
        assert len(frame[6:].encode("utf-16-le")) <= 2 * CHUNK


@pytest.mark.parametrize("case", PACKER["bytes"], ids=lambda case: case["packed"])
def test_bytes_are_packed_as_the_original_does(case: dict[str, str]) -> None:
    assert Packer.pack(bytes.fromhex(case["hex"])) == case["packed"]
    assert Packer.unpack(case["packed"]) == bytes.fromhex(case["hex"])
    assert Packer.unpack(case["packed"].rstrip("=")) == bytes.fromhex(case["hex"])


def test_bad_base64_is_refused() -> None:
    for text in ("?", "a", "ab$=", "é"):
        with pytest.raises(ValueError, match="base64|ASCII"):
            Packer.unpack(text)
    with pytest.raises(TypeError):
        Packer.pack("text")  # type: ignore[arg-type]


def test_what_is_an_id() -> None:
    for case in PACKER["ids"]:
        assert is_id(case["id"])
    for value in (None, 1, "", "x" * 32, "A" * 32, "0" * 31, "0" * 33, ["0"] * 32, b"0" * 32, "__proto__"):
        assert not is_id(value)


ids = st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(ids, ids, st.text())
def test_forward_frames_come_back(to: str, sender: str, nested: str) -> None:
    frame = encode_forward_head(to, sender).decode() + nested
    assert parse_forward(frame) == (to, sender)
    assert nested_frame(frame) == nested


@pytest.mark.parametrize("rest", ["", "\1" * 31, "\u0100" + "\1" * 31, "\1" * 31 + "\u20ac"])
def test_forward_frames_without_two_ids_name_nobody(rest: str) -> None:
    assert parse_forward("6" + rest) is None
