"""An echo server with wirehop.node.tcp. It picks a free port and prints it."""

import asyncio

import uvloop

from wirehop.node.tcp import Connection, create_server


def echo(connection: Connection) -> None:
    def received(data: bytes) -> None:
        connection.send(data)

    connection.on("receive", received)


async def main() -> None:
    server = create_server(echo)
    await server.listen(0, "127.0.0.1")
    print("ready", server.port, flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
