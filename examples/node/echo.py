"""A TCP server that says hello, echoes, and says goodbye: wirehop run echo.py [PORT]"""

from wirehop import node

port = int(node.ARGV[2]) if len(node.ARGV) > 2 else 7000


def echo(connection):
    connection.set_encoding("utf8")
    connection.on("connect", lambda: connection.send("hello\r\n"))
    connection.on("receive", connection.send)

    @connection.on("eof")
    def eof():
        connection.send("goodbye\r\n")
        connection.close()


server = node.tcp.create_server(echo, backlog=1024)
await server.listen(port, "localhost")
node.puts(f"Echo at port {server.port}")
