"""Storey 1: evented I/O, with bytes as its unit (seed: Node 0.1.0).

tcp     connections and servers
http    requests and responses on top of them
"""

from __future__ import annotations

from wirehop.core.events import EventEmitter
from wirehop.node import http, tcp

__all__ = ["EventEmitter", "http", "tcp"]
