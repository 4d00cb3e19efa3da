"""Lines, however their bytes come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirehop.errors import SockhopError
from wirehop.sockhop.wire.lines import Ending, Lines, terminators, too_long

TERMINATORS = [b"\n", b"\r\n", b"ab", b"aa", b"aab", b"\xc3\xa9"]
TEXT = st.lists(st.sampled_from([b"a", b"b", b"\r", b"\n", b"\xc3", b"\xa9", b"xyz"])).map(b"".join)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """``data`` in pieces of these sizes, and the rest."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def whole(data: bytes, terminator: bytes, max_line: int) -> tuple[list[bytes], bool]:
    """What is right, said in another way."""
    lines = data.split(terminator)
    rest = lines.pop()
    for at, line in enumerate(lines):
        if len(line) > max_line:
            return lines[:at], True
    return lines, len(rest) >= max_line + len(terminator)


@given(TEXT, st.sampled_from(TERMINATORS), st.lists(st.integers(0, 5)), st.integers(1, 6))
def test_pieces_do_not_matter(data: bytes, terminator: bytes, sizes: list[int], max_line: int) -> None:
    lines = Lines(terminator, max_line)
    got = [line for piece in cut(data, sizes) for line in lines.feed(piece)]
    assert (got, lines.is_too_long) == whole(data, terminator, max_line)


@pytest.mark.parametrize("terminator", TERMINATORS)
def test_byte_by_byte(terminator: bytes) -> None:
    lines = Lines(terminator)
    data = terminator.join([b"one", b"", b"two", b"three", b""])
    assert [line for byte in data for line in lines.feed(bytes([byte]))] == [b"one", b"", b"two", b"three"]


def test_lines_before_one_that_is_too_long_are_given_and_none_after_it() -> None:
    lines = Lines(b"\n", 4)
    assert lines.feed(b"one\ntoo long\ntwo\n") == [b"one"]
    assert lines.is_too_long
    assert lines.feed(b"\nthree\n") == []


def test_a_line_without_an_end_is_given_up_and_forgotten() -> None:
    lines = Lines(b"\n", 1000)
    for _ in range(1000):
        assert lines.feed(b"x") == []
    assert not lines.is_too_long
    assert lines.feed(b"x") == []
    assert lines.is_too_long
    assert not lines._held


def test_each_byte_is_looked_at_once() -> None:
    """A megabyte that comes in pieces of 16 bytes: looking again at what came before would take
    minutes."""
    lines = Lines(b"END", 1 << 21)
    for _ in range(1 << 16):
        assert lines.feed(b"0123456789abcde ") == []
    assert [len(line) for line in lines.feed(b"END")] == [1 << 20]


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        ("\n", (b"\n", b"\n")),
        (None, (b"\n", b"\n")),
        (["RX", "TX"], (b"RX", b"TX")),
        (("é", "\0"), (b"\xc3\xa9", b"\0")),
    ],
)
def test_terminators(given: Any, pair: tuple[bytes, bytes]) -> None:
    assert terminators(given) == pair


@pytest.mark.parametrize("wrong", [("a",), ("a", "b", "c"), ("a", 1), 5])
def test_what_is_no_terminator(wrong: Any) -> None:
    with pytest.raises(TypeError):
        terminators(wrong)


@pytest.mark.parametrize("empty", ["", ("", "x"), ("x", "")])
def test_s10_an_empty_terminator_is_refused(empty: Any) -> None:
    with pytest.raises(ValueError, match="empty"):
        terminators(empty)


def test_ending() -> None:
    assert Ending(b"\r\n").end(b'"END"') == b'"END"\r\n'
    assert Ending(b"END").end(b'"EN"') == b'"EN"END'
    with pytest.raises(SockhopError) as raised:
        Ending(b"END").end(b'"END"')
    assert raised.value.code == "ERR_OBJECTBUFFER_BAD_OBJECT"


def test_a_terminator_that_begins_in_the_text() -> None:
    with pytest.raises(SockhopError):
        Ending(b"}}").end(b'{"a":{}}')
    # The text's last byte and the terminator's first would be one, too soon.
    with pytest.raises(SockhopError):
        Ending(b'""').end(b'"a"')


def test_the_limit_is_in_the_text() -> None:
    assert "12 bytes" in str(too_long(12))
