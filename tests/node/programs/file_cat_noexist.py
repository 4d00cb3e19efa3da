"""A file that is not there: the errback is called, the callback is not."""

from pathlib import Path

from wirehop.node import fs

got_error = False


def failed():
    global got_error
    got_error = True


def read(content):
    raise AssertionError(f"a file that is not there has {content!r} in it")


def on_load():
    missing = Path(__filename__).parent / "fixtures" / "does_not_exist.txt"
    fs.cat(missing, "raw").add_callback(read).add_errback(failed)


def on_exit():
    assert got_error
