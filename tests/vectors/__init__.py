"""Recorded traffic of the real npm peers. Each file says what recorded it and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def load(name: str) -> dict[str, Any]:
    """One recording; its ``frames`` are in the order in which they were sent."""
    recording: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return recording


def messages(recording: dict[str, Any], conn: str | None = None) -> list[dict[str, Any]]:
    """The frames that carry anysocket packets."""
    return [
        frame
        for frame in recording["frames"]
        if "kind" not in frame and (conn is None or frame.get("conn") == conn)
    ]
