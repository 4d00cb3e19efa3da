"""A call that is read in one step means what it means when it is read exactly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.anysocket.wire.calling import agree, quickly
from tests.values import JSON
from wirehop.core import json

CALLS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just(3) | JSON,
        "method": st.lists(st.text(max_size=4), max_size=3) | JSON,
        "params": st.lists(JSON, max_size=3) | JSON,
        "bin": st.lists(st.sampled_from(["0", 1, -1, 2**31, 2**64, 0.0]), max_size=2) | JSON,
    },
)


def text_of(value: Any) -> str:
    return json.dumps(value).decode()


@given(CALLS)
@example({"type": 3, "method": ["a"], "params": [2**64], "bin": []})
@example({"type": 3, "method": ["a"], "params": [], "bin": [2**64]})
@example({"type": 3.0, "method": ["a"], "params": [], "bin": []})
def test_calls(call: Any) -> None:
    assert agree(text_of(call))


@given(CALLS, st.data())
def test_calls_with_a_piece_twice_or_not_at_all(call: Any, data: st.DataObject) -> None:
    text = text_of(call)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert agree(text[:start] + text[start:end] * data.draw(st.sampled_from([0, 2])) + text[end:])


@given(CALLS, st.data())
def test_calls_with_a_character_changed(call: Any, data: st.DataObject) -> None:
    text = text_of(call)
    at = data.draw(st.integers(0, len(text) - 1))
    assert agree(text[:at] + data.draw(st.characters()) + text[at + 1 :])


@pytest.mark.parametrize(
    "argument",
    ["-0", "1e400", "1e-400", "01", "1.", "NaN", "9" * 4000, '"\\ud800"', '"\t"', "[1,]", '{"a":1,"a":2}'],
)
def test_arguments(argument: str) -> None:
    assert agree(f'{{"type":3,"method":["a"],"params":[{argument}],"bin":[]}}')


@pytest.mark.parametrize(
    "text",
    [
        '{"type":5}',
        '{"type":1,"action":1}',
        '{"type":4,"method":["a"],"params":[],"bin":[]}',
        '{"type":3,"method":["a"],"params":[]}',
        '{"type":3,"method":"a","params":[],"bin":[]}',
        '{"type":3,"method":["a"],"params":{},"bin":[]}',
        '{"type":3,"method":["a"],"params":[],"bin":[],"more":1}',
        '{"type":3,"method":["a"],"params":[' + "[" * 9 + "]" * 9 + '],"bin":[]}',
        '{"type":3,"method":["a"],"params":[' + "[" * 100_000,
        '{"type":3,"method":["a"],"params":["\ud800"],"bin":[]}',
        "",
    ],
)
def test_what_is_left_to_the_exact_way(text: str) -> None:
    assert quickly(text) is None


def test_most_calls_are_read_in_one_step() -> None:
    for call in (
        {"type": 3, "method": ["a", "b"], "params": [{"a": [1, 2.5, None, "é"]}], "bin": []},
        {"type": 3, "method": ["a"], "params": ["AAAA", "x", "AA=="], "bin": ["0", 2]},
    ):
        text = text_of(call)
        assert quickly(text) is not None
        assert agree(text)
