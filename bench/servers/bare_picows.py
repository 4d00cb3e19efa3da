"""The least that answers an anysocket request or call with picows: what is left when a library does
nothing.

It takes everybody, checks nothing, counts nothing and forgets nobody; it is no server. Its rate
says how much of the machine's time any server in Python has to spend.
"""

import asyncio

import orjson
import picows
import uvloop

TEXT = picows.WSMsgType.TEXT
AUTH = b'11\x00\x00\x00\x01{"id":"0123456789abcdef0123456789abcdef"}'


class Echo(picows.WSListener):
    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is not TEXT:
            transport.disconnect()
            return
        text = frame.get_payload_as_utf8_text()
        if text[1] == "1":
            transport.send(TEXT, AUTH)
            return
        seq = int.from_bytes(text[2:6].encode("latin-1"), "big", signed=True)
        head = (-seq & 0xFFFFFFFF).to_bytes(4, "big").decode("latin-1").encode()
        value = orjson.loads(text[6:])
        if text[1] == "2":
            # A call: of echo, what else.
            transport.send(TEXT, b"12" + head + orjson.dumps({"result": value["params"][0], "bin": False}))
        else:
            transport.send(TEXT, b"13" + head + orjson.dumps(value))


async def main() -> None:
    server = await picows.ws_create_server(
        lambda request: Echo(), "127.0.0.1", 0, max_frame_size=64 << 20, enable_auto_pong=False
    )
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
