"""The records behind the numbers of the analyses, in what a run kept: every number of every table is found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from callbeam_io.store import Store, open_store
from pipelines import generate, run
from pipelines.rule_service import drill
from pipelines.rule_service.memory import Kept, KeptHistory
from transforms.errors import OptionError

KEYS = {
    "duration_by_hour": ["hour"],
    "business_types": ["business_type"],
    "type_graph": ["caller_type", "called_type"],
    "regions": ["region"],
}
MEASURES = ("calls", "answered", "messages", "duration_s")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("drill")
    calls, url = folder / "calls.csv", f"sqlite:///{folder / 'drill.db'}"
    people = ["--people", "300", "--days", "3", "--seed", "5", "--business_caller_rate", "0.3"]
    assert generate.main([*people, "--output", str(calls)]) == 0
    words = ["--input", str(calls), "--directory", str(folder / "calls.directory.csv")]
    words += ["--keep_records", "9000d", "--window", "fixed:1d", "--output", url]
    assert run.main(words) == 0
    return url


@pytest.fixture(scope="module")
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def kept(store: Store, url: str) -> Kept:
    found = KeptHistory(store, url).now()
    assert found is not None
    return found


@pytest.mark.parametrize("table", KEYS)
def test_every_number_of_a_table_is_the_count_of_its_records(store: Store, kept: Kept, table: str) -> None:
    reference = drill.reference_of(kept.run)
    rows = store.rows(table, kept.run["run_id"])
    assert len(rows) > 3
    for row in rows:
        asked = {n: row[n] for n in ("window_start", "window_end")}
        asked["key"] = {n: row[n] for n in KEYS[table]}
        found = drill.records(kept, reference, {**asked, "measure": "calls", "limit": 5})
        assert found["whole"]
        assert {m: found["counted"][m] for m in MEASURES} == {m: row[m] for m in MEASURES}
        assert found["total"] == row["calls"]
        assert len(found["rows"]) == min(5, row["calls"])


def test_pages_hold_every_record_once_the_newest_first(kept: Kept) -> None:
    reference = drill.reference_of(kept.run)
    asked: dict[str, Any] = {"key": {"hour": 12}, "measure": "messages", "limit": 7}
    total = drill.records(kept, reference, asked)["total"]
    pages = [drill.records(kept, reference, {**asked, "offset": at})["rows"] for at in range(0, total, 7)]
    rows = [tuple(r.values()) for page in pages for r in page]
    assert len(rows) == total
    starts = [r["start"] for page in pages for r in page]
    assert starts == sorted(starts, reverse=True)
    assert all(r["call_type"] == "SMS" and r["hour"] == 12 for page in pages for r in page)


def test_a_person_by_hours_of_the_week(store: Store, kept: Kept) -> None:
    reference, run_id = drill.reference_of(kept.run), kept.run["run_id"]
    one = store.rows("subscribers", run_id, order_by="-calls", limit=1)[0]
    found = drill.person(kept, reference, one["subscriber"])
    assert sum(map(sum, found["week"])) == found["records"] >= one["calls"]
    assert {r["caller"] for r in found["rows"]} == {one["subscriber"]}
    assert drill.person(kept, reference, "+19995550000")["records"] == 0


@pytest.mark.parametrize(
    "asked",
    [{"measure": "miles"}, {"key": {"colour": 1}}, {"key": {"region": "XX"}}, {"window_start": "noon"}],
)
def test_what_cannot_be_asked(kept: Kept, asked: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        drill.records(kept, drill.reference_of(kept.run), asked)
