"""What a web server says: wirehop run client.py [HOST [PORT [PATH]]]"""

from wirehop import node

host = node.ARGV[2] if len(node.ARGV) > 2 else "www.google.com"
port = int(node.ARGV[3]) if len(node.ARGV) > 3 else 80
path = node.ARGV[4] if len(node.ARGV) > 4 else "/"


def responded(response):
    node.puts(f"STATUS: {response.status_code}")
    node.print("HEADERS: ")
    node.p(response.headers)
    response.set_body_encoding("utf8")
    response.on("body", lambda chunk: node.puts(f"BODY: {chunk}"))


node.http.create_client(port, host).get(path).finish(responded)
