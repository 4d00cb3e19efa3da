"""The whole output of a child is there when it has exited."""

from wirehop import node

pwd_called = False


def pwd(callback):
    output = []
    child = node.create_process("pwd")
    child.on("output", lambda data: output.append(data or ""))

    @child.on("exit")
    def exited(code):
        global pwd_called
        assert code == 0
        callback("".join(output))
        pwd_called = True


def on_load():
    def got(result):
        node.print(result)
        assert len(result) > 1
        assert result[-1] == "\n"

    pwd(got)


def on_exit():
    assert pwd_called
