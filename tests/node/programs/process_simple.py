"""What a child is told comes back in its order; without input it ends."""

from wirehop import node

response = ""
exit_status = -1
errors = []

cat = node.create_process("cat")


@cat.on("output")
def output(chunk):
    global response
    if chunk:
        response += chunk
        if response == "hello world":
            cat.close()


cat.on("error", errors.append)


@cat.on("exit")
def exited(status):
    global exit_status
    exit_status = status


def on_load():
    cat.write("hello")
    cat.write(" ")
    cat.write("world")


def on_exit():
    assert exit_status == 0
    assert response == "hello world"
    assert errors == [None]
