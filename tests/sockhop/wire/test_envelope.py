"""Messages to lines and back, and what is no message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirehop.errors import SockhopError
from wirehop.sockhop.wire import envelope
from wirehop.sockhop.wire.envelope import Incoming, Kind, parse, read
from wirehop.sockhop.wire.types import Types

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
NAMES = st.sampled_from(
    ["SockhopPing", "SockhopPong", "SockhopRequest", "SockhopResponsePacket", "String", "", "constructor"]
)
MEMBERS = st.sampled_from(["type", "data", "id", "callback_id", "uuid", "last", "_id", "constructor"])
LIKE_MESSAGES = st.dictionaries(
    MEMBERS, JSON | NAMES | st.dictionaries(MEMBERS, JSON | NAMES, max_size=4), max_size=4
)


def bad_data(line: bytes) -> SockhopError:
    with pytest.raises(SockhopError) as raised:
        read(parse(line, False))
    assert raised.value.code == "ERR_OBJECTBUFFER_BAD_BUFFER_DATA"
    assert str(raised.value).startswith("Skipping corrupted data in buffer")
    return raised.value


def read_or_refuse(message: Callable[[], Any]) -> Incoming | None:
    """What a message is, or None for bad data; any other error is raised."""
    codes: list[str | None] = []
    try:
        return read(message())
    except SockhopError as error:
        codes.append(error.code)
    assert codes == ["ERR_OBJECTBUFFER_BAD_BUFFER_DATA"]
    return None


@given(st.binary(max_size=40))
def test_any_bytes_raise_nothing_else(line: bytes) -> None:
    read_or_refuse(lambda: parse(line, False))
    parse(line, True)


@given(LIKE_MESSAGES | JSON)
def test_whatever_looks_like_a_message_raises_nothing_else(message: Any) -> None:
    incoming = read_or_refuse(lambda: message)
    if incoming is None:
        return
    kind, name, data, id, last = incoming
    assert isinstance(last, bool)
    if kind in (Kind.PING, Kind.PONG):
        assert isinstance(data, dict)
    if kind in (Kind.REQUEST, Kind.RESPONSE):
        assert name
    if kind is Kind.CALLBACK:
        assert id


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"5",
        b'"s"',
        b"[]",
        b"",
        b"{bad}",
        b"\xef\xbb\xbf{}",
        b'{"type":"SockhopRequest","data":null}',
        b'{"type":"SockhopRequest","data":[]}',
        b'{"type":"SockhopRequest","data":{"uuid":"u","data":null}}',
        b'{"type":"SockhopResponsePacket","data":null}',
        b'{"type":"SockhopResponsePacket","data":5}',
        b'{"type":"SockhopPing","data":null}',
        b'{"type":"SockhopPong","data":"x"}',
    ],
)
def test_s1_s4_s5_what_ends_a_javascript_process_is_bad_data(line: bytes) -> None:
    bad_data(line)


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ('{"type":"String","data":"x"}', (Kind.VALUE, "String", "x", None, True)),
        ('{"type":"Function"}', (Kind.VALUE, "Function", None, None, True)),
        ('{"data":{"constructor":5}}', (Kind.VALUE, None, {"constructor": 5}, None, True)),
        ('{"type":["x"],"data":1}', (Kind.VALUE, ["x"], 1, None, True)),
        ("{}", (Kind.VALUE, None, None, None, True)),
        ('{"type":"T","data":1,"id":"i"}', (Kind.VALUE, "T", 1, "i", True)),
        ('{"type":"T","data":1,"id":""}', (Kind.VALUE, "T", 1, None, True)),
        ('{"type":"T","data":1,"id":"i","callback_id":"c"}', (Kind.CALLBACK, "T", 1, "c", True)),
        ('{"type":"T","data":1,"callback_id":0}', (Kind.VALUE, "T", 1, None, True)),
        (
            '{"type":"SockhopRequest","data":{"uuid":"u","data":[1],"type":"Array"}}',
            (Kind.REQUEST, "Array", [1], "u", True),
        ),
        ('{"type":"SockhopRequest","data":{"data":"x"}}', (Kind.REQUEST, "String", "x", None, True)),
        ('{"type":"SockhopRequest"}', (Kind.REQUEST, "Object", {}, None, True)),
        (
            '{"type":"SockhopRequest","data":{"uuid":"u","data":null,"type":"Number"}}',
            (Kind.REQUEST, "Number", None, "u", True),
        ),
        (
            '{"type":"SockhopResponsePacket","data":{"uuid":"u","type":"Number","data":1,"last":false}}',
            (Kind.RESPONSE, "Number", 1, "u", False),
        ),
        (
            '{"type":"SockhopResponsePacket","data":{"uuid":"u","last":true}}',
            (Kind.RESPONSE, "Object", {}, "u", True),
        ),
        ('{"type":"SockhopPing","data":{"_id":"i"}}', (Kind.PING, "SockhopPing", {"_id": "i"}, None, True)),
        ('{"type":"SockhopPing"}', (Kind.PING, "SockhopPing", {}, None, True)),
        ('{"type":"SockhopPong","data":{"_id":"i"}}', (Kind.PONG, "SockhopPong", {"_id": "i"}, None, True)),
    ],
)
def test_reading(text: str, read_as: tuple[Any, ...]) -> None:
    assert read(parse(text.encode(), False)) == read_as


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert parse(b'{"s":"\xff"}', False) == {"s": "\ufffd"}
    assert parse(b"\xff", True) == "\ufffd"


def test_lines_that_are_no_json_may_be_text() -> None:
    assert parse(b"{bad", True) == "{bad"
    assert parse(b"", True) == ""
    assert parse(b"5", True) == 5


def test_writing_and_reading() -> None:
    value = {"a": [1, "é"]}
    for message, read_as in [
        (envelope.message("Object", value), (Kind.VALUE, None)),
        (envelope.message("Object", value, "id"), (Kind.VALUE, "id")),
        (envelope.callback("Object", value, 'an "id"'), (Kind.CALLBACK, 'an "id"')),
        (envelope.request("Object", value, "uuid"), (Kind.REQUEST, "uuid")),
        (envelope.response("Object", value, {"any": "json"}, True), (Kind.RESPONSE, {"any": "json"})),
    ]:
        kind, type, data, id, last = read(parse(Types().text(message), False))
        assert (kind, id) == read_as
        assert (type, data, last) == ("Object", value, True)
    assert read(envelope.response("Object", value, "u", False))[4] is False
    assert read(envelope.ping({"_id": 1})) == (Kind.PING, "SockhopPing", {"_id": 1}, None, True)
    assert read(envelope.pong({"_id": 1})) == (Kind.PONG, "SockhopPong", {"_id": 1}, None, True)


@pytest.mark.parametrize("text", [b"5", b'"s"', b"true"])
def test_bare_scalars_have_to_be_allowed(text: bytes) -> None:
    assert envelope.bare(text, True) == text
    with pytest.raises(SockhopError) as raised:
        envelope.bare(text, False)
    assert raised.value.code == "ERR_OBJECTBUFFER_BAD_OBJECT"


@pytest.mark.parametrize("text", [b"{}", b"[]", b"null"])
def test_bare_objects(text: bytes) -> None:
    assert envelope.bare(text, False) == text
