"""A client and a server: one request at once, one a little later."""

from wirehop import node
from wirehop.node import http

requests = []
responses_sent = 0
bodies = {}


def answer(request, response):
    requests.append((request.method, request.uri.path))
    if len(requests) == 2:
        server.close()

    @request.on("complete")
    def complete():
        global responses_sent
        response.send_header(200, [("Content-Type", "text/plain")])
        response.send_body(f"The path was {request.uri.path}")
        response.finish()
        responses_sent += 1


server = http.create_server(answer)


async def on_load():
    await server.listen(0, "127.0.0.1")
    client = http.create_client(server.port)

    def ask(issue, path):
        def responded(response):
            assert response.status_code == 200
            bodies[path] = ""
            response.set_body_encoding("utf8")

            @response.on("body")
            def body(chunk):
                bodies[path] += chunk

            node.debug(f"Got {path} response")

        issue(path).finish(responded)

    ask(client.get, "/hello")
    node.set_timeout(lambda: ask(client.post, "/world"), 0.001)


def on_exit():
    assert requests == [("GET", "/hello"), ("POST", "/world")]
    assert responses_sent == 2
    assert bodies == {"/hello": "The path was /hello", "/world": "The path was /world"}
