"""Chromium, headless, driven by Playwright from a thread of its own: the test's loop stays free for
the servers that the pages talk to."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread
from typing import Any

import pytest

from wirehop import AnyHTTPPeer, AnySocket

BLANK = '<!doctype html><link rel="icon" href="data:,"><title>a page</title>{}'

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

PATIENCE = 20.0
"""Seconds for one step: less than a test has, and it ends what would never settle in a page."""


class Page:
    """A page of Playwright's: its methods are awaited. What goes wrong in it is in ``errors``."""

    def __init__(self, browser: Chromium, page: Any) -> None:
        self._browser = browser
        self._page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # A connection that fails is what some tests are about.
        if message.type == "error" and "WebSocket connection" not in message.text:
            self.errors.append(message.text)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._browser.run, getattr(self._page, name))

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self._browser.run(self._page.keyboard.press, key)

    async def shows(self, selector: str, text: str) -> None:
        """Wait until the element has this text somewhere."""
        await self._browser.run(self._page.locator(selector).filter(has_text=text).first.wait_for)


class Chromium:
    """One browser for all tests of a run; each page has a profile of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="playwright", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self._stop()
            raise

    async def _start(self) -> None:
        playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
        path = shutil.which("chromium")
        if path is None:
            pytest.skip("Chromium is not installed")
        self._playwright = await playwright.async_playwright().start()
        self._browser = await self._playwright.chromium.launch(executable_path=path, args=ARGUMENTS)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._stop()

    async def _end(self) -> None:
        await self._browser.close()
        await self._playwright.stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call a coroutine function of Playwright's, in its thread."""
        call = self._in_time(function(*args, **named))
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))

    async def _in_time(self, call: Coroutine[Any, Any, Any]) -> Any:
        # Not wait_for(): Playwright minds when its calls are cancelled.
        task = asyncio.ensure_future(call)
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            task.add_done_callback(lambda late: late.exception())
            raise TimeoutError(f"the page took more than {PATIENCE} s for one step")
        return task.result()

    @asynccontextmanager
    async def page(self, url: str, **options: Any) -> AsyncIterator[Page]:
        """Open a page; it must end without an error that nobody expected."""
        context = await self.run(self._browser.new_context, **options)
        try:
            page = await self.run(self._open, context)
            await page.goto(url)
            yield page
            assert page.errors == []
        finally:
            await self.run(context.close)

    async def _open(self, context: Any) -> Page:
        # To listen to a page is to talk to the browser, which is for its thread alone.
        return Page(self, await context.new_page())


@asynccontextmanager
async def site(socket: AnySocket, *, head: str = '<script src="/@anysocket"></script>') -> AsyncIterator[str]:
    """Serve a page with the client in it, on the port of the peers."""

    def show(peer: AnyHTTPPeer) -> None:
        peer.header("Content-Type", "text/html; charset=utf-8").body(BLANK.format(head)).end()

    socket.http.get("/", show)
    async with await socket.listen("ws", ip="127.0.0.1", port=0) as listener:
        yield f"http://127.0.0.1:{listener.port}/"
