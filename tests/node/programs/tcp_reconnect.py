"""One connection object connects fifty times more, each time as soon as it is disconnected."""

from wirehop.node import tcp

N = 50
disconnect_count = 0
receive_count = 0


def serve(connection):
    connection.on("connect", lambda: connection.send("hello\r\n"))
    connection.on("eof", connection.close)

    @connection.on("disconnect")
    def disconnect(had_error):
        assert not had_error


server = tcp.create_server(serve)


async def on_load():
    await server.listen(0, "127.0.0.1")
    client = tcp.create_connection(server.port)
    client.set_encoding("UTF8")

    @client.on("receive")
    def receive(chunk):
        global receive_count
        receive_count += 1
        assert chunk == "hello\r\n"
        client.full_close()

    @client.on("disconnect")
    def disconnect(had_error):
        global disconnect_count
        assert not had_error
        disconnect_count += 1
        if disconnect_count <= N:
            client.connect(server.port)
        else:
            server.close()


def on_exit():
    assert disconnect_count == N + 1
    assert receive_count == N + 1
