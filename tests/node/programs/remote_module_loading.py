"""A module comes from a server that runs in the same program."""

from wirehop.node import http

BODY = "exports.A = lambda: 'A'\n"


def serve(request, response):
    response.send_header(200, [("Content-Length", len(BODY)), ("Content-Type", "text/plain")])
    response.send_body(BODY)
    response.finish()


server = http.create_server(serve)
await server.listen(0, "127.0.0.1")
a = require(f"http://127.0.0.1:{server.port}/")


def on_load():
    assert a.A() == "A"
    server.close()
