"""The counterpart of npm_anysocket.js with Wirehop. It picks a free port and prints it."""

import asyncio

import uvloop

from wirehop import AnyPacket, AnySocket


async def main() -> None:
    server = AnySocket(rpc={"echo": lambda value, peer: value})

    @server.on("message")
    def echo(packet: AnyPacket) -> None:
        packet.reply(packet.msg)

    listener = await server.listen("ws", {"ip": "127.0.0.1", "port": 0})
    print("ready", listener.port, flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
