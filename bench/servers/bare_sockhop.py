"""The least that answers sockhop requests and counts messages: what is left when a library does nothing.

It takes every line for what it expects, makes no objects of them for anybody, has no limits and
forgets nobody; it is no server. Its rate says how much of the machine's time any server in Python
has to spend.
"""

import asyncio
from typing import cast

import msgspec
import uvloop

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


class Sockhop(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.rest = b""
        self.received = 0

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        answers = []
        for line in lines:
            message = decode(line)
            if message["type"] == "SockhopRequest":
                asked = message["data"]
                answer = {"uuid": asked["uuid"], "type": asked["type"], "data": asked["data"], "last": True}
                answers.append(encode({"type": "SockhopResponsePacket", "data": answer}) + b"\n")
                continue
            self.received += 1
            if "id" in message:
                count = {"type": "Number", "data": self.received, "callback_id": message["id"]}
                answers.append(encode(count) + b"\n")
        if answers:
            self.transport.write(b"".join(answers))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Sockhop, "127.0.0.1", 0)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
