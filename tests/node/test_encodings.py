"""Text and bytes."""

from __future__ import annotations

from typing import Any

import pytest

from wirehop.node.encodings import decoder, encode, name


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        ("é", "utf8", b"\xc3\xa9"),
        ("é", "UTF-8", b"\xc3\xa9"),
        ("e", "ASCII", b"e"),
        (b"\x00\xff", "raw", b"\x00\xff"),
        (bytearray(b"x"), "utf8", b"x"),
        (memoryview(b"xyz")[::2], "ascii", b"xz"),
    ],
)
def test_encode(data: Any, encoding: str, expected: bytes) -> None:
    assert encode(data, encoding) == expected


@pytest.mark.parametrize(
    ("data", "encoding", "error"),
    [
        ("é", "ascii", ValueError),
        ("\ud800", "utf8", ValueError),
        ("x", "raw", TypeError),
        ("x", "latin-1", ValueError),
        (5, "raw", TypeError),
        (None, "utf8", TypeError),
        ([1, 2], "raw", TypeError),
    ],
)
def test_what_cannot_be_encoded(data: Any, encoding: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        encode(data, encoding)


def test_a_decoder_waits_for_the_rest_of_a_character() -> None:
    decode = decoder("utf8")
    assert decode is not None
    assert [decode(bytes([byte]), False) for byte in "€x".encode()] == ["", "", "€", "x"]
    assert decode(b"\xe2\x82", False) == ""
    assert decode(b"", True) == "\ufffd"
    assert decode(b"\xff", False) == "\ufffd"
    ascii = decoder("Ascii")
    assert ascii is not None
    assert ascii(b"a\xff", False) == "a\ufffd"


def test_raw_needs_no_decoder() -> None:
    assert decoder("raw") is None
    assert decoder("Binary") is None
    with pytest.raises(ValueError, match="no encoding here"):
        decoder("utf16")
    assert name("UTF8") == "utf8"
