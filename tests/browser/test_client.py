"""The browser client in Chromium, against a Wirehop server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.browser.chromium import Chromium, site
from tests.browser.flaky import Flaky
from tests.interop.npm import text_summary
from wirehop import AnyPacket, AnyPeer, AnySocket
from wirehop.errors import RemoteError

FUNCTIONS = {
    "hello": {
        "user": lambda name, peer: f"Hello {name}",
        "bytes": lambda data, peer: data + b"\xff",
        "nothing": lambda peer: None,
        "whoami": lambda peer: peer.id,
    }
}

MODULE = """<script type="module">
    import AnySocket, { RemoteError, Packer } from "/@anysocket.mjs";
    Object.assign(globalThis, { AnySocket, RemoteError, Packer });
</script>"""

CONNECT = """async (options) => {
    globalThis.socket = new AnySocket({
        authPacket: () => "of the page",
        rpc: {
            add: (a, b) => a + b,
            bytes: (data) => new Uint8Array([...data, 255]),
            fail: () => { throw new Error("in the page"); },
            whoami: (peer) => peer.id,
        },
    });
    globalThis.heard = [];
    socket.on("message", (packet) => { heard.push(packet.msg); packet.reply({ back: packet.msg }); });
    globalThis.peer = await socket.connect(options);
    return socket.id;
}"""


def arrival(socket: AnySocket) -> asyncio.Future[AnyPeer]:
    arrived: asyncio.Future[AnyPeer] = asyncio.get_running_loop().create_future()
    socket.once("connected", arrived.set_result)
    return arrived


def echo(packet: AnyPacket) -> None:
    packet.reply({"got": packet.msg})


@pytest.mark.parametrize("head", ['<script src="/@anysocket"></script>', MODULE], ids=["script", "module"])
async def test_a_page_is_a_peer(chromium: Chromium, head: str) -> None:
    shown: list[Any] = []
    server = AnySocket(rpc=FUNCTIONS, on_auth=lambda packet: shown.append(packet["auth"]) is None)
    server.on("message", echo)
    async with server, site(server, head=head) as url, chromium.page(url) as page:
        arrived = arrival(server)
        id = await page.evaluate(CONNECT)
        peer = await arrived
        assert (peer.id, shown) == (id, ["of the page"])
        for value in (0, "", False, None, "caf\u00e9 \U0001f600 \u2028", [1, [2]], {"a": {"b": None}}):
            sent = await page.evaluate("async (value) => (await peer.request(value)).msg", value)
            assert sent == {"got": value}
            reply = await peer.send(value, await_reply=True)
            assert reply is not None
            assert reply.msg == {"back": value}
        assert await page.evaluate("peer.rpc.hello.user('Ada')") == "Hello Ada"
        assert await page.evaluate("peer.rpc.hello.whoami()") == id
        assert await page.evaluate("peer.rpc.hello.nothing()") is None
        bytes_of = "async () => [...await peer.rpc.hello.bytes(new Uint8Array([1, 254]))]"
        assert await page.evaluate(bytes_of) == [1, 254, 255]
        failed = (
            "peer.rpc.hello.nope().catch((error) => [error instanceof AnySocket.RemoteError, error.code])"
        )
        assert (
            await page.evaluate(failed.replace("AnySocket.", "globalThis.") if "module" in head else failed)
        )[1] == 404
        assert await peer.rpc.add(1, 2) == 3
        assert await peer.rpc.bytes(b"\x00\xfe") == b"\x00\xfe\xff"
        assert await peer.rpc.whoami() == server.id
        with pytest.raises(RemoteError, match="in the page"):
            await peer.rpc.fail()
        clock = await page.evaluate("peer.getSyncedTime()")
        assert clock["rtt"] >= 0
        assert abs(clock["offset"]) < 1000
        assert abs((await peer.get_synced_time()).offset) < 1
        await page.evaluate(
            "new Promise((resolve) => { peer.once('heartbeat', resolve); peer.heartbeat(); })"
        )
        assert await page.evaluate("peer.lag") >= 0


async def test_large_messages_both_ways(chromium: Chromium) -> None:
    text = "x" * 1_048_575 + "\U0001f600" * 700_000
    async with AnySocket() as server, site(server) as url, chromium.page(url) as page:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        server.on("message", lambda packet: heard.put_nowait(packet.msg))
        arrived = arrival(server)
        await page.evaluate(CONNECT)
        await page.evaluate("peer.send('x'.repeat(1_048_575) + '\\u{1f600}'.repeat(700_000))")
        assert text_summary(await heard.get()) == text_summary(text)
        reply = await (await arrived).send(text, await_reply=True)
        assert reply is not None
        assert text_summary(reply.msg["back"]) == text_summary(text)


async def test_a_page_is_refused(chromium: Chromium) -> None:
    server = AnySocket(on_auth=lambda packet: False)
    async with server, site(server) as url, chromium.page(url) as page:
        said = await page.evaluate(
            "new AnySocket().connect().catch((error) => `${error.name}: ${error.message}`)"
        )
        assert said == "ConnectionClosed: Remote Connection Closed"


async def test_the_end_is_told_on_both_sides(chromium: Chromium) -> None:
    async with AnySocket() as server, site(server) as url, chromium.page(url) as page:
        loop = asyncio.get_running_loop()
        for end in ("peer.disconnect('enough')", "socket.stop()"):
            arrived = arrival(server)
            await page.evaluate(CONNECT)
            gone: asyncio.Future[str] = loop.create_future()
            (await arrived).on("disconnected", lambda peer, reason, gone=gone: gone.set_result(reason))
            await page.evaluate(f"() => {{ peer.send('last words'); {end}; }}")
            assert await gone == "Remote Connection Closed"
            assert await page.evaluate("peer.reason") in ("enough", "Local Connection Closed")
        arrived = arrival(server)
        await page.evaluate(CONNECT, {"reconnect": False})
        await page.evaluate(
            """() => {
                globalThis.reason = new Promise((yes) => peer.on("disconnected", (_, why) => yes(why)));
            }"""
        )
        await (await arrived).disconnect()
        assert await page.evaluate("reason") == "Remote Connection Closed"


@pytest.mark.parametrize("begins", ["page", "server", "both"])
async def test_encryption(chromium: Chromium, begins: str) -> None:
    async with AnySocket(rpc=FUNCTIONS) as server, site(server) as url, chromium.page(url) as page:
        server.on("message", echo)
        arrived = arrival(server)
        await page.evaluate(CONNECT)
        peer: Any = await arrived
        secured = asyncio.get_running_loop().create_future()
        peer.once("e2e", secured.set_result)
        await page.evaluate("() => { globalThis.secured = new Promise((yes) => socket.once('e2e', yes)); }")
        if begins != "page":
            peer.e2e()
        if begins != "server":
            await page.evaluate("peer.e2e()")
        await secured
        await page.evaluate("secured.then(() => 0)")
        assert (await page.evaluate("peer.security"), peer.security) == ("legacy", "legacy")
        assert await page.evaluate("peer.fingerprint") == peer.fingerprint
        assert await page.evaluate("async () => (await peer.request('secret')).msg") == {"got": "secret"}
        assert await page.evaluate("peer.rpc.hello.user('Ada')") == "Hello Ada"
        reply = await peer.send("x" * 3_000_000, await_reply=True)
        assert len(reply.msg["back"]) == 3_000_000
        many = """async () => {
            const replies = await Promise.all(Array.from({ length: 300 }, (_, at) => peer.request(at)));
            return replies.map(({ msg }) => msg.got);
        }"""
        assert await page.evaluate(many) == list(range(300))


async def test_last_words_that_are_encrypted_arrive(chromium: Chromium) -> None:
    async with AnySocket() as server, site(server) as url, chromium.page(url) as page:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        server.on("message", lambda packet: heard.put_nowait(packet.msg))
        await page.evaluate(CONNECT)
        await page.evaluate("peer.e2e()")
        await page.evaluate(
            "async () => { for (let at = 0; at < 20; at++) peer.send(at); await peer.disconnect(); }"
        )
        assert [await heard.get() for _ in range(20)] == list(range(20))


async def test_a_link_that_breaks_is_made_again(chromium: Chromium) -> None:
    async with (
        AnySocket() as server,
        site(server) as url,
        Flaky(url) as flaky,
        chromium.page(flaky.url) as page,
    ):
        server.on("message", echo)
        await page.evaluate(CONNECT, {"reconnect": {"minDelay": 20, "maxDelay": 100}})
        await page.evaluate(
            """() => {
                globalThis.news = [];
                socket.on("disconnected", (peer, reason) => news.push(reason));
                socket.on("reconnecting", ({ attempt }) => news.push(attempt));
                globalThis.back = new Promise((yes) => socket.once("connected", (again) => {
                    globalThis.peer = again;
                    news.push("back");
                    yes(0);
                }));
                globalThis.third = new Promise((yes) => {
                    socket.on("reconnecting", ({ attempt }) => attempt === 3 && yes(0));
                });
            }"""
        )
        flaky.cut()
        await page.evaluate("third")
        flaky.mend()
        await page.evaluate("back")
        assert await page.evaluate("async () => (await peer.request('again')).msg") == {"got": "again"}
        news = await page.evaluate("news")
        assert news[:4] == ["Remote Connection Closed", 1, 2, 3]
        assert news[-1] == "back"
        assert len(server.peers) == 1


async def test_silence_is_noticed(chromium: Chromium) -> None:
    async with (
        AnySocket() as server,
        site(server) as url,
        Flaky(url) as flaky,
        chromium.page(flaky.url) as page,
    ):
        await page.evaluate(CONNECT, {"heartbeatInterval": 50, "reconnect": False})
        flaky.freeze()
        said = "new Promise((yes) => peer.on('disconnected', (_, reason) => yes(reason)))"
        assert await page.evaluate(said) == "Missed Heartbeats"
        flaky.mend()


async def test_two_pages_on_one_server_and_a_page_that_is_closed(chromium: Chromium) -> None:
    async with AnySocket() as server, site(server) as url, chromium.page(url) as page:
        await page.evaluate(CONNECT)
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with chromium.page(url) as other:
            arrived = arrival(server)
            await other.evaluate(CONNECT)
            (await arrived).on("disconnected", lambda peer, reason: gone.set_result(reason))
            assert len(await server.broadcast("all", await_reply=True)) == 2
        assert await gone == "Remote Connection Closed"
        assert await page.evaluate("heard") == ["all"]
