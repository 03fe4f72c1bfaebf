"""The rules of the house: who may import whom, how big things are, what must not be said."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("pipelines", "transforms", "callbeam_io", "webui")
MAY_IMPORT = {
    "webui": ("webui", "callbeam_io"),
    "pipelines": ("pipelines", "transforms", "callbeam_io"),
    "callbeam_io": ("callbeam_io", "transforms.schema", "transforms.errors"),
    "transforms": ("transforms",),
}


def sources() -> Iterator[tuple[str, Path]]:
    for package in ("pipelines", "transforms", "webui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield package, path
    for path in sorted((ROOT / "io" / "callbeam_io").rglob("*.py")):
        yield "callbeam_io", path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == a or name.startswith(a + ".") for a in allowed)


@pytest.mark.parametrize(("package", "path"), list(sources()), ids=lambda v: str(getattr(v, "name", v)))
def test_imports_keep_to_the_house(package: str, path: Path) -> None:
    wrong = [n for n in imports(path) if inside(n, OURS) and not inside(n, MAY_IMPORT[package])]
    assert not wrong
    if "columns" in path.parts:
        assert not [n for n in imports(path) if inside(n, ("apache_beam",))]


def test_io_holds_only_the_package() -> None:
    found = {p.name for p in (ROOT / "io").iterdir()} - {"__pycache__", "callbeam.egg-info"}
    assert found <= {"README.md", "callbeam_io"}


def test_sizes() -> None:
    long_modules, long_functions = [], []
    for _, path in sources():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 300:
            long_modules.append(f"{path.name}: {text.count(chr(10))}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 40:
                long_functions.append(f"{path.name}: {node.name}")
    assert not long_modules
    assert not long_functions


def test_nothing_names_this_workplace() -> None:
    words = re.compile(r"/(?:tmp|work|home|root)/\S|localhost:80[01]\d/proxy")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        found = [line for line in path.read_text(encoding="utf-8").splitlines() if words.search(line)]
        assert not found, f"{path.name}: {found}"
