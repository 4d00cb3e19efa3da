"""``wirehop run SCRIPT [ARG...]``: a script inside the hidden event loop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from wirehop import node
from wirehop.node.modules import ModuleError, run_script

__all__ = ["run"]


def run(script: str, arguments: Sequence[str], *, allow_remote_modules: bool) -> int:
    """Run a script to its end; returns the exit status, or raises the script's ``SystemExit``."""
    if Path(script).suffix == ".js":
        print("wirehop: JavaScript cannot be run yet", file=sys.stderr)
        return 2
    node.ARGV[:] = ["wirehop", script, *arguments]
    sys.argv[:] = [script, *arguments]
    try:
        run_script(script, allow_remote_modules=allow_remote_modules)
    except ModuleError as error:
        print(f"wirehop: {error}", file=sys.stderr)
        return 1
    return 0
