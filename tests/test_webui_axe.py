"""No page has a serious barrier, in either theme: axe-core looks at all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import Visit, browser, every_page, served
from webui_world import World, seed_batch, seed_promotions, seed_stream

from webui import desk

pytestmark = pytest.mark.browser
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs `pip install -e '.[dev]'`")
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("axe"))
    seed_batch(made.store)
    seed_promotions(made.store, seed_stream(made.store))
    yield made
    desk.close(made.app)
    made.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_no_page_has_a_serious_barrier(chromium: Any, world: World, scheme: str, width: int) -> None:
    found = []
    with served(world.app) as address:
        visit = Visit(chromium, address, color_scheme=scheme, viewport={"width": width, "height": 900})
        for path in every_page(world):
            if path != "/signin":
                visit.open(path)
            found += [
                f"{path}: {v['id']}: {places(v)}" for v in violations(visit.page) if v["impact"] in SERIOUS
            ]
        visit.context.close()
    assert not found, "\n".join(found)


def violations(page: Any) -> list[dict[str, Any]]:
    return list(axe.Axe().run(page).response["violations"])


def places(violation: dict[str, Any]) -> list[str]:
    """The first places of a violation."""
    return [node["html"][:120] for node in violation["nodes"][:3]]
