"""Files as answers: nothing from outside of the directory, every byte as it is, in part if asked."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.anysocket.site import port_of, site
from tests.node.serving import get
from tests.programs import curl
from tests.raw import Raw, Response, connect, until
from wirehop import AnyHTTPPeer, AnySocket
from wirehop.anysocket.http import static
from wirehop.errors import ConnectionClosed

EVERY_BYTE = bytes(range(256))
LARGE = EVERY_BYTE * 4096 + b"end"
"""More than four pieces."""

TYPE = "application/octet-stream"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``public`` is to be served, what is beside it is not."""
    public = tmp_path / "public"
    (public / "sub" / "deep").mkdir(parents=True)
    (public / "bytes.bin").write_bytes(EVERY_BYTE)
    (public / "large.bin").write_bytes(LARGE)
    (public / "empty.txt").write_bytes(b"")
    (public / "a b+c é%25.txt").write_text("odd name")
    (public / "sub" / "index.html").write_text("<p>index</p>")
    (public / "inside.txt").symlink_to("sub/index.html")
    (public / "outside.txt").symlink_to("../secret.txt")
    (public / "up").symlink_to("..")
    (public / "nowhere").symlink_to("missing")
    (public / "loop").symlink_to("loop")
    os.mkfifo(public / "pipe")
    (tmp_path / "secret.txt").write_text("SECRET")
    (tmp_path / "public-not").mkdir()
    (tmp_path / "public-not" / "secret.txt").write_text("SECRET")
    return tmp_path


@asynccontextmanager
async def files(folder: Path, **options: Any) -> AsyncIterator[tuple[AnySocket, Raw]]:
    async with site(**options) as (server, router, raw):
        router.static("/static", folder / "public")
        yield server, raw


async def ask(raw: Raw, name: str, *headers: str, method: str = "GET") -> Response:
    return await raw.ask(get(f"/static/{name}", *headers, method=method), method)


# --- what is there


async def test_files_arrive_byte_by_byte_as_they_are(folder: Path) -> None:
    async with files(folder) as (server, raw):
        for name, content in (("bytes.bin", EVERY_BYTE), ("large.bin", LARGE), ("empty.txt", b"")):
            response = await ask(raw, name)
            assert (response.status, response.body) == (200, content)
            assert response.header("content-length") == str(len(content))
            assert response.header("accept-ranges") == "bytes"
            assert response.header("anysocket-id") == server.id
        assert (await ask(raw, "sub/index.html")).body == b"<p>index</p>"
        assert (await ask(raw, "inside.txt")).body == b"<p>index</p>"
        assert (await ask(raw, "a%20b+c%20%C3%A9%2525.txt?query=/../..")).body == b"odd name"


