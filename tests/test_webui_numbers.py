"""A number that can be clicked opens a list whose total is that number, on every page that has such numbers."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import polars as pl
import pytest
from webui_world import RULE, World, at, number, promotion, seed_batch, seed_promotions

LINK = re.compile(r'<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
PAGES = [
    "/dashboard",
    "/promotions",
    "/promotions?rule_id=bank-shopper",
    "/promotions?rule_id=quiet&outcome=offered",
    "/promotions?decided_from=2026-03-02+12:05:00",
    "/promotions/deliveries",
    "/promotions/deliveries?rule_id=bank-shopper",
    "/promotions/deliveries?rule_id=quiet&state=waiting",
    "/rejects",
    "/rejects?field=duration",
    "/rules",
    "/rules/bank-shopper",
    "/runs",
    "/templates/subscribers",
    "/templates/subscribers?tag=Health",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Results with rejects, two rules with promotions of every outcome, deliveries in several states."""
    made = World(tmp_path_factory.mktemp("numbers"))
    run_id = seed_batch(made.store)
    seed_promotions(made.store, run_id)
    quiet = {"rule_id": "quiet", "name": "Quiet", "enabled": True, "priority": 2, "version": 1}
    quiet |= {"created_at": at(0), "created_by": "admin", "definition": str(RULE).replace("'", '"')}
    fired = [{**promotion(20 + i, "offered"), "rule_id": "quiet"} for i in range(3)]
    states = {("bank-shopper", 1): "waiting", ("quiet", 20): "waiting", ("quiet", 21): "failed"}
    going = [
        {"rule_id": r, "subscriber": number(i), "decided_at": at(12), "state": s, "at": at(13)}
        for (r, i), s in states.items()
    ]
    written = {
        "rules": pl.DataFrame([quiet]),
        "promotions": pl.DataFrame(fired),
        "deliveries": pl.DataFrame(going),
    }
    made.store.writer().write(run_id, written)
    made.store.update_run(run_id, watermark=at(12.05))  # an hour before it there are all but one
    yield made
    made.close()


def clickable(page: str) -> list[tuple[str, str]]:
    """Address and number of every link in a page that is a number, or a tile with one."""
    found = []
    for address, inside in LINK.findall(page.partition("<main")[2]):
        tile = re.search(r'class="value"[^>]*>\s*([^<]*?)\s*<', inside)
        text = tile[1] if tile else re.sub(r"<[^>]+>", "", inside).strip()
        shown = re.fullmatch(r"(?:[A-Z][a-z ]+ )?(\d[\d,]*)", text)
        if shown and not address.startswith("#"):
            found.append((html.unescape(address), shown[1]))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_the_total_of_the_list_is_the_number_clicked(world: World, page: str) -> None:
    answer = world.get(page)
    assert answer.status_code == 200
    links = clickable(answer.text)
    assert links, "no number to click"
    for address, shown in dict.fromkeys(links):
        behind = world.get(address).text.partition("<main")[2]
        headings = " ".join(re.sub(r"<[^>]+>", "", h) for h in re.findall(r"<h2[^>]*>.*?</h2>", behind, re.S))
        assert shown in re.findall(r"\d[\d,]*", headings), f"{shown} of {page} opens {address}: {headings}"


def test_who_may_be_contacted_is_of_the_subscribers_and_opens_them(world: World) -> None:
    page = world.get("/dashboard").text
    assert re.search(r'data-text="reach">44<', page) and "of 120 subscribers" in page
    assert "44 subscribers<" in world.get("/subscribers?contact=yes").text
    assert "16 subscribers<" in world.get("/subscribers?contact=no").text
    assert "60 subscribers<" in world.get("/subscribers?contact=unknown").text
    assert "2 subscribers<" in world.get("/subscribers?contact=yes&tag=Health&min_calls=50").text
    assert world.get("/subscribers.csv?contact=no").text.count("\n") == 17
    found = world.get("/api/v1/subscribers?contact=yes&limit=1").get_json()
    assert found["total"] == 44 and len(found["rows"]) == 1
