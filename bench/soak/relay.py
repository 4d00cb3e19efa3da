"""The relay of the soak. Options: ``port``, ``id``."""

from __future__ import annotations

from soak.control import Answer, Control, run
from soak.server import LIMITS, SECRET
from wirehop import AnySocket


async def relay(options: Answer) -> None:
    def passes(packet: Answer) -> bool:
        return bool(packet["auth"] == SECRET)

    async with AnySocket(
        id=options["id"], on_auth=passes, auth_packet=lambda: SECRET, can_proxy=lambda one, other: True
    ) as socket:
        await socket.listen("ws", ip="127.0.0.1", port=options["port"], **LIMITS)
        control = Control()
        await control.serve()


if __name__ == "__main__":
    run(relay)
