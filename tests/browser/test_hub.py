"""The hub's page, as people use it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Chromium, Page
from tests.browser.flaky import Flaky
from tests.browser.test_client import arrival
from tests.browser.test_meeting import carried, check_sealed  # noqa: F401 - a fixture
from tests.interop.npm import npm
from wirehop import AnySocket
from wirehop.cli.hub import Hub
from wirehop.errors import AuthError

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}


@asynccontextmanager
async def hub() -> AsyncIterator[tuple[AnySocket, str, int]]:
    async with Hub() as running:
        listener = await running.socket.listen("ws", ip="127.0.0.1", port=0)
        yield running.socket, f"http://127.0.0.1:{listener.port}/", listener.port


@asynccontextmanager
async def visit(
    chromium: Chromium, socket: AnySocket, url: str, **options: Any
) -> AsyncIterator[tuple[Page, str]]:
    """The page when it is connected, and its id."""
    arrived = arrival(socket)
    async with chromium.page(url, **options) as page:
        yield page, (await arrived).id


def row(id: str) -> str:
    return f'tr[data-peer="{id}"]'


async def test_who_is_there(chromium: Chromium) -> None:
    async with hub() as (socket, url, port), npm() as js, AnySocket() as python:
        await python.connect("ws", "127.0.0.1", port)
        await js("connect", "127.0.0.1", port)
        async with visit(chromium, socket, url, viewport=WIDE) as (page, id):
            await page.shows("#state", f"You are {id[:8]}, the hub is {socket.id[:8]}.")
            await page.shows(row(id), "browser, you")
            await page.shows(row(js.id), "node")
            await page.shows(row(python.id), "python")
            await page.shows(row(python.id), "plain")
            # Round trip and clock are measured while somebody looks.
            await page.shows(f"{row(js.id)} td:nth-child(2)", "ms")
            await page.shows(f"{row(js.id)} td:nth-child(3)", "ms")
            assert (
                await page.evaluate("document.querySelector('#plot polyline').getAttribute('points').length")
                > 0
            )
            await python.stop()
            await page.wait_for_selector(row(python.id), state="detached")
            assert all(request.startswith((url, "data:")) for request in page.requests), page.requests


async def test_everyone_hears_what_is_said(chromium: Chromium) -> None:
    async with hub() as (socket, url, port), AnySocket() as python:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        python.on("message", lambda packet: heard.put_nowait(packet.msg))
        peer = await python.connect("ws", "127.0.0.1", port)
        async with visit(chromium, socket, url) as (page, id):
            for text, value in (("good morning", "good morning"), ('{"a": [1]}', {"a": [1]})):
                await page.fill("#text", text)
                await page.press("Enter")
                assert await heard.get() == {"from": id, "message": value}
            await page.shows("#packets li", "good morning")
            peer.send("<b>good</b> evening")
            await page.shows("#messages li", "<b>good</b> evening")
            await page.shows("#packets li", python.id[:8])
            # A function of the hub's, which is what there is to call while everyone is meant.
            await page.fill("#method", "peers")
            await page.press("Enter")
            await page.shows("#result", python.id)
            await page.fill("#arguments", "nonsense")
            await page.press("Enter")
            await page.shows("#result.failed", "The arguments must be JSON")


async def test_an_encrypted_conversation_through_the_hub(
    chromium: Chromium,
    carried: list[str],  # noqa: F811
    pictures: Path,
) -> None:
    async with hub() as (socket, url, port), npm() as js:
        await js("connect", "127.0.0.1", port)
        async with (
            visit(chromium, socket, url, viewport=WIDE) as (ada, ada_id),
            visit(chromium, socket, url, viewport=NARROW) as (ben, ben_id),
        ):
            await js("send", socket.id, "Hello from Node!")
            await ada.shows("#packets li", "Hello from Node!")
            await ada.click(f"{row(ben_id)} button")
            await ada.shows("#talk-title", f"browser {ben_id[:8]}")
            await ada.shows("#talk-state", "Through the hub, which can read it.")
            await ada.fill("#text", "can you hear me")
            await ada.press("Enter")
            await ben.shows(row(ada_id), "said more")
            await ben.click(f"{row(ada_id)} button")
            await ben.shows("#messages li", "can you hear me")
            assert any("can you hear me" in frame for frame in carried)
            await ada.click("#encrypt")
            for page in (ada, ben):
                await page.shows("#talk-state", "Encrypted end to end: the hub cannot read it. Fingerprint ")
            states = [await page.text_content("#talk-state") for page in (ada, ben)]
            assert states[0] == states[1]
            carried.clear()
            await ben.fill("#text", "the treasure is under the old oak")
            await ben.press("Enter")
            await ada.shows("#messages li", "the treasure is under the old oak")
            await ada.fill("#method", "hello.user")
            await ada.fill("#arguments", '"treasure"')
            await ada.press("Enter")
            await ada.shows("#result", "Hello treasure, from a page!")
            await check_sealed(carried)
            for page, size in ((ada, WIDE), (ben, NARROW)):
                await page.screenshot(path=str(pictures / f"hub-talk-{size['width']}.png"))
            # The hub has not seen it, so it cannot show it.
            assert "treasure" not in await ada.inner_text("#packets")
            # Back, and on to the Node peer.
            await ada.click("#leave")
            await ada.shows("#talk-title", "Everyone")
            await ada.click(f"{row(js.id)} button")
            await ada.fill("#arguments", '"Ada"')
            await ada.click("#encrypt")
            await ada.shows("#talk-state", "Encrypted end to end")
            await ada.click("#call button")
            await ada.shows("#result", "Hello Ada")
            await ada.fill("#method", "fail.thrown")
            await ada.press("Enter")
            await ada.shows("#result.failed", "thrown here")
            await js("disconnect", socket.id, "")
            await ada.shows("#messages li.failed", "Proxy Connection Closed")


async def test_the_page_recovers(chromium: Chromium) -> None:
    async with hub() as (socket, url, _), Flaky(url) as flaky, chromium.page(flaky.url) as page:
        await page.shows("#state", "You are ")
        flaky.cut()
        await page.shows("#state", "The hub does not answer.")
        flaky.mend()
        await page.shows("#state", "You are ")
        await page.shows("#peers", "you")
        assert len(socket.peers) == 1


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures of the page go: the README shows one of them."""
    return Path(os.environ.get("WIREHOP_PICTURES", tmp_path))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
