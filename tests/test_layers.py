"""The house stands as designed: imports point down, and ``wire/`` is pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import wirehop

ROOT = Path(wirehop.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

BELOW: dict[str, set[str]] = {
    "errors": set(),
    "core": {"errors", "core"},
    "node": {"errors", "core", "node"},
    "js": {"errors", "core", "node", "js"},
    "sockhop": {"errors", "core", "node", "sockhop"},
    "anysocket": {"errors", "core", "node", "anysocket"},
}
"""What each storey may import. The command line and the package itself stand on top of all."""

IMPURE = {
    "asyncio", "http", "io", "multiprocessing", "os", "pathlib", "queue", "random", "secrets", "select",
    "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "tempfile", "threading", "time",
    "urllib", "httptools", "picows", "uvloop",
}  # fmt: skip

PURE_GROUND = {"wirehop.core.json", "wirehop.errors"}
"""What pure code may import from elsewhere in the house."""


def imports(path: Path) -> Iterator[str]:
    """The modules that a module imports when it runs: what is there for types does not count."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield node.module or ""
            for alias in node.names:
                if (
                    (ROOT.parent / f"{node.module}.{alias.name}".replace(".", "/"))
                    .with_suffix(".py")
                    .exists()
                ):
                    yield f"{node.module}.{alias.name}"


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    storey = path.relative_to(ROOT).with_suffix("").parts[0]
    if storey not in BELOW:
        return
    for imported in imports(path):
        if imported == "wirehop":
            pytest.fail(f"{name_of(path)} imports the whole house")
        if imported.startswith("wirehop."):
            assert imported.split(".")[1] in BELOW[storey], f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", [path for path in MODULES if "wire" in path.parts], ids=name_of)
def test_wire_is_pure(path: Path) -> None:
    wire = name_of(path).rsplit(".wire", 1)[0] + ".wire"
    for imported in imports(path):
        assert imported.split(".")[0] not in IMPURE, f"{name_of(path)} imports {imported}"
        if imported.startswith("wirehop"):
            assert imported.startswith(wire) or imported in PURE_GROUND or imported == "wirehop.core"


def test_only_one_file_knows_picows() -> None:
    assert [path.name for path in MODULES if any(name.startswith("picows") for name in imports(path))] == [
        "ws.py"
    ]


def test_nothing_prints_outside_of_the_command_line() -> None:
    for path in MODULES:
        if "cli" not in path.parts:
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_modules_stay_small() -> None:
    assert {path.name: lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 400} == {}
