"""The programs in examples/anysocket say what they are to say."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "anysocket"

SAID = {
    "e2e.py": """\
security: plain
the server has an encrypted link
security: legacy
{'got': 'a secret'}
same fingerprint: True
""",
    "proxy.py": """\
{'bob got': 'for Bob alone'} Hello Ann!
through a relay: True - encrypted: True
the relay stopped: Proxy Connection Closed
""",
}


@pytest.mark.parametrize("name", SAID)
async def test_a_program(name: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, EXAMPLES / name, stdout=PIPE, stderr=PIPE)
    out, error = await process.communicate()
    assert (process.returncode, error.decode(), out.decode()) == (0, "", SAID[name])
