"""Peers over TLS: python wss.py CERT KEY CA"""

import asyncio
import ssl
import sys

from wirehop import AnySocket


async def main(cert, key, ca):
    async with AnySocket() as server, AnySocket() as client:
        server.on("message", lambda packet: packet.reply(packet.msg[::-1]))
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=cert, key=key)
        # Without ca it is the system's trust that counts.
        peer = await client.connect("wss", "localhost", listener.port, ca=ca)
        print((await peer.send("desserts", await_reply=True)).msg)
        try:
            await AnySocket().connect("wss", "localhost", listener.port)
        except ssl.SSLCertVerificationError:
            print("a certificate that nobody vouches for is refused")


asyncio.run(main(*sys.argv[1:]))
