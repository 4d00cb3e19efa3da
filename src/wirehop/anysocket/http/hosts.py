"""By which names a server may be asked: a defence against DNS rebinding.

A page from elsewhere can have its own name resolve to an address of this machine, or of its network;
for the browser this server is that page's own then, and what it says may be read. The name remains in
the Host header.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

__all__ = ["LOOPBACK", "Hosts"]

LOOPBACK = ("localhost", ".localhost", "127.0.0.0/8", "::1")
"""What only this machine is called (RFC 6761, 6.3)."""

_NAME = re.compile(r"\.?[^\s/:@\[\].]+(\.[^\s/:@\[\].]+)*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Hosts:
    """The names and addresses that are allowed: ``"example.org"``; ``".example.org"`` for all names
    below that one; an IP address, or a network of them (``"127.0.0.0/8"``).

    Raises ``ValueError`` for what can be none of these.
    """

    __slots__ = ("_names", "_networks", "_suffixes")

    def __init__(self, allowed: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        self._suffixes: tuple[str, ...] = ()
        for entry in allowed:
            network = _network(entry.strip("[]"))
            name = entry.lower().rstrip(".")
            if network is not None:
                self._networks.append(network)
            elif not _NAME.fullmatch(name):
                raise ValueError(f"{entry!r} is no host: a name without a port, or an IP address")
            elif name.startswith("."):
                self._suffixes += (name,)
            else:
                self._names.add(name)

    def allows(self, header: str | None) -> bool:
        """Whether a request with this Host header may be answered. One without is no browser's."""
        if header is None:
            return True
        host = _without_port(header.strip())
        if host in self._names or host.endswith(self._suffixes):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].rstrip(".").lower()


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None
