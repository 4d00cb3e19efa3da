"""A child process and its output: wirehop run ls.py [COMMAND]"""

from wirehop import node

ls = node.create_process(node.ARGV[2] if len(node.ARGV) > 2 else "ls -lh /usr")


@ls.on("output")
def output(data):
    if data is not None:
        node.print(data)


@ls.on("exit")
def exited(code):
    node.puts(f"exit code {code}")
