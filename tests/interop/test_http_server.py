"""Our HTTP server with the clients of the world: curl, Node and wrk; and bodies of a gigabyte."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LOOPS
from tests.interop.npm import NODE
from tests.interop.routes import through
from tests.node.serving import serve
from tests.programs import CURL, ROOT, curl, ended, output
from tests.raw import until
from wirehop.errors import ConnectionClosed
from wirehop.node import http as wirehop_http

MIB = 1 << 20
GIB = 1 << 30
CHUNK = bytes(65_536)


class Handler:
    """What the clients find."""

    def __init__(self) -> None:
        self.sent = 0
        """Bytes of downloads that were given to the connection."""
        self.failed: list[str] = []
        """The requests whose clients left."""

    async def __call__(
        self, request: wirehop_http.ServerRequest, response: wirehop_http.ServerResponse
    ) -> None:
        path, _, query = request.url.partition("?")
        try:
            if path == "/hello":
                response.respond(200, [("Content-Type", "text/plain")], f"hello {query}")
            elif path == "/count":
                size = 0
                async for chunk in request:
                    size += len(chunk)
                response.respond(200, [], str(size))
            elif path == "/echo":
                response.respond(200, [], await request.read())
            elif path == "/stream":
                response.send_header(200)
                async for chunk in request:
                    await response.send_body(chunk)
                response.finish()
            elif path.startswith("/down/"):
                size = int(path[6:])
                response.send_header(200, [("Content-Length", size)])
                for at in range(0, size, len(CHUNK)):
                    await response.send_body(CHUNK[: size - at])
                    self.sent += min(len(CHUNK), size - at)
                response.finish()
            elif path == "/sent":
                response.respond(200, [], str(self.sent))
            else:
                response.respond(404)
        except ConnectionClosed:
            self.failed.append(path)
            raise


# --- curl


async def verbose(*options: str | Path, stdin: bytes | None = None) -> tuple[bytes, str]:
    """What curl prints, and what it reports of its way."""
    status, stdout, log = await ended(*CURL, "-v", *options, stdin=stdin)
    assert status == 0, log.decode()
    return stdout, log.decode()


async def test_curl_keeps_its_connection() -> None:
    async with serve(Handler()) as server:
        url = f"http://127.0.0.1:{await through(server.port)}/hello"
        stdout = await curl("-w", " %{num_connects}\n", f"{url}?1", f"{url}?2", f"{url}?3")
        assert stdout == b"hello 1 1\nhello 2 0\nhello 3 0\n"


async def test_curl_uploads_in_chunks() -> None:
    body = bytes(range(256)) * 4000
    async with serve(Handler()) as server:
        url = f"http://127.0.0.1:{await through(server.port)}/echo"
        chunked = ("-H", "Transfer-Encoding: chunked")
        stdout, log = await verbose(*chunked, "--data-binary", "@-", url, url, stdin=body)
        assert log.count("> Transfer-Encoding: chunked") == 2
        assert stdout == body * 2
        stdout, log = await verbose("-T", "-", url, stdin=body)
        assert "> Transfer-Encoding: chunked" in log
        assert stdout == body


async def test_curl_waits_for_100_continue(tmp_path: Path) -> None:
    body = bytes(range(256)) * 8000
    (tmp_path / "body").write_bytes(body)
    async with serve(Handler()) as server:
        url = f"http://127.0.0.1:{await through(server.port)}/echo"
        # An hour: without the word of the server the test would end at its deadline.
        patient = ("--expect100-timeout", "3600", "-H", "Expect: 100-continue")
        stdout, log = await verbose(*patient, "-T", tmp_path / "body", url)
        assert stdout == body
        assert "< HTTP/1.1 100 Continue" in log


async def test_curl_asks_for_the_head() -> None:
    async with serve(Handler()) as server:
        url = f"http://127.0.0.1:{await through(server.port)}/hello"
        stdout, log = await verbose("-I", url, "--next", *CURL[1:], f"{url}?x")
        head, _, body = stdout.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nContent-Length: 6\r\n" in head
        assert body == b"hello x"
        assert "Re-using existing connection" in log


async def test_curl_speaks_http_1_0() -> None:
    async with serve(Handler()) as server:
        base = f"http://127.0.0.1:{await through(server.port)}"
        stdout = await curl("-i", "--http1.0", f"{base}/hello?x")
        head, _, body = stdout.partition(b"\r\n\r\n")
        assert b"\r\nConnection: close" in head
        assert body == b"hello x"
        # No chunks: the end of the connection is the end of the body.
        stdout = await curl("-i", "--http1.0", "--data-binary", "@-", f"{base}/stream", stdin=CHUNK)
        head, _, body = stdout.partition(b"\r\n\r\n")
        assert b"Transfer-Encoding" not in head
        assert body == CHUNK


async def test_curl_offers_http_2() -> None:
    """An upgrade that is ignored, with a body and without."""
    async with serve(Handler()) as server:
        base = f"http://127.0.0.1:{await through(server.port)}"
        stdout, log = await verbose("--http2", "-d", "body", f"{base}/echo", f"{base}/echo")
        assert "> Upgrade: h2c" in log
        assert stdout == b"bodybody"
        stdout, log = await verbose("--http2", f"{base}/hello?1", f"{base}/hello?2")
        assert "> Upgrade: h2c" in log
        assert stdout == b"hello 1hello 2"


async def test_curl_sends_too_many_headers() -> None:
    async with serve(Handler()) as server:
        url = f"http://127.0.0.1:{await through(server.port)}/hello"
        large = [option for number in range(20) for option in ("-H", f"X-{number}: {'x' * 1000}")]
        stdout = await curl("-w", "%{http_code}", *large, url)
        assert stdout == b"431"
        assert await curl(url) == b"hello "


# --- Node


async def node(server: wirehop_http.Server, scenario: str) -> tuple[Any, int]:
    """The result of a scenario of ``http_client.js``, and over how many connections."""
    seen = json.loads(await output("node", NODE / "http_client.js", await through(server.port), scenario))
    return seen["result"], seen["connections"]


async def test_node_gets() -> None:
    async with serve(Handler()) as server:
        seen, _ = await node(server, "get")
        assert (seen["status"], seen["body"]) == (200, "hello a=b")
        assert seen["headers"]["content-type"] == "text/plain"
        assert seen["headers"]["content-length"] == "9"


async def test_node_asks_for_the_head() -> None:
    async with serve(Handler()) as server:
        (head, get), connections = await node(server, "head")
        del head["headers"]["date"], get["headers"]["date"]
        assert head["headers"] == get["headers"]
        assert (head["body"], get["body"], connections) == ("", "hello ", 1)


async def test_node_posts_in_chunks() -> None:
    async with serve(Handler()) as server:
        seen, _ = await node(server, "post")
        assert seen["body"] == "one " + "\xe9\xff" * 40_000 + " three"


async def test_node_sends_fifty_requests_over_one_connection() -> None:
    async with serve(Handler()) as server:
        seen, connections = await node(server, "fifty")
        assert seen["bodies"] == [f"hello {number}" for number in range(50)]
        assert seen["order"] == list(range(50))
        assert connections == 1


async def test_node_waits_for_100_continue() -> None:
    async with serve(Handler()) as server:
        seen, _ = await node(server, "continue")
        assert seen["events"] == ["continue", "response"]
        assert seen["body"] == "hello"


@pytest.mark.parametrize(
    ("scenario", "path"), [("abortUpload", "/stream"), ("abortDownload", "/down/1000000000")]
)
async def test_node_leaves_in_the_middle(scenario: str, path: str) -> None:
    handler = Handler()
    async with serve(handler) as server:
        seen, _ = await node(server, scenario)
        assert seen["then"] == 200
        await until(lambda: handler.failed and not server.connections)
        assert handler.failed == [path]


# --- wrk


async def test_wrk_sees_no_error() -> None:
    async with serve(Handler()) as server:
        url = f"http://127.0.0.1:{await through(server.port)}/hello"
        report = (await output("wrk", "-t1", "-c16", "-d1s", url)).decode()
        requests = re.search(r"(\d+) requests in", report)
        assert requests is not None, report
        assert int(requests[1]) > 100
        assert "Socket errors" not in report
        assert "Non-2xx" not in report


# --- bodies that do not fit into memory


@dataclass
class Site:
    """The server in a process of its own, whose memory is watched."""

    process: subprocess.Popen[bytes]
    port: int
    before: int
    """Its resident bytes when nothing large had been sent."""

    def memory(self, which: str = "VmHWM") -> int:
        """VmRSS: its resident bytes; VmHWM: their peak."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        size = re.search(rf"{which}:\s+(\d+) kB", status)
        assert size is not None
        return int(size[1]) * 1024

    def get(self, path: str) -> bytes:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read()

    def curl(self, *options: str | Path, stdout: Any = subprocess.PIPE) -> bytes:
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        return subprocess.run([*CURL, "--fail", *options], check=True, stdout=stdout).stdout

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def site(loop: str) -> Iterator[Site]:
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc that tells the memory of a process")
    command = [sys.executable, "-m", __name__, loop]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        it = Site(process, int(process.stdout.readline()), 0)
        assert it.get("/down/1000000") == bytes(1_000_000)
        it.before = it.memory("VmRSS")
        yield it
        assert it.get("/hello?again") == b"hello again"
        # Leaving the block closes its stdin, which ends it.
    assert process.returncode == 0


