"""What a server and a client have in common: options, listeners, and the errors of links."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from wirehop.core.events import EventEmitter
from wirehop.errors import AuthError, ConnectionClosed, SockhopError
from wirehop.sockhop.link import Link
from wirehop.sockhop.meta import Meta
from wirehop.sockhop.options import Options
from wirehop.sockhop.request import SockhopRequest
from wirehop.sockhop.session import SockhopSession
from wirehop.sockhop.streams import SockhopResponseWriteableStream

__all__ = ["Each", "Endpoint", "Giving"]

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
        """It was open, and is closed; what was sent may still be on its way."""
        raise NotImplementedError

    def _over(self, link: Link) -> None:
        """Nothing is left of it."""
        raise NotImplementedError

    def _requested(self, link: Link, req: SockhopRequest, res: SockhopResponseWriteableStream) -> None:
        raise NotImplementedError

    def _called_back(self, link: Link, name: Any, value: Any, callback: Callable[..., Any]) -> None:
        meta = Meta(name, link, link.session)
        # As a listener, for its errors, and because it may be async.
        once = _Callback(self, meta)
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
        if _is_nobodys_mistake(error, args):
            return
        if event == "error" or not self.listeners("error"):
            super()._listener_failed(event, error, args)
        else:
            log.error("a listener of %r failed", event, exc_info=error)
            self._emit_error(error, None)


class _Callback(EventEmitter):
    """Calls a remote callback; what it raises is its endpoint's to report."""

    __slots__ = ("_meta", "_owner")

    def __init__(self, owner: Endpoint, meta: Meta) -> None:
        self._owner = owner
        self._meta = meta

    def _listener_failed(self, event: str, error: Exception, args: tuple[Any, ...] = ()) -> None:
        self._owner._listener_failed(event, error, (self._meta,))


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


class Each:
    """Waits for several; those whose connection is over meanwhile do not count."""

    __slots__ = ("_awaited",)

    def __init__(self, awaited: list[Awaitable[None]]) -> None:
        self._awaited = awaited

    def __await__(self) -> Generator[Any, None, None]:
        for one in self._awaited:
            try:
                yield from one.__await__()
            except ConnectionClosed:
                pass


def _is_nobodys_mistake(error: Exception, args: tuple[Any, ...]) -> bool:
    """Whether a listener raised it because what it sent crossed the end of the connection that it was
    told of. Of another one, or refused, it is news to somebody."""
    if isinstance(error, ConnectionClosed):
        crossed = not isinstance(error, AuthError)
    else:
        crossed = isinstance(error, SockhopError) and error.code == "ERR_SOCKET_DESTROYED"
    return crossed and any(link.ready_state == "closed" for link in map(_link_of, args) if link is not None)


def _link_of(arg: Any) -> Link | None:
    """The connection that an argument of a listener is, or belongs to."""
    if isinstance(arg, Meta):
        return arg.socket
    if isinstance(arg, SockhopSession):
        return arg.sock
    if isinstance(arg, SockhopResponseWriteableStream):
        arg = arg.sockhop
    return arg if isinstance(arg, Link) else None


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
