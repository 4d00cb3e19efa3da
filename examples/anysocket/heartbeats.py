"""Signs of life: python heartbeats.py"""

import asyncio

from wirehop import AnySocket


async def main():
    async with AnySocket() as server, AnySocket() as client:
        beats = asyncio.Queue()

        @server.on("heartbeat")
        def beat(peer):
            beats.put_nowait(peer.lag)

        @server.on("disconnected")
        def lost(peer, reason):
            # "Missed Heartbeats" for one that gave no sign.
            print("lost:", reason)

        # Asked after half a second of silence, given up after two more.
        options = {"heartbeat_interval": 0.5, "heartbeats_max_missed": 2}
        listener = await server.listen("ws", ip="127.0.0.1", port=0, **options)
        await client.connect("ws", "127.0.0.1", listener.port, heartbeat_enabled=False)
        for _ in range(3):
            print("alive, and answers within a second:", await beats.get() < 1)
        await client.stop()


asyncio.run(main())
