"""The rule builder in a real browser: in place, by keyboard, on a phone, and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import Visit, browser, served
from test_webui_why import promotion, world  # noqa: F401
from webui_world import World

from callbeam_io.store import rules as saved

pytestmark = pytest.mark.browser
FIRST = "#f-0-0-value-1"


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:  # noqa: F811
    with served(world.app) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def focused(visit: Visit) -> str:
    return str(visit.page.evaluate("document.activeElement.id"))


def test_a_rule_is_built_in_place(chromium: Any, address: str, world: World) -> None:  # noqa: F811
    visit = Visit(chromium, address)
    page = visit.page
    visit.open("/rules/new?recipe=long-distance-package")
    page.wait_for_selector("#preview >> text=Would have reached")
    page.evaluate("window.kept = 1")
    page.focus(FIRST)
    page.fill(FIRST, "many")
    page.wait_for_selector("#e-when-rules-0 >> text=enter a number")
    assert focused(visit) == FIRST[1:]
    page.fill(FIRST, "2")
    page.wait_for_selector("#preview >> text=at least 2 international")
    page.wait_for_selector("#preview .funnel")
    assert focused(visit) == FIRST[1:] and not page.locator("#e-when-rules-0").is_visible()
    page.focus("#f-0-add")
    page.keyboard.press("Enter")
    page.wait_for_selector("#f-0-1-field:focus")
    page.select_option("#f-0-1-field", "tag")
    page.wait_for_selector("#f-0-1-operator:not(:has(option[value=between]))", state="attached")
    page.wait_for_selector("#f-0-1-field:focus")
    page.click("#f-0-group")
    page.wait_for_selector("#f-0-2-any:checked", state="attached")
    page.select_option("#f-0-2-0-more", "weekday")
    page.wait_for_selector("[aria-label='Remove filter: on']")
    page.click("label:has-text('Sunday')")
    page.wait_for_selector("#preview >> text=on Sunday")
    page.click("#f-0-1-remove")
    page.wait_for_selector("#f-0-2-all", state="detached")
    page.wait_for_selector("#f-0-add:focus")
    assert page.locator("input[name=node]").count() == 4
    assert page.evaluate("window.kept") == 1
    page.fill("#f-name", "Made in place")
    page.click("text=Save and switch on")
    page.wait_for_url("**/rules/made-in-place/on")
    page.wait_for_selector("#expected >> text=at once if it takes everyone")
    assert page.is_checked("#start-entering")
    page.click("button:has-text('Switch on')")
    page.wait_for_url("**/rules/made-in-place")
    assert saved.rule_row(world.store, "made-in-place")["enabled"]
    assert visit.troubles == []
    visit.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)], ids=["desktop", "phone"])
def test_pages_are_quiet_and_fit(chromium: Any, address: str, world: World, scheme: str, width: int) -> None:  # noqa: F811
    visit = Visit(chromium, address, color_scheme=scheme, viewport={"width": width, "height": 900})
    person = promotion(world)["subscriber"]
    for path in (
        "/rules",
        "/rules/new",
        "/rules/new?recipe=moving-house",
        "/rules/abroad",
        "/rules/fans-of-banks/edit",
        f"/subscribers/{person}/why",
    ):
        visit.open(path)
        if "/new" in path or "/edit" in path:
            visit.page.wait_for_selector("#preview .reach, #preview .note")
        assert visit.width() <= width, path
    assert visit.troubles == []
    visit.context.close()


def test_the_answer_is_copied(chromium: Any, address: str, world: World) -> None:  # noqa: F811
    visit = Visit(chromium, address)
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.open(f"/subscribers/{promotion(world)['subscriber']}/why")
    visit.page.click("button:has-text('Copy') >> nth=0")
    visit.page.wait_for_selector("button:has-text('Copied')")
    text = visit.page.evaluate("navigator.clipboard.readText()")
    assert text == visit.page.inner_text("#answer-1") and text.startswith("The rule ")
    visit.context.close()


def test_the_builder_works_without_scripts(chromium: Any, address: str, world: World) -> None:  # noqa: F811
    visit = Visit(chromium, address, java_script_enabled=False)
    page = visit.page
    page.goto(f"{address}/rules/new")
    page.fill("#f-name", "Without scripts")
    page.fill("#f-code", "PLAIN")
    page.click("#f-0-add")
    page.select_option("#f-0-1-field", "tag")
    page.click("#f-0-1-shape")
    page.select_option("#f-0-1-value-1", "Education")
    page.fill(FIRST, "2")
    page.keyboard.press("Enter")  # counts, and removes nothing
    page.wait_for_selector("text=Would have reached")
    assert page.locator("input[name=node]").count() == 3
    page.click("button:text-is('Save')")
    page.wait_for_url("**/rules/without-scripts")
    assert "Education" in saved.rule_row(world.store, "without-scripts")["sentence"]
    visit.context.close()
