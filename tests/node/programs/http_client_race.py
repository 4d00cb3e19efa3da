"""A second request, begun while the first response completes, gets its own body."""

from wirehop.node import http

bodies = {"/1": "1" * 16, "/2": "22222"}
got = {"/1": "", "/2": ""}


def serve(request, response):
    body = bodies[request.uri.path]
    response.send_header(200, [("Content-Type", "text/plain"), ("Content-Length", len(body))])
    response.send_body(body)
    response.finish()


server = http.create_server(serve)
await server.listen(0, "127.0.0.1")
client = http.create_client(server.port)


def ask(path, then):
    def responded(response):
        response.set_body_encoding("utf8")

        @response.on("body")
        def body(chunk):
            got[path] += chunk

        response.on("complete", then)

    client.get(path).finish(responded)


ask("/1", lambda: ask("/2", server.close))


def on_exit():
    assert got == bodies
