"""The files of a directory: python static_files.py [DIRECTORY [PORT]]"""

import asyncio
import sys

from wirehop import AnySocket


async def main(directory=".", port=3000):
    async with AnySocket() as server:
        server.http.static("/files", directory)
        # One file, wherever it is.
        server.http.get("/source", lambda peer: peer.serve_file(__file__, "text/plain;charset=utf-8"))
        listener = await server.listen("http", int(port))
        print(f"http://127.0.0.1:{listener.port}/files/", flush=True)
        await asyncio.Event().wait()


try:
    asyncio.run(main(*sys.argv[1:]))
except KeyboardInterrupt:
    pass
