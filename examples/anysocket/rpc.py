"""Functions called across the link, both ways: python rpc.py"""

import asyncio

from wirehop import AnySocket
from wirehop.errors import RemoteError


class Calculator:
    def add(self, a, b, peer):
        return a + b

    async def divide(self, a, b, peer):
        if b == 0:
            raise RemoteError("not by zero", details={"a": a}, code=400)
        return a / b


async def shout(text, peer):
    # The caller has functions too.
    return f"{text.upper()}, {await peer.rpc.name()}!"


async def main():
    server = AnySocket(rpc={"math": Calculator(), "shout": shout})
    client = AnySocket(rpc={"name": lambda peer: "Ada"})
    async with server, client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        print(await peer.rpc.math.add(1, 2))
        print(await peer.rpc.shout("hello"))
        for call in (peer.rpc.math.divide(1, 0), peer.rpc.math.subtract(1, 2)):
            try:
                await call
            except RemoteError as error:
                print(error.code, error.message, error.details)
        try:
            await peer.rpc.shout.with_timeout(5.0)(None)
        except RemoteError as error:
            print(error.code, error.message)


asyncio.run(main())
