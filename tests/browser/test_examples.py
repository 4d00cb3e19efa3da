"""The guide and the example do what they say."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.browser.chromium import Chromium

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(path: Path, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, path, *arguments, stdout=PIPE)
    try:
        yield process
    finally:
        process.terminate()
        await process.communicate()
        process._transport.close()  # type: ignore[attr-defined]


async def test_the_chat(chromium: Chromium) -> None:
    async with running(ROOT / "examples/browser/chat.py", "0") as server:
        assert server.stdout is not None
        url = (await server.stdout.readline()).decode().strip()
        async with chromium.page(url) as one, chromium.page(url) as other:
            for page in (one, other):
                await page.shows("#state", "You are ")
            await one.fill("input", "hello")
            await one.click("[type=button]")
            await one.wait_for_function("document.querySelector('input').value === 'HELLO!'")
            await one.click("text=Send")
            for page in (one, other):
                await page.shows("#said li", "HELLO!")


async def test_the_first_page_of_the_guide(chromium: Chromium, tmp_path: Path) -> None:
    guide = (ROOT / "docs/browser.md").read_text()
    (program,) = re.findall(r"```python\n(# page\.py.*?)```", guide, re.S)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "page.py").write_text(program.replace("3000", str(port)))
    async with running(tmp_path / "page.py"):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
            else:
                break
        writer.close()
        await writer.wait_closed()
        async with chromium.page(f"http://127.0.0.1:{port}/") as page:
            # The icon that this page does not name.
            await page.shows("p", re.search(r"the page says `(.*?)`", guide)[1])  # type: ignore[index]
            page.errors.clear()
