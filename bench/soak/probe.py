"""One good client: it asks, and asks again when it has its answer, and says how long that took.

Options: ``port``.
"""

from __future__ import annotations

import asyncio
import time

from soak.control import Answer, Control, run
from soak.figures import percentile
from soak.server import SECRET
from wirehop import AnySocket

PAUSE = 0.002
"""Seconds between two requests: it shall see how long it waits, and not fill the server's time."""


async def probe(options: Answer) -> None:
    async def measure(question: Answer) -> Answer:
        until = time.monotonic() + question["seconds"]
        seconds = []
        async with AnySocket(auth_packet=lambda: SECRET) as socket:
            peer = await socket.connect("ws", "127.0.0.1", options["port"])
            while time.monotonic() < until:
                began = time.perf_counter()
                reply = await peer.send({"ask": [0, 0], "payload": "probe"}, await_reply=True)
                seconds.append(time.perf_counter() - began)
                assert reply is not None
                assert reply.msg == "probe", reply.msg
                await asyncio.sleep(PAUSE)
        seconds.sort()
        return {"count": len(seconds), "p50": percentile(seconds, 50), "p99": percentile(seconds, 99)}

    control = Control()
    control.on("measure", measure)
    await control.serve()


if __name__ == "__main__":
    run(probe)
