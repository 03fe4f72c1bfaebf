from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import ENGINES, fresh_url
from webui_world import PEOPLE, World, number, seed_batch, seed_stream, subscriber

from callbeam_io.store import utc_text, web_consent
from callbeam_io.store.standing import STANDINGS, Standing
from callbeam_io.store.web_indexes import index_name, index_people, is_indexed
from callbeam_io.store.web_people import People
from callbeam_io.store.web_people_columns import _ascending, read_columns
from webui import crowd, preparation


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("many")
    made = World(folder, fresh_url(request.param, folder))
    seed_batch(made.store)
    index_people(made.store, seed_batch(made.store))
    said = [{"subscriber": number(i), "at": at, "opted_in": yes, "source": "x"} for i, at, yes in SAID]
    stops = [{"subscriber": number(i), "at": at, "reason": "x"} for i, at in STOPS]
    made.store.writer().write("", {"consent": pl.DataFrame(said), "suppressed": pl.DataFrame(stops)})
    yield made
    made.close()


EARLY, AT, LATER = "2026-03-01 00:00:00", "2026-03-02 00:00:00", "2026-03-03 00:00:00"
SAID = [(i, EARLY, i % 3 != 0) for i in range(0, 90, 2)]
SAID += [(i, AT, i % 5 != 0) for i in range(0, 60, 4)] + [(i, LATER, i % 2 == 0) for i in range(80, 110)]
STOPS = [(i, EARLY) for i in range(0, 100, 9)] + [(2, LATER), (0, AT)]
ROWS = [subscriber(i) for i in range(PEOPLE)]
FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "tag": st.sampled_from(["Health", "AD", "none"]),
    "best_hour": st.integers(0, 23),
    "calls": st.integers(0, 130).map(lambda n: (">=", n)),
    "duration_s": st.integers(0, 12_000).map(lambda n: (">=", n)),
    "best_weekday": st.just(("in", [1, 2, 9])),
    "subscriber": st.sampled_from([("prefix", "+1"), ("prefix", "+1202555000"), ("prefix", "+9")]),
}
SORTS = ["subscriber", "calls", "duration_s", "last_seen", "international", "messages"]


def passes(row: dict[str, Any], name: str, wanted: Any) -> bool:
    if not isinstance(wanted, tuple):
        return bool(row[name] == wanted)
    if wanted[0] == "in":
        return row[name] in wanted[1]
    return bool(row[name].startswith(wanted[1]) if wanted[0] == "prefix" else row[name] >= wanted[1])


def standing_of(i: int, at: str) -> str:
    """Of the i-th subscriber, one after the other."""
    said = {when: yes for who, when, yes in SAID if who == i and when <= at}
    if any(who == i and when <= at for who, when in STOPS):
        return "no"
    return "unknown" if not said else "yes" if said[max(said)] else "no"


@settings(max_examples=60, deadline=None)
@given(
    standing=st.none() | st.sampled_from(STANDINGS),
    where=st.fixed_dictionaries({}, optional=FILTERS),
    sort=st.sampled_from(SORTS),
    down=st.booleans(),
    offset=st.integers(0, 60),
)
def test_lists_are_the_same_with_and_without_indexes(
    world: World, standing: str | None, where: dict[str, Any], sort: str, down: bool, offset: int
) -> None:
    good = [
        r
        for i, r in enumerate(ROWS)
        if all(passes(r, n, w) for n, w in where.items()) and standing in (None, standing_of(i, AT))
    ]
    ordered = sorted(good, key=lambda r: (r[sort], r["subscriber"]), reverse=down)
    expected = [r["subscriber"] for r in ordered[offset : offset + 7]]
    run_id = world.store.newest_run()
    for indexed, columns in ((False, None), (True, None), (False, read_columns(world.store, run_id, AT))):
        asked = None if standing is None else Standing(standing, AT)
        people = People(world.store, run_id, where, indexed, columns, asked)
        assert (people.as_of is None) == (columns is None)
        assert [r["subscriber"] for r in people.page(sort, down, 7, offset)] == expected
        assert people.count() == len(good)
        assert people.grouped(["tag", "business_type"], ["calls"]) == grouped(good)


