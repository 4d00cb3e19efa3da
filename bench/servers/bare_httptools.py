"""The least that answers HTTP with httptools: what is left when a library does nothing.

It knows one response, looks at no request, waits for nobody and sends one write for all that one
read asked; it is no server. Its rate says how much of the machine's time any server in Python has
to spend.
"""

import asyncio
from email.utils import formatdate
from typing import cast

import httptools
import uvloop

RESPONSE = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n"
    f"Date: {formatdate(usegmt=True)}\r\n\r\nHello World"
).encode()


class Hello(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.due = 0

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        self.transport.write(RESPONSE * self.due)
        self.due = 0

    def on_message_complete(self) -> None:
        self.due += 1


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Hello, "127.0.0.1", 0)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
