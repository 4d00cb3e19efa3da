"""Our HTTP server against h11 and Node's: the same bytes must be the same requests.

The bytes come from a generator of well-formed requests and from one that breaks them, with a
fixed seed; ``WIREHOP_FUZZ_SEED`` is another one. A failure prints the input.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.node.http_judges import (
    CLOSED,
    NODE_DIFFERS,
    OPEN,
    Dawdler,
    Known,
    Node,
    Ours,
    Read,
    Reading,
    Wire,
    accepts_more,
    differs,
    h11_reads,
    node,
)
from tests.node.serving import Held, chunked, get, request
from tests.node.test_http_threats import BAD, HELLO
from wirehop.node import http

SEED = int(os.environ.get("WIREHOP_FUZZ_SEED", "1"))

CONNECTIONS = 100_000
"""Each with a request or several: 40 seconds of a core."""

SHARDS = 2
"""The processes that share them; what is in each does not depend on how many cores there are."""

ROOT = Path(__file__).parent.parent.parent

# --- well-formed requests

METHODS = (
    "GET", "POST", "GET", "POST", "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "TRACE",
    "PROPFIND", "REPORT", "M-SEARCH", "LINK", "PURGE",
)  # fmt: skip
TOKEN = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
URL = TOKEN + '"(),/:;<=>?@[\\]{}' + "/?=&%#"
VALUE = URL + " \t\x80\xa0\xe9\xff"
URLS = ("/", "/", "/", "/a/b?c=d", "/index.html#top", "*", "http://test/x?y", "http://[::1]:80/")
NAMES = (
    "Accept", "User-Agent", "Cookie", "X-Forwarded-For", "content-type", "Content-Lengt", "Content-Length2",
    "Transfer-Encoding-", "X-Transfer-Encoding", "TE", "Trailer", "Keep-Alive", "Proxy-Connection", "Hosts",
    "Upgrade-Insecure-Requests", "A",
)  # fmt: skip
VALUES = ("", "*/*", "a=b; c=d", "GET /admin HTTP/1.1", "chunked", "5", "Content-Length: 5", '"a, b"')
GAPS = ("", " ", " ", " ", " ", "\t", "  ", " \t")
# llhttp refuses a Transfer-Encoding, and its older versions a Content-Length, with a tab behind it:
# stricter than RFC 9110, 5.5, and safe.
GAPS_BEHIND = ("", "", "", " ", "  ")
BODIES = (
    b"",
    b"x",
    b"hello",
    b"\r\n",
    b"0\r\n\r\n",
    b"GET /admin HTTP/1.1\r\nHost: test\r\n\r\n",
    b"\0\xff" * 20,
)


def some(random: Random, alphabet: str, most: int) -> str:
    return "".join(random.choices(alphabet, k=random.randint(1, most)))


def well_formed(random: Random) -> tuple[bytes, Reading]:
    """Requests in a row, and how to read them."""
    parts: list[bytes] = []
    reading = Reading([], OPEN)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
        # Programs ask the same again and again, and what is known need not be parsed.
        if not parts or random.random() < 0.6:
            data, read = one_request(random)
        parts.append(data)
        if reading.end == OPEN:
            reading.requests.append(read)
            reading.end = OPEN if is_kept(read) else CLOSED
    return b"".join(parts), reading


def is_kept(read: Read) -> bool:
    options = {value.lower() for name, value in read.headers if name.lower() == "connection"}
    return "close" not in options and (read.version == "1.1" or "keep-alive" in options)


def one_request(random: Random) -> tuple[bytes, Read]:
    chance = random.random
    method = random.choice(METHODS)
    url = random.choice(URLS) if chance() < 0.7 else "/" + some(random, URL, 12)
    version = "1.1" if chance() < 0.92 else "1.0"
    headers = []
    if chance() < 0.97:
        headers.append(("Host", "test"))
    while chance() < 0.5:
        name = random.choice(NAMES) if chance() < 0.8 else some(random, TOKEN, 8) + "-"
        value = random.choice(VALUES) if chance() < 0.6 else some(random, VALUE, 12)
        headers.append((name, value.strip(" \t")))
    if chance() < 0.15:
        option = random.choice(("close", "keep-alive", "Keep-Alive", "upgrade", "x", "TE"))
        headers.append(("Connection", option))
        if option == "upgrade" or chance() < 0.1:
            headers.append(("Upgrade", random.choice(("websocket", "h2c", "x/1"))))
    if chance() < 0.05:
        headers.append(("Expect", "100-continue"))
    body = raw = b""
    if chance() < 0.55:
        body = random.choice(BODIES) if chance() < 0.8 else random.randbytes(random.randint(1, 40))
        if chance() < 0.5 or version == "1.0":
            length = f"{len(body)}" if chance() < 0.95 else f"{len(body):05}"
            headers.append((random.choice(("Content-Length", "content-length", "CONTENT-LENGTH")), length))
            raw = body
        else:
            coding = random.choice(("chunked", "chunked", "Chunked", "CHUNKED"))
            headers.append((random.choice(("Transfer-Encoding", "transfer-encoding")), coding))
            raw = chunks(random, body)
    if chance() < 0.3:
        random.shuffle(headers)
    lines = [f"{method} {url} HTTP/{version}\r\n"]
    for name, value in headers:
        lines.append(f"{name}:{random.choice(GAPS)}{value}{random.choice(GAPS_BEHIND)}\r\n")
    lines.append("\r\n")
    read = tuple(
        (name, value.lower() if name.lower() == "transfer-encoding" else value) for name, value in headers
    )
    return "".join(lines).encode("latin-1") + raw, Read(method, url, version, read, body, True)


def chunks(random: Random, body: bytes) -> bytes:
    chance = random.random
    parts = []
    at = 0
    while at < len(body):
        size = random.randint(1, len(body) - at)
        digits = f"{size:x}" if chance() < 0.8 else f"{size:0{random.randint(1, 9)}X}"
        parts.append(f"{digits}{extensions(random)}\r\n".encode("latin-1") + body[at : at + size] + b"\r\n")
        at += size
    parts.append(f"{'0' * random.choice((1, 1, 1, 2, 8))}{extensions(random)}\r\n".encode("latin-1"))
    while chance() < 0.15:
        name = random.choice(("Trailer", "Digest", "X-" + some(random, TOKEN, 5)))
        value = random.choice(VALUES) if chance() < 0.6 else some(random, VALUE, 12)
        parts.append(f"{name}: {value}\r\n".encode("latin-1"))
    parts.append(b"\r\n")
    return b"".join(parts)


def extensions(random: Random) -> str:
    text = ""
    while random.random() < 0.15:
        value = random.choice(("", "=b", "=" + some(random, TOKEN, 4), '="b;c \\" d"', '="\t\xe9"'))
        text += ";" + some(random, TOKEN, 4) + value
    return text


# --- requests that are not

MATTERS = [
    *(bytes([byte]) for byte in b"\r\n\0 \t:,;0123456789abcdefABCDEF\xff\x80\x0b\x0c\x1f\x7f\"\\+-_x=/?#%"),
    b"\r\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\n\r\n", b"\r\r\n", b"\r\n ", b"\r\n\t", b": ",
    b" HTTP/1.1\r\n",
]  # fmt: skip
LINES = [
    line.encode("latin-1") + b"\r\n"
    for line in (
        "Content-Length: 0", "Content-Length: 5", "content-length:3", "Content-Length: 5, 5",
        "Content-Length: +5", "Content-Length : 5", "Content-Length:", "Content-Length: 0x5",
        "Content-Length: 99999999999999999999", "Content_Length: 5", "Content-Length\t: 5",
        "Content-Length: 5\x0b", "Content-Length: 1 5", "Transfer-Encoding: chunked",
        "Transfer-Encoding:chunked", "transfer-encoding: identity", "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, identity", "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: xchunked", "Transfer-Encoding:",
        "Transfer_Encoding: chunked", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked",
        "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked\t", "TRANSFER-ENCODING: CHUNKED",
        "Transfer-Encoding: chunked,", "Host: b", "Host:", "Connection: close", "Connection: keep-alive",
        "Connection: keep-alive, close", "Connection: x, Upgrade", "Connection: upgrade",
        "Connection: Transfer-Encoding", "Upgrade: websocket", "Connection: close\t",
        "Connection:  , close", "Connection: closed", "Connection: close keep-alive",
        "Expect: 100-continue", "Expect: something", "Expect:", " folded", "\tfolded", "no colon",
        ": no name", "A:b", "A\0: b", "GET /admin HTTP/1.1", "POST / HTTP/1.0", "PRI * HTTP/2.0",
        "CONNECT a:1 HTTP/1.1", "GET /", "0", "5", "", "5;a=b", "0;a", "-1", "0x0", "ffffffffffffffff",
        "10000000000000000", "5 ", " 5", "00000000000000000",
    )
]  # fmt: skip
END_OF_LINE = re.compile(rb"\r\n")
CORPUS = [bad + get("/admin") for bad in (HELLO, *(text.encode("latin-1") for text in BAD.values()))]


def broken(random: Random) -> bytes:
    """Requests with something wrong, mostly."""
    if random.random() < 0.15:
        data = random.choice(CORPUS)
        if random.random() < 0.3:
            data = well_formed(random)[0] + data
    else:
        data = well_formed(random)[0]
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(MUTATIONS)(random, data)
    return data


def position(random: Random, data: bytes) -> int:
    """Somewhere, rather at the end of a line."""
    if random.random() < 0.5:
        ends = [match.start() for match in END_OF_LINE.finditer(data)]
        if ends:
            return min(random.choice(ends) + random.choice((-1, 0, 0, 1, 2, 2, 3)), len(data))
    return random.randint(0, len(data))


def delete(random: Random, data: bytes) -> bytes:
    at = position(random, data)
    return data[:at] + data[at + random.choice((1, 1, 1, 2, 3)) :]


def insert(random: Random, data: bytes) -> bytes:
    at = position(random, data)
    return data[:at] + random.choice(MATTERS) + data[at:]


def replace(random: Random, data: bytes) -> bytes:
    at = position(random, data)
    return data[:at] + random.choice(MATTERS) + data[at + 1 :]


def duplicate(random: Random, data: bytes) -> bytes:
    at = position(random, data)
    size = random.choice((1, 1, 2, 5, 20))
    return data[: at + size] + data[at:]


def swap(random: Random, data: bytes) -> bytes:
    at = position(random, data)
    return data[:at] + data[at : at + 2][::-1] + data[at + 2 :]


def truncate(random: Random, data: bytes) -> bytes:
    return data[: position(random, data)]


def add_line(random: Random, data: bytes) -> bytes:
    ends = [match.end() for match in END_OF_LINE.finditer(data)]
    at = random.choice(ends) if ends else 0
    return data[:at] + random.choice(LINES) + data[at:]


def join_lines(random: Random, data: bytes) -> bytes:
    ends = [match.start() for match in END_OF_LINE.finditer(data)]
    at = random.choice(ends) if ends else 0
    return data[:at] + data[at + 2 :]


def split_line(random: Random, data: bytes) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + b"\r\n" + data[at:]


def swap_lines(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]
    return b"\r\n".join(lines)


def duplicate_line(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(random.randrange(len(lines)), random.choice(lines))
    return b"\r\n".join(lines)


def other_end_of_line(random: Random, data: bytes) -> bytes:
    ends = [match.start() for match in END_OF_LINE.finditer(data)]
    at = random.choice(ends) if ends else 0
    return data[:at] + random.choice((b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\0", b" ")) + data[at + 2 :]


def other_number(random: Random, data: bytes) -> bytes:
    numbers = list(re.finditer(rb"\d+", data))
    if not numbers:
        return data
    number = random.choice(numbers)
    value = random.choice((int(number[0][:9]) + 1, int(number[0][:9]) - 1, 0, 1, 1 << 32, 1 << 64))
    return data[: number.start()] + b"%d" % value + data[number.end() :]


def other_case(random: Random, data: bytes) -> bytes:
    at = random.randint(0, len(data))
    size = random.choice((1, 5, 20))
    return data[:at] + data[at : at + size].swapcase() + data[at + size :]


def splice(random: Random, data: bytes) -> bytes:
    other = well_formed(random)[0]
    return data[: position(random, data)] + other[position(random, other) :]


MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    delete, insert, insert, replace, duplicate, swap, truncate, add_line, add_line, add_line, join_lines,
    split_line, swap_lines, duplicate_line, other_end_of_line, other_number, other_case, splice,
)  # fmt: skip


def in_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def in_pieces(random: Random, data: bytes) -> list[bytes]:
    cuts = sorted(random.choices(range(len(data) + 1), k=random.randint(1, 6)))
    return [data[at:to] for at, to in zip([0, *cuts], [*cuts, len(data)], strict=True) if at < to]


# --- the comparison


def explain(data: bytes, what: str, **readings: Reading) -> str:
    lines = [f"{who:8} {reading}" for who, reading in readings.items()]
    return "\n".join([what, f"input    {data!r}", *lines])


def check_cuts(ours: Ours, data: bytes, *cuts: list[bytes]) -> Reading:
    """Our reading, which must not depend on how the bytes arrive."""
    whole = ours.read([data])
    for pieces in (in_bytes(data), *cuts):
        cut = ours.read(pieces)
        assert cut == whole, explain(data, f"cut into {pieces}", whole=whole, cut=cut)
    return whole


def check_h11(data: bytes, ours: Reading) -> bool:
    """Returns whether h11 refuses something of it."""
    h11 = h11_reads(data)
    difference = differs(ours, h11)
    assert difference is None, explain(data, f"read differently: {difference}", ours=ours, h11=h11)
    return accepts_more(ours, h11)


def check_node(judge: Node, readings: list[tuple[bytes, Reading, bool]]) -> None:
    """Each with whether h11 refused something of it: Node must not do so too."""
    theirs = judge.read([(data, ours.lacks_host()) for data, ours, _ in readings])
    for (data, ours, is_refused), its in zip(readings, list(theirs), strict=True):
        difference = differs(ours, its)
        excess = is_refused and accepts_more(ours, its)
        if not (difference or excess):
            continue
        changed = data
        for known in NODE_DIFFERS:
            changed = known.change(changed)
        if changed != data:
            check_node(judge, [(changed, asyncio.run(read_by_ours(changed)), is_refused)])
            continue
        what = f"read differently: {difference}" if difference else "neither h11 nor Node accepts it"
        pytest.fail(explain(data, what, ours=ours, node=its))


async def read_by_ours(data: bytes) -> Reading:
    return Ours().read([data])


# --- the bulk


def read_many(shard: int) -> dict[str, int]:
    """The part of a process. Returns how many there were of what."""
    random = Random(f"{SEED} {shard}")
    for_node: list[tuple[bytes, Reading, bool]] = []
    seen = {"connections": 0, "requests": 0, "refused": 0, "refused by h11 only": 0, "read by Node": 0}

    async def read_all() -> None:
        ours = Ours()
        for number in range(shard, CONNECTIONS, SHARDS):
            is_good = random.random() < 0.25
            data, expected = well_formed(random) if is_good else (broken(random), None)
            reading = check_cuts(ours, data, *[in_pieces(random, data)] if number % 10 == 0 else [])
            is_refused = check_h11(data, reading)
            if expected is not None:
                assert reading == expected, explain(data, "a good one", ours=reading, expected=expected)
                assert not is_refused, explain(data, "a good one is refused by h11", ours=reading)
            if is_refused or random.random() < 0.05:
                for_node.append((data, reading, is_refused))
            seen["connections"] += 1
            seen["requests"] += len(reading.requests)
            seen["refused"] += reading.is_refused()
            seen["refused by h11 only"] += is_refused
            if number % 100 == 0:
                await asyncio.sleep(0)

    asyncio.run(read_all())
    if shutil.which("node") is not None:
        with node() as judge:
            check_node(judge, for_node)
        seen["read by Node"] = len(for_node)
    return seen


def test_many_connections() -> None:
    # In processes of their own: under a debugger or a measurement of coverage it takes minutes.
    command = [sys.executable, "-m", __name__]
    shards = [
        subprocess.Popen([*command, str(shard)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for shard in range(SHARDS)
    ]
    try:
        results = [shard.communicate() for shard in shards]
    finally:
        for shard in shards:
            shard.kill()
            shard.wait()
    for shard, (_, stderr) in zip(shards, results, strict=True):
        assert shard.returncode == 0, stderr.decode()
    seen: Counter[str] = sum((Counter(json.loads(stdout)) for stdout, _ in results), Counter())
    # A generator of good ones only, or of bad ones only, would prove nothing.
    assert seen["connections"] == CONNECTIONS
    assert seen["requests"] > CONNECTIONS
    assert CONNECTIONS / 5 < seen["refused"] < CONNECTIONS * 4 / 5
    assert seen["refused by h11 only"] > CONNECTIONS / 5000
    if not seen["read by Node"]:
        pytest.skip("node is not installed")


# --- the same with a little more attention


async def test_the_cases_of_the_threat_model() -> None:
    ours = Ours()
    for data in CORPUS:
        reading = check_cuts(ours, data)
        assert reading.end == "400", explain(data, "accepted", ours=reading)
        assert not any(read.complete for read in reading.requests), explain(data, "complete", ours=reading)
        check_h11(data, reading)


FRAGMENTS = [
    b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"HEAD /b HTTP/1.0\r\n", b"Host: test\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"A: b\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"Expect: 100-continue\r\n", b"\r\n", b"\r\n", b"\r\n", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n",
    b"0\r\n", b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", b"5;a=b\r\n", b"\r", b"\n", b" ", b":", b"5", b"\0",
    b"GET /", b" HTTP/1.1",
]  # fmt: skip


@seed(SEED)
@settings(max_examples=1000, deadline=None, database=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12), st.data())
def test_any_fragments_with_any_cuts(fragments: list[bytes], data: st.DataObject) -> None:
    """The generator that makes small examples of what fails."""
    whole = b"".join(fragments)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    pieces = [whole[at:to] for at, to in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    async def check() -> None:
        check_h11(whole, check_cuts(Ours(), whole, pieces))

    asyncio.run(check())


@pytest.mark.parametrize(("max_pipelined", "body_high_water"), [(1, 0), (2, 10), (64, 65_536)])
async def test_a_handler_that_takes_its_time(max_pipelined: int, body_high_water: int) -> None:
    random = Random(SEED)
    ours = Ours()
    slow = Dawdler(random, max_pipelined=max_pipelined, body_high_water=body_high_water)
    for number in range(700):
        data = broken(random) if number % 2 else well_formed(random)[0]
        expected = ours.read([data])
        pieces = random.choice((in_bytes, lambda data: [data], lambda data: in_pieces(random, data)))(data)
        reading = await slow.read(pieces)
        assert reading == expected, explain(data, f"cut into {pieces}", ours=expected, slow=reading)


async def test_an_upgrade_gets_what_follows_it() -> None:
    random = Random(SEED)
    ours = Ours()
    taken: list[tuple[str, bytes]] = []

    @ours.server.on("upgrade")
    def take(request: http.ServerRequest, connection: http.ServerConnection, tail: bytes) -> None:
        connection.detach()
        taken.append((request.url, tail))

    for _ in range(500):
        before, reading = well_formed(random)
        if reading.end == CLOSED or b"pgrade" in before:
            continue
        upgrade = get("/upgrade", "Connection: x, Upgrade", "Upgrade: y")
        tail = well_formed(random)[0] if random.random() < 0.5 else random.randbytes(20)
        data = before + upgrade + tail
        for pieces in ([data], in_bytes(data), in_pieces(random, data)):
            taken.clear()
            assert ours.read(pieces) == reading, explain(data, "not what was before", ours=reading)
            (url, tail_then), rest = *taken, b"".join(ours.unread)
            assert (url, tail_then + rest) == ("/upgrade", tail), explain(data, f"cut into {pieces}")


# --- limits


def head_of(where: str, size: int) -> bytes:
    """A request whose head counts as so many bytes: the URL, and for each header, and for each
    trailer, its name and its value and four more."""
    host = len("Host: test\r\n")
    if where == "url":
        return b"GET /" + b"u" * (size - 1) + b" HTTP/1.1\r\n\r\n"
    if where == "value":
        return request("GET", "/", "A: " + "v" * (size - 1 - host - 5))
    if where == "name":
        return request("GET", "/", "n" * (size - 1 - host - 5) + ": v")
    if where == "headers":
        last = size - 1 - host - 20 * 100 - 5
        return request("GET", "/", *["A: " + "v" * 95] * 20, "A: " + "v" * last)
    coding = "Transfer-Encoding: chunked"
    last = size - 1 - host - len(coding) - 2 - 5
    return request("POST", "/", coding) + b"5\r\nhello\r\n0\r\nA: " + b"v" * last + b"\r\n\r\n"


@pytest.mark.parametrize("where", ["url", "value", "name", "headers", "trailer"])
async def test_the_limit_of_a_head_is_the_same_however_it_is_cut(where: str) -> None:
    random = Random(SEED)
    ours = Ours(max_head=3000)
    for size in range(2980, 3020):
        data = head_of(where, size) + get("/next")
        reading = check_cuts(ours, data, *[in_pieces(random, data) for _ in range(5)])
        if size <= 3000:
            assert (len(reading.requests), reading.end) == (2, OPEN), explain(data, f"{size}", ours=reading)
        else:
            assert reading.end == ("414" if where == "url" else "431"), explain(data, f"{size}", ours=reading)
            assert not any(read.complete for read in reading.requests)


async def test_the_limit_of_the_number_of_headers_is_the_same_however_they_are_cut() -> None:
    random = Random(SEED)
    ours = Ours(max_headers=10)
    for count in range(8, 14):
        data = request("GET", "/", *["A: b"] * (count - 1)) + get("/next")
        reading = check_cuts(ours, data, *[in_pieces(random, data) for _ in range(5)])
        if count <= 10:
            assert (len(reading.requests), reading.end) == (2, OPEN), explain(data, f"{count}", ours=reading)
        else:
            assert (reading.requests, reading.end) == ([], "431"), explain(data, f"{count}", ours=reading)


# --- what the comparison has found

UPGRADE = get("/upgrade", "Connection: upgrade", "Upgrade: x")


@pytest.mark.parametrize(
    ("data", "urls", "end"),
    [
        (UPGRADE + get("/", "Host: two"), ["/upgrade"], "400"),
        (UPGRADE + get("/", "Expect: something"), ["/upgrade"], "417"),
        (UPGRADE * 3 + get("/next"), ["/upgrade"] * 3 + ["/next"], OPEN),
        (get("/", "Connection: close, keep-alive", version="1.0") + get("/next"), ["/"], CLOSED),
        (
            get("/", "Connection: keep-alive", "Connection: Close", version="1.0") + get("/next"),
            ["/"],
            CLOSED,
        ),
        (get("/") + b"GET /old\r\nA", ["/"], "400"),
        (b"GET /old\r\nA", [], "400"),
        (b"GET /old\r\n", [], "400"),
        (get("/") + b"PRI * HTTP/2.0\r\n", ["/"], "400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", [], "400"),
    ],
    ids=[
        "two hosts behind an upgrade",
        "an expectation behind an upgrade",
        "upgrades",
        "close and keep-alive in HTTP/1.0",
        "keep-alive and close in HTTP/1.0",
        "a later line without a version",
        "a line without a version and more",
        "a line without a version",
        "a later preface of HTTP/2",
        "half a preface of HTTP/2",
    ],
)
async def test_what_was_found(data: bytes, urls: list[str], end: str) -> None:
    reading = check_cuts(Ours(), data)
    assert [read.url for read in reading.requests] == urls
    assert all(read.complete for read in reading.requests)
    assert reading.end == end


async def test_an_upgrade_that_is_ignored_can_be_seen() -> None:
    reading = check_cuts(Ours(), UPGRADE)
    assert reading.requests[0].headers == (("Host", "test"), ("Connection", "upgrade"), ("Upgrade", "x"))


async def test_a_trailer_cannot_end_the_connection() -> None:
    data = request("POST", "/", "Transfer-Encoding: chunked") + b"0\r\nConnection: close\r\n\r\n"
    reading = check_cuts(Ours(), data + get("/next"))
    assert [read.complete for read in reading.requests] == [False]
    assert reading.end == "400"


async def test_many_upgrades_behind_a_body() -> None:
    start = request("POST", "/", "Content-Length: 10") + b"hello"
    reading = Ours().read([start, b"hello" + UPGRADE * 500 + get("/next")])
    assert [read.url for read in reading.requests] == ["/", *["/upgrade"] * 500, "/next"]


async def test_nothing_runs_behind_an_answer_that_closes() -> None:
    seen: list[str] = []

    def answer(request: http.ServerRequest, response: http.ServerResponse) -> None:
        seen.append(request.url)
        response.respond(200, [("Connection", "close")])

    wire = Wire()
    connection = http.ServerConnection(http.Server(answer))
    connection.connection_made(wire)
    connection.data_received(get("/") + UPGRADE + get("/admin"))
    assert seen == ["/"]
    assert wire.sent.count(b"HTTP/1.1") == 1
    assert wire.is_over
    connection.connection_lost(None)


async def test_nothing_runs_behind_a_request_that_closes() -> None:
    """Its answer may take a while; llhttp would go on."""
    held = Held()
    server = http.Server(held)
    connection = http.ServerConnection(server)
    wire = Wire()
    connection.connection_made(wire)
    connection.data_received(get("/", "Connection: keep-alive, close", version="1.0") + get("/admin"))
    connection.data_received(get("/admin"))
    assert [request.url for request in held.requests] == ["/"]
    held.responses[0].respond(200)
    assert wire.sent.count(b"HTTP/1.1") == 1
    assert wire.is_over
    connection.connection_lost(None)


# --- the judges


GOOD = Read("GET", "/", "1.1", (), b"", True)
HALF = GOOD._replace(body=b"a", complete=False)
WHOLE = GOOD._replace(body=b"ab")


@pytest.mark.parametrize(
    ("ours", "judge", "difference"),
    [
        (Reading([GOOD], OPEN), Reading([GOOD], OPEN), None),
        (Reading([GOOD], OPEN), Reading([GOOD._replace(url="/x")], OPEN), "the head of a request"),
        (Reading([GOOD], OPEN), Reading([WHOLE], OPEN), "a body"),
        (Reading([HALF], OPEN), Reading([WHOLE], OPEN), "where a body ends"),
        (Reading([WHOLE], OPEN), Reading([HALF], OPEN), "where a body ends"),
        (Reading([HALF], OPEN), Reading([WHOLE], "refused"), "where a body ends"),
        (Reading([WHOLE], OPEN), Reading([HALF], "refused"), None),
        (Reading([HALF], "400"), Reading([WHOLE, GOOD], OPEN), None),
        (Reading([HALF], "400"), Reading([HALF._replace(body=b"b")], OPEN), "a part of a body"),
        (Reading([GOOD], OPEN), Reading([GOOD, GOOD], OPEN), "that there is another request"),
        (Reading([GOOD], "400"), Reading([GOOD, GOOD], OPEN), None),
        (Reading([GOOD, GOOD], OPEN), Reading([GOOD], OPEN), "that there is no other request"),
        (Reading([GOOD, GOOD], OPEN), Reading([GOOD], "refused"), None),
        (Reading([GOOD], OPEN), Reading([GOOD], CLOSED), "whether a request is the last"),
        (Reading([GOOD], "400"), Reading([GOOD], CLOSED), "whether a request is the last"),
        (Reading([GOOD], "400"), Reading([GOOD], "refused"), None),
    ],
)
def test_a_difference_is_seen(ours: Reading, judge: Reading, difference: str | None) -> None:
    assert differs(ours, judge) == difference


@pytest.mark.parametrize(
    ("ours", "judge", "more"),
    [
        (Reading([GOOD], OPEN), Reading([], "refused"), True),
        (Reading([GOOD], OPEN), Reading([], OPEN), False),
        (Reading([GOOD], OPEN), Reading([GOOD], "refused"), False),
        (Reading([], OPEN), Reading([], "refused"), False),
        (Reading([WHOLE], OPEN), Reading([HALF], "refused"), True),
        (Reading([HALF], OPEN), Reading([HALF], "refused"), False),
        (Reading([HALF], OPEN), Reading([HALF._replace(body=b"")], "refused"), True),
    ],
)
def test_an_excess_is_seen(ours: Reading, judge: Reading, more: bool) -> None:
    assert accepts_more(ours, judge) == more


def test_the_judges_read_what_they_should() -> None:
    good = (
        get("/first", "A:  b ")
        + request("POST", "/second", "Transfer-Encoding: Chunked")
        + chunked(b"x", b"yz")
    )
    last = get("/third", "Connection: close") + b"garbage"
    first = Read("GET", "/first", "1.1", (("Host", "test"), ("A", "b")), b"", True)
    second = Read(
        "POST", "/second", "1.1", (("Host", "test"), ("Transfer-Encoding", "chunked")), b"xyz", True
    )
    third = Read("GET", "/third", "1.1", (("Host", "test"), ("Connection", "close")), b"", True)
    inputs = [good + last, good + b"\0", good[:-5], b"GET /old HTTP/1.1\r\n\r\n", good + UPGRADE + good]
    half = second._replace(body=b"xyz", complete=False)
    upgrade = Read(
        "GET", "/upgrade", "1.1", (*first.headers[:1], ("Connection", "upgrade"), ("Upgrade", "x")), b"", True
    )
    old = Read("GET", "/old", "1.1", (), b"", True)
    expected = [
        [first, second, third],
        [first, second],
        [first, half],
        [old],
        [first, second, upgrade, first, second],
    ]
    ends = [CLOSED, None, OPEN, OPEN, OPEN]

    def check(readings: list[Reading]) -> None:
        assert [reading.requests for reading in readings] == expected
        for reading, end in zip(readings, ends, strict=True):
            assert reading.end == end or (end is None and reading.is_refused())

    check([h11_reads(data) for data in inputs])
    with node() as judge:
        assert [reading.is_refused() for reading in judge.read([(inputs[3], False)])] == [True]
        check(list(judge.read([(data, True) for data in inputs])))


@pytest.mark.parametrize(
    ("known", "data"),
    [
        (
            NODE_DIFFERS[0],
            request("POST", "/", "Content-Length: 5\t ") + b"hello" + get("/next", "connection:close \t"),
        ),
        (NODE_DIFFERS[1], get("/", "Connection: keep-alive, close", version="1.0")),
    ],
)
def test_what_node_is_known_for(known: Known, data: bytes) -> None:
    """What Node reads in its own way is changed to what it reads as we do."""
    changed = known.change(data)
    assert changed != data
    assert known.change(changed) == changed
    with node() as judge:
        check_node(judge, [(data, asyncio.run(read_by_ours(data)), True)])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read_many(int(sys.argv[1]))))
