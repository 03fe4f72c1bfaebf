"""The workload: exact counts, honest shares, and every slice of time the same whenever it is asked for."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import phonenumbers
import polars as pl
import pytest

from callbeam_io.workload import Workload, WorkloadSettings
from callbeam_io.workload.clock import slots_of
from callbeam_io.workload.shapes import PEAK_HOURS, hour_shares
from transforms.schema import RECORD_FIELDS


@cache
def _workload(**settings: Any) -> tuple[Workload, pl.DataFrame]:
    workload = Workload(WorkloadSettings(**settings))
    return workload, pl.concat(workload.records())


def _typed(**settings: Any) -> pl.DataFrame:
    """The records with the type of caller and called."""
    workload, records = _workload(**settings)
    types = workload.directory()
    for party in ("calling", "called"):
        named = types.select(pl.col("number").alias(f"{party}_number"), pl.col("business_type").alias(party))
        records = records.join(named, on=f"{party}_number", how="left").with_columns(
            pl.col(party).fill_null("Private")
        )
    return records


def _local(records: pl.DataFrame) -> pl.DataFrame:
    local = pl.col("start_time") + pl.duration(seconds=pl.col("offset"))
    return records.with_columns(hour=local.dt.hour(), weekday=local.dt.weekday() - 1, day=local.dt.date())


def _share(found: Iterable[bool] | pl.Series) -> float:
    return float(np.mean(np.asarray(found)))


def test_records_have_the_fields_of_a_record_in_order_of_time() -> None:
    workload, records = _workload(people=3000)
    assert records.columns == [*RECORD_FIELDS, "offset"]
    assert records["start_time"].dtype == pl.Datetime("us", "UTC") and records["duration"].dtype == pl.Int32
    assert records["start_time"].is_sorted()
    assert records["start_time"][0] >= workload.start and records["start_time"][-1] < workload.end
    assert records.null_count().sum_horizontal().item() == 0
    assert records["id"].n_unique() == len(records) == workload.total
    assert records["id"].str.len_bytes().unique().to_list() == [16]
    assert (records["calling_number"] != records["called_number"]).all()


@pytest.mark.parametrize("distribution", ["uniform", "poisson", "pareto"])
def test_people_make_exactly_as_many_interactions_as_they_were_dealt(distribution: str) -> None:
    workload, records = _workload(people=2000, calls_distribution=distribution)
    people = workload.people()
    made = records.group_by("calling_number", "account_id").len()
    both = people.join(made, left_on=["number", "account_id"], right_on=["calling_number", "account_id"])
    assert len(both) == 2000
    assert (both["len"] == both["interactions"]).all()
    assert both["len"].min() >= 10 and both["len"].max() <= 50  # type: ignore[operator]


def test_means_of_calls_per_person() -> None:
    means = {
        d: Workload(WorkloadSettings(people=20_000, calls_distribution=d)).people()["interactions"].mean()
        for d in ("uniform", "poisson", "pareto")
    }
    assert means["uniform"] == pytest.approx(30, rel=0.01)
    assert means["poisson"] == pytest.approx(30, rel=0.01)
    heavy = np.arange(10, 51)
    below = 1 - (heavy / 10.0) ** -1.16
    weights = np.diff(np.append(below, 1 - 5.1**-1.16))
    assert means["pareto"] == pytest.approx(float((heavy * weights).sum() / weights.sum()), rel=0.02)


def test_records_in_all_are_exact() -> None:
    workload, records = _workload(people=1000, records=7777)
    assert len(records) == workload.total == 7777
    assert workload.people()["interactions"].sum() == 7777 - round(777.7)


def test_shares_and_rates() -> None:
    settings = {"people": 4000, "domestic_rate": 0.6, "sms_share": 0.3, "answered_share": 0.75}
    workload, records = _workload(**settings, business_caller_rate=0.2)
    assert _share(records["called_number"].str.starts_with("+1")) == pytest.approx(
        0.6 + 0.4 * 11 / 110,
        abs=0.05,  # Canadians are +1 too
    )
    assert _share(records["call_type"] == "SMS") == pytest.approx(0.3, abs=0.01)
    assert _share(records["call_result"] == "ANSWERED") == pytest.approx(0.75, abs=0.01)
    businesses = records["calling_number"].is_in(workload.directory()["number"].implode())
    assert _share(businesses) == pytest.approx(0.2, abs=0.001)
    talked = (records["call_type"] == "VOICE") & (records["call_result"] == "ANSWERED")
    assert (records.filter(~talked)["duration"] == 0).all()
    assert (records.filter(pl.col("call_result") != "ANSWERED")["charge"] == 0).all()
    assert set(records["call_result"]) == {"ANSWERED", "BUSY", "NO_ANSWER", "FAILED"}


def test_domestic_rate_and_valid_numbers() -> None:
    _, records = _workload(people=4000)
    sample = records.sample(4000, seed=1)["called_number"]
    parsed = [phonenumbers.parse(number) for number in sample]
    assert all(phonenumbers.is_valid_number(number) for number in parsed)
    regions = [phonenumbers.region_code_for_number(number) for number in parsed]
    assert _share([region == "US" for region in regions]) == pytest.approx(0.7, abs=0.03)
    assert len(set(regions)) > 15
    callers = [
        phonenumbers.parse(number) for number in records["calling_number"].unique().sample(1000, seed=1)
    ]
    assert {phonenumbers.region_code_for_number(number) for number in callers} == {"US"}


@pytest.mark.parametrize("region", ["DE", "KZ", "IN"])
def test_other_homes(region: str) -> None:
    _, records = _workload(people=300, home_region=region)
    for party, rate in (("calling_number", 1.0), ("called_number", 0.7)):
        parsed = [phonenumbers.parse(number) for number in records[party].sample(1000, seed=1)]
        home = [phonenumbers.region_code_for_number(number) == region for number in parsed]
        assert _share(home) == pytest.approx(rate, abs=0.06)


def test_types_by_weight_with_edges_both_ways() -> None:
    weights = (("Banking", 6.0), ("School", 2.0), ("Private", 4.0), ("Job", 0.0))
    records = _typed(people=4000, type_weights=weights)
    whole = 12 + 12  # the twelve others weigh 1
    for name, weight in (*weights, ("Traveling", 1.0)):
        assert _share(records["called"] == name) == pytest.approx(weight / whole, abs=0.015), name
    edges = set(records.select("calling", "called").unique().iter_rows())
    assert {
        ("Private", "Banking"),
        ("Banking", "Private"),
        ("Banking", "School"),
        ("Private", "Private"),
    } <= edges


def test_a_favoured_type_gets_its_rate_before_the_others() -> None:
    records = _typed(people=4000, favoured_type="School", favoured_rate=0.5)
    assert _share(records["called"] == "School") == pytest.approx(0.5 + 0.5 / 16, abs=0.02)


@pytest.mark.parametrize("mode", ["default", *PEAK_HOURS])
def test_hours_of_the_day(mode: str) -> None:
    _, records = _workload(people=4000, time_of_day=mode)
    hours = np.bincount(_local(records)["hour"].to_numpy(), minlength=24) / len(records)
    assert np.abs(hours - hour_shares(mode)).max() < 0.01


@pytest.mark.parametrize(
    ("settings", "mean", "spread"),
    [
        ({}, 180, 235),
        ({"duration": "exponential", "duration_mean": 60.0}, 60, 60),
        ({"duration": "poisson", "duration_mean": 100.0}, 100, 10),
        ({"duration": "binomial", "duration_n": 500, "duration_p": 0.2}, 100, 80**0.5),
    ],
)
def test_durations(settings: dict[str, Any], mean: float, spread: float) -> None:
    _, records = _workload(people=4000, **settings)
    talked = records.filter((pl.col("call_type") == "VOICE") & (pl.col("call_result") == "ANSWERED"))[
        "duration"
    ]
    assert talked.mean() == pytest.approx(mean, rel=0.02)
    assert talked.std() == pytest.approx(spread, rel=0.1)


def test_charges_are_by_the_second_and_dearer_abroad() -> None:
    _, records = _workload(people=1000)
    talked = records.filter(pl.col("duration") > 600)
    rates = (talked["charge"] / talked["duration"] * 60).round(2)
    assert set(rates) == {0.02, 0.25}


def test_habits_are_kept() -> None:
    workload, records = _workload(people=3000, habit_rate=0.5, habit_strength=0.6, calls_per_person=(40, 60))
    people = workload.people()
    planted = people.drop_nulls()
    assert len(planted) == pytest.approx(1500, abs=100)
    tags = dict(workload.settings.business_types)
    assert all(tags[kind] == tag for kind, tag in planted.select("business_type", "tag").iter_rows())
    typed = _local(_typed(people=3000, habit_rate=0.5, habit_strength=0.6, calls_per_person=(40, 60)))
    own = typed.join(planted, left_on="calling_number", right_on="number", suffix="_planted")
    assert _share(own["called"] == own["business_type"]) == pytest.approx(0.6 + 0.4 / 16, abs=0.01)
    weekday = own["weekday"] == own["weekday_planted"]
    hour = own["hour"] == own["hour_planted"]
    assert _share(weekday) == pytest.approx(0.6 + 0.4 / 7, abs=0.01)
    assert _share(hour) == pytest.approx(0.6 + 0.4 * (hour_shares("default") ** 2).sum(), abs=0.01)
    assert _share(weekday & hour) == pytest.approx(_share(weekday) * _share(hour), abs=0.02)
    assert len(records) == len(typed)


def test_habits_of_a_short_period_are_within_it() -> None:
    workload, records = _workload(people=500, start=datetime(2025, 5, 6, 20), days=0.5)
    people = workload.people().drop_nulls()
    assert set(people["weekday"]) == {1, 2}
    assert set(people.filter(pl.col("weekday") == 1)["hour"]) <= {20, 21, 22, 23}
    assert records["start_time"].min() >= workload.start and records["start_time"].max() < workload.end  # type: ignore[operator]


def test_people_have_favourites_and_friends() -> None:
    records = _typed(people=1000, calls_per_person=(50, 50), type_weights=(("Private", 15.0),))
    private = records.filter((pl.col("calling") == "Private") & (pl.col("called") == "Private"))
    friends = private.group_by("calling_number").agg(pl.col("called_number").n_unique(), pl.len())
    everything = (
        records.filter(pl.col("calling") == "Private")
        .group_by("calling_number", "called", "called_number")
        .len()
    )
    assert everything["len"].max() >= 10  # type: ignore[operator]
    assert friends["called_number"].sum() < friends["len"].sum()
    pairs = set(private.select("calling_number", "called_number").iter_rows())
    both_ways = sum((b, a) in pairs for a, b in pairs)
    assert both_ways > len(pairs) / 5


def test_equal_settings_make_equal_data_and_seeds_differ() -> None:
    _, records = _workload(people=500)
    again = pl.concat(Workload(WorkloadSettings(people=500)).records())
    other = pl.concat(Workload(WorkloadSettings(people=500, seed=2)).records())
    assert again.equals(records)
    assert not set(other["calling_number"]) & set(records["calling_number"])
    assert not other["start_time"].equals(records["start_time"])


@pytest.mark.parametrize("minutes", [7, 60, 60 * 31])
def test_slices_are_cuts_of_the_whole(minutes: int) -> None:
    workload, _ = _workload(people=300, days=3.0)
    fresh, step = Workload(workload.settings), timedelta(minutes=minutes)
    cuts = [workload.start + i * step for i in range(timedelta(days=9) // step + 1)]
    whole = workload.slice_of(cuts[0], cuts[-1])
    pieces = list(itertools.pairwise(cuts))
    picked = pieces[:: max(1, len(pieces) // 40)]
    for start, end in reversed(picked):
        cut = whole.filter(pl.col("start_time").is_between(start, end, closed="left"))
        assert fresh.slice_of(start, end).equals(cut)


def test_the_next_period_has_the_same_people_at_other_times() -> None:
    workload, records = _workload(people=300)
    week = timedelta(days=7)
    later = workload.slice_of(workload.end, workload.end + week)
    earlier = workload.slice_of(workload.start - week, workload.start)
    assert len(later) == len(earlier) == len(records)
    counts = [f.group_by("calling_number").len().sort("calling_number") for f in (records, later, earlier)]
    assert counts[0].equals(counts[1]) and counts[0].equals(counts[2])
    ids = pl.concat([f["id"] for f in (records, later, earlier)])
    assert ids.n_unique() == 3 * len(records)
    assert not (later["start_time"] - week).equals(records["start_time"])


def test_changed_settings_make_other_ids() -> None:
    workload, records = _workload(people=300)
    changed = Workload(replace(workload.settings, sms_share=0.5))
    assert not set(records["id"]) & set(pl.concat(changed.records())["id"])


def test_an_empty_slice_has_the_columns_of_the_others() -> None:
    workload, _ = _workload(people=2)
    empty = workload.slice_of(workload.start, workload.start)
    assert len(empty) == 0 and empty.schema == workload.slice_of(workload.start, workload.end).schema


@pytest.mark.parametrize(
    "zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "+05:30", "-03:00"]
)
@pytest.mark.parametrize("start", [datetime(2025, 3, 3), datetime(2025, 10, 1)])
def test_local_time_over_changes_of_the_clock(zone: str, start: datetime) -> None:
    workload, records = _workload(people=100, zone=zone, start=start, days=42.0)
    assert len(records) == workload.total == records["id"].n_unique()
    assert records["start_time"].is_sorted()
    assert records["start_time"][0] >= workload.start and records["start_time"][-1] < workload.end
    if "/" in zone:
        for moment, offset in records.sample(300, seed=1).select("start_time", "offset").iter_rows():
            assert moment.astimezone(ZoneInfo(zone)).utcoffset() == timedelta(seconds=offset)
    else:
        assert records["offset"].unique().to_list() == [{"+05:30": 19800, "-03:00": -10800}[zone]]
    hours = np.bincount(_local(records)["hour"].to_numpy(), minlength=24) / len(records)
    assert np.abs(hours - hour_shares("default")).max() < 0.02


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("hour", [-1, 0, 1])
def test_slots_are_in_order_even_where_clocks_are_changed(zone: str, hour: int) -> None:
    slots = slots_of(datetime(2025, 1, 1) + timedelta(hours=hour), 24 * 365, ZoneInfo(zone), 1800)
    assert (np.diff(slots.start) > 0).all()
    assert 1 <= 24 * 365 - len(slots.start) / 2 <= 4
    for start, weekday, at in list(zip(slots.start, slots.weekday, slots.hour, strict=True))[::97]:
        local = datetime.fromtimestamp(int(start), ZoneInfo(zone))
        assert (local.weekday(), local.hour) == (weekday, at)


def test_a_period_without_an_hour_is_empty() -> None:
    start = datetime(2025, 3, 30, 1)
    workload = Workload(WorkloadSettings(people=50, zone="Europe/Paris", start=start, days=1 / 24))
    hours = [workload.start + timedelta(hours=i) for i in range(3)]
    assert len(workload.slice_of(hours[0], hours[1])) == workload.total
    assert len(workload.slice_of(hours[1], hours[2])) == workload.total  # 2 h was left out


@pytest.mark.parametrize("settings", [{"calls_per_person": (0, 1)}, {"records": 1}, {}])
def test_next_to_nothing(settings: dict[str, Any]) -> None:
    for seed in range(5):
        workload, records = _workload(people=2, seed=seed, **settings)
        assert len(records) == workload.total


def test_dense_hours_are_cut_into_blocks() -> None:
    workload = Workload(WorkloadSettings(people=5000, records=500_000, days=1 / 24))
    frames = list(workload.records())
    assert sum(map(len, frames)) == 500_000
    assert max(map(len, frames)) <= 200_000
    assert pl.concat(frames)["id"].n_unique() == 500_000


def test_directory_is_of_every_type_at_home_and_abroad() -> None:
    directory = Workload(WorkloadSettings(people=10)).directory()
    assert directory["number"].n_unique() == len(directory) == 150
    assert directory.group_by("business_type").len()["len"].unique().to_list() == [10]
    assert "Private" not in set(directory["business_type"])
    assert directory["number"].str.starts_with("+1").mean() == pytest.approx(0.7, abs=0.06)


def test_a_list_of_one_private_type_needs_no_directory() -> None:
    workload, records = _workload(people=50, business_types=(("Private", "Private"),), domestic_rate=1.0)
    assert len(workload.directory()) == 0
    assert set(records["called_number"]) <= set(workload.people()["number"])


def test_consent_matches_the_people() -> None:
    workload, _ = _workload(people=4000, consent_rate=0.7)
    consent = workload.consent()
    assert set(consent["subscriber"]) <= set(workload.people()["number"])
    first = consent.unique("subscriber", keep="first", maintain_order=True)
    assert first["opted_in"].sum() / 4000 == pytest.approx(0.7, abs=0.03)
    assert len(first) / 4000 == pytest.approx(0.85, abs=0.03)
    withdrawn = consent.filter(pl.col("subscriber").is_duplicated())
    assert len(withdrawn) > 0 and withdrawn["opted_in"].to_list() == [True, False] * (len(withdrawn) // 2)
    assert (consent["at"] < workload.end).all()
