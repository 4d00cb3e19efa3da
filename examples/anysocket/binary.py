"""Bytes: as they are in RPC, packed as text inside of messages: python binary.py"""

import asyncio

from wirehop import AnySocket, Packer


async def main():
    async with AnySocket(rpc={"reverse": lambda data, peer: data[::-1]}) as server, AnySocket() as client:

        @server.on("message")
        def count(packet):
            data = Packer.unpack(packet.msg["file"])
            packet.reply({"name": packet.msg["name"], "bytes": len(data)})

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        print(await peer.rpc.reverse(b"\x00\x01\xff"))
        message = {"name": "zeros", "file": Packer.pack(bytes(3_000_000))}
        print((await peer.send(message, await_reply=True)).msg)


asyncio.run(main())
