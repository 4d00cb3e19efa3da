"""HTTP/1.1 as events: bodies are streamed, headers are pairs, nothing is hidden.

limits             what a server and a client accept, and for how long they wait
headers            how they are checked, sent and read
message            what requests and responses have in common, on both sides
uri                a URI in its parts

server             accepts connections and ends them
server_connection  one of them: answers in order, hands over upgrades
server_request     what it is asked
server_response    what it answers
parser             requests out of bytes

client             the requests to one server, in order, and its connection
client_connection  one exchange after the other
client_request     what is asked
client_response    what the server answers
response_parser    responses out of bytes
cat                the content behind a URL
"""

from __future__ import annotations

from wirehop.node.http import uri
from wirehop.node.http.cat import cat
from wirehop.node.http.client import Client, create_client
from wirehop.node.http.client_request import ClientRequest
from wirehop.node.http.client_response import ClientResponse
from wirehop.node.http.limits import ClientLimits, Limits
from wirehop.node.http.server import Server, create_server
from wirehop.node.http.server_connection import ServerConnection
from wirehop.node.http.server_request import ServerRequest
from wirehop.node.http.server_response import STATUS_CODES, ServerResponse
from wirehop.node.http.uri import Uri

Connection = ServerConnection
"""A server's, under the seed's name."""

__all__ = [
    "STATUS_CODES",
    "Client",
    "ClientLimits",
    "ClientRequest",
    "ClientResponse",
    "Connection",
    "Limits",
    "Server",
    "ServerConnection",
    "ServerRequest",
    "ServerResponse",
    "Uri",
    "cat",
    "create_client",
    "create_server",
    "uri",
]
