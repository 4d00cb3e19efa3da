"""``wirehop connect``: talk to a peer from a terminal."""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from json import JSONDecoder
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wirehop import AnyPacket, AnyPeer, AnySocket
from wirehop.cli.terminal import complain, lines, show, shown, told_to_end, typed
from wirehop.errors import ConnectionClosed, RemoteError, WirehopError

__all__ = ["Place", "add_arguments", "connect"]

SCHEMES = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True)
class Place:
    """Where a URL leads."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Place:
        """The place at ``ws://HOST:PORT/PATH``; also wss, the http and https by which a page is asked
        for at the same port, and HOST:PORT alone. Raises ``ValueError`` for anything else."""
        parts = urlsplit(url if "//" in url else f"ws://{url}")
        scheme = SCHEMES.get(parts.scheme)
        if scheme is None:
            raise ValueError(f"{parts.scheme!r} is no scheme of a peer; there are {', '.join(SCHEMES)}")
        if not parts.hostname:
            raise ValueError("there is no host")
        if parts.username is not None or parts.fragment:
            raise ValueError("only a scheme, a host, a port and a path can be told")
        path = parts.path or "/"
        port = PORTS[scheme] if parts.port is None else parts.port
        return cls(scheme, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.description = "Send what is typed, JSON or text, a message a line, and print what comes."
    parser.add_argument("place", type=_place, metavar="URL", help="ws://HOST:PORT, or a hub's http://")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--request", action="store_true", help="send requests, and print the replies")
    how.add_argument(
        "--call",
        action="store_true",
        help='call functions: a line is a name and its arguments in JSON, such as: hello.user "Ada"',
    )
    parser.add_argument("--peer", metavar="ID", help="talk to this peer, through the one at the URL")
    parser.add_argument("--e2e", action="store_true", help="encrypt the link end to end")
    parser.add_argument(
        "--auth", type=_secret, metavar="VALUE", help="show this, JSON or text, or what is in @FILE"
    )
    parser.add_argument(
        "--cookie", action="append", default=[], type=_pair("="), metavar="NAME=VALUE", help="may be repeated"
    )
    parser.add_argument(
        "--header", action="append", default=[], type=_pair(":"), metavar="NAME:VALUE", help="may be repeated"
    )
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust, instead of the system's")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="for an answer (%(default)g)",
    )


async def connect(options: argparse.Namespace) -> int:
    """Send what is typed and print what comes, until the input or the connection ends, or until
    interrupted or told to end (SIGTERM). Lines that are JSON are sent as values, others as text.

    Returns 1 when an answer was an error or did not come, and when the peer left.
    """
    told = asyncio.ensure_future(told_to_end().wait())
    auth = None if options.auth is None else (lambda: options.auth)
    async with AnySocket(auth_packet=auth) as socket:
        talking = asyncio.ensure_future(_talk(socket, options))
        try:
            await asyncio.wait({talking, told}, return_when=asyncio.FIRST_COMPLETED)
            return talking.result() if talking.done() else 0
        finally:
            told.cancel()
            talking.cancel()
            await asyncio.wait({talking})


async def _talk(socket: AnySocket, options: argparse.Namespace) -> int:
    try:
        peer, lost = await _reach(socket, options)
    except (OSError, ValueError, WirehopError) as error:
        complain(_reason(error))
        return 1
    sending = asyncio.ensure_future(_send_lines(peer, options))
    either: set[asyncio.Future[Any]] = {sending, lost}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not lost.done():
            return sending.result()
    except ConnectionClosed:
        # The event says why, in a moment.
        await lost
    finally:
        sending.cancel()
    complain(f"the peer left: {lost.result()}")
    return 1


async def _reach(socket: AnySocket, options: argparse.Namespace) -> tuple[AnyPeer, asyncio.Future[str]]:
    """The peer to talk to, and why it left, once it does."""
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def is_ours(peer: AnyPeer) -> bool:
        return peer.id == options.peer if options.peer else not peer.is_proxy()

    def came(peer: AnyPeer) -> None:
        if is_ours(peer):
            show(f"connected to {peer.id}")
        elif peer.is_proxy():
            show(f"+ {peer.id} connected")

    def left(peer: AnyPeer, reason: str) -> None:
        if is_ours(peer) and not lost.done():
            lost.set_result(reason)
        elif peer.is_proxy():
            show(f"- {peer.id} left: {reason}")

    def heard(packet: AnyPacket) -> None:
        sender = "" if is_ours(packet.peer) else f"from {packet.peer.id} "
        show(f"message {sender}{shown(packet.msg)}")

    socket.on("connected", came)
    socket.on("disconnected", left)
    socket.on("message", heard)
    socket.on("error", lambda error: complain(_reason(error)))
    place: Place = options.place
    peer = await socket.connect(
        place.scheme,
        place.host,
        place.port,
        path=place.path,
        cookies=dict(options.cookie),
        headers=dict(options.header),
        reply_timeout=options.timeout,
        **({} if options.ca is None else {"ca": options.ca}),
    )
    if options.peer:
        peer = await socket.proxy(options.peer, peer.id)
    if options.e2e:
        await peer.e2e()
        show(f"encrypted end to end, fingerprint {peer.fingerprint}")
    return peer, lost


async def _send_lines(peer: AnyPeer, options: argparse.Namespace) -> int:
    say: Callable[[AnyPeer, str], Awaitable[None]] = (
        _call if options.call else _request if options.request else _send
    )
    status = 0
    async for line in lines():
        try:
            await say(peer, line)
        except ConnectionClosed:
            raise
        except (ValueError, WirehopError) as error:
            complain(_reason(error))
            status = 1
    return status


async def _send(peer: AnyPeer, line: str) -> None:
    await peer.send(typed(line))


async def _request(peer: AnyPeer, line: str) -> None:
    reply = await peer.send(typed(line), await_reply=True)
    assert reply is not None
    show(f"reply {shown(reply.msg)}")


async def _call(peer: AnyPeer, line: str) -> None:
    name, _, rest = line.strip().partition(" ")
    function = peer.rpc
    for part in name.split("."):
        function = function[part]
    result = await function(*_arguments(rest))
    # JSON has no bytes: they are shown as they would be in Python.
    show(f"result {result!r}" if isinstance(result, bytes) else f"result {shown(result)}")


def _arguments(text: str) -> list[Any]:
    """The JSON values of a text, one after the other. Raises ``ValueError``."""
    values, rest = [], text.strip()
    while rest:
        try:
            value, end = JSON.raw_decode(rest)
        except ValueError as error:
            raise ValueError(f"{rest!r} is no JSON: {error}; an argument that is text has quotes") from None
        values.append(value)
        rest = rest[end:].lstrip()
    return values


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


JSON = JSONDecoder(parse_constant=_no_constant)


def _reason(error: Exception) -> str:
    if isinstance(error, RemoteError):
        details = error.details if isinstance(error.details, str) else shown(error.details)
        return f"{error} (code {error.code}; {details})"
    return str(error) or type(error).__name__


# --- arguments


def _place(text: str) -> Place:
    try:
        return Place.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no URL of a peer: {error}") from None


def _pair(separator: str) -> Callable[[str], tuple[str, str]]:
    def pair(text: str) -> tuple[str, str]:
        name, found, value = text.partition(separator)
        if not (found and name):
            raise argparse.ArgumentTypeError(f"{text!r} is no NAME{separator}VALUE")
        return name.strip(), value.strip()

    return pair


def _secret(text: str) -> Any:
    if not text.startswith("@"):
        return typed(text)
    try:
        return typed(Path(text[1:]).read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text[1:]} cannot be read: {error}") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
