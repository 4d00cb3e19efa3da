"""``wirehop sockhop listen`` and ``wirehop sockhop connect``: watch typed objects, and send some."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from wirehop.cli.terminal import complain, lines, show, shown, told_to_end, typed
from wirehop.sockhop import Link, SockhopClient, SockhopError, SockhopServer, SockhopSession

__all__ = ["add_arguments", "sockhop"]


def add_arguments(parser: argparse.ArgumentParser, port: Any) -> None:
    """The arguments of the command; ``port`` checks one."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="listen|connect")
    for name, text in (("listen", "wait for clients"), ("connect", "talk to a server")):
        action = actions.add_parser(name, help=text, description=sys.modules[__name__].__doc__)
        action.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
        action.add_argument("--port", type=port, default=50000, help="port (default: %(default)s)")
        action.add_argument("--path", help="a Unix socket, instead of host and port")
        action.add_argument("--json", action="store_true", help="bare JSON lines, without types")
        if name == "connect":
            action.add_argument("--request", action="store_true", help="send requests, and print the answers")


async def sockhop(options: argparse.Namespace) -> int:
    """Send what is typed, and print what comes, until interrupted or told to end (SIGTERM); as a
    client also until the input or the connection ends. Lines that are JSON are sent as values,
    others as text."""
    ended = told_to_end()
    where: dict[str, Any] = {
        "path": options.path,
        "address": options.host,
        "port": options.port,
        "peer_type": "json" if options.json else "Sockhop",
        "allow_non_objects": True,
    }
    if options.action == "listen":
        return await _listen(where, ended)
    return await _connect(where, options.request, ended)


async def _listen(where: dict[str, Any], ended: asyncio.Event) -> int:
    server = SockhopServer(**where)

    def name(sock: Link) -> str:
        return "a client" if sock.remote_address is None else f"{sock.remote_address}:{sock.remote_port}"

    @server.on("connect")
    def connected(sock: Link, session: SockhopSession) -> None:
        show(f"+ {name(sock)} connected, {len(server.sockets)} here")

    @server.on("disconnect")
    def disconnected(sock: Link, session: SockhopSession) -> None:
        show(f"- {name(sock)} left, {len(server.sockets)} here")

    @server.on("receive")
    def received(value: Any, meta: Any) -> None:
        _show(meta.type, value)
        if meta.callback is not None:
            meta.callback(value)

    @server.on("request")
    def requested(req: Any, res: Any, meta: Any) -> None:
        _show(req.type, req.data, "request ")
        res.send({} if req.data is None else req.data)

    server.on("error", lambda error, sock, session: complain(error))
    async with server:
        where_it_is = server.path or f"{server.address}:{server.port}"
        show(f"listening at {where_it_is}; requests and callbacks are answered with what came")
        talking = asyncio.create_task(_send_lines(server.sendall))
        await ended.wait()
        talking.cancel()
    return 0


async def _connect(where: dict[str, Any], asks: bool, ended: asyncio.Event) -> int:
    client = SockhopClient(**where)
    client.on("receive", lambda value, meta: _show(meta.type, value))
    client.on("error", complain)
    client.on("disconnect", lambda sock: ended.set())

    async def ask(value: Any) -> None:
        async for data, type in client.request(value):
            _show(type, data, "answer ")

    async with client:
        talking = asyncio.create_task(_send_lines(ask if asks else client.send))
        leaving = asyncio.create_task(ended.wait())
        await asyncio.wait({talking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (talking, leaving):
            task.cancel()
    return 0


async def _send_lines(send: Any) -> None:
    async for line in lines():
        try:
            await send(_value(line))
        except (SockhopError, ConnectionError) as error:
            complain(error)


def _value(line: str) -> Any:
    value = typed(line)
    # Sockhop has no message for null.
    return line if value is None else value


def _show(type: Any, value: Any, before: str = "") -> None:
    show(f"{before}{type} {shown(value)}")
