"""Who may connect is seen by a cookie, before there is a WebSocket: python refused_upgrade.py"""

import asyncio

from wirehop import AnySocket
from wirehop.errors import AuthError


async def main():
    async with AnySocket() as server, AnySocket() as client:

        @server.http.upgrade
        def look(peer):
            if peer.cookies.get("hello") != "world":
                peer.status(401).end()

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        try:
            await client.connect("ws", "127.0.0.1", listener.port)
        except AuthError as error:
            print("refused:", error)
        await client.connect("ws", "127.0.0.1", listener.port, cookies={"hello": "world"})
        print("connected")


asyncio.run(main())
