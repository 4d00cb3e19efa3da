"""Who may be a peer: python auth.py"""

import asyncio
import hmac

from wirehop import AnySocket
from wirehop.errors import AuthError

USERS = {"ada": "correct horse"}


async def knows_the_password(packet):
    """``packet`` has the remote's id and what its ``auth_packet`` gave. Only True passes."""
    shown = packet.get("auth")
    if not isinstance(shown, dict):
        return False
    expected = USERS.get(shown.get("user"))
    return expected is not None and hmac.compare_digest(expected, str(shown.get("password")))


async def main():
    async with AnySocket(on_auth=knows_the_password) as server:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        for password in ("correct horse", "guess"):
            client = AnySocket(auth_packet=lambda p=password: {"user": "ada", "password": p})
            async with client:
                try:
                    peer = await client.connect("ws", "127.0.0.1", listener.port)
                    print("connected:", peer.id == server.id)
                except AuthError as error:
                    print("refused:", error.reason)


asyncio.run(main())
