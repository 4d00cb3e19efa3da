"""Functions called across a link.

Calling: ``await peer.rpc.hello.user("Ada")``. Serving: ``socket.set_rpc({...})``. Nobody can
call what was not registered: the keys of a mapping and the public methods of an object are
reached by name, one at a time, and nothing that begins with an underscore.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any

from wirehop.anysocket.wire.packer import Packer
from wirehop.anysocket.wire.packet import Internal
from wirehop.core import json
from wirehop.core.steps import is_cancelling
from wirehop.errors import RemoteError

if TYPE_CHECKING:
    from wirehop.anysocket.packet import AnyPacket
    from wirehop.anysocket.peer import AnyPeer

__all__ = ["Call", "Stub", "check", "find", "serve"]

MAX_DEPTH = 64
"""Names in the path of a method."""

BYTES = (bytes, bytearray, memoryview)
PLAIN = frozenset({str, int, float, bool, type(None), list, dict})
"""What needs no look whether it is binary, or can be awaited."""

_log = logging.getLogger("wirehop.anysocket")


# --- serving


def check(rpc: object) -> None:
    """Raise ``TypeError`` for what cannot be registered."""
    if isinstance(rpc, (types.ModuleType, type)) or callable(rpc):
        raise TypeError("set_rpc() takes a mapping or an object; a module or a class exposes too much")


def find(rpc: object, path: Any) -> Callable[..., Any] | None:
    """The registered function at ``path``, or None."""
    if type(path) is not list or not 0 < len(path) <= MAX_DEPTH:
        return None
    place = rpc
    for name in path:
        if type(name) is not str or name[:1] == "_":
            return None
        # The first of the two spares most calls what an abstract class costs.
        if type(place) is dict or isinstance(place, Mapping):
            place = place.get(name)
        else:
            place = _member(place, name)
        if place is None:
            return None
    return place if callable(place) else None


def _member(owner: object, name: str) -> Any:
    """A public method of an object, or an attribute that is registered with it: a mapping, a
    namespace, or whatever its class declares. Not the connections it happens to hold."""
    if isinstance(owner, types.SimpleNamespace):
        return vars(owner).get(name)
    if callable(owner) or isinstance(owner, types.ModuleType) or type(owner).__module__ == "builtins":
        return None
    declared = _declared(type(owner), name)
    if declared is not None:
        return None if isinstance(declared, (property, type)) else getattr(owner, name, None)
    own = getattr(owner, "__dict__", {}).get(name)
    if isinstance(own, (Mapping, types.SimpleNamespace, types.FunctionType, types.MethodType)):
        return own
    return None


def _declared(kind: type, name: str) -> Any:
    """What a class or one of its bases has by this name, without running any descriptor."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def serve(
    peer: AnyPeer, rpc: object, path: Any, arguments: Any, binary: Any
) -> bytes | Coroutine[Any, Any, bytes]:
    """Run the function that a request names; all of it may be anything. Returns the answer as JSON
    text, or what will."""
    function = find(rpc, path)
    if function is None:
        return json.dumps({"error": "Method not found!", "details": _details(path), "code": 404})
    try:
        result = function(*_arguments(arguments, binary), peer)
        if type(result) in PLAIN:
            return json.dumps({"result": result, "bin": False})
        return _serve_later(result, path) if hasattr(result, "__await__") else _outcome(result)
    except (Exception, asyncio.CancelledError) as error:
        return _failure(error, path)


async def _serve_later(result: Awaitable[Any], path: Any) -> bytes:
    try:
        return _outcome(await result)
    except asyncio.CancelledError as error:
        if is_cancelling():
            raise
        # The caller waits for an answer.
        return _failure(error, path)
    except Exception as error:
        return _failure(error, path)


def _arguments(arguments: Any, binary: Any) -> list[Any]:
    if type(arguments) is not list:
        raise RemoteError("packet.msg.params is not iterable")
    if type(binary) is not list:
        raise RemoteError("packet.msg.bin is not iterable")
    for position in binary:
        index = int(position) if isinstance(position, (int, str)) and str(position).isdecimal() else -1
        if not 0 <= index < len(arguments) or not isinstance(arguments[index], str):
            raise RemoteError("packet.msg.bin names no argument in base64")
        arguments[index] = Packer.unpack(arguments[index])
    return arguments


