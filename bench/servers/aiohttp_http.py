"""A server of "Hello World" with aiohttp: without an application, since nobody here has routes."""

import asyncio

import uvloop
from aiohttp import web


async def hello(request: web.BaseRequest) -> web.Response:
    return web.Response(body=b"Hello World", content_type="text/plain")


async def main() -> None:
    protocols = web.Server(hello, access_log=None)
    server = await asyncio.get_running_loop().create_server(protocols, "127.0.0.1", 0)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
