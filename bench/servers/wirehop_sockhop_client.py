"""A Wirehop client with so many requests under way. Usage: wirehop_sockhop_client.py PORT OUTSTANDING"""

import asyncio
import sys

import uvloop

from wirehop import SockhopClient
from wirehop.errors import WirehopError

PAYLOAD = "The quick brown fox jumps over the lazy dog 0123456789, The qu"


async def ask(client: SockhopClient) -> None:
    while client.connected:
        stream = await client.request(PAYLOAD)
        data, _ = await stream.next()
        assert data == PAYLOAD, data


async def main() -> None:
    port, outstanding = int(sys.argv[1]), int(sys.argv[2])
    print("ready", port, flush=True)
    client = SockhopClient(port=port, response_timeout=60.0)
    # The server starts when this is ready.
    while not client.connected:
        try:
            await client.connect()
        except ConnectionError:
            await asyncio.sleep(0.01)
    try:
        await asyncio.gather(*(ask(client) for _ in range(outstanding)))
    except WirehopError:
        # The server ended the measurement; whoever started this ends it.
        await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
