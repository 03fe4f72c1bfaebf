"""Start times: every layout at once, zones with gaps and repeats, and what is no time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.columns.stamps import Stamps, parse_stamps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"
Fate = tuple[int, int] | str


def fates(stamps: Stamps) -> list[Fate]:
    """Per row (microseconds UTC, offset), ``empty`` or ``bad``."""
    rows = zip(stamps.utc, stamps.offset, stamps.empty, stamps.bad, strict=True)
    return ["empty" if e else "bad" if b else (int(u), int(o)) for u, o, e, b in rows]


def fate(text: str | None, zone: str) -> Fate:
    """The oracle: one text at a time."""
    if not (text or "").strip():
        return "empty"
    try:
        stamp = datetime.fromisoformat(text.strip())
    except ValueError:
        return "bad"
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=ZoneInfo(zone))
    shift = stamp.utcoffset() or timedelta()
    return (stamp - EPOCH) // timedelta(microseconds=1), int(shift.total_seconds())


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "  ",
        "2026-03-01T10:20:30Z",
        "2026-03-01T10:20:30+00:00",
        "2026-03-01T10:20:30+05:30",
        "2026-03-01T10:20:30-0800",
        "2026-03-01T10:20:30+02",
        "2026-03-01 10:20:30-03:00",
        "2026-03-01T10:20:30",
        " 2026-03-01T10:20:30Z ",
        "2026-03-01T10:20:30.25Z",
        "2026-03-01T10:20:30.123456+01:00",
        "2026-03-01T10:20:30,5Z",
        "2026-03-01T10:20Z",
        "20260301T102030Z",
        "2026-03-01",
        "2026-W09-7T10:20:30Z",
        "1969-12-31T23:59:59.999999Z",
        "0001-01-02T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-02-30T10:20:30Z",
        "2026-13-01T10:20:30Z",
        "2026-03-01T24:20:30Z",
        "2026-03-01T10:20:30+25:00",
        "2026-03-01T10:20:30+02:60",
        "2026-03-01T10:20:30+2:00",
        "2026-3-01T10:20:300Z",
        "10:20:30",
        "yesterday",
        "1767225600",
    ],
)
def test_layouts(text: str | None) -> None:
    alone = parse_stamps(pl.Series([text], dtype=pl.String), BERLIN)
    among = parse_stamps(pl.Series([text, "2026-01-01T00:00:00", None]), BERLIN)
    assert fates(alone) == [fate(text, BERLIN)]
    assert fates(among)[0] == fate(text, BERLIN)


@pytest.mark.parametrize(
    ("local", "utc", "offset"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z", 3600),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z", 3600),  # never comes: as if not put forward
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z", 7200),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z", 7200),  # comes twice: the first
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z", 3600),
    ],
)
def test_local_times_where_clocks_change(local: str, utc: str, offset: int) -> None:
    want = [((datetime.fromisoformat(utc) - EPOCH) // timedelta(microseconds=1), offset)]
    assert fates(parse_stamps(pl.Series([local]), BERLIN)) == want
    assert fates(parse_stamps(pl.Series([datetime.fromisoformat(local)]), BERLIN)) == want


@pytest.mark.parametrize(
    ("text", "like"),
    [("2026-03-01T10:20:60Z", "2026-03-01T10:21:00Z"), ("2026-03- 1T10:20:30Z", "2026-03-01T10:20:30Z")],
)
def test_a_leap_second_and_a_padded_day_are_taken(text: str, like: str) -> None:
    assert fates(parse_stamps(pl.Series([text]), "UTC")) == [fate(like, "UTC")]


def test_typed_columns() -> None:
    naive = pl.Series([datetime(2026, 7, 1, 12), None])
    epochs = naive.dt.replace_time_zone("UTC")
    noon = (datetime(2026, 7, 1, 12, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    for unit in ("ms", "us", "ns"):
        assert fates(parse_stamps(naive.dt.cast_time_unit(unit), "UTC")) == [(noon, 0), "empty"]
        assert fates(parse_stamps(epochs.dt.cast_time_unit(unit), BERLIN)) == [(noon, 7200), "empty"]
    assert fates(parse_stamps(naive, "Asia/Kolkata")) == [(noon - 19_800_000_000, 19_800), "empty"]


def test_no_rows() -> None:
    assert fates(parse_stamps(pl.Series([], dtype=pl.String), BERLIN)) == []


def test_more_offsets_than_are_worth_a_look_by_column() -> None:
    texts = [f"2026-03-01T10:20:30{s}{n // 60:02d}:{n % 60:02d}" for s in "+-" for n in range(0, 720, 3)]
    assert fates(parse_stamps(pl.Series(texts), "UTC")) == [fate(t, "UTC") for t in texts]


moment = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)) | st.integers(-7200, 7200).map(
    lambda s: datetime(2026, 3, 29, 2) + timedelta(seconds=s)
)
tails = ["", "Z", "+02:00", "-0330", "+14", "+2:00", "Q", " Z"]
written = st.tuples(
    moment, st.sampled_from(["T", " "]), st.sampled_from(["seconds", "auto"]), st.sampled_from(tails)
).map(lambda p: p[0].isoformat(p[1], p[2]) + p[3])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.none() | written | st.text("0123456789-:TZ+. ", max_size=25), max_size=8),
    st.sampled_from(["UTC", BERLIN, "America/Sao_Paulo", "Australia/Lord_Howe"]),
)
def test_as_one_at_a_time(texts: list[str | None], zone: str) -> None:
    stamps = parse_stamps(pl.Series(texts, dtype=pl.String), zone)
    assert fates(stamps) == [fate(t, zone) for t in texts]
