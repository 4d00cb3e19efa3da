"""A Wirehop client with so many requests under way. Usage: wirehop_anysocket_client.py PORT OUTSTANDING"""

import asyncio
import sys

import uvloop

from wirehop import AnyPeer, AnySocket
from wirehop.errors import WirehopError

PAYLOAD = "The quick brown fox jumps over the lazy dog 0123456789, The qu"


async def ask(peer: AnyPeer) -> None:
    while True:
        reply = await peer.send(PAYLOAD, True)
        assert reply is not None
        assert reply.msg == PAYLOAD, reply.msg


async def main() -> None:
    port, outstanding = int(sys.argv[1]), int(sys.argv[2])
    print("ready", port, flush=True)
    client = AnySocket()
    peer = None
    # The server starts when this is ready.
    while peer is None:
        try:
            peer = await client.connect("ws", "127.0.0.1", port)
        except ConnectionError:
            await asyncio.sleep(0.01)
    try:
        await asyncio.gather(*(ask(peer) for _ in range(outstanding)))
    except WirehopError:
        # The server ended the measurement; whoever started this ends it.
        await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
