"""cat() of a server that answers, and of one that is not there."""

import socket

from wirehop import node
from wirehop.node import http

BODY = "exports.A = function() { return 'A';}"
good_content = False
bad_error = False


def serve(request, response):
    response.send_header(200, [("Content-Length", len(BODY)), ("Content-Type", "text/plain")])
    response.send_body(BODY)
    response.finish()


server = http.create_server(serve)


async def on_load():
    await server.listen(0, "127.0.0.1")

    def got(content):
        global good_content
        node.puts("got response")
        assert content == BODY
        good_content = True
        server.close()

    def failed():
        global bad_error
        node.puts("got error (this should happen)")
        bad_error = True

    http.cat(f"http://127.0.0.1:{server.port}/", "utf8").add_callback(got)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    http.cat(f"http://127.0.0.1:{port}/", "utf8").add_errback(failed)


def on_exit():
    assert good_content
    assert bad_error
