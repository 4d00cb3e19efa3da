"""What one client does in one session, for each way to talk to a server.

Each kind is a function of a :class:`Place`, a :class:`Diary` and the number of requests, which
connects, works and disconnects. It raises ``OSError``, ``SockhopError`` or ``RemoteError`` where a
connection is lost or cannot be made, and :class:`Wrong` for what no fault outside explains.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from soak.journal import Asking
from soak.server import SECRET
from wirehop import AnyPeer, AnySocket, SockhopClient, SockhopResponseReadableStream
from wirehop.errors import AuthError, ConnectionClosed, ReplyTimeout, SockhopError
from wirehop.node import http

NOTES = 5
PARTS = 4
LARGE = 200_000
"""Bytes of an upload, which arrives in several pieces."""


class Wrong(Exception):
    """An answer that is not the one, or none where the connection was there."""


@dataclass(frozen=True)
class Place:
    port: int
    sockhop_port: int
    relay_port: int
    server_id: str
    relay_id: str
    file: bytes
    """What ``/files/file`` of the server holds."""


class Diary:
    """What one client process asks for, when, and how long the answers take."""

    def __init__(self, run: int, asking: Asking, pause: float) -> None:
        self._run = run
        self._asking = asking
        self._pause = pause
        self.latencies: dict[str, list[float]] = {}
        """Seconds, by kind, since they were last read."""
        self.done: dict[str, int] = {}
        """Sessions that came to their end, by kind."""

    async def pause(self) -> None:
        """Between two requests: random, so that the clients do not march in step."""
        await asyncio.sleep(random.random() * 2 * self._pause)

    def note(self, count: int) -> list[list[int]]:
        return [[self._run, self._asking.ask()] for _ in range(count)]

    @contextmanager
    def asks(self, kind: str, count: int = 1) -> Iterator[list[list[int]]]:
        """Numbers of what is asked for inside of the block, which ends with the answer."""
        numbers = self.note(count)
        counts = [number[1] for number in numbers]
        began = time.perf_counter()
        try:
            yield numbers
        except BaseException as error:
            self._asking.failed(*counts)
            late = getattr(error, "code", None) == "ERR_RESPONSE_TIMEOUT"
            if late or isinstance(error, ReplyTimeout):
                raise Wrong("no answer in time, and the connection was there") from error
            raise
        self.latencies.setdefault(kind, []).append(time.perf_counter() - began)
        self._asking.answered(*counts)


def payload() -> dict[str, Any]:
    """Something to be sent back: mostly small, as messages are."""
    size = random.choice((0, 20, 20, 200, 2000, 70_000))
    return {"text": "\u00e9" * size, "number": random.random(), "list": [1, None, True]}


def same(got: Any, wanted: Any) -> None:
    if got != wanted:
        raise Wrong(f"{wanted!r:.100} came back as {got!r:.100}")


def _socket(**options: Any) -> AnySocket:
    return AnySocket(auth_packet=lambda: SECRET, rpc={"double": lambda value, peer: value * 2}, **options)


# --- peers


async def peer(place: Place, diary: Diary, requests: int) -> None:
    """Messages, requests and calls of a peer that is connected directly."""
    async with _socket() as socket:
        link = await socket.connect("ws", "127.0.0.1", place.port)
        await _talk("peer", link, diary, requests)


async def encrypted(place: Place, diary: Diary, requests: int) -> None:
    """The same, encrypted end to end."""
    async with _socket() as socket:
        link = await socket.connect("ws", "127.0.0.1", place.port)
        await link.e2e()
        await _talk("encrypted", link, diary, requests)


async def proxied(place: Place, diary: Diary, requests: int) -> None:
    """The same through the relay, half of them encrypted."""
    async with _socket() as socket:
        await socket.connect("ws", "127.0.0.1", place.relay_port)
        link = await socket.proxy(place.server_id, place.relay_id)
        if random.random() < 0.5:
            await link.e2e()
        await _talk("proxied", link, diary, requests)
        if random.random() < 0.5:
            socket.unproxy(place.server_id, place.relay_id)


async def _talk(kind: str, link: AnyPeer, diary: Diary, requests: int) -> None:
    for _ in range(requests):
        await random.choice(_PEER_WORK)(kind, link, diary)
        await diary.pause()
    await link.get_synced_time(refresh=True)


async def _request(kind: str, link: AnyPeer, diary: Diary) -> None:
    value = payload()
    with diary.asks(kind) as (number,):
        reply = await link.send({"ask": number, "payload": value}, await_reply=True)
    assert reply is not None
    same(reply.msg, value)


async def _late_request(kind: str, link: AnyPeer, diary: Diary) -> None:
    with diary.asks(f"{kind} later") as (number,):
        message = {"ask": number, "payload": 1, "later": True}
        reply = await link.send(message, await_reply=True)
    assert reply is not None
    same(reply.msg, 1)


async def _notes(kind: str, link: AnyPeer, diary: Diary) -> None:
    """Messages without an answer; they are acknowledged by that of a request which follows them."""
    with diary.asks(f"{kind} notes", NOTES + 1) as (*notes, number):
        for note in notes:
            link.send({"note": note})
        await link.send({"ask": number, "payload": None}, await_reply=True)


async def _call(kind: str, link: AnyPeer, diary: Diary) -> None:
    value = random.randbytes(random.choice((1, 100, 5000)))
    with diary.asks(f"{kind} rpc") as (number,):
        same(await link.rpc.work(number, value), value)


async def _late_calls(kind: str, link: AnyPeer, diary: Diary) -> None:
    """Several under way at once."""
    with diary.asks(f"{kind} rpc later", PARTS) as numbers:
        calls = [link.rpc.later(number, number) for number in numbers]
        for number, call in zip(numbers, calls, strict=True):
            same(await call, number)


async def _call_back(kind: str, link: AnyPeer, diary: Diary) -> None:
    same(await link.rpc.back(21), 42)


_PEER_WORK: list[Callable[[str, AnyPeer, Diary], Awaitable[None]]] = [
    _request,
    _request,
    _late_request,
    _notes,
    _call,
    _late_calls,
    _call_back,
]


async def refused(place: Place, diary: Diary, requests: int) -> None:
    """A stranger, who may not come in."""
    async with AnySocket(auth_packet=lambda: "wrong") as socket:
        try:
            await socket.connect("ws", "127.0.0.1", place.port)
        except AuthError:
            await diary.pause()
        else:
            raise Wrong("a stranger got in")


# --- HTTP


@asynccontextmanager
async def _http_client(place: Place) -> AsyncIterator[http.Client]:
    client = http.create_client(place.port)
    client.on("error", lambda error: None)
    try:
        async with client:
            yield client
    except BaseException:
        client.abort()
        raise


async def web(place: Place, diary: Diary, requests: int) -> None:
    """HTTP requests on one connection: small ones, uploads, a file."""
    async with _http_client(place) as client:
        for _ in range(requests):
            await random.choice((_post, _post, _upload, _file))(place, client, diary)
            await diary.pause()


async def _post(place: Place, client: http.Client, diary: Diary) -> None:
    body = random.randbytes(random.choice((1, 100, 20_000)))
    with diary.asks("http post") as ((run, count),):
        same(await _answer(client, "POST", f"/work?ask={run}.{count}", body), body)


async def _upload(place: Place, client: http.Client, diary: Diary) -> None:
    with diary.asks("http upload") as ((run, count),):
        answer = await _answer(client, "POST", f"/upload?ask={run}.{count}", bytes(LARGE))
        same(answer, str(LARGE).encode())


async def _file(place: Place, client: http.Client, diary: Diary) -> None:
    same(await _answer(client, "GET", "/files/file"), place.file)


async def _answer(client: http.Client, method: str, path: str, body: bytes = b"") -> bytes:
    request = client.request(method, path)
    if body:
        request.send_body(body)
    response = await request.finish()
    content = await response.read()
    if response.status_code != 200:
        raise Wrong(f"{method} {path}: {response.status_code} {content!r:.100}")
    return content


# --- Sockhop


async def sockhop(place: Place, diary: Diary, requests: int) -> None:
    """Requests, streams and messages with callbacks, and then the end of the connection."""
    async with SockhopClient(port=place.sockhop_port) as client:
        for _ in range(requests):
            await random.choice(_SOCKHOP_WORK)(client, diary)
            await diary.pause()


async def faithful(place: Place, diary: Diary, requests: int) -> None:
    """The same, by a client that connects again by itself; each session is one request."""
    client = SockhopClient(port=place.sockhop_port, auto_reconnect_interval=0.5)
    client.on("error", lambda error: None)
    try:
        for _ in range(requests):
            await client.start()
            try:
                await random.choice(_SOCKHOP_WORK)(client, diary)
            except (ConnectionClosed, SockhopError):
                # It looks for the server again; start() waits for that.
                pass
            await diary.pause()
    finally:
        await client.disconnect()


async def _ask(client: SockhopClient, diary: Diary) -> None:
    value = payload()
    with diary.asks("sockhop") as (number,):
        data, _ = await client.request({"ask": number, "payload": value}).next()
    same(data, value)


async def _ask_late(client: SockhopClient, diary: Diary) -> None:
    """Several under way at once."""
    with diary.asks("sockhop later", PARTS) as numbers:
        streams: list[SockhopResponseReadableStream] = [
            client.request({"ask": number, "payload": number, "later": True}) for number in numbers
        ]
        for number, stream in zip(numbers, streams, strict=True):
            same((await stream.next()).data, number)


async def _stream(client: SockhopClient, diary: Diary) -> None:
    with diary.asks("sockhop stream") as (number,):
        stream = client.request({"ask": number, "payload": "end", "parts": PARTS})
        answers = [data async for data, _ in stream]
    same(answers, [*range(PARTS), "end"])


async def _acknowledged(client: SockhopClient, diary: Diary) -> None:
    """A message with a callback, after some without."""
    called: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def lost(sock: Any) -> None:
        # Nothing else tells that the callback will not come.
        if not called.done():
            called.set_exception(ConnectionClosed("Remote Connection Closed"))

    client.on("disconnect", lost)
    try:
        with diary.asks("sockhop callback", NOTES) as (*notes, last):
            for note in notes:
                client.send({"note": note, "payload": None})
            client.send({"note": last, "payload": "seen"}, called.set_result)
            same(await called, "seen")
    finally:
        client.off("disconnect", lost)


_SOCKHOP_WORK: list[Callable[[SockhopClient, Diary], Awaitable[None]]] = [
    _ask,
    _ask,
    _ask_late,
    _stream,
    _acknowledged,
]

KINDS: dict[str, Callable[[Place, Diary, int], Awaitable[None]]] = {
    "peer": peer,
    "encrypted": encrypted,
    "proxied": proxied,
    "refused": refused,
    "http": web,
    "sockhop": sockhop,
    "faithful": faithful,
}
