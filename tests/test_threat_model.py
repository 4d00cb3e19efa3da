"""The threat model says what is true: each test that it names exists, and no threat is forgotten."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs/threat-model.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
THREATS = [*(f"A{n}" for n in range(1, 19)), *(f"S{n}" for n in range(1, 10)), "N1"]


def functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_the_tests_that_are_named_exist(file: str) -> None:
    wanted = {name for of, name in NAMED if of == file}
    assert wanted <= functions(ROOT / file)


def test_every_threat_of_the_audit_has_a_row_with_a_test() -> None:
    rows = {match[1]: match[0] for match in re.finditer(r"^\| ([ASN]\d+) \|.*$", TEXT, re.M)}
    assert list(rows) == THREATS
    assert all("::test_" in row for row in rows.values())


def test_what_is_named_as_a_file_or_a_target_exists() -> None:
    for path in re.findall(r"`(tests/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
    for page in re.findall(r"\]\((\w[\w-]*\.md)", TEXT):
        assert (ROOT / "docs" / page).exists(), page
