"""HTTP/1.1 as events: bodies are streamed, headers are pairs, nothing is hidden.

limits             what a server accepts, and for how long it waits
message            one request and its response
server             accepts connections and ends them
server_connection  one of them: answers in order, hands over upgrades
parser             requests out of bytes
"""

from __future__ import annotations

from wirehop.node.http.limits import Limits
from wirehop.node.http.message import STATUS_CODES, ServerRequest, ServerResponse
from wirehop.node.http.server import Server, create_server
from wirehop.node.http.server_connection import ServerConnection

__all__ = [
    "STATUS_CODES",
    "Limits",
    "Server",
    "ServerConnection",
    "ServerRequest",
    "ServerResponse",
    "create_server",
]
