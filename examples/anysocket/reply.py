"""A message and its reply, also from a listener that takes its time: python reply.py"""

import asyncio

from wirehop import AnySocket


async def main():
    async with AnySocket() as server, AnySocket() as client:

        @server.on("message")
        async def answer(packet):
            await asyncio.sleep(0.01)
            packet.reply({"you said": packet.msg})

        @server.on("connected")
        def greet(peer):
            peer.send("welcome")

        @client.on("message")
        def heard(packet):
            print("server says:", packet.msg)

        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        packet = await peer.send({"hello": "world"}, await_reply=True)
        print("reply:", packet.msg)
        try:
            # The client has no answer to anything.
            await server.peers[client.id].send("anybody?", await_reply=True, timeout=0.1)
        except TimeoutError:
            print("no reply, and the peer stays:", len(server.peers))


asyncio.run(main())