def grouped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = {"tag": row["tag"], "business_type": row["business_type"]}
        group = found.setdefault(tuple(key.values()), {**key, "count": 0, "calls": 0})
        group["count"], group["calls"] = group["count"] + 1, group["calls"] + row["calls"]
    return sorted(found.values(), key=lambda g: (-g["count"], g["tag"], g["business_type"]))


def test_a_live_run_of_many_is_listed_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once columns are read, pages come from them; they say so, and hold what the store holds now."""
    monkeypatch.setattr(crowd, "MANY", 100)
    made = World(tmp_path)
    run_id = seed_stream(made.store)
    assert "counted and sorted at" not in made.get("/subscribers").text
    for _ in range(100):
        if "counted and sorted at" in made.get("/subscribers?tag=Health&sort=-calls").text:
            break
        time.sleep(0.02)
    grown = {**subscriber(3), "calls": 777_777}
    made.store.writer().write(run_id, {"subscribers": pl.DataFrame([grown])})
    assert "777,777" in made.get("/subscribers?sort=subscriber&min_calls=2").text
    monkeypatch.setattr(crowd, "OLDEST", 0.0)
    first = made.get("/subscribers").text
    assert "counted and sorted at" not in first and first.index("777,777") < first.index(number(119)[-4:])
    made.close()


def test_columns_say_no_more_than_they_know(world: World) -> None:
    """A list of those who may be contacted is asked of the store once consents changed, or begin to count."""
    run_id = str(world.store.newest_run())
    held = read_columns(world.store, run_id, AT)

    def people(at: str) -> People:
        return People(world.store, run_id, {}, False, held, Standing("yes", at))

    assert people(AT).as_of and people("2026-03-02 23:59:59").as_of
    assert people(LATER).as_of is None and people(EARLY).as_of is None
    before = people(AT).count()
    web_consent.suppress(world.store, number(110), EARLY, "x")
    web_consent.record_consent(world.store, number(111), EARLY, True, "x")
    web_consent.record_consent(world.store, number(112), EARLY, True, "x")
    assert people(AT).as_of is None and people(AT).count() == before + 2
    assert People(world.store, run_id, {}, False, held).as_of, "lists that do not ask for it stay quick"


def test_columns_of_a_run_that_has_ended_since_are_not_its_results(world: World) -> None:
    held = read_columns(world.store, str(world.store.newest_run()), AT)
    assert crowd._holds(held, {"finished_at": None}) and crowd._holds(held, {"finished_at": AT})
    assert not crowd._holds(held, {"finished_at": utc_text()})


@given(st.lists(st.integers(-5, 5) | st.integers(-(2**62), 2**62)))
def test_places_in_ascending_order(values: list[int]) -> None:
    found = _ascending(pl.Series(values, dtype=pl.Int64)).tolist()
    assert found == sorted(range(len(values)), key=lambda i: (values[i], i))


def test_indexes_are_of_one_run_and_go_with_it(world: World) -> None:
    run_id = world.store.newest_run()
    assert is_indexed(world.store, run_id)
    other = next(r["run_id"] for r in world.store.runs() if r["run_id"] != run_id)
    assert not is_indexed(world.store, other)
    index_people(world.store, other)
    assert is_indexed(world.store, other)
    world.store.prune_runs(1)
    index_people(world.store, run_id)
    assert is_indexed(world.store, run_id) and not is_indexed(world.store, other)


def test_big_runs_are_prepared_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = seed_batch(world.store)
    assert preparation.prepare_newest(world.store) == run_id and not is_indexed(world.store, run_id)
    monkeypatch.setattr(preparation, "MANY", 100)
    assert preparation.prepare_newest(world.store, ready=run_id) == run_id and not is_indexed(
        world.store, run_id
    )
    assert preparation.prepare_newest(world.store) == run_id and is_indexed(world.store, run_id)
    assert number(3) in world.get("/subscribers?sort=subscriber").text


def test_the_name_of_an_index_is_a_plain_word() -> None:
    assert index_name("calls", "20261124T201733-3f9a; drop") == "web_calls_20261124t201733_3f9a__drop"
