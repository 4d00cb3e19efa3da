"""A raw connection asks twice, half-closes, gets both answers and the end. There is no Host."""

from wirehop import node
from wirehop.node import http, tcp

requests = []
requests_sent = 0
server_response = ""
client_got_eof = False


def answer(request, response):
    requests.append((request.method, request.uri.path))
    if len(requests) == 2:
        server.close()

    def later():
        response.send_header(200, [("Content-Type", "text/plain")])
        response.send_body(request.uri.path)
        response.finish()

    node.set_timeout(later, 0.001)


server = http.create_server(answer)


async def on_load():
    await server.listen(0, "127.0.0.1")
    connection = tcp.create_connection(server.port)
    connection.set_encoding("utf8")

    @connection.on("connect")
    def connected():
        global requests_sent
        connection.send("GET /hello HTTP/1.1\r\n\r\n")
        requests_sent += 1

    @connection.on("receive")
    def receive(chunk):
        global server_response, requests_sent
        server_response += chunk
        if requests_sent == 1:
            connection.send("POST /quit HTTP/1.1\r\n\r\n")
            connection.close()
            assert connection.ready_state == "readOnly"
            requests_sent += 1

    @connection.on("eof")
    def eof():
        global client_got_eof
        client_got_eof = True

    @connection.on("disconnect")
    def disconnect(had_error):
        assert connection.ready_state == "closed"


def on_exit():
    assert requests == [("GET", "/hello"), ("POST", "/quit")]
    assert requests_sent == 2
    assert "/hello" in server_response
    assert "/quit" in server_response
    assert client_got_eof
