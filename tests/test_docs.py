"""The docs name what there is, what they name is there, and what the README tells to type works."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callbeam_io.store.tables import TABLES
from pipelines import cli, options
from transforms.schema import EXTRA_TEMPLATES, TEMPLATES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "io").glob("*.md")]
ALL = "\n".join(p.read_text("utf-8") for p in PAGES)
COMMANDS = (
    *(
        f"make {name}"
        for name in ("setup", "run", "demo", "test", "servers", "check", "bench", "pictures", "help")
    ),
    *(f"python -m {name}" for name in ("pipelines.run", "pipelines.generate", "pipelines.rules", "webui")),
    *(f"callbeam {name}" for name in cli._COMMANDS),
)
COMMAND_SECONDS = 60


def in_code(text: str) -> set[str]:
    """Every word that stands in a code span."""
    return {word for span in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"[\w./-]+", span)}


def table_cells(heading: str) -> set[str]:
    """The flags in the first cells of the tables under a heading of the README."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
    return {flag for cell in cells for flag in re.findall(r"--\w+", cell)}


def quick_blocks() -> list[list[str]]:
    """Commands of each of the README's blocks that are marked as quick."""
    blocks = re.findall(r"```sh quick\n(.*?)```", README, re.DOTALL)
    return [[line for line in block.splitlines() if line and line[0] != "#"] for block in blocks]


def dependencies() -> Iterator[str]:
    """Names of the packages in the lists of setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            for element in node.value.elts:
                assert isinstance(element, ast.Constant)
                yield re.split(r"[\[<>=!~ ]", str(element.value))[0]


def test_every_flag_stands_in_the_tables_of_the_readme() -> None:
    listed = table_cells("Flags of pipelines.run")
    assert listed - {"--streaming"} == set(options.flag_names())


def test_every_command_stands_in_the_readme() -> None:
    assert [command for command in COMMANDS if f"`{command}" not in README] == []
    targets = re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert [target for target in targets if f"make {target}" not in COMMANDS] == []


def test_every_table_and_template_is_explained() -> None:
    assert set(TABLES) <= in_code(ALL)
    assert {*TEMPLATES, *EXTRA_TEMPLATES} <= in_code(README)


def test_every_dependency_has_its_reason() -> None:
    names = set(dependencies())
    assert len(names) > 10
    assert names <= in_code((ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8"))


def test_every_variable_of_the_environment_is_explained() -> None:
    folders = ("pipelines", "transforms", "io", "webui")
    sources = "\n".join(p.read_text("utf-8") for f in folders for p in (ROOT / f).rglob("*.py"))
    names = set(re.findall(r'"(CALLBEAM_[A-Z_]+)"', sources))
    assert names
    assert names <= in_code((ROOT / "docs" / "OPERATIONS.md").read_text("utf-8"))


def test_every_example_is_mentioned() -> None:
    examples = [p.name for p in (ROOT / "docs" / "examples").iterdir()]
    assert [name for name in examples if f"examples/{name}" not in ALL] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in {
                slug(h) for h in re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE)
            }


def slug(heading: str) -> str:
    """A heading's anchor."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def type_in(command: str, folder: Path) -> None:
    """Runs a command of the README in a folder; it has to end well and to say something."""
    words = shlex.split(command)
    python = {"python": [sys.executable], "callbeam": [sys.executable, "-m", "pipelines.cli"]}
    done = subprocess.run(
        [*python[words[0]], *words[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'io'}"},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert done.stdout, command


def type_all(commands: list[str], folder: Path) -> None:
    for command in commands:
        type_in(command, folder)


def test_quick_commands_work(tmp_path: Path) -> None:
    blocks = quick_blocks()
    assert sum(map(len, blocks)) >= 4
    with ThreadPoolExecutor() as pool:  # the blocks side by side, what stands in one in its order
        for done in [pool.submit(type_all, block, tmp_path) for block in blocks]:
            done.result()
    assert (tmp_path / "callbeam.db").exists()
