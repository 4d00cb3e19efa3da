"""What the commands have in common: lines that are typed, and what is shown of what others send."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TextIO

from wirehop.core import json

__all__ = ["complain", "lines", "show", "shown", "told_to_end", "typed"]

AHEAD = 1000
"""Lines of standard input that are read before they are used: a pipe has to wait then."""

# C0 but the tab, DEL and C1, line separators, and what turns the direction of writing around.
_CONTROLS = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def told_to_end() -> asyncio.Event:
    """What SIGTERM sets, in the running loop."""
    told = asyncio.Event()
    with suppress(NotImplementedError):  # Windows has no such signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    return told


def show(text: object) -> None:
    """Print a line. What others sent cannot drive the terminal: control characters are escaped as in
    JSON, and so is what the terminal's encoding cannot say. With nobody to read it, we end."""
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        # Else the interpreter would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)


def complain(text: object) -> None:
    """Print a line on stderr, as :func:`show` does."""
    with suppress(BrokenPipeError):
        _write(sys.stderr, f"wirehop: {text}")


def shown(value: Any) -> str:
    """A value, as JSON."""
    return json.dumps(value).decode()


def typed(line: str) -> Any:
    """The value of a line: JSON, or else the text itself."""
    try:
        return json.loads(line)
    except ValueError:
        return line


async def lines() -> AsyncIterator[str]:
    """The lines of standard input that are not empty. A thread reads them, which nobody waits for: a
    terminal may not say anything for ever, and files cannot be waited for by the loop."""
    loop = asyncio.get_running_loop()
    read_ahead: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)

    def read() -> None:
        with suppress(RuntimeError):  # the loop has ended
            for line in sys.stdin:
                room.acquire()
                loop.call_soon_threadsafe(read_ahead.put_nowait, line.rstrip("\r\n"))
            loop.call_soon_threadsafe(read_ahead.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await read_ahead.get()) is not None:
        room.release()
        if line:
            yield line


def _write(stream: TextIO, text: object) -> None:
    line = _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))
    encoding = stream.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
