"""``wirehop connect``, as a person uses it."""

from __future__ import annotations

import asyncio
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.interop.npm import npm
from tests.programs import WIREHOP, ended, free_port, line, output, running, stop
from wirehop import AnyHTTPPeer, AnyPacket, AnyPeer, AnySocket
from wirehop.cli import main
from wirehop.cli.connect import Place
from wirehop.errors import RemoteError

CONNECT = (*WIREHOP, "connect")


@asynccontextmanager
async def house(**options: Any) -> AsyncIterator[tuple[AnySocket, str]]:
    """A server, and its URL."""
    async with AnySocket(**options) as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        yield server, f"ws://127.0.0.1:{listener.port}"


@asynccontextmanager
async def typing(*arguments: str | Path, **environment: str) -> AsyncIterator[Process]:
    async with running(*CONNECT, *arguments, stdin=PIPE, **environment) as process:
        yield process


def type_in(process: Process, text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())


def end_input(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.close()


def told(server: AnySocket) -> asyncio.Queue[AnyPacket]:
    heard: asyncio.Queue[AnyPacket] = asyncio.Queue()
    server.on("message", heard.put_nowait)
    return heard


# --- talking


async def test_messages() -> None:
    async with house() as (server, url), typing(url) as process:
        heard = told(server)
        assert await line(process) == f"connected to {server.id}"
        type_in(process, '{"b": 2}\nplain text\n\nnull\n')
        assert [(await heard.get()).msg for _ in range(3)] == [{"b": 2}, "plain text", None]
        (peer,) = server.peers.values()
        peer.send({"a": [1, "ü"]})
        assert await line(process) == 'message {"a":[1,"ü"]}'
        end_input(process)
        assert await process.wait() == 0


async def test_what_was_typed_goes_out_before_the_end() -> None:
    async with house() as (server, url):
        heard = told(server)
        await output(*CONNECT, url, stdin=b"".join(b"%d\n" % number for number in range(3000)))
        assert [(await heard.get()).msg for _ in range(3000)] == list(range(3000))


async def test_requests() -> None:
    async with house() as (server, url):
        server.on("message", lambda packet: packet.reply([packet.msg]))
        said = await output(*CONNECT, url, "--request", stdin=b'1\n"two"\nthree\n')
        assert said.decode().splitlines()[1:] == ["reply [1]", 'reply ["two"]', 'reply ["three"]']


async def test_a_request_without_a_reply() -> None:
    async with house() as (server, url):
        server.on("message", lambda packet: packet.msg == 2 and packet.reply("two"))
        status, said, error = await ended(*CONNECT, url, "--request", "--timeout", "0.05", stdin=b"1\n2\n")
        assert status == 1
        assert said.endswith(b'\nreply "two"\n')
        assert re.fullmatch(rb"wirehop: no reply .*\n", error)


async def test_calls() -> None:
    def fails(peer: AnyPeer) -> None:
        raise RemoteError("no", details={"why": 1}, code=418)

    functions = {
        "add": lambda *numbers_and_peer: sum(numbers_and_peer[:-1]),
        "deep": {"er": lambda value, peer: value},
        "bytes": lambda peer: b"\x00\xff",
        "fails": fails,
    }
    good = ["add 1 2 3.5", ' deep.er {"a": [1, 2]}  ', 'deep.er "two words"', "bytes"]
    asked = [*good, "add 1 two", "add NaN", "nothing", "fails"]
    async with house(rpc=functions) as (_, url):
        status, said, error = await ended(*CONNECT, url, "--call", stdin="\n".join(asked).encode())
    assert status == 1
    assert said.decode().splitlines()[1:] == [
        "result 6.5",
        'result {"a":[1,2]}',
        'result "two words"',
        r"result b'\x00\xff'",
    ]
    bad, constant, missing, failed = error.decode().splitlines()
    assert "'two' is no JSON" in bad
    assert "NaN is no JSON" in constant
    assert missing == "wirehop: Method not found! (code 404; method: 'nothing')"
    assert failed == 'wirehop: no (code 418; {"why":1})'


async def test_with_npm() -> None:
    async with npm() as js:
        port = await js.listen()
        said = await output(*CONNECT, f"127.0.0.1:{port}", "--request", "--e2e", stdin=b'{"a": 1}\n')
        connected, encrypted, reply = said.decode().splitlines()
        assert connected == f"connected to {js.id}"
        assert re.fullmatch("encrypted end to end, fingerprint [0-9a-f]+", encrypted)
        assert reply == 'reply {"a":1}'


async def test_a_peer_behind_a_hub() -> None:
    # Not npm's: it ends with its relay if what announces a peer and the first frame of that peer come in
    # one read.
    async with running(*WIREHOP, "serve", "--port", 0) as hub, AnySocket() as other:
        url = (await line(hub)).removeprefix("Wirehop hub at ")
        other.on("message", lambda packet: packet.reply([packet.msg]))
        await other.connect("ws", "127.0.0.1", int(url.rpartition(":")[2]))
        said = await output(*CONNECT, url, "--peer", other.id, "--e2e", "--request", stdin=b"hello\n")
        connected, encrypted, reply = said.decode().splitlines()
        assert (connected, reply) == (f"connected to {other.id}", 'reply ["hello"]')
        assert encrypted.startswith("encrypted end to end, fingerprint ")
        status, _, error = await ended(*CONNECT, url, "--peer", "0" * 32, stdin=b"")
        assert status == 1
        assert re.fullmatch(rb"wirehop: .*\(code 403; .*\)\n", error)


async def test_a_peer_that_comes_through_the_other() -> None:
    free = house(can_proxy=lambda a, b: True)
    async with free as (relay, url), AnySocket() as other, typing(url) as process:
        await line(process)
        (id,) = relay.peers
        await other.connect("ws", "127.0.0.1", int(url.rpartition(":")[2]))
        peer = await other.proxy(id, relay.id)
        assert await line(process) == f"+ {other.id} connected"
        peer.send(5)
        assert await line(process) == f"message from {other.id} 5"
        await peer.disconnect()
        assert (await line(process)).startswith(f"- {other.id} left: ")
        relay.peers[id].send(6)
        assert await line(process) == "message 6"


# --- who it is


async def test_authentication(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"token": 5}\n')
    async with house(on_auth=lambda packet: packet["auth"] == {"token": 5}) as (_, url):
        for secret in ('{"token": 5}', f"@{tmp_path / 'secret'}"):
            await output(*CONNECT, url, "--auth", secret, stdin=b"")
        for more in ((), ("--auth", "guess")):
            status, said, error = await ended(*CONNECT, url, *more, stdin=b"")
            assert (status, said) == (1, b"")
            assert re.fullmatch(rb"wirehop: .+\n", error)


async def test_cookies_headers_and_the_path() -> None:
    async with house() as (server, url):
        asked: list[AnyHTTPPeer] = []
        server.http.upgrade(asked.append)
        more = ("--cookie", "user=ada", "--header", "X-A: 5")
        await output(*CONNECT, f"{url}/room?a=b", *more, stdin=b"")
        (peer,) = asked
        assert (peer.url, peer.query.qs["a"]) == ("/room", "b")
        assert (peer.cookies["user"], peer.query.headers["x-a"]) == ("ada", "5")


async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    cert, ca = tmp_path / "cert", tmp_path / "ca"
    leaf.private_key_and_cert_chain_pem.write_to_path(str(cert))
    authority.cert_pem.write_to_path(str(ca))
    async with AnySocket() as server:
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=cert)
        url = f"https://127.0.0.1:{listener.port}"
        said = await output(*CONNECT, url, "--ca", ca, stdin=b"")
        assert said.decode() == f"connected to {server.id}\n"
        for more in ((url,), (url, "--ca", tmp_path / "none"), (url.replace("https", "http"), "--ca", ca)):
            status, said, error = await ended(*CONNECT, *more, stdin=b"")
            assert (status, said) == (1, b"")
            assert re.fullmatch(rb"wirehop: .+\n", error)


