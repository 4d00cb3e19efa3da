"""Forty children, one after the other, each with half a mebibyte to say."""

from wirehop import node

N = 40
SIZE = 500 * 1024
finished = False


def spawn(number):
    size = 0
    child = node.create_process(f"head -c {SIZE} /dev/zero | tr '\\0' C")

    @child.on("output")
    def output(chunk):
        nonlocal size
        if chunk:
            assert set(chunk) == {"C"}
            size += len(chunk)

    @child.on("exit")
    def exited(code):
        global finished
        assert (code, size) == (0, SIZE)
        if number < N:
            spawn(number + 1)
        else:
            finished = True


def on_load():
    spawn(1)


def on_exit():
    assert finished
