"""The pages in a real browser: quiet console, no request to another host, keyboard, no JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from browser import Visit, browser, served
from webui_world import World, number, promotion, seed_batch, seed_promotions, seed_stream

from callbeam_io.store import utc_text

pytestmark = pytest.mark.browser
PAGES = [
    "/",
    "/dashboard",
    "/templates/duration_by_hour",
    "/templates/business_types",
    "/templates/type_graph",
    "/templates/regions",
    "/templates/subscribers",
    "/subscribers",
    f"/subscribers/{number(0)}",
    "/promotions",
    "/consent",
    "/runs",
    "/rejects",
    "/generator",
    "/users",
    "/audit",
    "/account",
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on this machine, with results and a stream."""
    world = World(tmp_path_factory.mktemp("browser"))
    seed_batch(world.store)
    seed_promotions(world.store, seed_stream(world.store))
    with served(world.app) as found:
        yield found
    world.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    with browser() as opened:
        yield opened


@pytest.mark.parametrize(
    ("scheme", "width", "pages"),
    [("light", 1440, PAGES), ("dark", 390, PAGES[1:9:2])],
    ids=["desktop, light", "phone, dark"],
)
def test_every_page_is_quiet_and_fits(
    chromium: Any, address: str, scheme: str, width: int, pages: list[str]
) -> None:
    visit = Visit(chromium, address, color_scheme=scheme, viewport={"width": width, "height": 900})
    for path in pages:
        visit.open(path)
        assert visit.width() <= width, path
        assert visit.page.evaluate("document.documentElement.dataset.bsTheme") == scheme
        charts = visit.page.locator("[data-fig]").count()
        assert visit.page.locator("[data-fig] svg.main-svg").count() >= charts
    assert visit.troubles == []
    visit.context.close()


def test_the_theme_is_remembered_and_charts_follow_it(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address, color_scheme="light")
    visit.open("/templates/business_types")
    before = visit.page.locator("[data-fig] .bars path").first.get_attribute("style")
    visit.page.click("#theme")
    visit.page.wait_for_selector(f"[data-fig] .bars path:not([style='{before}'])", state="attached")
    visit.open("/dashboard")
    assert visit.page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    assert visit.troubles == []
    visit.context.close()


def test_a_slash_finds_a_number(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address)
    visit.open("/dashboard")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("202 555 0042")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(f"{address}/subscribers/{number(42)}")
    visit.context.close()


def test_filters_change_the_list_in_place_and_work_without_javascript(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address)
    visit.open("/subscribers?run=")
    visit.page.evaluate("window.kept = 1")
    visit.page.select_option("#f-tag", "Health")
    visit.page.wait_for_selector("text=14 subscribers")
    assert visit.page.evaluate("window.kept") == 1 and "tag=Health" in visit.page.url
    assert visit.troubles == []
    visit.context.close()
    plain = Visit(chromium, address, java_script_enabled=False)
    plain.page.goto(f"{address}/subscribers")
    plain.page.select_option("#f-tag", "Health")
    plain.page.click("text=Filter >> visible=true")
    assert plain.page.locator("text=14 subscribers").count() == 1
    plain.context.close()


def test_the_numbers_of_a_page_are_of_when_the_web_app_last_answered(chromium: Any, tmp_path: Path) -> None:
    world = World(tmp_path)
    seed_stream(world.store)
    with served(world.app) as address:
        visit = Visit(chromium, address)
        visit.open("/dashboard")
        assert not visit.page.locator("#as-of").is_visible()
        before = datetime.now(UTC).replace(microsecond=0)
        visit.page.route("**/dashboard/live*", lambda route: route.abort())
        visit.page.wait_for_selector("text=Web app unreachable")
        shown = visit.page.locator("#as-of b").inner_text()
        at = datetime.strptime(f"{before.year} {shown}", "%Y %d %b %H:%M:%S").replace(tzinfo=UTC)
        assert abs(at - before) < timedelta(seconds=5)
        assert visit.page.evaluate("document.documentElement.hasAttribute('data-stale')")
        visit.page.unroute("**/dashboard/live*")
        visit.page.wait_for_selector("#status:not(:has-text('Web app'))")
        visit.context.close()
    world.close()


def test_menus_work_without_javascript_on_a_phone_too(chromium: Any, address: str) -> None:
    for width in (390, 1440):
        visit = Visit(chromium, address, java_script_enabled=False, viewport={"width": width, "height": 844})
        visit.page.get_by_role("link", name="Policy & Plan").first.click()
        visit.page.wait_for_url("**/rules")
        assert not visit.page.locator("#theme").is_visible()
        visit.page.get_by_role("button", name="admin: account").click()
        visit.page.get_by_role("button", name="Sign out").click()
        visit.page.wait_for_url("**/signin*")
        visit.context.close()


def test_the_first_promotion_of_a_rule_appears_on_its_page_by_itself(chromium: Any, tmp_path: Path) -> None:
    world = World(tmp_path)
    run_id = seed_stream(world.store)
    seed_promotions(world.store, seed_batch(world.store))  # the rule; its promotions are of another run
    with served(world.app) as address:
        visit = Visit(chromium, address)
        visit.open(f"/rules/bank-shopper?run={run_id}")
        assert "Nobody yet" in visit.page.inner_text("main")
        row = {**promotion(3, "offered"), "decided_at": utc_text(datetime.now(UTC))}
        world.store.writer().write(run_id, {"promotions": pl.DataFrame([row])})
        visit.page.wait_for_selector("[data-part=newest] >> text=+1 202 555 0003", timeout=5000)
        assert visit.page.locator("[data-part=now] a.drill").first.inner_text() == "1"
        visit.page.wait_for_selector("text=Most were offered on")
        assert visit.troubles == []
        visit.context.close()
    world.close()


def test_the_focus_is_seen_and_stays_when_a_list_changes(chromium: Any, address: str) -> None:
    visit = Visit(chromium, address)
    visit.open("/subscribers?run=")
    for link, said in (("#page-next", "page=2"), ("#by-subscriber", "sort=subscriber")):
        visit.page.focus(link)
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url(f"**{said}*")
        visit.page.wait_for_selector(f"{link}:focus")
    visit.page.keyboard.press("Shift+Tab")
    for button in (".topbar a.icon", "#theme", ".topbar .user", ".topbar .btn.icon:visible"):
        shown = visit.page.locator(button).last
        if shown.count():
            shown.focus()
            assert "solid" in shown.evaluate("e => getComputedStyle(e).outlineStyle"), button
    visit.context.close()
