"""What is read in one step means what it means when it is read exactly."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.sockhop.wire.agreement import agree, quickly
from tests.values import JSON
from wirehop.core import json
from wirehop.sockhop.wire import envelope
from wirehop.sockhop.wire.types import RESERVED

NAMES = st.sampled_from([*sorted(RESERVED), "String", "Object", ""]) | JSON
ID = st.sampled_from(["", "u"]) | JSON
VALUES = st.fixed_dictionaries({"type": NAMES, "data": JSON}, optional={"id": ID, "callback_id": ID})
OWN = st.fixed_dictionaries(
    {
        "type": NAMES,
        "data": JSON
        | st.fixed_dictionaries(
            {}, optional={"uuid": ID, "data": JSON, "type": NAMES, "last": st.booleans() | JSON}
        ),
    }
)


@given(VALUES | OWN)
@example({"type": "SockhopRequest", "data": {"uuid": "u", "data": [2**64], "type": "Array"}})
def test_messages(message: Any) -> None:
    assert agree(json.dumps(message))


@given(VALUES | OWN, st.data())
def test_messages_with_a_byte_changed(message: Any, data: st.DataObject) -> None:
    line = bytearray(json.dumps(message))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    agree_or_refuse(bytes(line))


@given(VALUES | OWN, st.data())
def test_messages_with_a_piece_twice_or_not_at_all(message: Any, data: st.DataObject) -> None:
    line = json.dumps(message)
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    agree_or_refuse(line[:start] + line[start:end] * data.draw(st.sampled_from([0, 2])) + line[end:])


def agree_or_refuse(line: bytes) -> None:
    # Where the exact way raises, quick must have refused.
    assert agree(line)


@pytest.mark.parametrize(
    "number",
    ["-0", "1e400", "-1e400", "1e-400", "01", "1.", ".5", "NaN", "18446744073709551616", "9" * 4000],
)
@pytest.mark.parametrize("form", ["%s", "[%s]", '{"a":[{"b":%s}]}'])
def test_numbers(number: str, form: str) -> None:
    line = b'{"type":"T","data":%s}' % (form % number).encode()
    said = quickly(line)
    if said is not None:
        assert agree(line)
        assert math.isfinite(float(number))


@pytest.mark.parametrize(
    "text",
    [b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\t"', b'"\\x"', b"[1,]", b'{"a":1,"a":2}', b'"\xc0\x80"'],
)
def test_texts(text: bytes) -> None:
    said = quickly(b'{"type":"T","data":%b}' % text)
    assert said is None or agree(b'{"type":"T","data":%b}' % text)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"SockhopRequest","data":{"uuid":"u","data":1,"type":"Number"},"type":"String"}',
        b'{"type":"SockhopRequest","data":{"uuid":"u","data":1,"type":"Number","more":1}}',
        b'{"type":"SockhopPing","data":{"_id":"i"}}',
        b'{"type":"SockhopX","data":1}',
        b'{"type":"T","data":1,"x":2}',
        b'{"data":1}',
        b'{"type":5,"data":1}',
        b'{"type":"T","data":1}}',
        b'{"type":"T","data":' + b"[" * 9 + b"]" * 9 + b"}",
        b'{"type":"T","data":' + b"[" * 100_000,
        b"",
    ],
)
def test_what_is_left_to_the_exact_way(line: bytes) -> None:
    assert quickly(line) is None


def test_most_messages_are_read_in_one_step() -> None:
    for line in (
        envelope.message("Object", {"a": [1, 2.5, None, {"b": "x"}]}),
        envelope.message("String", "x", "id"),
        envelope.request("String", "x", "uuid"),
        envelope.response("Object", {"x": 1}, "uuid", True),
    ):
        assert quickly(json.dumps(line)) is not None
        assert agree(json.dumps(line))