async def test_head_has_the_same_headers_and_no_body(folder: Path) -> None:
    async with files(folder) as (_, raw):
        for name in ("bytes.bin", "large.bin", "missing", "empty.txt"):
            whole = await ask(raw, name)
            head = await ask(raw, name, method="HEAD")
            assert head.status == whole.status
            assert [header for header in head.headers if header[0] != "date"] == [
                header for header in whole.headers if header[0] != "date"
            ]
        # Not for a HEAD (RFC 9110, 14.2).
        assert (await ask(raw, "bytes.bin", "Range: bytes=0-1", method="HEAD")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_find_nothing(method: str, folder: Path) -> None:
    async with files(folder) as (_, raw):
        assert (await ask(raw, "bytes.bin", method=method)).status == 404


# --- what is not there

OUTSIDE = [
    "../secret.txt",
    "..\\secret.txt",
    "..%5csecret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "%252e%252e/secret.txt",
    "..%c0%afsecret.txt",
    "sub/../../secret.txt",
    "sub/deep/../../../secret.txt",
    "./../secret.txt",
    "....//secret.txt",
    "../public-not/secret.txt",
    "//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..;/secret.txt",
    "outside.txt",
    "up/secret.txt",
    "up/public/../secret.txt",
    "bytes.bin%00",
    "%00",
    "bytes.bin%00.txt",
    "%ff",
    "%",
    "%zz",
    "",
    ".",
    "..",
    "sub",
    "sub/",
    "bytes.bin/",
    "bytes.bin/x",
    "nowhere",
    "loop",
    "pipe",
    "missing",
    "x" * 5000,
    "a/" * 3000,
]


@pytest.mark.parametrize("name", OUTSIDE, ids=range(len(OUTSIDE)))
async def test_nothing_else_is_there(name: str, folder: Path) -> None:
    async with files(folder) as (server, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        response = await ask(raw, name)
        assert (response.status, response.body) == (404, b"")
        assert (await ask(raw, "bytes.bin")).body == EVERY_BYTE
        assert errors == []


async def test_only_below_the_url(folder: Path) -> None:
    async with files(folder) as (_, raw):
        for path in ("/static", "/staticbytes.bin", "/x/static/bytes.bin", "/%73tatic/bytes.bin"):
            assert (await raw.ask(get(path))).status == 404


@pytest.mark.parametrize(
    ("number", "status"), [(errno.EACCES, 404), (errno.ELOOP, 404), (errno.EMFILE, 500), (errno.EIO, 500)]
)
async def test_what_may_not_be_read_is_not_there_and_what_cannot_be_is_an_error(
    number: int, status: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may read everything, so the system's answer is made up.
    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(static, "_find", refuse)
    async with files(folder) as (server, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        response = await ask(raw, "bytes.bin")
        assert (response.status, response.body) == (status, b"")
        assert len(errors) == (status == 500)


async def test_a_directory_may_come_later_and_links_may_lead_to_it(folder: Path) -> None:
    async with site() as (_, router, raw):
        router.static("/later", folder / "later")
        assert (await raw.ask(get("/later/bytes.bin"))).status == 404
        (folder / "later").symlink_to("public")
        assert (await raw.ask(get("/later/bytes.bin"))).body == EVERY_BYTE


@pytest.mark.parametrize(
    ("url", "directory", "path"),
    [
        ("/public", None, "/public/bytes.bin"),
        ("public", None, "/public/bytes.bin"),
        ("/public/", "public", "/public/bytes.bin"),
        ("/", "public", "/bytes.bin"),
        ("/a.b/(c", "public", "/a.b/(c/bytes.bin"),
    ],
)
async def test_the_url_and_the_directory(
    url: str, directory: str | None, path: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    async with site() as (_, router, raw):
        router.static(url, directory)
        monkeypatch.chdir("/")
        assert (await raw.ask(get(path))).body == EVERY_BYTE
        assert (await raw.ask(get("/axb/(c/bytes.bin"))).status == 404


# --- the type


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("a.txt", "text/plain;charset=utf-8"),
        ("a.html", "text/html;charset=utf-8"),
        ("a.HTM", "text/html;charset=utf-8"),
        ("a.css", "text/css;charset=utf-8"),
        ("a.js", "text/javascript;charset=utf-8"),
        ("a.md", "text/markdown;charset=utf-8"),
        ("a.sh", "application/x-shellscript;charset=utf-8"),
        ("a.svg", "image/svg+xml;charset=utf-8"),
        ("a.xml", "text/xml;charset=utf-8"),
        ("a.png", "image/png"),
        ("a.jpeg", "image/jpeg"),
        ("a.jpg", "image/jpeg"),
        ("a.jpe", "image/jpeg"),
        ("a.gif", "image/gif"),
        ("a.ttf", "font/ttf"),
        ("a.woff", "font/woff"),
        ("a.woff2", "font/woff2"),
        ("a.eot", "application/vnd.ms-fontobject"),
        ("a.tar.gz", "application/gzip"),
        ("a.bz", "application/x-bzip"),
        ("a.bz2", "application/x-bzip2"),
        ("a.xz", "application/x-xz"),
        ("a.zst", "application/zst"),
        # Not the seed's.
        ("a.json", "application/json"),
        ("a.pdf", "application/pdf"),
        ("a.txt.Z", TYPE),
        ("a.unheard-of", TYPE),
        ("html", TYPE),
        (".html", "text/html;charset=utf-8"),
    ],
)
async def test_the_type_is_told_by_the_name(name: str, type: str, folder: Path) -> None:
    (folder / "public" / name).write_text("x")
    async with files(folder) as (_, raw):
        assert (await ask(raw, name)).header("content-type") == type


# --- a part of it


@pytest.mark.parametrize("name", ["bytes.bin", "large.bin"])
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("Bytes=10-19 ", 10, 20),
        ("bytes=250-", 250, None),
        ("bytes=-6", -6, None),
        ("bytes=-999999999", 0, None),
        ("bytes=5-99999999999", 5, None),
    ],
)
async def test_one_range(asked: str, first: int, last: int | None, name: str, folder: Path) -> None:
    content = (folder / "public" / name).read_bytes()
    async with files(folder) as (_, raw):
        response = await ask(raw, name, f"Range: {asked}")
        begin, end, _ = slice(first, last).indices(len(content))
        assert (response.status, response.body) == (206, content[first:last])
        assert response.header("content-range") == f"bytes {begin}-{end - 1}/{len(content)}"
        assert response.header("content-length") == str(end - begin)


@pytest.mark.parametrize("asked", ["bytes=256-", "bytes=256-300", "bytes=-0", "bytes=99999999999999999-"])
async def test_a_range_that_is_not_there(asked: str, folder: Path) -> None:
    async with files(folder) as (_, raw):
        response = await ask(raw, "bytes.bin", f"Range: {asked}")
        assert (response.status, response.body) == (416, b"")
        assert response.header("content-range") == "bytes */256"
        assert (await ask(raw, "bytes.bin")).body == EVERY_BYTE


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-4",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-2,4-5",
        "bytes=+1-2",
        "bytes=1 - 2",
        "lines=1-2",
        "bytes=" + "9" * 5000 + "-",
        "bytes=\xb2-",
        "bytes=0-" + ",0-" * 3000,
    ],
)
async def test_other_ranges_get_the_whole(asked: str, folder: Path) -> None:
    async with files(folder) as (_, raw):
        response = await ask(raw, "bytes.bin", f"Range: {asked}")
        assert (response.status, response.body) == (200, EVERY_BYTE)


