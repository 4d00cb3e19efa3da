"""A server of "Hello World" with uvicorn: ASGI without a framework, on httptools and uvloop."""

import socket
from typing import Any

import uvicorn

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"11")],
}
BODY = {"type": "http.response.body", "body": b"Hello World"}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(BODY)


server = uvicorn.Server(
    uvicorn.Config(
        hello,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Idle connections are measured for longer than the 5 s that are usual here.
        timeout_keep_alive=60,
    )
)
# Whoever connects before the server has started waits for it.
listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
print("ready", listener.getsockname()[1], flush=True)
server.run(sockets=[listener])
