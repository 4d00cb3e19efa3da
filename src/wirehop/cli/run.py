"""``wirehop run SCRIPT [ARG...]``: a script inside the hidden event loop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from wirehop import js, node
from wirehop.node.modules import ModuleError, run_script

__all__ = ["run"]


def run(script: str, arguments: Sequence[str], *, engine: str | None, allow_remote_modules: bool) -> int:
    """Run a script to its end; returns the exit status, or raises the script's ``SystemExit``."""
    node.ARGV[:] = ["wirehop", script, *arguments]
    sys.argv[:] = [script, *arguments]
    try:
        if Path(script).suffix == ".js":
            js.run_script(script, engine=engine, allow_remote_modules=allow_remote_modules)
        elif engine is not None:
            print("wirehop: --engine is for scripts in JavaScript, whose names end in .js", file=sys.stderr)
            return 2
        else:
            run_script(script, allow_remote_modules=allow_remote_modules)
    except (ModuleError, js.EngineMissing) as error:
        print(f"wirehop: {error}", file=sys.stderr)
        return 1
    return 0
