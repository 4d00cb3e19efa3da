"""A client process of the soak: sessions of every kind, one after the other.

Options: ``run`` (its number), ``journal`` (a path), ``place`` (the fields of :class:`soak.work.Place`
but the file), ``file`` (a path: what the server's has), ``sessions`` (how many of each kind at a
time), ``rate`` (requests a second of each), ``requests`` (in one session), ``may_fail`` (whether its
servers are killed).
"""

from __future__ import annotations

import asyncio
import random
import traceback
from pathlib import Path
from typing import Any

from soak.control import Answer, Control, run
from soak.figures import percentile
from soak.journal import Asking
from soak.work import KINDS, Diary, Place, Wrong
from wirehop.errors import RemoteError, SockhopError

KEPT = 20
"""Problems whose text is told."""
RETRY = 0.5
"""Seconds, at most, after a session that was lost: random, so that not all come back at once."""


class Sessions:
    def __init__(self, options: Answer) -> None:
        self._place = Place(**options["place"], file=Path(options["file"]).read_bytes())
        self._diary = Diary(options["run"], Asking(options["journal"]), 1 / options["rate"])
        self._requests = options["requests"]
        self._may_fail = options["may_fail"]
        self._sessions = options["sessions"]
        self._ends = asyncio.Event()
        self._problems: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self) -> None:
        control = Control()
        control.on("figures", self._figures)
        control.on("finish", self._finish)
        for kind, count in self._sessions.items():
            self._tasks += (asyncio.create_task(self._act(kind)) for _ in range(count))
        await control.serve()
        self._ends.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _act(self, kind: str) -> None:
        while not self._ends.is_set():
            requests = random.randint(1, 2 * self._requests)
            try:
                await KINDS[kind](self._place, self._diary, requests)
            except (OSError, SockhopError, RemoteError) as error:
                if not self._may_fail:
                    self._problem(kind, error)
                await asyncio.sleep(random.random() * RETRY)
            except Wrong as error:
                self._problem(kind, error)
            except Exception as error:
                self._problem(kind, error)
                traceback.print_exc()
            else:
                self._diary.done[kind] = self._diary.done.get(kind, 0) + 1

    def _problem(self, kind: str, error: Exception) -> None:
        self._problems.append(f"{kind}: {type(error).__name__}: {error}")

    def _figures(self, question: Answer) -> Answer:
        latencies, self._diary.latencies = self._diary.latencies, {}
        done, self._diary.done = self._diary.done, {}
        told: dict[str, Any] = {}
        for kind, seconds in latencies.items():
            seconds.sort()
            told[kind] = [len(seconds), percentile(seconds, 50), percentile(seconds, 99)]
        problems, self._problems = self._problems, []
        return {"latency": told, "done": done, "problems": problems[:KEPT], "count": len(problems)}

    async def _finish(self, question: Answer) -> Answer:
        """End the sessions as they are meant to end. What is left after a while is told."""
        self._ends.set()
        _, pending = await asyncio.wait(self._tasks, timeout=question["seconds"])
        return {"left": len(pending)}


if __name__ == "__main__":
    run(lambda options: Sessions(options).serve())
