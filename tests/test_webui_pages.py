from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from webui_world import PEOPLE, World, number, seed_batch, seed_promotions

from callbeam_io.store.web_queries import StoreError
from webui.analysis_kinds import ANALYSES

PLAIN = {  # page -> the least role that sees it
    "/": "viewer",
    "/dashboard": "viewer",
    "/templates/duration_by_hour": "viewer",
    "/templates/business_types": "viewer",
    "/templates/type_graph": "viewer",
    "/templates/regions": "viewer",
    "/templates/subscribers": "viewer",
    "/account": "viewer",
    "/subscribers": "analyst",
    "/rules": "analyst",
    "/rules/new": "analyst",
    f"/subscribers/{number(3)}": "analyst",
    "/promotions": "analyst",
    "/consent": "admin",
    "/users": "admin",
    "/audit": "admin",
}
EXPERT = {"/runs": "analyst", "/rejects": "analyst", "/generator": "admin"}
ROLES = ("viewer", "analyst", "admin")
UNSPOKEN = re.compile(r"\b(CDRs?|panes?|watermark|T[1-5]|shards?|lateness)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("pages"))
    seed_promotions(made.store, seed_batch(made.store))
    yield made
    made.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("empty"))
    yield made
    made.close()


@pytest.mark.parametrize("path", {**PLAIN, **EXPERT})
def test_every_page_is_for_its_role_and_higher_ones(world: World, path: str) -> None:
    least = {**PLAIN, **EXPERT}[path]
    for role in ROLES:
        expected = 200 if ROLES.index(role) >= ROLES.index(least) else 403
        assert world.get(path, role).status_code == expected, role
    stranger = world.stranger().get(path)
    assert stranger.status_code == 302 and "/signin" in stranger.headers["Location"]


@pytest.mark.parametrize("path", PLAIN)
def test_pages_speak_plainly(world: World, path: str) -> None:
    page = world.get(path).text
    shown = re.sub(r"<script.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not UNSPOKEN.findall(shown)


@pytest.mark.parametrize("path", {**PLAIN, **EXPERT})
def test_pages_refer_to_no_other_host_and_hold_no_script(world: World, path: str) -> None:
    page = world.get(path).text
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["'](?:https?:)?//""", page)
    assert all(not body.strip() for body in re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL))
    assert not re.findall(r"\son\w+=|javascript:", page)


@pytest.mark.parametrize("path", [p for p in {**PLAIN, **EXPERT} if not p.startswith("/subscribers/")])
def test_pages_of_an_empty_store_say_what_to_do(empty: World, path: str) -> None:
    assert empty.get(path).status_code == 200


def test_every_answer_has_the_security_headers(world: World) -> None:
    for path in ("/", "/signin", "/nothing", "/data/regions", "/healthz"):
        headers = world.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert "unsafe-inline" not in headers["Content-Security-Policy"].split("script-src")[1].split(";")[0]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"


def test_errors_are_pages_for_people_and_json_for_programs(world: World) -> None:
    page = world.get("/nothing")
    assert page.status_code == 404 and "nothing at this address" in page.text
    assert world.stranger().get("/nothing").status_code == 404
    for path, status in (
        ("/data/nothing", 404),
        ("/data/regions?limit=x&nothing=1", 400),
        ("/data/users", 404),
    ):
        answer = world.get(path)
        assert answer.status_code == status
        assert set(answer.json["error"]) == {"status", "code", "message", "details"}
        assert answer.json["error"]["status"] == status
    assert world.stranger().get("/data/regions").json["error"]["code"] == "unauthorized"
    assert world.get("/data/subscribers", "viewer").json["error"]["code"] == "forbidden"


def test_without_a_store_the_page_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path_factory.mktemp("gone"))
    client = world.client("viewer")

    def refuse(*_: object) -> None:
        raise StoreError("reading the result store failed")

    monkeypatch.setattr("callbeam_io.store.base.StoreBase.reading", refuse)
    page = client.get("/dashboard")
    assert page.status_code == 503 and "store cannot be reached" in page.text
    assert client.get("/healthz").status_code == 503
    assert client.get("/data/regions").json["error"]["code"] == "service_unavailable"
    monkeypatch.undo()
    world.close()


