"""Children of a program (seed: Node 0.1.0, "Child Processes")."""

from __future__ import annotations

from functools import partial
from typing import Any

from wirehop.errors import ConnectionClosed
from wirehop.js.bridge import Bridge, Operations
from wirehop.js.values import data, whole
from wirehop.node.process import Process, create_process

__all__ = ["Processes"]


class Processes:
    """Starts them, and tells JavaScript what they write and how they end."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._children: dict[float, Process] = {}

    @property
    def operations(self) -> Operations:
        return {
            "processSpawn": self._spawn,
            "processWrite": self._write,
            "processClose": self._close,
            "processKill": self._kill,
        }

    def _spawn(self, number: float, command: str) -> int:
        child = self._children[number] = create_process(command)
        child.on("output", partial(self._wrote, "output", number))
        child.on("error", partial(self._wrote, "errorOutput", number))
        child.on("exit", partial(self._exited, number))
        return child.pid

    def _wrote(self, event: str, number: float, text: str | None) -> None:
        self._bridge.up(event, number, None if text is None else self._bridge.text(text))

    def _exited(self, number: float, code: int) -> None:
        del self._children[number]
        self._bridge.up("exited", number, code)

    def _write(self, number: float, text: str, kind: int) -> None:
        child = self._children.get(number)
        if child is None:
            raise ConnectionClosed("the child has ended")
        child.write(data(text, kind))

    def _close(self, number: float) -> None:
        child = self._children.get(number)
        if child is not None:
            child.close()

    def _kill(self, number: float, signal: Any) -> None:
        child = self._children.get(number)
        if child is None:
            raise ProcessLookupError("the child has ended")
        child.kill(signal if isinstance(signal, str) else whole(signal, "a signal"))
