"""The command line: ``wirehop serve``, ``connect``, ``run`` and ``sockhop``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

import wirehop
from wirehop import js
from wirehop.anysocket.http.hosts import Hosts
from wirehop.cli.connect import add_arguments as add_connect_arguments
from wirehop.cli.connect import connect
from wirehop.cli.run import run as run_script
from wirehop.cli.serve import serve
from wirehop.cli.sockhop import add_arguments as add_sockhop_arguments
from wirehop.cli.sockhop import sockhop
from wirehop.core.loops import loop_factory

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="wirehop",
        description="Live, two-way messaging between Python, Node and browsers.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("serve", help="run a hub: peers and a page on one port")
    command.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    command.add_argument("--port", type=_port, default=3000, help="0 picks one (default: %(default)s)")
    command.add_argument(
        "--allow-host",
        action="append",
        default=[],
        type=_host,
        metavar="NAME",
        help="a further name by which browsers may ask for it; may be repeated",
    )
    add_connect_arguments(commands.add_parser("connect", help="talk to a peer"))
    command = commands.add_parser("run", help="run a script until nothing is pending")
    command.add_argument(
        "--allow-remote-modules", action="store_true", help="let the script load modules over http"
    )
    command.add_argument(
        "--engine", choices=js.ENGINES, help="what runs a SCRIPT.js (default: the first that is installed)"
    )
    command.add_argument("script", metavar="SCRIPT", help="Python, or JavaScript if it ends in .js")
    command.add_argument("arguments", metavar="ARG", nargs=argparse.REMAINDER)
    add_sockhop_arguments(commands.add_parser("sockhop", help="watch typed objects, and send some"), _port)
    options = parser.parse_args(arguments)
    if options.command == "run":
        return run_script(
            options.script,
            options.arguments,
            engine=options.engine,
            allow_remote_modules=options.allow_remote_modules,
        )
    try:
        if options.command == "sockhop":
            return run(sockhop(options))
        if options.command == "connect":
            return run(connect(options))
        return run(serve(options.host, options.port, options.allow_host))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"wirehop: {error}", file=sys.stderr)
        return 1


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it is installed, else on asyncio's own loop."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


def _host(text: str) -> str:
    try:
        Hosts([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a port is a number from 0 to 65535")
    return int(text)


def _version() -> str:
    engines = ", ".join(f"{name} {version}" for name, version in js.installed().items())
    return f"wirehop {wirehop.__version__}\nJavaScript: {engines or 'no engine, see wirehop[js]'}"
