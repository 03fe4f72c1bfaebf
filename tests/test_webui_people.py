from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from webui_world import PEOPLE, World, number, seed_batch, seed_promotions

from callbeam_io.store import web_accounts
from webui import words
from webui.reasons import condition_at, reasons
from webui.subscribers import beginning


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("people"))
    seed_promotions(made.store, seed_batch(made.store))
    yield made
    made.close()


def shown(page: str) -> list[str]:
    """The numbers on a page of subscribers, in order."""
    return [f"+{n}" for n in re.findall(r'href="/subscribers/\+(\d+)"', page)]


def test_the_list_is_sorted_and_comes_in_pages(world: World) -> None:
    first = shown(world.get("/subscribers").text)
    assert first == [number(i) for i in range(PEOPLE - 1, PEOPLE - 51, -1)]
    last = world.get("/subscribers?page=3").text
    assert shown(last) == [number(i) for i in range(19, -1, -1)] and "Page 3 of 3" in last
    assert shown(world.get("/subscribers?page=99").text) == shown(last)
    assert shown(world.get("/subscribers?sort=subscriber&page=-5").text)[0] == number(0)
    assert shown(world.get("/subscribers?sort=nothing").text) == first


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("q=%2B1 202 555 000", 10),
        ("q=001202555000", 10),
        ("q=1 (202) 555-000", 10),
        ("q=2025550003", 1),
        ("tag=Health", 14),
        ("business_type=Banking", 8),
        ("weekday=0&hour=0", 1),
        ("min_calls=100", 22),
        ("min_talk=150", 26),
        ("min_abroad=4", 24),
        ("tag=Health&min_calls=100", 2),
        ("q=nobody", 0),
        ("weekday=9&hour=x&min_calls=-3", PEOPLE),
        ("q='; drop table subscribers --", 0),
    ],
)
def test_filters(world: World, query: str, total: int) -> None:
    page = world.get(f"/subscribers?{query}").text
    assert f"{total} subscriber{'' if total == 1 else 's'}<" in page


def test_filters_that_are_on_can_be_taken_off(world: World) -> None:
    page = world.get("/subscribers?tag=Health&min_calls=100&sort=calls").text
    assert 'aria-label="Remove filter: tag: Health"' in page and "Clear filters" in page
    assert "/subscribers?min_calls=100&amp;sort=calls" in page


def test_htmx_gets_the_list_alone(world: World) -> None:
    part = world.get("/subscribers?tag=Health", headers={"HX-Request": "true", "HX-Target": "grid"})
    assert "<html" not in part.text and "14 subscribers" in part.text
    assert part.headers["Vary"].startswith("HX-Request, HX-Target")


def test_who_may_be_contacted(world: World) -> None:
    page = world.get("/subscribers?sort=subscriber").text
    rows = re.findall(r'href="/subscribers/\+\d+".*?</tr>', page, re.DOTALL)
    said = ["yes" if ">yes<" in r else "no" if ">no<" in r else "not asked" for r in rows]
    assert said[:5] == ["yes", "no", "yes", "no", "yes"]
    assert "not asked" in world.get("/subscribers").text


def test_a_profile(world: World) -> None:
    page = world.get(f"/subscribers/{number(0)}").text
    for text in (
        "+1 202 555 0000",
        "Business",
        "17–20",
        "May be contacted",
        "Bank shopper",
        "sent",
        "list.csv",
    ):
        assert text in page
    assert "calls (Banking) in 6 hours" in page
    assert "suppressed" in world.get(f"/subscribers/{number(1)}").text
    assert "opted out" in world.get(f"/subscribers/{number(3)}").text
    assert "no consent" in world.get(f"/subscribers/{number(100)}").text
    assert web_accounts.logged(world.store, 1)[0]["action"] == "person viewed"


def test_a_number_is_found_in_any_spelling(world: World) -> None:
    for typed in (
        "+1 202 555 0007",
        "2025550007",
        "001 202-555-0007",
        "(202) 555 0007",
        "+12025550007",
        "12025550007",
    ):
        answer = world.get("/find", query_string={"q": typed})
        assert answer.headers["Location"] == f"/subscribers/{number(7)}", typed
    assert world.get("/find?q=%2B49301").headers["Location"] == "/subscribers?q=%2B49301"
    assert world.get("/find").headers["Location"] == "/subscribers"
    assert world.get("/subscribers/2025550007").headers["Location"] == f"/subscribers/{number(7)}"
    assert world.get("/subscribers/nobody").status_code == 404


def test_numbers_are_masked_for_viewers(world: World) -> None:
    page = world.get("/dashboard", "viewer").text
    assert not re.search(r"202 ?555", page) and "+1 ••• " in page
    live = world.get("/dashboard/live", "viewer").text
    assert not re.search(r"202 ?555", live)
    assert "+1 202 555" in world.get("/dashboard", "analyst").text


def test_promotions_by_outcome_and_rule(world: World) -> None:
    page = world.get("/promotions").text
    assert "60% of 10" in page and "Bank shopper" in page
    assert len(shown(world.get("/promotions?outcome=offered").text)) == 6
    assert len(shown(world.get("/promotions?rule_id=nothing").text)) == 0


@pytest.mark.parametrize(
    ("typed", "region", "begin"),
    [
        ("0049 30", None, "+4930"),
        ("+49 30", None, "+4930"),
        ("4930", None, "+4930"),
        ("reception", None, "reception"),
        ("202 555 0123", "US", "+12025550123"),
    ],
)
def test_the_beginning_of_a_number(typed: str, region: str | None, begin: str) -> None:
    assert beginning(typed, region) == begin


def test_reasons_in_words() -> None:
    when = {
        "combinator": "or",
        "rules": [
            {"field": "duration_s", "operator": ">", "value": 60, "window": "1h"},
            {
                "combinator": "and",
                "rules": [{"field": "best_weekday", "operator": "=", "value": 2, "window": "7d"}],
            },
        ],
    }
    found = reasons({"when.rules[0]": 3725, "when.rules[1].rules[0]": 2}, {"when": when})
    assert found == "1 h 2 min of talk in 1 hour; busiest day Wednesday in 7 days"
    assert reasons({"when.rules[7]": 1}, {"when": when}) == "rules[7]: 1"
    assert reasons(None, None) == "no values kept"
    assert condition_at({"when": "broken"}, "when.rules[0]") is None


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (words.talk(2217960), "616 h 6 min"),
        (words.talk(242), "4 min 2 s"),
        (words.short(1_234_567), "1.2M"),
        (words.percent(26, 1000), "2.6%"),
        (words.percent(1, 0), "–"),
        (words.age(250), "4 min"),
        (words.phone("+12025550123"), "+1 202 555 0123"),
        (words.phone("reception"), "reception"),
        (words.masked("+12025550123"), "+1 ••• 23"),
        (words.hour_span(23), "23–00"),
        (words.window("2020-11-15 09:00:00", "2020-11-15 10:00:00"), "15 Nov 2020 09:00 – 10:00"),
        (words.window("2020-11-15 09:00:05", "2020-11-15 09:01:05"), "15 Nov 2020 09:00:05 – 09:01:05"),
        (words.window("1970-01-01 00:00:00", "9999-12-31 00:00:00"), "Whole run"),
        (words.when(None), "–"),
    ],
)
def test_words(made: str, expected: str) -> None:
    assert made == expected
