"""Cases 1 to 23, against servers in processes of their own: HTTP, static files, cookies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from tests.hostile.running import Attack, House, Running, Server, attack, case, get, post
from tests.node.answering import OK, Peer, answering
from tests.raw import Raw, connect
from wirehop.node import http

Case = Callable[[Raw], Awaitable[None]]

POST = "POST /echo HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"
GET = "GET / HTTP/1.1\r\n"

BAD = [
    case(
        1, "length, then chunked", POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    case(
        1, "chunked, then length", POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    ),
    case(2, "+5", POST + "Content-Length: +5\r\n\r\nhello"),
    case(2, "5_0", POST + "Content-Length: 5_0\r\n\r\nhello"),
    case(2, "-1", POST + "Content-Length: -1\r\n\r\nhello"),
    case(2, "two values", POST + "Content-Length: 5, 5\r\n\r\nhello"),
    case(2, "two headers", POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    case(2, "beyond 64 bits", POST + "Content-Length: 18446744073709551617\r\n\r\nhello"),
    case(3, "xchunked", POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    case(3, "chunked, identity", POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    case(3, "gzip, chunked", POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    case(4, "blank before the colon", POST + "Content-Length : 5\r\n\r\nhello"),
    case(4, "folded line", GET + "Host: localhost\r\nA: b\r\n c\r\n\r\n"),
    case(5, "bare LF", "GET / HTTP/1.1\nHost: localhost\n\n"),
    case(5, "bare LF after a header", GET + "Host: localhost\nA: b\r\n\r\n"),
    case(5, "bare CR", GET + "Host: localhost\rA: b\r\n\r\n"),
    case(5, "CR X at the end", GET + "Host: localhost\r\n\rX"),
    case(6, "0x5", CHUNKED + "0x5\r\nhello\r\n0\r\n\r\n"),
    case(6, "+5", CHUNKED + "+5\r\nhello\r\n0\r\n\r\n"),
    case(6, "17 digits", CHUNKED + "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    case(7, "a chunk that goes on", CHUNKED + "5\r\nhelloXX0\r\n\r\n"),
    case(8, "a length as a trailer", CHUNKED + "0\r\nContent-Length: 9\r\n\r\n"),
    case(9, "two hosts", GET + "Host: localhost\r\nHost: localhost\r\n\r\n"),
    case(9, "HTTP/0.9", "GET /\r\n"),
    case(9, "HTTP/2.0", "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    case(9, "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    case(10, "NUL", GET + "Host: localhost\r\nA: b\0c\r\n\r\n"),
    case(10, "a control character", GET + "Host: localhost\r\nA: b\x01c\r\n\r\n"),
    case(10, "Foo@", GET + "Host: localhost\r\nFoo@: x\r\n\r\n"),
    case(12, "a request line that is none", "nonsense\r\n\r\n"),
    case(13, "CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n"),
]


async def is_refused(raw: Raw, *statuses: int) -> None:
    """The next response is an error, and the last thing that comes."""
    response = await raw.response()
    assert response.status in statuses
    assert await raw.read_all() == b""


async def each(running: Running, loop_name: str, run: Callable[[Server, Attack], Awaitable[None]]) -> None:
    """Do something to the hub and to the house."""
    for server in await running.both(loop_name):
        async with attack(server) as it:
            await run(server, it)


@pytest.mark.parametrize("bad", BAD)
async def test_requests_that_break_the_rules(bad: str, running: Running, loop_name: str) -> None:
    async def run(server: Server, it: Attack) -> None:
        # Twice: the one behind an answer, and what follows it in the same segment never runs (12).
        for before in (b"", get("/hello")):
            async with connect(server.port) as raw:
                await raw.send(before + bad.encode("latin-1") + get("/admin"))
                if before:
                    assert (await raw.response()).status in (200, 404)
                await is_refused(raw, 400)
        if isinstance(server, House):
            assert server("take", "seen") == []

    await each(running, loop_name, run)


@pytest.mark.parametrize(
    ("asked", "statuses"),
    [
        case(9, "no host", b"GET /anything HTTP/1.1\r\n\r\n", {200, 404}),
        case(
            13, "a URL that is none", b"GET http://[::/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {200, 400, 404}
        ),
        case(13, "the asterisk", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", {200, 404}),
    ],
)
async def test_strange_requests(asked: bytes, statuses: set[int], running: Running, loop_name: str) -> None:
    async def run(server: Server, it: Attack) -> None:
        async with connect(server.port) as raw:
            assert (await raw.ask(asked)).status in statuses

    await each(running, loop_name, run)


@pytest.mark.parametrize(
    ("start", "piece", "status"),
    [
        case(11, "a URL, byte by byte", b"GET /", b"x" * 65_536, 414),
        case(11, "a header, byte by byte", GET.encode() + b"A: ", b"x" * 65_536, 431),
    ],
)
async def test_a_long_line(start: bytes, piece: bytes, status: int, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), connect(house.port) as raw:
        await raw.dribble(start + piece)
        assert (await raw.response()).status == status
        assert house("take", "seen") == []


async def test_case_8_a_hundred_thousand_trailers(running: Running, loop_name: str) -> None:
    async def run(server: Server, it: Attack) -> None:
        async with connect(server.port) as raw:
            sending = asyncio.ensure_future(raw.send(CHUNKED.encode() + b"0\r\n" + b"A: b\r\n" * 100_000))
            await is_refused(raw, 431)
            await sending

    await each(running, loop_name, run)


@pytest.mark.parametrize("which", [case(14, "a handler that would split its answer", n) for n in range(4)])
async def test_an_answer_that_cannot_be_sent(which: int, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    # The handler's mistake is a traceback, for which it does not matter how long it is.
    async with attack(house, lines=100) as it, connect(house.port) as raw:
        response = await raw.ask(get(f"/split?which={which}"))
        assert (response.status, response.body) == (500, b"")
        assert {name for name, _ in response.headers} <= {"content-length", "date", "anysocket-id"}
    assert [line[:13] for line in it.log_lines if line[0] in "EWI"] == ["ERROR wirehop"]


async def test_case_14_our_client_is_given_a_path_with_a_line_break() -> None:
    async def nothing_but_one_request(peer: Peer) -> None:
        assert (await peer.answer(OK)).path == "/fine"
        await peer.gone()
        assert peer.nothing_more_came()

    async with answering(nothing_but_one_request) as answers, http.create_client(answers.port) as client:
        for path in ("/ HTTP/1.1\r\nX: y\r\n\r\n", "/a\nb", "/a b", "/\0"):
            with pytest.raises(ValueError):
                client.get(path)
        assert (await client.get("/fine").finish()).status_code == 200


@pytest.mark.parametrize(
    ("said", "again"),
    [
        case(15, "100 Continue without an end", b"HTTP/1.1 100 Continue\r\n\r\n", True),
        case(15, "less than its length", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", False),
    ],
)
async def test_a_server_that_never_comes_to_the_point(said: bytes, again: bool) -> None:
    async def says(peer: Peer) -> None:
        try:
            await peer.request()
            await peer.send(said)
            while again and not peer.writer.is_closing():
                await peer.send(said)
                await asyncio.sleep(0.001)
            await peer.gone()
        except ConnectionError:
            pass

    limits = http.ClientLimits(response_timeout=0.2, body_timeout=0.2)
    async with answering(says) as answers, http.create_client(answers.port, limits=limits) as client:
        with pytest.raises((TimeoutError, ConnectionError)):
            await (await client.get("/").finish()).read()


@pytest.mark.parametrize(
    "asked",
    [
        case(16, "by its length", post("/echo", b"x" * 200_000)),
        case(
            16,
            "in chunks",
            CHUNKED.encode()
            + b"c350\r\n"
            + b"x" * 50_000
            + b"\r\nc350\r\n"
            + b"x" * 50_000
            + b"\r\n0\r\n\r\n",
        ),
    ],
)
async def test_a_body_beyond_the_limit(asked: bytes, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(body_limit=60_000)
    async with attack(house), connect(port) as raw:
        await raw.send(asked)
        await is_refused(raw, 413)


async def test_case_16_bytes_arrive_as_they_are(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    body = b"\xff" + "é".encode() + bytes(range(256))
    async with attack(house), connect(house.port) as raw:
        asked = post("/echo", body)
        cut = len(asked) - len(body) + 2
        await raw.send(asked[:cut])
        await asyncio.sleep(0.01)
        await raw.send(asked[cut:])
        assert (await raw.response()).body == body


# --- static files


def furnish(house: House) -> None:
    """Files to be served, and some that are not."""
    files = house.folder / "files"
    (house.folder / "secret").write_text("SECRET")
    (files / "bytes").write_bytes(bytes(range(256)))
    for name, target in (("out", house.folder / "secret"), ("up", house.folder)):
        if not (files / name).is_symlink():
            (files / name).symlink_to(target)


@pytest.mark.parametrize(
    "path",
    [
        case(17, "up", "/static/../secret"),
        case(17, "up twice", "/static/x/../../secret"),
        case(17, "backslash", "/static/..\\secret"),
        case(17, "encoded dots", "/static/%2e%2e/secret"),
        case(17, "encoded slash", "/static/..%2fsecret"),
        case(17, "encoded twice", "/static/%252e%252e/secret"),
        case(17, "an absolute path", "/static//etc/passwd"),
        case(17, "an absolute path, encoded", "/static/%2fetc/passwd"),
        case(17, "NUL", "/static/bytes%00.html"),
        case(17, "what is no UTF-8", "/static/%ff%fe"),
        case(18, "a link to a file outside", "/static/out"),
        case(18, "a link to a directory outside", "/static/up/secret"),
    ],
)
async def test_what_is_outside_stays_there(path: str, running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    furnish(house)
    async with attack(house):
        for method in ("GET", "HEAD"):
            async with connect(house.port) as raw:
                response = await raw.ask(get(path, method=method), method)
                assert response.status == 404
                assert b"SECRET" not in response.body
                assert b"root:" not in response.body


async def test_case_19_a_file_of_all_bytes(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    furnish(house)
    async with attack(house), connect(house.port) as raw:
        whole = await raw.ask(get("/static/bytes"))
        assert whole.body == bytes(range(256))
        head = await raw.ask(get("/static/bytes", method="HEAD"), "HEAD")
        assert [header for header in head.headers if header[0] != "date"] == [
            header for header in whole.headers if header[0] != "date"
        ]


async def test_case_20_ranges_and_conditions(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    furnish(house)
    async with attack(house), connect(house.port) as raw:
        whole = await raw.ask(get("/static/bytes"))
        part = await raw.ask(get("/static/bytes", "Range: bytes=1-3"))
        assert (part.status, part.body) == (206, b"\1\2\3")
        assert part.header("content-range") == "bytes 1-3/256"
        for bad in ("bytes=256-", "bytes=-0"):
            assert (await raw.ask(get("/static/bytes", f"Range: {bad}"))).status == 416
        for odd in ("bytes=3-1", "bytes=a-b", "lines=1-2", "bytes=0-1,2-3", "bytes=" + "0-1," * 2000):
            assert (await raw.ask(get("/static/bytes", f"Range: {odd}"))).body == whole.body
        for tag in (whole.header("etag"), f'"x", {whole.header("etag")}', "*"):
            assert (await raw.ask(get("/static/bytes", f"If-None-Match: {tag}"))).status == 304


# --- cookies


async def test_case_21_strange_names_and_values(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), connect(house.port) as raw:
        response = await raw.ask(get("/cookies", "Cookie: hasOwnProperty=1; __proto__=2; a=%"))
        assert response.status == 200
        assert json.loads(response.body) == {"hasOwnProperty": "1", "__proto__": "2", "a": "%"}
        assert response.header("set-cookie") is None


async def test_case_22_what_would_split_a_cookie(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    async with attack(house), connect(house.port) as raw:
        response = await raw.ask(get("/cookies/set"))
        assert (response.status, response.body) == (200, b"")
        assert response.header("set-cookie") == "good=1; Path=/"
        deleted = (await raw.ask(get("/cookies/delete", "Cookie: a=1; b=2"))).header("set-cookie")
        assert deleted is not None
        assert deleted.startswith("b=;")


async def test_case_23_sixty_kilobytes_of_quotes(running: Running, loop_name: str) -> None:
    house = await running.house(loop_name)
    port = house.listen(max_head=1 << 17)
    async with attack(house), connect(port) as raw:
        began = house.cpu()
        assert (await raw.ask(get("/cookies", 'Cookie: a="' + '\\"' * 30_000))).status == 200
        # What is quadratic in this takes minutes; the machine's pace does not matter.
        assert house.cpu() - began < 2


async def test_the_secret_is_there(running: Running, loop_name: str) -> None:
    """Or else its absence shows nothing."""
    house = await running.house(loop_name)
    furnish(house)
    assert (house.folder / "files" / "up" / "secret").read_text() == "SECRET"
