"""HTTP on the port of the peers.

router   which function answers which request
peer     one request and its answer
"""

from __future__ import annotations

from wirehop.anysocket.http.peer import AnyHTTPPeer, Query
from wirehop.anysocket.http.router import AnyHTTPRouter

__all__ = ["AnyHTTPPeer", "AnyHTTPRouter", "Query"]