async def test_ranges_of_an_empty_file(folder: Path) -> None:
    async with files(folder) as (_, raw):
        assert (await ask(raw, "empty.txt", "Range: bytes=0-")).status == 416
        assert (await ask(raw, "empty.txt", "Range: bytes=-1")).status == 200


# --- what the client has already


async def test_a_client_that_has_it_gets_304(folder: Path) -> None:
    async with files(folder) as (_, raw):
        for name in ("bytes.bin", "large.bin"):
            whole = await ask(raw, name)
            etag, modified = whole.header("etag"), whole.header("last-modified")
            assert etag is not None
            assert modified is not None
            for header in (
                f"If-None-Match: {etag}",
                f"If-None-Match: W/{etag}",
                f'If-None-Match: "x,y", {etag}',
                "If-None-Match: *",
                f"If-Modified-Since: {modified}",
                f"If-Modified-Since: {formatdate(time.time() + 60, usegmt=True)}",
            ):
                for method in ("GET", "HEAD"):
                    response = await ask(raw, name, header, "Range: bytes=0-1", method=method)
                    assert (response.status, response.header("etag")) == (304, etag)
                    assert response.header("content-length") is None
            for headers in (
                ['If-None-Match: "x"'],
                [f"If-None-Match: {etag[1:-1]}"],
                ['If-None-Match: "x"', f"If-Modified-Since: {modified}"],
                ["If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"],
                ["If-Modified-Since: yesterday"],
                ["If-Modified-Since: "],
                ["If-Modified-Since: Fri, 01 Jan 2100 00:00:00 -0000"],
                ["If-Modified-Since: 99999999999999999999"],
                ["If-Modified-Since: Mon, 99 Foo 99999 99:99:99 +9999"],
            ):
                assert (await ask(raw, name, *headers)).status == 200


async def test_a_changed_file_has_another_etag(folder: Path) -> None:
    async with files(folder) as (_, raw):
        before = (await ask(raw, "bytes.bin")).header("etag")
        path = folder / "public" / "bytes.bin"
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        changed = await ask(raw, "bytes.bin", f"If-None-Match: {before}")
        assert changed.status == 200
        assert changed.header("etag") != before


