"""The counterpart of npm_sockhop.js with Wirehop: it listens at a path, if one is given, or picks
a free port, and prints which."""

import asyncio
import sys
from typing import Any

import uvloop

from wirehop import (
    SockhopRequest,
    SockhopResponseWriteableStream,
    SockhopServer,
    SockhopSession,
)


class Counting(SockhopSession):
    received = 0


async def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else None
    server = SockhopServer(path=path, port=0, session_type=Counting)

    @server.on("request")
    def echo(req: SockhopRequest, res: SockhopResponseWriteableStream, meta: Any) -> None:
        res.send(req.data)

    @server.on("receive")
    def count(message: Any, meta: Any) -> None:
        meta.session.received += 1
        if meta.callback is not None:
            meta.callback(meta.session.received)

    await server.listen()
    print("ready", path or server.port, flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
