"""HTTP and peers on one port with TLS: python https_server.py CERT KEY [PORT]"""

import asyncio
import sys

from wirehop import AnySocket


async def main(cert, key, port=3000):
    async with AnySocket() as server:
        server.http.get("/", lambda peer: peer.body("hello, encrypted\n").end())
        server.on("message", lambda packet: packet.reply(packet.msg))
        listener = await server.listen("https", port=int(port), cert=cert, key=key)
        # Without a port of its own: peers come in where requests do.
        await server.listen("wss")
        print(f"https://localhost:{listener.port}/", flush=True)
        await asyncio.Event().wait()


try:
    asyncio.run(main(*sys.argv[1:]))
except KeyboardInterrupt:
    pass
