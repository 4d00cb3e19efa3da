"""An inventory: clients put Parts in and search it; the answers are a stream.

python inventory.py            serves at a Unix socket
python inventory.py bolt       searches there
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from wirehop import SockhopClient, SockhopRequest, SockhopResponseWriteableStream, SockhopServer
from wirehop.sockhop import Meta

PATH = Path(tempfile.gettempdir()) / "wirehop-inventory.sock"


class Part(msgspec.Struct):
    name: str
    count: int


class Search(msgspec.Struct):
    text: str


async def serve() -> None:
    parts = {"bolt": Part("bolt", 120), "bolt, long": Part("bolt, long", 20), "nut": Part("nut", 75)}
    server = SockhopServer(path=PATH, types=[Part, Search])

    @server.on("receive")
    def put(part: Part, meta: Meta) -> None:
        parts[part.name] = part

    @server.on("request")
    def search(req: SockhopRequest, res: SockhopResponseWriteableStream, meta: Meta) -> None:
        for name, part in parts.items():
            if req.data.text in name:
                res.write(part)
        res.end()

    server.on("error", lambda error, sock, session: print(error))
    async with server:
        print("serving at", PATH, flush=True)
        await asyncio.Event().wait()


async def find(text: str) -> None:
    async with SockhopClient(path=PATH, types=[Part]) as client:
        await client.send(Part("washer", 12))
        async for part, type in client.request(Search(text), timeout=5.0):
            if type == "Part":
                print(f"{part.count:5} {part.name}")


if __name__ == "__main__":
    try:
        asyncio.run(find(sys.argv[1]) if len(sys.argv) > 1 else serve())
    except KeyboardInterrupt:
        pass
