"""Two peers, and a link that becomes end-to-end encrypted while they talk."""

import asyncio

from wirehop import AnySocket


async def main():
    async with AnySocket() as server, AnySocket() as client:
        server.on("message", lambda packet: packet.reply({"got": packet.msg}))
        server.on("e2e", lambda peer: print("the server has an encrypted link"))
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        peer = await client.connect("ws", "127.0.0.1", listener.port)
        print("security:", peer.security)

        peer.e2e()  # whatever is sent after the call waits for the encryption
        reply = await peer.send("a secret", await_reply=True)
        print("security:", peer.security)
        print(reply.msg)

        # Read to each other over the telephone: if they differ, somebody sits between the two.
        print("same fingerprint:", peer.fingerprint == server.peers[client.id].fingerprint)


asyncio.run(main())
