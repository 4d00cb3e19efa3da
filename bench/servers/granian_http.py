"""A server of "Hello World" with granian, by RSGI: one worker with one thread.

RSGI was a little faster here than ASGI. Usage: python granian_http.py PORT. The worker is a process of
its own.
"""

import socket
import sys
import threading
import time
from typing import Any

from granian import Granian
from granian.constants import Interfaces, Loops

HEADERS = [("content-type", "text/plain")]
PORT = int(sys.argv[1])


class Hello:
    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        protocol.response_bytes(200, HEADERS, b"Hello World")

    def __rsgi_init__(self, loop: Any) -> None:
        threading.Thread(target=announce, daemon=True).start()


def announce() -> None:
    # The worker listens some time after it was initialised, and tells nobody.
    while True:
        try:
            socket.create_connection(("127.0.0.1", PORT)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            print("ready", PORT, flush=True)
            return


hello = Hello()

if __name__ == "__main__":
    Granian(
        "granian_http:hello",
        address="127.0.0.1",
        port=PORT,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=1,
        runtime_threads=1,
        # Of this follows also how many connections it serves at once.
        backlog=4096,
        websockets=False,
        log_enabled=False,
    ).serve()
