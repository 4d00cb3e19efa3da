from __future__ import annotations

import dataclasses
import enum
import math
import uuid
from collections import OrderedDict
from datetime import date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirehop.core import json


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: int
    y: Any


WHEN = datetime(2023, 11, 14, 23, 13, 20, 5678, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, True, None, "x"]}, '{"a":[1,true,null,"x"]}'),
        ((1, 2), "[1,2]"),
        (math.nan, "null"),
        ([math.inf, -math.inf], "[null,null]"),
        (b"\x00\x01\xff", '{"type":"Buffer","data":[0,1,255]}'),
        ({"b": bytearray(b"a"), "m": memoryview(b"b")}, None),
        (WHEN, '"2023-11-14T22:13:20.005Z"'),
        (date(2023, 11, 14), '"2023-11-14"'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (OrderedDict(a=1), '{"a":1}'),
        ("é漢😀\u2028", '"é漢😀\u2028"'),
        ("\ud83d lone", '"\\ud83d lone"'),
        ({"\udc00": "\udc00"}, '{"\\udc00":"\\udc00"}'),
        ({1: 2}, '{"1":2}'),
        ({2: 2, None: 3, 1.5: 4, False: 5}, '{"2":2,"null":3,"1.5":4,"false":5}'),
        ({2.0: 2, -0.0: 3}, '{"2":2,"0":3}'),
        (2**70, "1180591620717411303424"),
        (
            [2**70, {"é": math.nan, "n": [1.5, math.inf]}],
            '[1180591620717411303424,{"é":null,"n":[1.5,null]}]',
        ),
        ([2**64, Colour.RED, Level.HIGH], '[18446744073709551616,"red",3]'),
        ([2**64, uuid.UUID(int=1)], '[18446744073709551616,"00000000-0000-0000-0000-000000000001"]'),
        ([2**64, Point(1, (math.nan, WHEN))], None),
        (Point(1, 2), '{"x":1,"y":2}'),
        ([2**64, b"\x01"], '[18446744073709551616,{"type":"Buffer","data":[1]}]'),
        ({"d": {3: MappingProxyType({4: 5})}}, '{"d":{"3":{"4":5}}}'),
    ],
)
def test_values_become_what_javascript_would_say(value: Any, text: str | None) -> None:
    encoded = json.dumps(value)
    if text is not None:
        assert encoded.decode() == text
    json.loads(encoded)


@pytest.mark.parametrize("value", [object(), {1, 2}, print, Point, {"a": object()}, {b"k": 1}, {(1,): 2}])
def test_what_json_cannot_say_raises(value: Any) -> None:
    with pytest.raises(TypeError):
        json.dumps(value)


def test_a_circular_or_bottomless_value_raises() -> None:
    circular: list[Any] = []
    circular.append(circular)
    with pytest.raises(ValueError, match="circular"):
        json.dumps(circular)


def test_deep_values_are_encoded_as_far_as_they_are_decoded() -> None:
    value: list[Any] = []
    for _ in range(300):
        value = [value]
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e400", math.inf),
        ("-1e400", -math.inf),
        ("[1e400,12345678901234567890,123456789012345678901234567890,7]",
         [math.inf, 12345678901234567890, 1.2345678901234568e29, 7]),
        ('"\\ud83d"', "\ud83d"),
        ('["\\ud83d", 123456789012345678901, 5]', ["\ud83d", 1.2345678901234568e20, 5]),
        ('"\\ud83d\\ude00"', "😀"),
        ("1" * 400, math.inf),
        ('{"a":1,"a":2}', {"a": 2}),
    ],
)  # fmt: skip
def test_texts_mean_what_javascript_says(text: str, value: Any) -> None:
    assert json.loads(text) == value
    assert json.loads(text.encode()) == value


BROKEN = ["", "NaN", "Infinity", "-Infinity", "[1,]", "{'a':1}", '"\x01"', "\ufeff1", "undefined", "01"]
BROKEN += ['"\\ud83d', "\\u", '["\\ud83d", NaN]', "[" * 1025 + "]" * 1025, '["\\ud83d",' * 100_000]


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_json_raises(text: str) -> None:
    with pytest.raises(ValueError):
        json.loads(text)


any_text = st.text(st.characters(exclude_categories=[]))
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=20,
)


@given(plain)
def test_what_goes_out_comes_back(value: Any) -> None:
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize("other", ["x", 2**70])
def test_a_default_of_ones_own(other: Any) -> None:
    """With an integer that only the slow codec can say, too."""

    def default(value: Any) -> Any:
        return "mine" if type(value) is object else json.plain(value)

    value = [object(), {"a": object(), "b": b"x"}, other]
    assert json.loads(json.dumps(value, default))[:2] == [
        "mine",
        {"a": "mine", "b": {"type": "Buffer", "data": [120]}},
    ]
    with pytest.raises(TypeError):
        json.dumps([object(), other])


@dataclasses.dataclass
class Hiding:
    shown: Any
    _hidden: int = 1


@pytest.mark.parametrize("shown", [1, 2**70])
def test_private_fields_of_a_dataclass_stay_here(shown: int) -> None:
    assert json.dumps(Hiding(shown)) == b'{"shown":%d}' % shown


@pytest.mark.parametrize(
    "digits",
    [
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "9" * 5000,
        "-0",
    ],
)
def test_a_number_does_not_depend_on_what_stands_beside_it(digits: str) -> None:
    """Found by fuzzing: the slower codec had other borders of what has 64 bits."""
    (alone,) = json.loads(f"[{digits}]")
    _, beside = json.loads(f'["\\ud83d",{digits}]')
    assert (type(beside), beside) == (type(alone), alone)
