"""Names of types, and objects that come back."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
import pytest

from wirehop.errors import SockhopError
from wirehop.sockhop.wire import types
from wirehop.sockhop.wire.types import NoFit, Types


@dataclass
class Widget:
    name: str
    sizes: list[int] = field(default_factory=list)
    made: datetime | None = None


class Part(msgspec.Struct, rename="camel"):
    part_name: str
    data: bytes = b""
    inner: Any = None


class Plain:
    def __init__(self, name: str, *, count: int = 1, anything=None) -> None:  # type: ignore[no-untyped-def]
        self.name = name
        self.count = count
        self.anything = anything
        self._hidden = 1


class Slotted:
    __slots__ = ("x",)


class Picky:
    def __init__(self, n: int) -> None:
        raise KeyError(n)


class Level(IntEnum):
    HIGH = 2


class Colour(Enum):
    RED = "red"
    NUMBER = 5


def dump(value: Any, given: Any = ()) -> tuple[str, Any]:
    types = Types(given)
    return types.name(value), json.loads(types.text(value))


@pytest.mark.parametrize(
    ("value", "name", "data"),
    [
        ("x", "String", "x"),
        (5, "Number", 5),
        (1.5, "Number", 1.5),
        (float("nan"), "Number", None),
        (True, "Boolean", True),
        ([1], "Array", [1]),
        ((1, 2), "Array", [1, 2]),
        ({"a": 1}, "Object", {"a": 1}),
        (OrderedDict(a=1), "Object", {"a": 1}),
        (MappingProxyType({"a": 1}), "Object", {"a": 1}),
        (b"hi", "Buffer", {"type": "Buffer", "data": [104, 105]}),
        (datetime(2023, 11, 14, 22, 13, 20, 123000, UTC), "Date", "2023-11-14T22:13:20.123Z"),
        (date(2023, 11, 14), "Date", "2023-11-14"),
        (UUID(int=1), "String", "00000000-0000-0000-0000-000000000001"),
        (Level.HIGH, "Number", 2),
        (Colour.RED, "String", "red"),
        (Colour.NUMBER, "Number", 5),
        (Widget("w", [1]), "Widget", {"name": "w", "sizes": [1], "made": None}),
        (
            Part("p", b"\x01", Plain("x")),
            "Part",
            {
                "partName": "p",
                "data": {"type": "Buffer", "data": [1]},
                "inner": {"name": "x", "count": 1, "anything": None},
            },
        ),
        (Plain("x"), "Plain", {"name": "x", "count": 1, "anything": None}),
        ([Plain("x")], "Array", [{"name": "x", "count": 1, "anything": None}]),
        (
            {"p": Part("p")},
            "Object",
            {"p": {"partName": "p", "data": {"type": "Buffer", "data": []}, "inner": None}},
        ),
    ],
)
def test_names_and_data(value: Any, name: str, data: Any) -> None:
    assert dump(value) == (name, data)


def test_a_bool_subclass_check_comes_before_numbers() -> None:
    assert dump(Colour("red")) == ("String", "red")
    flag = Enum("flag", {"ON": True})  # type: ignore[misc]
    assert dump(flag["ON"]) == ("Boolean", True)


def test_a_name_is_escaped() -> None:
    cls = type('Wid"get\n', (), {})
    assert dump(cls()) == ('Wid"get\n', {})


def test_names_of_classes_are_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "KNOWN_CLASSES", 16)
    table = Types()
    for n in range(40):
        assert table.name(type(f"C{n}", (), {})()) == f"C{n}"
        assert len(table._names) <= 17
    assert table.name(1) == "Number"


def test_s20_none_cannot_be_sent() -> None:
    with pytest.raises(SockhopError) as raised:
        Types().name(None)
    assert raised.value.code == "ERR_BAD_DATA"


@pytest.mark.parametrize("name", sorted(types.RESERVED))
def test_s21_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(SockhopError) as raised:
        Types().name(type(name, (), {})())
    assert raised.value.code == "ERR_BAD_DATA"
    with pytest.raises(ValueError, match="own"):
        Types({name: Widget})


def circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [{1, 2}, len, Widget, object(), Slotted(), 1j, {(1, 2): 3}, circular()])
def test_what_json_cannot_say(value: Any) -> None:
    with pytest.raises(SockhopError) as raised:
        Types().text(value)
    assert raised.value.code == "ERR_OBJECTBUFFER_BAD_OBJECT"


def test_objects_come_back() -> None:
    table = Types([Widget, Part, Plain, datetime, bytes])
    assert table.load("Widget", {"name": "w", "made": "2023-11-14T22:13:20.123Z", "more": 1}) == Widget(
        "w", [], datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    )
    assert table.load("Part", {"partName": "p"}) == Part("p")
    plain = table.load("Plain", {"name": "x", "count": 5})
    assert (type(plain), plain.name, plain.count) == (Plain, "x", 5)
    assert table.load("Date", "2023-11-14T22:13:20Z") == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert table.load("Buffer", {"type": "Buffer", "data": [104, 105]}) == b"hi"


def test_unknown_types_stay_as_they_are() -> None:
    data = {"name": 5}
    assert Types().load("Widget", data) is data
    assert Types([Widget]).load("Other", data) is data
    assert Types([Widget]).load(["Widget"], data) is data
    assert Types([Widget]).load(None, data) is data


@pytest.mark.parametrize(
    ("name", "data", "field"),
    [
        ("Widget", {"name": 5}, "$.name"),
        ("Widget", {"name": "x", "sizes": [1, "2"]}, "$.sizes[1]"),
        ("Widget", {}, "name"),
        ("Widget", None, "Expected"),
        ("Part", {"partName": "p", "data": 5}, "$.data"),
        ("Plain", {"name": "x", "count": "5"}, "$.count"),
        ("Buffer", {"data": [256]}, "$.data[0]"),
        ("Buffer", "x", "Expected"),
        ("Picky", {"n": 1}, "Picky"),
    ],
)
def test_what_does_not_fit_names_the_field(name: str, data: Any, field: str) -> None:
    with pytest.raises(NoFit) as raised:
        Types([Widget, Part, Plain, bytes, Picky]).load(name, data)
    assert name in str(raised.value)
    assert field in str(raised.value)
    assert raised.value.code == "ERR_OBJECTBUFFER_BAD_BUFFER_DATA"


def test_whether_there_are_any() -> None:
    assert not Types()
    assert Types([Widget])


def test_another_name() -> None:
    table = Types({"Gadget": Widget})
    assert table.name(Widget("w")) == "Gadget"
    assert table.load("Gadget", {"name": "w"}) == Widget("w")
    assert table.load("Widget", {"name": "w"}) == {"name": "w"}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([5], TypeError),
        ({5: Widget}, TypeError),
        ([Widget, Widget], ValueError),
        ([type("Starred", (), {"__init__": lambda self, *args: None})], TypeError),
        ([dataclass(type("Odd", (), {"__annotations__": {"f": list[int] | set[int]}}))], TypeError),
    ],
)
def test_what_cannot_be_registered(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Types(given)