# --- ends


async def test_the_peer_leaves() -> None:
    async with house() as (server, url), typing(url) as process:
        await line(process)
        await server.stop()
        _, error = await process.communicate()
        assert (process.returncode, error) == (1, b"wirehop: the peer left: Remote Connection Closed\n")


async def test_the_peer_leaves_while_it_is_asked() -> None:
    async with house() as (server, url), typing(url, "--request") as process:
        await line(process)
        heard = told(server)
        type_in(process, "1\n2\n")
        await (await heard.get()).peer.disconnect()
        _, error = await process.communicate()
        assert (process.returncode, error) == (1, b"wirehop: the peer left: Remote Connection Closed\n")


async def test_nobody_listens() -> None:
    status, said, error = await ended(*CONNECT, f"ws://127.0.0.1:{free_port()}", stdin=b"")
    assert (status, said) == (1, b"")
    assert re.fullmatch(rb"wirehop: .+\n", error)


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_when_told(name: signal.Signals) -> None:
    async with house() as (server, url):
        gone = asyncio.get_running_loop().create_future()
        server.on("disconnected", lambda peer, reason: gone.set_result(reason))
        async with typing(url) as process:
            await line(process)
            await stop(process, 0, name)
            assert await gone == "Remote Connection Closed"


async def test_it_ends_when_told_while_it_connects() -> None:
    accepted = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda reader, writer: accepted.set_result(writer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with typing(f"ws://127.0.0.1:{port}") as process:
            writer = await accepted
            await stop(process, 0, signal.SIGTERM)
        writer.close()


async def test_nobody_reads_any_more() -> None:
    async with house() as (server, url):
        came: asyncio.Queue[AnyPeer] = asyncio.Queue()
        left: asyncio.Queue[str] = asyncio.Queue()
        server.on("connected", came.put_nowait)
        server.on("disconnected", lambda peer, reason: left.put_nowait(reason))
        async with running("sh", "-c", '"$@" | head -n 1', "sh", *CONNECT, url, stdin=PIPE) as process:
            peer = await came.get()
            assert (await line(process)).startswith("connected")
            while left.empty():
                peer.send("more")
                await asyncio.sleep(0)
            _, error = await process.communicate()
            assert error == b""


# --- what others send is shown, and does nothing


async def test_controls_are_escaped() -> None:
    async with house() as (server, url), typing(url) as process:
        await line(process)
        (peer,) = server.peers.values()
        peer.send("\x1b[2J\x9b2J\x7f\n\u2028\u202eü😀")
        assert await line(process) == r'message "\u001b[2J\u009b2J\u007f\n\u2028\u202eü😀"'


async def test_what_the_terminal_cannot_say_is_escaped() -> None:
    async with house() as (server, url), typing(url, PYTHONIOENCODING="ascii") as process:
        await line(process)
        (peer,) = server.peers.values()
        peer.send("ü")
        assert await line(process) == r'message "\xfc"'


# --- arguments


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("ws://a:1", Place("ws", "a", 1, "/")),
        ("a:1", Place("ws", "a", 1, "/")),
        ("a", Place("ws", "a", 80, "/")),
        ("HTTP://A:1/b?c=d", Place("ws", "a", 1, "/b?c=d")),
        ("wss://[::1]/b", Place("wss", "::1", 443, "/b")),
        ("https://a:0", Place("wss", "a", 0, "/")),
    ],
)
def test_places(url: str, place: Place) -> None:
    assert Place.of(url) == place


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["ftp://a"],
        ["ws://"],
        ["ws://a:x"],
        ["ws://a:65536"],
        ["ws://u:p@a"],
        ["ws://a#b"],
        ["ws://[a"],
        ["a", "--request", "--call"],
        ["a", "--cookie", "x"],
        ["a", "--header", ":x"],
        ["a", "--auth", "@/nowhere"],
        ["a", "--timeout", "x"],
        ["a", "--timeout", "0"],
        ["a", "--timeout", "inf"],
    ],
)
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["connect", *arguments])
    assert ended.value.code == 2
    assert "usage: wirehop" in capsys.readouterr().err
