"""A server of "Hello World" with wirehop.node.http. It picks a free port and prints it."""

import asyncio

import uvloop

from wirehop.node.http import ServerRequest, ServerResponse, create_server


def hello(request: ServerRequest, response: ServerResponse) -> None:
    response.respond(200, [("Content-Type", "text/plain")], b"Hello World")


async def main() -> None:
    server = create_server(hello)
    await server.listen(0, "127.0.0.1")
    print("ready", server.port, flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
