"""HTTP on the port of the peers.

router         which function answers which request
peer           one request and its answer
cookies        what a client sent, and what it is told to keep
static         files as answers
hosts          by which names a server may be asked
content_types  the types of these, by their names
"""

from __future__ import annotations

from wirehop.anysocket.http.peer import AnyHTTPPeer, Query
from wirehop.anysocket.http.router import AnyHTTPRouter

__all__ = ["AnyHTTPPeer", "AnyHTTPRouter", "Query"]
