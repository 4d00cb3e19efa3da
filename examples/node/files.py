"""Promises, and a file whose operations keep their order: wirehop run files.py DIRECTORY"""

import os

from wirehop import node
from wirehop.node import fs

directory = node.ARGV[2]
hello = os.path.join(directory, "hello")
world = os.path.join(directory, "world")

# A File does one thing after the other, so nothing has to be waited for.
file = fs.File(encoding="utf8")
file.open(hello, "w+")
file.write("hello ")
file.write("world")
file.read(100, 0).add_callback(lambda text: node.puts(f"read: {text}"))


# The functions of fs have no order, so what depends on another is chained to it.
@file.close().add_callback
def closed():
    fs.rename(hello, world).add_callback(renamed)


def renamed():
    fs.stat(world).add_callback(measured)


def measured(stats):
    node.puts(f"size: {stats.size}")
    fs.cat(world).add_callback(remove)


async def remove(text):
    # Or a promise is awaited.
    await fs.unlink(world)
    node.puts(f"successfully deleted {text!r}: {not await fs.exists(world)}")