async def test_if_range(folder: Path) -> None:
    async with files(folder) as (_, raw):
        whole = await ask(raw, "bytes.bin")
        for condition, status in (
            (whole.header("etag"), 206),
            (whole.header("last-modified"), 206),
            ('"other"', 200),
            (f"W/{whole.header('etag')}", 200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ):
            response = await ask(raw, "bytes.bin", "Range: bytes=1-2", f"If-Range: {condition}")
            assert response.status == status


@pytest.mark.parametrize("seconds", [-1, 4_000_000_000])
async def test_files_of_strange_times(seconds: int, folder: Path) -> None:
    os.utime(folder / "public" / "bytes.bin", (seconds, seconds))
    async with files(folder) as (_, raw):
        response = await ask(raw, "bytes.bin")
        assert (response.status, response.body) == (200, EVERY_BYTE)
        modified = response.header("last-modified")
        assert modified is not None
        assert (await ask(raw, "bytes.bin", f"If-Modified-Since: {modified}")).status == 304


# --- a route's own file


async def test_serve_file(folder: Path) -> None:
    async with site() as (server, router, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        public = folder / "public"
        ends = []

        @router.any("/plain")
        def plain(peer: AnyHTTPPeer) -> None:
            peer.header("Cache-Control", "no-cache").set_cookie("a", "b").serve_file(public / "large.bin")

        @router.get("/async")
        async def later(peer: AnyHTTPPeer) -> None:
            await peer.serve_file(str(public / "bytes.bin"), "text/x-mine")
            ends.append(peer.is_closed())

        @router.get("/own-type")
        def own_type(peer: AnyHTTPPeer) -> None:
            peer.header("content-type", "text/x-own").serve_file(public / "bytes.bin")

        @router.get("/gone")
        def gone(peer: AnyHTTPPeer) -> None:
            peer.status(410).serve_file(public / "bytes.bin")

        for path in ("missing", "sub", "pipe"):
            router.get(f"/{path}", lambda peer, path=path: peer.serve_file(public / path))
        router.get("/nul", lambda peer: peer.serve_file("x\0y"))
        router.get("/outside", lambda peer: peer.serve_file(folder / "secret.txt"))

        response = await raw.ask(get("/plain"))
        assert (response.status, response.body) == (200, LARGE)
        response = await raw.ask(get("/plain", "If-None-Match: *", "Range: bytes=0-1", method="POST"))
        assert (response.status, response.body) == (200, LARGE)
        assert response.header("cache-control") == "no-cache"
        assert response.header("set-cookie") == "a=b; Path=/"
        response = await raw.ask(get("/async"))
        assert (response.body, response.header("content-type")) == (EVERY_BYTE, "text/x-mine")
        await until(lambda: ends == [True])
        assert (await raw.ask(get("/own-type"))).header("content-type") == "text/x-own"
        # An error has a meaning of its own, whatever the client has.
        response = await raw.ask(get("/gone", "If-None-Match: *", "Range: bytes=0-1"))
        assert (response.status, response.body, response.header("etag")) == (410, EVERY_BYTE, None)
        for path in ("/missing", "/sub", "/pipe", "/nul"):
            response = await raw.ask(get(path))
            assert (response.status, response.body) == (404, b"")
        assert (await raw.ask(get("/outside"))).body == b"SECRET"
        assert errors == []


async def test_the_error_of_a_disk_is_an_error_of_the_route(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with files(folder) as (server, raw):
        errors: list[Exception] = []
        server.on("error", errors.append)
        read = static._read

        def broken(fd: int, at: int, size: int) -> bytes:
            if at >= static.PIECE or size < static.PIECE:
                raise OSError(5, "Input/output error")
            return read(fd, at, size)

        monkeypatch.setattr(static, "_read", broken)
        response = await ask(raw, "bytes.bin")
        assert (response.status, response.body) == (500, b"")
        async with connect(port_of(server)) as other:
            # Its length was said already: it is cut short.
            await other.send(get("/static/large.bin"))
            assert len((await other.read_all()).partition(b"\r\n\r\n")[2]) == static.PIECE
        assert [str(error) for error in errors] == ["[Errno 5] Input/output error"] * 2


async def test_a_file_that_becomes_shorter_is_cut_short(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with files(folder) as (_, raw):
        read = static._read

        def shrinking(fd: int, at: int, size: int) -> bytes:
            os.truncate(folder / "public" / "large.bin", static.PIECE + 1)
            return read(fd, at, size)

        monkeypatch.setattr(static, "_read", shrinking)
        await raw.send(get("/static/large.bin"))
        assert (await raw.read_all()).partition(b"\r\n\r\n")[2] == LARGE[: static.PIECE + 1]


# --- those who do not wait


HUGE = 1 << 30


@pytest.fixture
def huge(folder: Path) -> Path:
    path = folder / "public" / "huge.bin"
    with path.open("wb") as file:
        file.truncate(HUGE)
    return path


def is_open(path: Path) -> bool:
    """Whether this process has the file open."""
    for fd in Path("/proc/self/fd").iterdir():
        try:
            if fd.readlink() == path:
                return True
        except FileNotFoundError:
            pass
    return False


async def test_a_client_that_leaves_frees_the_file(folder: Path, huge: Path) -> None:
    async with files(folder) as (server, _):
        errors: list[Exception] = []
        server.on("error", errors.append)
        ends: list[object] = []

        @server.http.get("/awaited")
        async def awaited(peer: AnyHTTPPeer) -> None:
            try:
                await peer.serve_file(huge)
            except ConnectionClosed as error:
                ends.append(error)
                raise

        for path in ("/static/huge.bin", "/awaited"):
            async with connect(port_of(server)) as other:
                await other.send(get(path))
                await other.read(1_000_000)
                assert is_open(huge)
                other.reset()
            await until(lambda: not is_open(huge))
        await until(lambda: len(ends) == 1)
        assert errors == []


async def test_who_ends_before_the_file_is_there_has_the_last_word(
    folder: Path, huge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    monkeypatch.setattr(static, "_read", lambda *arguments: reads.append(arguments))
    async with site() as (_, router, raw):
        sent = []

        @router.get("/")
        def answer(peer: AnyHTTPPeer) -> None:
            sent.append(asyncio.ensure_future(peer.serve_file(huge)))
            peer.body("no file").end()

        assert (await raw.ask(get())).body == b"no file"
        await sent[0]
        assert reads == []
        assert not is_open(huge)


@pytest.mark.parametrize("read", [0, 1_000_000])
async def test_stop_in_the_middle_frees_the_file(read: int, folder: Path, huge: Path) -> None:
    async with files(folder) as (server, _), connect(port_of(server)) as slow:
        await slow.send(get("/static/huge.bin"))
        await slow.read(read)
        await until(lambda: is_open(huge))
        await server.stop(timeout=0.05)
        await until(lambda: not is_open(huge))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await slow.read(HUGE)


@pytest.mark.parametrize("name", ["_read", "_find"])
async def test_stop_while_a_thread_is_busy_frees_the_file_when_it_is_done(
    name: str, folder: Path, huge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    original = getattr(static, name)

    def slow(*arguments: Any) -> Any:
        result = original(*arguments)
        entered.set()
        go_on.wait(30)
        return result

    monkeypatch.setattr(static, name, slow)
    async with files(folder) as (server, raw):
        await raw.send(get("/static/huge.bin"))
        await until(entered.is_set)
        await server.stop(timeout=0.05)
        assert is_open(huge)
        go_on.set()
        await until(lambda: not is_open(huge))


async def test_many_pieces_take_turns_with_others(folder: Path) -> None:
    async with files(folder) as (server, raw):

        async def one() -> None:
            async with connect(port_of(server), limit=1 << 22) as other:
                assert (await ask(other, "large.bin")).body == LARGE

        await asyncio.gather(*(one() for _ in range(20)))
        # Pipelined answers stay in order, whatever the disk does.
        await raw.send(b"".join(get(f"/static/{name}") for name in ("large.bin", "bytes.bin", "missing")))
        assert (await raw.response()).body == LARGE
        assert (await raw.response()).body == EVERY_BYTE
        assert (await raw.response()).status == 404


# --- curl


async def test_curl(folder: Path) -> None:
    async with files(folder) as (server, _):
        base = f"http://127.0.0.1:{port_of(server)}/static"
        assert await curl(f"{base}/large.bin") == LARGE
        assert await curl("-r", "1000-1999", f"{base}/large.bin") == LARGE[1000:2000]
        assert await curl("--path-as-is", f"{base}/../secret.txt") == b""
        head = await curl("-I", f"{base}/large.bin")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Length: %d\r\n" % len(LARGE) in head
        half, etag = folder / "half", folder / "etag"
        half.write_bytes(LARGE[:300_000])
        await curl("-C", "-", "-o", half, f"{base}/large.bin")
        assert half.read_bytes() == LARGE
        once = ("--etag-save", etag, "--etag-compare", etag, "-w", "%{http_code}", "-o", "/dev/null")
        assert await curl(*once, f"{base}/large.bin") == b"200"
        assert await curl(*once, f"{base}/large.bin") == b"304"
