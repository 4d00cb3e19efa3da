"""Pages that talk to each other and to a Python program: open the URL that this prints, twice.

python chat.py [PORT]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from wirehop import AnyHTTPPeer, AnyPacket, AnySocket

PAGE = Path(__file__).with_name("chat.html").read_bytes()

server = AnySocket(rpc={"shout": lambda text, peer: text.upper() + "!"})


@server.on("message")
def pass_on(packet: AnyPacket) -> None:
    for peer in list(server.peers.values()):
        peer.send({"from": packet.peer.id[:8], "text": packet.msg})


@server.http.get("/")
def show(peer: AnyHTTPPeer) -> None:
    peer.header("Content-Type", "text/html; charset=utf-8").body(PAGE).end()


async def main(port: int) -> None:
    async with server:
        # The client itself is at /@anysocket and /@anysocket.mjs already.
        listener = await server.listen("ws", ip="127.0.0.1", port=port)
        print(f"http://127.0.0.1:{listener.port}/", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000))
    except KeyboardInterrupt:
        pass
