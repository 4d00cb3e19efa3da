"""A thousand pings and pongs over three addresses at once, and a half-close to the letter."""

import socket

from wirehop.node import tcp

N = 1000
HOSTS = ["localhost", None, *(["::1"] if socket.has_dualstack_ipv6() else [])]
tests_run = 0


async def ping_pong(host):
    count = 0
    sent_final_ping = False

    def serve(connection):
        expected = "127.0.0.1" if host != "::1" else "::1"
        assert connection.remote_address in (expected, "::ffff:127.0.0.1", "::1")
        connection.set_encoding("utf8")

        @connection.on("receive")
        def receive(data):
            assert connection.ready_state == "open"
            assert count <= N
            if "PING" in data:
                connection.send("PONG")

        @connection.on("eof")
        def eof():
            assert connection.ready_state == "writeOnly"
            connection.close()

        @connection.on("disconnect")
        def disconnect(had_error):
            assert not had_error
            assert connection.ready_state == "closed"
            connection.server.close()

    server = tcp.create_server(serve)
    await server.listen(0, host)
    client = tcp.create_connection(server.port, host or "127.0.0.1")
    client.set_encoding("utf8")

    @client.on("connect")
    def connected():
        assert client.ready_state == "open"
        client.send("PING")

    @client.on("receive")
    def received(data):
        nonlocal count, sent_final_ping
        assert data == "PONG"
        count += 1
        assert client.ready_state == ("readOnly" if sent_final_ping else "open")
        if sent_final_ping:
            return
        client.send("PING")
        if count == N:
            sent_final_ping = True
            client.close()

    @client.on("disconnect")
    def disconnected(had_error):
        global tests_run
        assert count == N + 1
        assert sent_final_ping
        tests_run += 1


async def on_load():
    for host in HOSTS:
        await ping_pong(host)


def on_exit():
    assert tests_run == len(HOSTS)
