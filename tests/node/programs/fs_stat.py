"""What stat() says about this directory, and its times are times."""

import datetime

from wirehop import node
from wirehop.node import fs

seen = []


def got(stats):
    node.p(stats)
    seen.append(stats)


fs.stat(".").add_callback(got).add_errback(lambda: seen.append("error"))


def on_exit():
    assert len(seen) == 1
    assert isinstance(seen[0].mtime, datetime.datetime)
