"""Routes, cookies and bodies in pieces: python http_server.py [PORT]"""

import asyncio
import re
import sys

from wirehop import AnySocket

server = AnySocket()


@server.http.get("/")
def index(peer):
    visits = int(peer.cookies.get("visits", "0")) + 1
    peer.set_cookie("visits", str(visits), max_age=3600, http_only=True)
    peer.header("Content-Type", "text/plain;charset=utf-8").body(f"visit {visits}\n").end()


@server.http.get("/forget")
def forget(peer):
    peer.delete_cookie("visits").body("forgotten\n").end()


@server.http.any(re.compile("^/greet/"))
async def greet(peer):
    await asyncio.sleep(0.01)
    peer.body(f"{peer.query.method} {peer.url[7:]} {peer.query.qs.get('from', '')}\n").end()


@server.http.get("/count")
async def count(peer):
    for number in range(3):
        # Waits while the reader is slow, and raises when it left.
        await peer.write(f"{number}\n")
    peer.end()


@server.http.post("/upload", stream=True)
async def upload(peer):
    size = 0
    async for piece in peer:
        size += len(piece)
    peer.status(201).body(f"{size} bytes\n").end()


@server.http.error
def error(peer, problem):
    peer.body(f"{problem}\n").end()


async def main():
    async with server:
        listener = await server.listen("http", int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
        print(f"http://127.0.0.1:{listener.port}/", flush=True)
        await asyncio.Event().wait()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
