"""Inputs to begin with, out of the recordings of the npm peers in ``tests/vectors``.

They are read when they are asked for: the recordings are the one copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vectors import HERE, load

__all__ = ["conversations", "http", "packets", "sockhop", "values"]


def _recordings(start: str) -> Iterator[dict[str, Any]]:
    for path in sorted(HERE.glob(f"{start}*.json")):
        yield load(path.stem)


def http(direction: str) -> Iterator[bytes]:
    """What was said in HTTP in one direction, connection by connection."""
    for recording in _recordings("anysocket"):
        for frame in recording.get("frames", ()):
            if frame["dir"] == direction and "HTTP/1." in frame.get("text", ""):
                yield frame["text"].encode("latin-1")


def conversations() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each recording of anysocket with its packets in their order."""
    for recording in _recordings("anysocket"):
        frames = [frame for frame in recording.get("frames", ()) if "kind" not in frame and "text" in frame]
        if frames and "HTTP/1." not in frames[0]["text"]:
            yield recording, frames


def packets() -> Iterator[str]:
    """Every packet that was recorded, as the text of its frame."""
    for _, frames in conversations():
        for frame in frames:
            yield frame["text"]


def sockhop() -> Iterator[bytes]:
    """Every message of sockhop with its terminator."""
    for recording in _recordings("sockhop"):
        for frame in recording.get("frames", ()):
            if "hex" in frame:
                yield bytes.fromhex(frame["hex"])
        for case in recording.get("decode", ()):
            yield b"".join(bytes.fromhex(step["chunk_hex"]) for step in case["steps"])


def values() -> Iterator[bytes]:
    """JSON texts: what the packets and the messages carry."""
    for text in packets():
        if text[6:7] in '{["':
            yield text[6:].encode(errors="surrogatepass")
    for message in sockhop():
        yield message.strip()