def _outcome(result: Any) -> bytes:
    if isinstance(result, BYTES):
        return json.dumps({"result": Packer.pack(result), "bin": True})
    return json.dumps({"result": result, "bin": False})


def _failure(error: BaseException, path: Any) -> bytes:
    method = _details(path)
    try:
        # Never empty: JavaScript takes a falsy error for a success.
        text = str(error) or type(error).__name__
    except Exception:
        text = type(error).__name__
    if isinstance(error, RemoteError):
        details = method if error.details is None else error.details
        try:
            return json.dumps({"error": text, "details": details, "code": error.code})
        except (TypeError, ValueError, RecursionError) as unsayable:
            _log.error("the details of what %s raised cannot be sent: %s", method, unsayable)
    else:
        _log.debug("%s failed", method, exc_info=error)
    return json.dumps({"error": text, "details": method, "code": 500})


def _details(path: Any) -> str:
    names = path if isinstance(path, list) else [path]
    return f"method: '{','.join(map(_shown, names[:MAX_DEPTH]))}'"


def _shown(name: Any) -> str:
    # What is no name may be large, and nested deeper than str() can follow.
    return type(name).__name__ if isinstance(name, (list, dict)) else str(name)[:200]


# --- calling


class Call:
    """A call on its way. Awaiting it gives the result or raises ``RemoteError``,
    ``ReplyTimeout`` or ``ConnectionClosed``."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Awaitable[AnyPacket]) -> None:
        self._reply = reply

    def __await__(self) -> Generator[Any, None, Any]:
        packet = yield from self._reply.__await__()
        return result_of(packet.msg)


def result_of(message: Any) -> Any:
    """What a reply says. Raises ``RemoteError`` when it says that the call failed."""
    if not isinstance(message, dict):
        raise RemoteError("the reply is no object", message)
    error = message.get("error")
    code = message.get("code")
    failed = isinstance(code, int) and code >= 400 and "result" not in message
    if error or error == {} or failed:
        # An Error object arrives from JavaScript as {}, an empty one as nothing.
        raise RemoteError(
            _text(error) or "the remote function failed",
            message.get("details"),
            code if isinstance(code, int) else 500,
        )
    result = message.get("result")
    if message.get("bin") and isinstance(result, str):
        try:
            return Packer.unpack(result)
        except ValueError as bad:
            raise RemoteError(f"the result is {bad}") from None
    return result


def _text(error: Any) -> str:
    if isinstance(error, str):
        return error
    try:
        return json.dumps(error).decode() if error else ""
    except ValueError:
        # Nested deeper than what can be said again.
        return ""


class Stub:
    """The functions of a remote: attributes are names, a call is a call.

    ``stub["some-name"]`` reaches what is no attribute in Python.
    """

    __slots__ = ("_path", "_peer", "_timeout")

    def __init__(self, peer: AnyPeer, path: tuple[str, ...] = (), timeout: float | None = None) -> None:
        self._peer = peer
        self._path = path
        self._timeout = timeout

    def __getattr__(self, name: str) -> Stub:
        if name.startswith("_"):
            raise AttributeError(f"{name!r} cannot be called remotely")
        return self[name]

    def __getitem__(self, name: str) -> Stub:
        return Stub(self._peer, (*self._path, name), self._timeout)

    def with_timeout(self, seconds: float) -> Stub:
        """The same function, with another timeout than the peer's ``reply_timeout``."""
        return Stub(self._peer, self._path, seconds)

    def __call__(self, *arguments: Any) -> Call:
        """Call it, at once. ``bytes`` among the arguments arrive as binary."""
        if not self._path:
            raise TypeError("peer.rpc itself is no function")
        params = [Packer.pack(value) if isinstance(value, BYTES) else value for value in arguments]
        binary = [str(index) for index, value in enumerate(arguments) if isinstance(value, BYTES)]
        request = {"type": Internal.RPC, "method": self._path, "params": params, "bin": binary}
        return Call(self._peer.send_internal(request, self._timeout))

    def __repr__(self) -> str:
        return f"<rpc {'.'.join(self._path) or 'of'} {self._peer.id}>"
