"""The names that values travel under, and what becomes of them here (wire document, section 3).

=============================== ==================== ==========================================
value                           type                 data
=============================== ==================== ==========================================
``str``, ``UUID``               ``String``           text
``int``, ``float``              ``Number``           number; ``null`` for NaN and infinity
``bool``                        ``Boolean``          ``true`` or ``false``
``list``, ``tuple``             ``Array``            array
mapping                         ``Object``           object
``datetime``                    ``Date``             ISO 8601 in UTC with milliseconds and ``Z``
``date``                        ``Date``             the day in ISO 8601
``bytes``                       ``Buffer``           ``{"type":"Buffer","data":[…]}``
dataclass, Struct, other object its class's name     its fields, or its public attributes
=============================== ==================== ==========================================

What comes back is the data as JSON has it, unless its type was registered. Validation is
msgspec's business.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import msgspec

from wirehop.core import json
from wirehop.errors import SockhopError

__all__ = ["RESERVED", "NoFit", "TypeOptions", "Types", "json_type"]

RESERVED = frozenset({"SockhopPing", "SockhopPong", "SockhopRequest", "SockhopResponsePacket"})
"""Names that the protocol has for itself."""

KNOWN_CLASSES = 1024
"""Classes whose name is kept: more than a program has, unless it makes them as it runs."""

TypeOptions = Iterable[type] | Mapping[str, type]
"""Classes, under their own names, or names and classes."""

_BUILT_IN: dict[type, str] = {
    str: "String",
    int: "Number",
    float: "Number",
    bool: "Boolean",
    list: "Array",
    tuple: "Array",
    dict: "Object",
    datetime: "Date",
    date: "Date",
    bytes: "Buffer",
    bytearray: "Buffer",
    memoryview: "Buffer",
    UUID: "String",
}

_JSON = {str: "String", int: "Number", float: "Number", bool: "Boolean", list: "Array", dict: "Object"}

_AS_THEY_ARE = (datetime, date, bytes, bytearray, memoryview)
"""What :mod:`wirehop.core.json` says better than msgspec would."""


class NoFit(SockhopError):
    """What came does not fit the type that was registered for its name; the text names the field."""

    def __init__(self, name: str, why: object) -> None:
        super().__init__(f"{name} does not fit: {why}", "ERR_OBJECTBUFFER_BAD_BUFFER_DATA")


def json_type(value: Any) -> str | None:
    """The type name of a value that was parsed from JSON; None for null."""
    return _JSON.get(type(value))


class Types:
    """The types of one endpoint. Raises ``TypeError`` and ``ValueError`` for what cannot be
    registered: a name twice, a reserved one, a class whose arguments nobody knows."""

    __slots__ = ("_load", "_names", "_registered")

    def __init__(self, types: TypeOptions = ()) -> None:
        if isinstance(types, Mapping):
            pairs = list(types.items())
        else:
            pairs = [(_own_name(cls), cls) for cls in types]
        self._load: dict[str, Callable[[Any], Any]] = {}
        self._registered: dict[type, str] = {}
        for name, cls in pairs:
            if not isinstance(cls, type):
                raise TypeError(f"a type to register is a class, not {cls!r}")
            if not isinstance(name, str):
                raise TypeError(f"the name of a type is text, not {name!r}")
            if name in RESERVED:
                raise ValueError(f"the type name {name} is the protocol's own")
            if name in self._load:
                raise ValueError(f"the type name {name!r} is there twice")
            self._load[name] = _loader(cls)
            if cls not in _BUILT_IN:
                self._registered[cls] = name
        self._names = _BUILT_IN.copy()

    def __bool__(self) -> bool:
        """Whether any type is registered."""
        return bool(self._load)

    def name(self, value: Any) -> str:
        """The name of a value's type. Raises ``SockhopError`` with ERR_BAD_DATA for None and for a
        class with a reserved name."""
        name = self._names.get(type(value))
        return self._find_name(value) if name is None else name

    def text(self, message: Any) -> bytes:
        """A message, or a value, as JSON. Raises ``SockhopError`` with ERR_OBJECTBUFFER_BAD_OBJECT
        for what JSON cannot say."""
        try:
            return json.dumps(message, _plain)
        except (TypeError, ValueError) as error:
            raise SockhopError(str(error), "ERR_OBJECTBUFFER_BAD_OBJECT") from error

    def load(self, name: Any, data: Any) -> Any:
        """``data`` as an object of the type that is registered under ``name``, or as it is.

        Raises ``NoFit``.
        """
        load = self._load.get(name) if type(name) is str else None
        if load is None:
            return data
        try:
            return load(data)
        except Exception as error:
            # Whatever it is: the class is the user's, the data is the remote's.
            raise NoFit(name, error) from error

    def _find_name(self, value: Any) -> str:
        if value is None:
            raise SockhopError("None cannot be sent", "ERR_BAD_DATA")
        cls = type(value)
        name = self._registered.get(cls) or _name_of(value)
        if name in RESERVED:
            raise SockhopError(f"the type name {name} is the protocol's own", "ERR_BAD_DATA")
        # An Enum's members may be of different types.
        if not isinstance(value, Enum):
            if len(self._names) >= KNOWN_CLASSES:
                self._names = _BUILT_IN.copy()
            self._names[cls] = name
        return name


def _own_name(cls: Any) -> str:
    return str(_BUILT_IN.get(cls) or getattr(cls, "__name__", ""))


def _name_of(value: Any) -> str:
    """What JavaScript would call it. A subclass of what JSON has a word for is that."""
    if isinstance(value, Enum):
        return _name_of(value.value)
    if isinstance(value, bool):
        return "Boolean"
    for cls, name in _BUILT_IN.items():
        if isinstance(value, cls):
            return name
    return "Object" if isinstance(value, Mapping) else type(value).__name__


def _plain(value: Any) -> Any:
    """What JSON says for a value that it has no word for."""
    if hasattr(value, "__struct_fields__"):
        return msgspec.to_builtins(value, builtin_types=_AS_THEY_ARE, enc_hook=_plain)
    try:
        return json.plain(value)
    except TypeError:
        if isinstance(value, type) or callable(value):
            raise
        attributes = _attributes(value)
        if attributes is None:
            raise
    return {name: item for name, item in attributes.items() if not name.startswith("_")}


def _attributes(value: Any) -> dict[str, Any] | None:
    """What an object has in its ``__slots__`` and its ``__dict__``; None for what has neither, or
    nothing public in its slots, as numbers and paths of the standard library."""
    slots = [
        name
        for cls in reversed(type(value).__mro__)
        for name in _slots(cls)
        if not name.startswith("_") and hasattr(value, name)
    ]
    own = getattr(value, "__dict__", None)
    if own is None and not slots:
        return None
    return {name: getattr(value, name) for name in slots} | (own or {})


def _slots(cls: type) -> Iterable[str]:
    slots = cls.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots


def _loader(cls: type) -> Callable[[Any], Any]:
    """What makes an object of ``cls`` of JSON data. Raises ``TypeError`` when nothing can."""
    if cls in (bytes, bytearray, memoryview):
        octets = list[Annotated[int, msgspec.Meta(ge=0, le=255)]]
        # What Node makes of a Buffer.
        form = msgspec.defstruct("form", [("data", octets)])
        return lambda data: cls(bytes(msgspec.structs.asdict(msgspec.convert(data, form))["data"]))
    if not isinstance(msgspec.inspect.type_info(cls), msgspec.inspect.CustomType):
        # Made here for its complaint about a field that it cannot load.
        msgspec.json.Decoder(cls)
        return lambda data: msgspec.convert(data, cls)
    arguments = msgspec.defstruct(cls.__name__, _arguments(cls))
    return lambda data: cls(**msgspec.structs.asdict(msgspec.convert(data, arguments)))


def _arguments(cls: type) -> list[Any]:
    """What ``cls`` is called with, as the fields of a Struct."""
    hints = get_type_hints(cls.__init__)  # type: ignore[misc]
    fields: list[Any] = []
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{cls.__name__} takes arguments that have no names: it cannot be registered")
        field = (name, hints.get(name, Any))
        fields.append(field if parameter.default is parameter.empty else (*field, parameter.default))
    # A Struct has those without a default first.
    return sorted(fields, key=len)
