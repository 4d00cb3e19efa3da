"""The child's end of its pipes: questions come as lines of JSON, and so do the answers go.

The end of the standard input is the end of the child, so none outlives who started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import sys
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

Answer = dict[str, Any]
Handler = Callable[[Answer], Answer | Awaitable[Answer]]

PAGE = resource.getpagesize()
END_SECONDS = 20
"""For a child to end, after its input has ended."""
SHOWN = 15
"""Lines of source whose memory grew most, which a traced child tells of."""


class Control(asyncio.Protocol):
    """Answers questions, each of which names its handler with ``do``."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._handlers: dict[str, Handler] = {"census": census, "trace": trace}
        self._tasks: set[asyncio.Task[None]] = set()

    def on(self, name: str, handler: Handler) -> None:
        self._handlers[name] = handler

    async def serve(self, **ready: Any) -> None:
        """Say that this child is ready, and answer until its input ends."""
        await asyncio.get_running_loop().connect_read_pipe(lambda: self, sys.stdin)
        tell({"ready": True, **ready})
        await self.ended

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            question = json.loads(line)
            answer = self._handlers[question["do"]](question)
            if isinstance(answer, dict):
                # No task: the tasks are what is counted.
                tell(answer)
            else:
                task = asyncio.ensure_future(_tell_later(answer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
            # Who cannot end in order ends by this: nobody may be there any more to kill it.
            signal.alarm(END_SECONDS)


async def _tell_later(answer: Awaitable[Answer]) -> None:
    try:
        tell(await answer)
    except Exception as error:
        # Whoever asked would wait for nothing.
        tell({"error": f"{type(error).__name__}: {error}"})


def tell(answer: Answer) -> None:
    """One line to whoever started this child."""
    data = json.dumps(answer).encode() + b"\n"
    with contextlib.suppress(BrokenPipeError):
        # Whoever asked is gone: the input has ended as well, and with it this child.
        while data:
            data = data[os.write(1, data) :]


def census(question: Answer) -> Answer:
    """What this process holds now. ``objects`` are counted on request only: that takes a while. With
    ``trim``, ``held`` is the resident memory once garbage was collected and glibc has given back the
    pages that are free: what both keep for later comes and goes by megabytes."""
    told: Answer = {}
    if question.get("objects"):
        # Connections that have ended may wait for this.
        gc.collect()
        told["objects"] = len(gc.get_objects())
    told |= {
        "rss": resident(),
        "descriptors": descriptors(),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        **_allocated(),
    }
    if question.get("trim"):
        gc.collect()
        trim = getattr(_LIBC, "malloc_trim", None)
        if trim is not None:
            trim(0)
        told["held"] = resident()
    return told


_LIBC = ctypes.CDLL(None)
"""Once: each has a class of its own, and whoever watches memory should take none."""


class _MallInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc (mallinfo(3))."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks"),
            *("uordblks", "fordblks", "keepcost"),
        )
    )


def _allocated() -> Answer:
    """What is in use, and what is kept for later: memory that grows because it is in pieces looks
    otherwise than memory that is held. ``heap`` is glibc's, in bytes, ``blocks`` are Python's."""
    told: Answer = {"blocks": sys.getallocatedblocks()}
    try:
        mallinfo2 = _LIBC.mallinfo2
    except AttributeError:
        # Another C library, or an old one.
        return told
    mallinfo2.restype = _MallInfo
    info = mallinfo2()
    return {**told, "heap": info.arena, "heap_used": info.uordblks, "mapped": info.hblkhd}


def resident() -> int:
    """Bytes of resident memory."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * PAGE


def descriptors() -> int:
    # The listing has one of its own.
    return len(os.listdir("/proc/self/fd")) - 1


_earlier: tracemalloc.Snapshot | None = None


def trace(question: Answer) -> Answer:
    """The first call begins to trace what is allocated, the second takes a snapshot, and those
    that follow tell which lines of source hold more than they did then."""
    global _earlier
    if not tracemalloc.is_tracing():
        tracemalloc.start(8)
        return {"growth": []}
    gc.collect()
    now = tracemalloc.take_snapshot()
    if _earlier is None:
        _earlier = now
        return {"growth": []}
    growth = now.compare_to(_earlier, "lineno")
    return {"growth": [str(line) for line in growth[:SHOWN]]}


def run(main: Callable[[Answer], Coroutine[Any, Any, None]]) -> None:
    """The program of a child: ``main`` gets the JSON object that is its argument."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(json.loads(sys.argv[1])))
