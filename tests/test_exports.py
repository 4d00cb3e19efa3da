"""The public names are there, and nothing else is."""

from __future__ import annotations

import importlib
import pkgutil

import wirehop
from wirehop import errors
from wirehop.js import ENGINES, installed


def test_the_public_surface() -> None:
    assert set(wirehop.__all__) == {
        "AnyHTTPPeer",
        "AnyHTTPRouter",
        "AnyPacket",
        "AnyPeer",
        "AnySocket",
        "EventEmitter",
        "ObjectBuffer",
        "Packer",
        "SockhopClient",
        "SockhopError",
        "SockhopPing",
        "SockhopPong",
        "SockhopRequest",
        "SockhopResponsePacket",
        "SockhopResponseReadableStream",
        "SockhopResponseWriteableStream",
        "SockhopServer",
        "SockhopSession",
        "TimedMap",
        "errors",
        "node",
    }


def test_every_module_can_be_imported_and_keeps_its_word() -> None:
    missing = {f"wirehop.js.engines.{name}" for name in ENGINES if name not in installed()}
    for module in pkgutil.walk_packages(wirehop.__path__, "wirehop."):
        if not module.name.endswith("__main__") and module.name not in missing:
            loaded = importlib.import_module(module.name)
            for name in getattr(loaded, "__all__", ()):
                assert hasattr(loaded, name), f"{module.name}.{name}"


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = errors.__doc__ or ""
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, Exception)
        assert error.__doc__
        assert f"{name} " in drawn or name in drawn
    assert issubclass(errors.AuthError, errors.ConnectionClosed)
    assert issubclass(errors.ConnectionClosed, ConnectionError)
    assert issubclass(errors.ReplyTimeout, TimeoutError)
