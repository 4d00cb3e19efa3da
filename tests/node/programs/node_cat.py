"""cat() takes the URL of a server, and the path of a file."""

from pathlib import Path

from wirehop import node
from wirehop.node import http

BODY = "exports.A = function() { return 'A';}"
errors = 0
contents = []


def serve(request, response):
    response.send_header(200, [("Content-Length", len(BODY)), ("Content-Type", "text/plain")])
    response.send_body(BODY)
    response.finish()


server = http.create_server(serve)
await server.listen(0, "127.0.0.1")


def on_load():
    def failed():
        global errors
        errors += 1

    def got_page(content):
        contents.append(content)
        server.close()

    node.cat(f"http://127.0.0.1:{server.port}", "utf8").add_callback(got_page).add_errback(failed)
    x = Path(__filename__).parent / "fixtures" / "x.txt"
    node.cat(x, "utf8").add_callback(contents.append).add_errback(failed)


def on_exit():
    assert sorted(contents) == [BODY, "xyz\n"]
    assert errors == 0
