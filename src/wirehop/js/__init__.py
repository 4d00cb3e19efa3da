"""The seed's own language: JavaScript programs over storey 1 (seed: Node 0.1.0).

engines     V8 or QuickJS behind one small interface
bridge      one call each way between a program and storey 1; objects by number
values      how values cross: numbers, booleans, None and text only
script/     the side in JavaScript: emitters, promises, requests, files, what a program calls
timers      )
results     )
files       ) what the JavaScript side asks storey 1 for, and what it hears of it
processes   )
sockets     )
http_server )
http_client )
bodies      a message's body, piece by piece
modules     a program and its modules
watchdog    Ctrl-C for a program that does not return
"""

from __future__ import annotations

from wirehop.js.engines import ENGINES, EngineMissing, installed
from wirehop.js.modules import run_script

__all__ = ["ENGINES", "EngineMissing", "installed", "run_script"]