async def test_it_looks_well(chromium: Chromium, pictures: Path, size: dict[str, int], scheme: str) -> None:
    """Nothing is wider than the page, the keyboard reaches everything, and a picture is taken."""
    async with hub() as (socket, url, port), npm() as js, AnySocket() as python:
        peer = await python.connect("ws", "127.0.0.1", port)
        await js("connect", "127.0.0.1", port)
        async with visit(chromium, socket, url, viewport=size, color_scheme=scheme) as (page, _):
            for text in ("The printer is on fire again.", {"temperature": 21.5, "unit": "C"}):
                await peer.send(text, await_reply=True)
            await js("send", socket.id, "Hello from Node!")
            await page.shows("#packets li", "Hello from Node!")
            await page.shows(f"{row(python.id)} td:nth-child(3)", "ms")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            order = []
            for _ in range(40):
                await page.press("Tab")
                focus = await page.evaluate(
                    "() => { const at = document.activeElement; return at === document.body ? '' "
                    ": at.id || at.textContent.trim().slice(0, 8); }"
                )
                if not focus or focus in order:
                    break
                order.append(focus)
            assert [
                js.id[:8],
                "encrypt",
                "messages",
                "text",
                "Send",
                "method",
                "arguments",
                "Call",
                "packets",
            ] == [
                focus
                for focus in order
                if focus in (js.id[:8], "Send", "Call", "encrypt", "packets")
                or focus in ("messages", "text", "method", "arguments")
            ]
            picture = pictures / f"hub-{size['width']}-{scheme}.png"
            await page.screenshot(path=str(picture), full_page=True)
            assert picture.read_bytes().startswith(b"\x89PNG")


async def test_pages_from_elsewhere_are_refused() -> None:
    async with hub() as (_, _, port), AnySocket() as client:
        origins = {
            "https://example.com": False,
            "null": False,
            "http://127.0.0.1.example.com": False,
            "http://localhost:5173": True,
            f"http://127.0.0.1:{port}": True,
            "http://[::1]:80": True,
        }
        for origin, passes in origins.items():
            joining = client.connect("ws", "127.0.0.1", port, headers={"Origin": origin})
            if passes:
                await (await joining).disconnect()
            else:
                with pytest.raises(AuthError, match="403"):
                    await joining
