"""None of the cases, 1 to 56, is forgotten: each is in the name of a test or of an entry of its table."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CASES = set(range(1, 57))


def all_tests() -> Iterator[tuple[str, Any]]:
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.hostile.{path.stem}")
        for name, value in vars(module).items():
            if name.startswith("test_") and callable(value) and value.__module__ == module.__name__:
                yield name, value


def numbers(name: str, test: Any) -> Iterator[int]:
    if match := re.match(r"test_case_(\d+)_", name):
        yield int(match[1])
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            for row in mark.args[1]:
                if match := re.match(r"case (\d+): ", str(getattr(row, "id", ""))):
                    yield int(match[1])


def test_every_case_has_a_test() -> None:
    found = {number for name, test in all_tests() for number in numbers(name, test)}
    assert found == CASES
