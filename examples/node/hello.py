"""A web server that says hello after two seconds: wirehop run hello.py [PORT [SECONDS]]"""

from wirehop import node

port = int(node.ARGV[2]) if len(node.ARGV) > 2 else 8000
delay = float(node.ARGV[3]) if len(node.ARGV) > 3 else 2.0


def hello(request, response):
    def answer():
        response.send_header(200, [("Content-Type", "text/plain")])
        response.send_body("Hello World")
        response.finish()

    node.set_timeout(answer, delay)


server = node.http.create_server(hello)
await server.listen(port)
node.puts(f"Server running at http://127.0.0.1:{server.port}/")
