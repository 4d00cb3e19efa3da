"""A proxy passes on a request, and the response with its headers."""

from wirehop.node import http

body = ""


def answer(request, response):
    response.send_header(200, [("content-type", "text/plain")])
    response.send_body("hello world\n")
    response.finish()


backend = http.create_server(answer)
await backend.listen(0, "127.0.0.1")
proxy_client = http.create_client(backend.port)


def forward(request, response):
    def responded(answered):
        response.send_header(answered.status_code, answered.headers)
        answered.on("body", lambda chunk: response.send_body(chunk))
        answered.on("complete", response.finish)

    proxy_client.get(request.uri.path).finish(responded)


proxy = http.create_server(forward)
await proxy.listen(0, "127.0.0.1")


def on_load():
    def responded(response):
        assert response.status_code == 200
        response.set_body_encoding("utf8")

        @response.on("body")
        def got(chunk):
            global body
            body += chunk

        @response.on("complete")
        def complete():
            proxy.close()
            backend.close()

    http.create_client(proxy.port).get("/test").finish(responded)


def on_exit():
    assert body == "hello world\n"
