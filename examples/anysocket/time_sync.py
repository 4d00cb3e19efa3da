"""The remote's clock: python time_sync.py"""

import asyncio
from datetime import datetime

from wirehop import AnySocket


async def main():
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        clock = await peer.get_synced_time()
        print(f"there it is {datetime.fromtimestamp(clock.time):%H:%M:%S}")
        print(f"round trip {clock.rtt * 1000:.0f} ms, ahead of us by {clock.offset * 1000:.0f} ms")
        again = await peer.get_synced_time(refresh=True)
        print("measured again:", again.rtt >= 0)


asyncio.run(main())
