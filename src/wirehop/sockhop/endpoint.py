"""What a server and a client have in common: options, listeners, and the errors of links."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from wirehop.core.events import EventEmitter
from wirehop.errors import ConnectionClosed, SockhopError
from wirehop.sockhop.link import Link
from wirehop.sockhop.meta import Meta
from wirehop.sockhop.options import Options
from wirehop.sockhop.request import SockhopRequest
from wirehop.sockhop.streams import SockhopResponseWriteableStream

__all__ = ["Endpoint", "Giving"]

T = TypeVar("T")

log = logging.getLogger("wirehop.sockhop")


class Endpoint(EventEmitter):
    """One end of connections. The methods with an underscore are called by its links."""

    DESTROYED = "Socket was destroyed"
    """What an error says to who sends when there is no connection."""

    _log = log

    def __init__(self, options: Options) -> None:
        self.options = options
        self._ping_delay = 0.0

    def _set_ping(self, delay: float) -> None:
        if not delay >= 0:
            raise ValueError(f"a delay is 0 or more seconds, not {delay!r}")
        if delay and not self.options.is_wrapped:
            raise SockhopError("Unable to ping - peer type must be Sockhop", "ERR_REQUEST_TYPE")
        self._ping_delay = delay

    # --- what links report, and a client and a server each have their own way to take

    def _opened(self, link: Link) -> None:
        """It is open."""
        raise NotImplementedError

    def _failed(self, link: Link, error: BaseException | None, was_awaited: bool) -> None:
        """It could not be opened."""
        raise NotImplementedError

    def _closed(self, link: Link) -> None:
        """It was open, and is over."""
        raise NotImplementedError

    def _requested(self, link: Link, req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
        raise NotImplementedError

    def _called_back(self, link: Link, name: Any, value: Any, callback: Callable[..., Any]) -> None:
        meta = Meta(name, link, link.session)
        # As a listener, for its errors, and because it may be async.
        once = _Callback(self)
        once.on("callback", callback)
        if _takes_meta(callback):
            once.emit("callback", value, meta)
        else:
            once.emit("callback", value)

    def _complain(self, link: Link | None, error: Exception) -> None:
        """Emit ``error``, or else log it: once for a connection."""
        if self._emit_error(error, link):
            return
        if link is None:
            log.info("%s", error)
        elif not link.has_complained:
            link.has_complained = True
            log.info("%s: %s; there is no error listener", link.remote_address or "a connection", error)

    def _emit_error(self, error: Exception, link: Link | None) -> bool:
        return self.emit("error", error)

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        if _is_nobodys_mistake(error):
            return
        if event == "error" or not self.listeners("error"):
            super()._listener_failed(event, error)
        else:
            log.error("a listener of %r failed", event, exc_info=error)
            self._emit_error(error, None)


class _Callback(EventEmitter):
    """Calls a remote callback; what it raises is its endpoint's to report."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Endpoint) -> None:
        self._owner = owner

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        self._owner._listener_failed(event, error, args)


class Giving(Generic[T]):
    """Waits for something, if there is something, and gives the value."""

    __slots__ = ("_first", "_value")

    def __init__(self, first: Awaitable[None] | None, value: T) -> None:
        self._first = first
        self._value = value

    def __await__(self) -> Generator[Any, None, T]:
        if self._first is not None:
            yield from self._first.__await__()
        return self._value


def _is_nobodys_mistake(error: Exception) -> bool:
    """Whether a listener raised it because what it sent crossed the end of its connection."""
    return isinstance(error, ConnectionClosed) or (
        isinstance(error, SockhopError) and error.code == "ERR_SOCKET_DESTROYED"
    )


def _takes_meta(callback: Callable[..., Any]) -> bool:
    """Whether a callback wants the meta too. In JavaScript it need not say so."""
    try:
        inspect.signature(callback).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        # A builtin that does not tell.
        return False
    return True
