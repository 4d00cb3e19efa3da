"""A child that is killed says nothing, and its exit code is above zero."""

from wirehop import node

exit_status = -1
chunks = []


def on_load():
    child = node.create_process("cat")
    child.on("output", chunks.append)
    child.on("error", chunks.append)

    @child.on("exit")
    def exited(status):
        global exit_status
        exit_status = status

    child.kill()


def on_exit():
    assert chunks == [None, None]
    assert exit_status > 0
