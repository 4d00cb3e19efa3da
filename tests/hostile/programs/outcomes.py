"""For ``wirehop run``: what becomes of promises when children and disks fail, one line of JSON each."""

from __future__ import annotations

import json
from typing import Any

from wirehop import node


async def outcome(name: str, awaitable: Any) -> None:
    """Say how often a promise fails and succeeds, and what awaiting it raises."""
    failed: list[str] = []
    succeeded: list[Any] = []
    if isinstance(awaitable, node.Promise):
        awaitable.add_errback(lambda error: failed.append(type(error).__name__))
        awaitable.add_callback(lambda *values: succeeded.append(values))
    try:
        await awaitable
        raised = None
    except Exception as error:
        raised = type(error).__name__
    said = {"name": name, "failed": failed, "succeeded": len(succeeded), "raised": raised}
    await node.puts(json.dumps(said))


full = node.fs.File()
await full.open("/dev/full", "w")
await outcome("a file on a full disk", full.write("x" * 100))
await outcome("the same file again", full.write("x" * 100))
await full.close()

descriptor = await node.fs.open("/dev/full", node.O_WRONLY)
await outcome("a descriptor on a full disk", node.fs.write(descriptor, "x"))
await node.fs.close(descriptor)


def exits(child: node.Process) -> list[int]:
    codes: list[int] = []
    child.on("exit", codes.append)
    return codes


# A child that reads nothing any more.
deaf = node.create_process(["/bin/sh", "-c", "exec 0<&-; echo ready; exec sleep 60 >&- 2>&-"])
codes = exits(deaf)
ready: node.Promise[str] = node.Promise()
deaf.on("output", lambda data: data and ready.emit_success(data))
await ready
await outcome("a child that has closed its stdin", deaf.write("x" * 100_000))
deaf.kill("SIGKILL")
code = await deaf
await node.puts(json.dumps({"name": "exits of a killed child", "codes": codes, "code": code}))

# A child that is killed while something waits for it.
slow = node.create_process(["sleep", "60"])
codes = exits(slow)
written = slow.write(bytes(4 << 20))
slow.kill("SIGKILL")
await outcome("what waited for a killed child", written)
code = await slow
await node.puts(json.dumps({"name": "exits of a killed child", "codes": codes, "code": code}))