def test_a_bug_shows_no_internals(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr("webui.view.chosen_run", fail)
    answer = world.get("/dashboard")
    assert answer.status_code == 500 and "secret" not in answer.text


def test_the_welcome_list_is_ticked_from_the_store(world: World, empty: World) -> None:
    assert "0 of 4 done" in empty.get("/").text
    page = world.get("/").text
    assert "Everything is set up" in page and "4,800 records were taken" in page


@pytest.mark.parametrize("table", ANALYSES)
def test_an_analysis_has_choices_a_table_and_downloads(world: World, table: str) -> None:
    page = world.get(f"/templates/{table}", "viewer").text
    assert f'data-figures="/figures/{table}"' in page
    assert f"/templates/{table}.csv" in page and f"/data/{table}?run=" in page
    lines = world.get(f"/templates/{table}.csv", "viewer").text.splitlines()
    rows = world.get(f"/data/{table}").json["rows"]
    assert len(lines) == len(rows) + 1 and lines[0].endswith("calls,answered,messages,duration_s")


def test_an_analysis_is_narrowed_and_sorted(world: World) -> None:
    lines = world.get("/templates/business_types.csv?tag=Health&sort=business_type").text.splitlines()[1:]
    assert [line.split(",")[0].strip('"') for line in lines] == [
        "Clinic (including dentist)",
        "Hospital (including health care)",
    ]
    most = world.get("/templates/regions.csv?measure=calls").text.splitlines()[1]
    least = world.get("/templates/regions.csv?sort=calls").text.splitlines()[1]
    assert most.startswith("LS,") and least.startswith("US,")
    tags = world.get("/templates/type_graph.csv?by=tag").text.splitlines()[1:]
    assert 7 < len(tags) <= 49 and tags[0].split(",")[0] in {"Business", "AD", "Private"}
    assert world.get("/templates/regions?run=nothing").status_code == 404
    assert world.get("/templates/regions?window=nothing").status_code == 404
    assert world.get("/templates/nothing").status_code == 404
    assert world.get("/templates/regions?_external=1&endpoint=x&table=y").status_code == 200


def test_habits_count_every_subscriber_once(world: World) -> None:
    page = world.get("/templates/subscribers", "viewer").text
    assert f"{PEOPLE} subscribers" in page and "/subscribers?tag" not in page
    lines = world.get("/templates/subscribers.csv", "viewer").text.splitlines()[1:]
    assert sum(int(line.rsplit(",", 4)[1]) for line in lines) == PEOPLE


def test_a_number_that_is_clicked_opens_a_list_with_that_total(world: World) -> None:
    page = world.get("/templates/subscribers").text
    links = re.findall(r'href="(/subscribers\?tag=[^"]+)">([\d,]+)</a>', page)
    assert links
    for address, shown in links:
        assert f"{shown} subscriber" in world.get(address.replace("&amp;", "&")).text


def test_runs_and_one_run(world: World) -> None:
    page = world.get("/runs").text
    address = re.search(r'href="(/runs/[0-9][^"]+)"', page)
    assert address is not None and "5,000" in page
    one = world.get(address[1]).text
    assert "4,800" in one and "negative duration" in one and "default_region" in one
    assert world.get("/runs/nothing").status_code == 404


def test_rejects_by_reason_and_page_by_page(world: World) -> None:
    page = world.get("/rejects").text
    assert "140 records were not taken" in page and "&lt;b&gt;x&lt;/b&gt;" in page
    onward = re.search(r'href="(/rejects\?after_source=[^"]+)"', page)
    assert onward is not None
    assert world.get(onward[1].replace("&amp;", "&")).text.count('class="raw"') == 40
    lines = world.get("/rejects.csv?reason=negative duration").text.splitlines()
    assert len(lines) == 71 and lines[0] == "source,line,field,reason,raw"
