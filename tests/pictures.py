"""Pictures of every page: ``python tests/pictures.py FOLDER``; ``--docs`` renews those of the documentation.

The full ones show the sample data with two rules on, the empty ones a store without anything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from browser import Visit, browser, every_page, served
from webui_world import World

from callbeam_io.store import rules as saved
from pipelines import sample
from webui import desk

ROOT: Final = Path(__file__).parents[1]
LOOKS: Final = {
    "desktop-light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "desktop-dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "phone-light": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    "phone-dark": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}
DOCS: Final = {
    "dashboard": "/dashboard",
    "rule": "/rules/{rule}",
    "who_calls_whom": "/templates/type_graph",
    "why": "/subscribers/{number}/why",
}
"""Pictures of the documentation, by name."""
NAMED: Final = (
    "/subscribers/{number}",
    "/subscribers/{number}/why",
    "/subscribers/{number}/why?not={off}",
    "/rules/{rule}",
    "/rules/{rule}/edit",
    "/rules/{off}/on",
    "/runs/{run}",
)
"""Pages of a person, a rule that is on, one that is off, and a run, where there are such."""


def main() -> int:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where all pictures go")
    parser.add_argument("--docs", action="store_true", help="renew those in docs/images")
    flags = parser.parse_args()
    with browser() as chromium, world(full=True) as shown:
        if flags.docs:
            docs(chromium, shown, ROOT / "docs" / "images")
        if flags.folder:
            every(chromium, shown, flags.folder / "full")
            with world(full=False) as empty:
                every(chromium, empty, flags.folder / "empty")
    return 0


@contextmanager
def world(*, full: bool) -> Iterator[World]:
    """A store with the sample data and two rules that have fired, or an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/pictures.db"
        if full:
            command("pipelines.sample", "--store", url)
            with_rules_on(url)
        made = World(Path(folder), url)
        yield made
        desk.close(made.app)
        made.close()


def with_rules_on(url: str) -> None:
    """Switches two of the sample's rules on and reads it once more."""
    made = World(Path(url.removeprefix("sqlite:///")).parent, url)
    for row in saved.list_rules(made.store)[:2]:
        saved.switch_rule(made.store, row["rule_id"], on=True)
    made.close()
    command("pipelines.run", *sample.run_flags(url, sample.folder_of(url) / "records.csv"))


def command(module: str, *words: str) -> None:
    """Runs a command of the project."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "io")])
    subprocess.run([sys.executable, "-m", module, *words], check=True, env={**os.environ, "PYTHONPATH": path})


def every(chromium: Any, shown: World, folder: Path) -> None:
    """Every page in every look."""
    with served(shown.app) as address:
        for look, context in LOOKS.items():
            visit = Visit(chromium, address, **context)
            for path in [*every_page(shown), *named(shown)]:
                if path != "/signin":
                    take(visit, path, folder / look / f"{path.strip('/').replace('/', '_') or 'welcome'}.png")
            turned_away(visit, folder / look / "signin.png")
            visit.context.close()


def named(shown: World) -> list[str]:
    """The addresses of pages whose names only the store knows."""
    names = names_in(shown)
    return [path.format(**names) for path in NAMED] if names else []


def names_in(shown: World) -> dict[str, str]:
    """Somebody who was offered something by which rule, a rule that is off, the newest run; without them nothing."""
    run_id = shown.store.newest_run() or ""
    newest = shown.store.rows("promotions", run_id, where={"outcome": "offered"}, limit=1)
    off = [row["rule_id"] for row in saved.list_rules(shown.store) if not row["enabled"]]
    if not newest or not off:
        return {}
    person = newest[0]
    return {"rule": person["rule_id"], "number": person["subscriber"], "off": off[0], "run": run_id}


def turned_away(visit: Visit, picture: Path) -> None:
    """The page to sign in after a wrong password; the visit is signed out by it."""
    visit.context.clear_cookies()
    visit.page.goto(f"{visit.address}/signin")
    visit.page.fill("#username", "admin")
    visit.page.fill("#password", "not this one")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector(".alert, .invalid-feedback")
    visit.page.screenshot(path=picture, full_page=True)


def docs(chromium: Any, shown: World, folder: Path) -> None:
    """The pictures of the documentation."""
    names = names_in(shown)
    with served(shown.app) as address:
        visit = Visit(chromium, address, **LOOKS["desktop-light"])
        for name, path in DOCS.items():
            take(visit, path.format(**names), folder / f"{name}.png", whole=False)
        visit.context.close()


def take(visit: Visit, path: str, picture: Path, *, whole: bool = True) -> None:
    """One picture, once nothing more is under way."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    visit.open(path)
    visit.page.wait_for_load_state("networkidle")
    visit.page.screenshot(path=picture, full_page=whole)


if __name__ == "__main__":
    sys.exit(main())
