"""The guide and the example do what they say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.browser.chromium import Chromium
from tests.programs import ROOT, free_port, line, listens, programs, running, written


async def test_the_chat(chromium: Chromium) -> None:
    async with running(sys.executable, ROOT / "examples/browser/chat.py", 0) as server:
        url = await line(server)
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
    guide = ROOT / "docs/browser.md"
    port = free_port()
    async with running(sys.executable, written(programs(guide)["page.py"], tmp_path, port)):
        await listens(port)
        async with chromium.page(f"http://127.0.0.1:{port}/") as page:
            says = re.search(r"the page says `(.*?)`", guide.read_text())
            await page.shows("p", says[1])  # type: ignore[index]
            # The icon that this page does not name.
            page.errors.clear()
