"""A File is opened and closed, and says so."""

from pathlib import Path

from wirehop import node
from wirehop.node import fs

seen = []


def on_load():
    file = fs.File()
    file.on("error", lambda error: seen.append(error))

    def opened():
        seen.append("opened")
        file.close().add_callback(lambda: seen.append("closed"))

    file.open(Path(__filename__).parent / "fixtures" / "x.txt", "r").add_callback(opened)
    node.puts("hey!")


def on_exit():
    assert seen == ["opened", "closed"]
