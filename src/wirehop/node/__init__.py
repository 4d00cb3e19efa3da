"""Storey 1: evented I/O, with bytes as its unit (seed: Node 0.1.0).

tcp        connections and servers
http       requests and responses on top of them
fs         files; File, and what the standard streams are
process    children
timers     set_timeout and its kin
promise    the end of one operation
runner     the hidden event loop
modules    scripts, require and include
alive      what keeps a program alive
locations  files and URLs alike
tls        certificates and trust
encodings  text and bytes

The constants of the system are here under their names: ``node.O_RDONLY``, ``node.SIGTERM``.
"""

from __future__ import annotations

import os
import signal
import sys

from wirehop.core.events import EventEmitter
from wirehop.node import fs, http, tcp
from wirehop.node.encodings import ASCII, RAW, UTF8
from wirehop.node.file import debug, p, print, puts, stderr, stdin, stdout
from wirehop.node.locations import cat
from wirehop.node.modules import ModuleError, include, require
from wirehop.node.process import Process, create_process
from wirehop.node.promise import Promise
from wirehop.node.runner import exit, run
from wirehop.node.timers import Timer, clear_interval, clear_timeout, set_interval, set_timeout

__all__ = [
    "ARGV",
    "ASCII",
    "RAW",
    "UTF8",
    "EventEmitter",
    "ModuleError",
    "Process",
    "Promise",
    "Timer",
    "cat",
    "clear_interval",
    "clear_timeout",
    "create_process",
    "debug",
    "exit",
    "fs",
    "http",
    "include",
    "p",
    "print",
    "puts",
    "require",
    "run",
    "set_interval",
    "set_timeout",
    "stderr",
    "stdin",
    "stdout",
    "tcp",
]

ARGV: list[str] = [sys.executable, *sys.argv]
"""The program, the script, its arguments."""


def __getattr__(name: str) -> int:
    # Not imported one by one: every system has others.
    if name.startswith("O_") and isinstance(value := getattr(os, name, None), int):
        return value
    if name in signal.Signals.__members__:
        return signal.Signals[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
