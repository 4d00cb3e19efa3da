"""What keeps a program alive: ``run()`` ends when nothing of this is left.

Servers, connections, children, timers, promises and file operations are kept; so is whoever is
an asyncio task, without a word here.
"""

from __future__ import annotations

import asyncio

from wirehop.core.loops import PerLoop

__all__ = ["keep", "release", "wait_until_idle"]


class _Alive:
    __slots__ = ("idle", "things")

    def __init__(self) -> None:
        # By their id: were they held here, a loop could never be freed that ended before them.
        self.things: set[int] = set()
        self.idle: asyncio.Future[None] | None = None


_alive = PerLoop(_Alive)


def keep(thing: object) -> None:
    """The program must not end before :func:`release` is called with ``thing``."""
    _alive.of(asyncio.get_running_loop()).things.add(id(thing))


def release(thing: object) -> None:
    """``thing`` keeps the program alive no longer. Does nothing when it did not."""
    alive = _alive.of(asyncio.get_running_loop())
    alive.things.discard(id(thing))
    if not alive.things and alive.idle is not None and not alive.idle.done():
        alive.idle.set_result(None)


async def wait_until_idle() -> None:
    """Wait until nothing is kept and no other task is left."""
    loop = asyncio.get_running_loop()
    alive = _alive.of(loop)
    while True:
        # What is due in this turn may begin something new.
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if alive.things:
            alive.idle = loop.create_future()
            await alive.idle
        elif tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        else:
            return