SIZES = pytest.mark.parametrize(
    ("loop", "size"), [(loop, GIB if loop == list(LOOPS)[-1] else GIB // 4) for loop in LOOPS]
)
"""A gigabyte on the loop that most will use, and a part of it on the other: time is limited."""


@SIZES
def test_a_large_upload_takes_no_memory(loop: str, size: int, tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(size)
    with site(loop) as it:
        assert it.curl("-T", tmp_path / "sparse", it.url("/count")) == b"%d" % size
        assert it.memory() < it.before + 64 * MIB


@SIZES
def test_a_large_download_takes_no_memory(loop: str, size: int) -> None:
    with site(loop) as it:
        counted = it.curl("-o", "/dev/null", "-w", "%{size_download}", it.url(f"/down/{size}"))
        assert counted == b"%d" % size
        assert it.memory() < it.before + 64 * MIB


@SIZES
def test_a_large_body_goes_through_in_chunks(loop: str, size: int, tmp_path: Path) -> None:
    size = GIB // 4
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(size)
    with site(loop) as it:
        options = ("-H", "Transfer-Encoding: chunked", "-T", tmp_path / "sparse")
        counted = it.curl(*options, "-o", "/dev/null", "-w", "%{size_download}", it.url("/stream"))
        assert counted == b"%d" % size
        assert it.memory() < it.before + 64 * MIB


@SIZES
def test_a_reader_that_stops_takes_no_memory(loop: str, size: int) -> None:
    with site(loop) as it, socket.create_connection(("127.0.0.1", it.port)) as slow:
        before = int(it.get("/sent"))
        slow.sendall(b"GET /down/%d HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % size)
        got = slow.recv(1000)
        # The server is stopped when nothing more has left from one answer to the next.
        sent = last = -1
        while sent != last or sent == before:
            last, sent = sent, int(it.get("/sent"))
        assert sent - before < 64 * MIB
        assert it.memory() < it.before + 64 * MIB
        # And it goes on when the client does.
        received = len(got.partition(b"\r\n\r\n")[2])
        buffer = bytearray(MIB)
        while count := slow.recv_into(buffer):
            received += count
        assert received == size
        assert it.memory() < it.before + 64 * MIB


# --- the process of a site


async def main() -> None:
    server = wirehop_http.create_server(Handler())
    await server.listen(0, "127.0.0.1")
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[1]]) as runner:
        runner.run(main())
