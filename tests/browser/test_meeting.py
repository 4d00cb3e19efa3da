"""Two pages and a Node peer meet through a relay in Python, and what that relay can read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.browser.chromium import Chromium, site
from tests.browser.test_client import CONNECT, FUNCTIONS, arrival
from tests.interop.npm import NODE, npm
from wirehop import AnyHTTPPeer, AnySocket
from wirehop.anysocket import relay

BUNDLE = NODE / "node_modules/anysocket/dist/anysocket.browser.js"

SECRET = "the treasure is under the old oak"

MEET = """async ([id, hub]) => {
    globalThis.friend = await socket.proxy(id, hub);
    return friend.isProxy();
}"""

BACK = "(id) => { globalThis.friend = socket.peers.get(id); return friend.isProxy(); }"


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The frames that relays of this process carry."""
    frames: list[str] = []
    carry = relay.carry

    def record(peer: Any, frame: str) -> None:
        frames.append(frame)
        carry(peer, frame)

    monkeypatch.setattr(relay, "carry", record)
    return frames


async def test_two_pages_and_a_node_peer(chromium: Chromium, carried: list[str]) -> None:
    hub = AnySocket(can_proxy=lambda one, other: True)
    async with hub, site(hub) as url, npm() as js, chromium.page(url) as ada, chromium.page(url) as ben:
        ada_id = await ada.evaluate(CONNECT)
        ben_id = await ben.evaluate(CONNECT)
        await js("connect", "127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))
        told = """(id) => new Promise((yes) => {
            if (socket.peers.has(id)) yes(0);
            socket.on("connected", (peer) => peer.id === id && yes(0));
        })"""

        # Page and page.
        assert await ada.evaluate(MEET, [ben_id, hub.id])
        await ben.evaluate(told, ada_id)
        assert await ben.evaluate(BACK, ada_id)
        assert await ada.evaluate("async () => (await friend.request('hello')).msg") == {"back": "hello"}
        assert any("hello" in frame for frame in carried)
        await ben.evaluate("friend.e2e()")
        assert await ada.evaluate("friend.fingerprint") == await ben.evaluate("friend.fingerprint")
        carried.clear()
        ask = "async (text) => (await friend.request({ text })).msg.back.text"
        assert await ada.evaluate(ask, SECRET) == SECRET
        assert await ben.evaluate(ask, SECRET) == SECRET
        assert await ben.evaluate("friend.rpc.add('treasure', 1)") == "treasure1"
        assert await ada.evaluate("async () => [...await friend.rpc.bytes(new Uint8Array([7]))]") == [7, 255]
        await check_sealed(carried)

        # Page and Node.
        assert await ada.evaluate(MEET, [js.id, hub.id])
        await js.event("connected", peer=ada_id)
        await ada.evaluate("friend.e2e()")
        assert await ada.evaluate("friend.rpc.hello.user('Ada')") == "Hello Ada"
        assert await js("rpc", ada_id, ["add"], [1, 2]) == 3
        carried.clear()
        assert (
            await ada.evaluate("async (text) => (await friend.request({ text })).msg.text", SECRET) == SECRET
        )
        await check_sealed(carried)

        # A friend who leaves is gone, and the hub is still there.
        await ada.evaluate(
            """() => {
                globalThis.left = new Promise((yes) => socket.on("disconnected", (_, why) => yes(why)));
            }"""
        )
        await js("disconnect", hub.id, "")
        assert await ada.evaluate("left") == "Proxy Connection Closed"
        assert await ada.evaluate("(id) => socket.hasDirectPeer(id)", hub.id)


async def check_sealed(frames: list[str]) -> None:
    assert len(frames) >= 2
    for frame in frames:
        # Behind the ids and the head of the packet there is nothing but IV and ciphertext.
        assert set(frame[39:]) <= set("0123456789abcdef")
        assert len(frame[39:]) % 32 == 0
        assert "treasure" not in frame


async def test_an_encrypted_hop_and_a_relay_that_refuses(chromium: Chromium) -> None:
    hub = AnySocket(can_proxy=lambda one, other: other == friend_id)
    async with hub, site(hub) as url, AnySocket() as friend, chromium.page(url) as page:
        friend_id = friend.id
        friend.on("message", lambda packet: packet.reply(packet.msg))
        await friend.connect("ws", "127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))
        await page.evaluate(CONNECT)
        await page.evaluate("peer.e2e()")
        assert await page.evaluate(MEET, [friend.id, hub.id])
        await page.evaluate("friend.e2e()")
        assert await page.evaluate("async (text) => (await friend.request(text)).msg", SECRET) == SECRET
        refused = "(args) => socket.proxy(...args).catch((error) => [error.name, error.message, error.code])"
        assert await page.evaluate(refused, ["0" * 32, hub.id]) == ["RemoteError", "Cannot proxy!", 403]
        assert (await page.evaluate(refused, [hub.id, hub.id]))[:2] == ["TypeError", "Cannot proxy loopback!"]


async def test_the_original_bundle(chromium: Chromium) -> None:
    """npm's own client for browsers, against our server and, through it, against our client."""
    if not BUNDLE.exists():
        pytest.skip("npm anysocket is not installed")
    bundle = BUNDLE.read_bytes()

    def show(peer: AnyHTTPPeer) -> None:
        peer.header("Content-Type", "text/javascript").body(bundle).end()

    hub = AnySocket(rpc=FUNCTIONS, can_proxy=lambda one, other: True)
    hub.on("message", lambda packet: packet.reply({"got": packet.msg}))
    hub.http.get("/bundle.js", show)
    async with hub, site(hub, head='<script src="/bundle.js"></script>') as url, chromium.page(url) as page:
        arrived = arrival(hub)
        id = await page.evaluate(
            """async () => {
                globalThis.socket = new AnySocket();
                socket.setRPC({ add: (a, b) => a + b, bytes: (data) => new Uint8Array([...data, 255]) });
                socket.on("message", (packet) => packet.reply({ back: packet.msg }));
                globalThis.peer = await socket.connect("ws", location.hostname, location.port);
                return socket.id;
            }"""
        )
        # It tries wss first, which a page cannot do without the console telling.
        page.errors.clear()
        peer: Any = await arrived
        assert peer.id == id
        for secured in (False, True):
            if secured:
                done = asyncio.get_running_loop().create_future()
                peer.once("e2e", done.set_result)
                await page.evaluate("() => { peer.e2e(); }")
                await done
            assert await page.evaluate("async () => (await peer.send({ a: 1 }, true)).msg") == {
                "got": {"a": 1}
            }
            assert await page.evaluate("peer.rpc.hello.user('Ada')") == "Hello Ada"
            bytes_of = "async () => [...await peer.rpc.hello.bytes(new Uint8Array([1, 254]))]"
            assert await page.evaluate(bytes_of) == [1, 254, 255]
            assert await peer.rpc.add(1, 2) == 3
            assert await peer.rpc.bytes(b"\x07") == b"\x07\xff"
            reply = await peer.send({"b": 2}, await_reply=True)
            assert reply.msg == {"back": {"b": 2}}
        hub.http.get("/ours", lambda peer: peer.header("Content-Type", "text/html").body(OURS).end())
        async with chromium.page(f"{url}ours") as ours:
            await ours.evaluate(CONNECT)
            assert await ours.evaluate(MEET, [id, hub.id])
            await ours.evaluate("friend.e2e()")
            assert await ours.evaluate("async () => (await friend.request({ c: 3 })).msg") == {
                "back": {"c": 3}
            }
            assert await ours.evaluate("friend.rpc.add(1, 2)") == 3


OURS = '<!doctype html><link rel="icon" href="data:,"><script src="/@anysocket"></script>'
