"""Whole connections to our HTTP server, which answers each request when it is complete: the same bytes
are the same requests however they are cut, every request is answered once and in order, and h11 reads
what we accept as we do."""

from __future__ import annotations

from collections.abc import Iterator

from tests.node.http_judges import Ours, Reading, differs, h11_reads

from fuzz import seeds as recorded
from fuzz.choices import HEAD, cut
from fuzz.loops import StillLoop, running
from fuzz.targets.http_requests import MAX_SIZE, TOKENS

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

_LOOP = StillLoop()  # type: ignore[abstract]

with running(_LOOP):
    _SERVER = Ours()


def fuzz_one(data: bytes) -> None:
    mode, head, stream = data[:1], data[1 : 1 + HEAD], data[1 + HEAD :]
    if not stream:
        return
    with running(_LOOP):
        whole = _read([stream])
        cut_up = _read(cut(head, stream))
        _LOOP.forget()
    assert cut_up == whole, f"in pieces {cut_up}, as a whole {whole}"
    if mode[0] & 1:
        theirs = h11_reads(stream)
        difference = differs(whole, theirs)
        assert difference is None, f"{difference}: ours {whole}, h11's {theirs}"


def _read(pieces: list[bytes]) -> Reading:
    reading = _SERVER.read(pieces)
    if reading.is_refused():
        # With which status depends on what is noticed first.
        reading.end = "refused"
    return reading


def seeds() -> Iterator[bytes]:
    for stream in recorded.http("client->server"):
        for mode in (0, 1):
            yield bytes([mode, 16, 80, 170]) + stream[:MAX_SIZE]
