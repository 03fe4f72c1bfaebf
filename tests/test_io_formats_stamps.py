from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbeam_io.formats import checks
from callbeam_io.formats.mapping import Source
from callbeam_io.formats.stamps import stamp
from transforms.errors import InputError

EPOCH = datetime(1970, 1, 1)
LAST = 4_102_444_800  # the year 2100: Polars knows no change of the clocks after it
seconds = st.integers(0, LAST).map(lambda s: EPOCH + timedelta(seconds=s))
batches = st.lists(seconds, min_size=1, max_size=20)
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]


def made(texts: list[str | None], local: list[str] | None = None, **how: object) -> pl.Series:
    frame = pl.DataFrame(
        {"t": texts, "l": local or [None] * len(texts)}, schema={"t": pl.String, "l": pl.String}
    )
    source = Source(columns=("t",), **how)  # type: ignore[arg-type]
    return frame.select(x=stamp(pl.col("t"), source, None if local is None else pl.col("l")))["x"]


@settings(max_examples=40, deadline=None)
@given(batches)
def test_asctime_of_every_day(moments: list[datetime]) -> None:
    texts = [time.asctime(m.timetuple()) for m in moments]
    assert made(texts, format="%a %b %e %H:%M:%S %Y").to_list() == moments


PATTERNS = [
    "%Y-%m-%d %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%d %b %Y, %H:%M:%S",
    "%A %d %B %Y %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%H:%M:%S %d/%m/%Y",
    "%Y-%j %H:%M:%S",
]


@settings(max_examples=40, deadline=None)
@given(batches, st.sampled_from(PATTERNS))
def test_patterns_read_what_python_writes(moments: list[datetime], pattern: str) -> None:
    checks.time_use("start_time", pattern, None, "here")
    assert made([m.strftime(pattern) for m in moments], format=pattern).to_list() == moments


def test_patterns_without_a_time_begin_the_day() -> None:
    assert made(["5.2.2024", "29.02.2024", "30.02.2024"], format="%d.%m.%Y").to_list() == [
        datetime(2024, 2, 5),
        datetime(2024, 2, 29),
        None,
    ]


def test_fractions() -> None:
    found = made(["2024-02-05 13:04:09.25", "2024-02-05 13:04:09"], format="%Y-%m-%d %H:%M:%S.%f")
    assert found[0] == datetime(2024, 2, 5, 13, 4, 9, 250_000)


@settings(max_examples=40, deadline=None)
@given(batches, st.integers(-14 * 4, 14 * 4))
def test_offsets_stay_the_records_own(moments: list[datetime], quarters: int) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    local = [m.replace(tzinfo=zone) for m in moments]
    texts = [m.strftime("%a %b %d %H:%M:%S %z %Y") for m in local]
    found = made(texts, format="%a %b %d %H:%M:%S %z %Y")
    assert [datetime.fromisoformat(t) for t in found] == local
    assert [datetime.fromisoformat(t).utcoffset() for t in found] == [zone.utcoffset(None)] * len(local)


@settings(max_examples=40, deadline=None)
@given(batches, st.sampled_from(ZONES))
def test_zones_are_those_of_python(moments: list[datetime], zone: str) -> None:
    texts = [m.strftime("%d.%m.%Y %H:%M:%S") for m in moments]
    found = made(texts, format="%d.%m.%Y %H:%M:%S", zone=zone).to_list()
    assert found == [m.replace(tzinfo=ZoneInfo(zone)).isoformat() for m in moments]
    assert made([m.isoformat() for m in moments], zone=zone).to_list() == found


def test_hours_that_come_twice_or_never() -> None:
    texts = ["2024-10-27 02:30:00", "2024-03-31 02:30:00"]
    found = made(texts, format="%Y-%m-%d %H:%M:%S", zone="Europe/Berlin").to_list()
    assert found == ["2024-10-27T02:30:00+02:00", "2024-03-31T02:30:00+01:00"]


def test_iso_text_stands_as_it_is_and_keeps_its_own_offset_in_a_zone() -> None:
    assert made(["2024-02-05T00:00:00Z", "nonsense"]).to_list() == ["2024-02-05T00:00:00Z", "nonsense"]
    assert made(["2024-02-05T00:00:00-03:00"], zone="Europe/Berlin").to_list() == [
        "2024-02-05T00:00:00-03:00"
    ]


@settings(max_examples=40, deadline=None)
@given(batches, st.sampled_from(["s", "ms", "us", "ns"]))
def test_epochs(moments: list[datetime], unit: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    whole = [int((m - EPOCH).total_seconds()) * per_second for m in moments]
    found = made([str(n) for n in whole], unit=unit)
    assert found.dtype == pl.Datetime("us", "UTC")
    assert [m.replace(tzinfo=None) for m in found] == moments
    zoned = made([str(n) for n in whole], unit=unit, zone="Asia/Kolkata")
    assert [datetime.fromisoformat(t) for t in zoned] == [m.replace(tzinfo=UTC) for m in moments]
    assert all(t.endswith("+05:30") for t in zoned)


@pytest.mark.parametrize("text", ["", "x", "1e400", "nan", "inf", str(2**63), str(253_402_300_800), "-1e20"])
def test_numbers_that_are_no_moment(text: str) -> None:
    assert made([text], unit="s").to_list() == [None]


def test_fractional_and_negative_epochs() -> None:
    found = made(["1327521966.5", "-1", "1.327521966e9"], unit="s").dt.replace_time_zone(None).to_list()
    assert found == [
        datetime(2012, 1, 25, 20, 6, 6, 500_000),
        datetime(1969, 12, 31, 23, 59, 59),
        datetime(2012, 1, 25, 20, 6, 6),
    ]


def test_seconds_since_an_origin() -> None:
    assert made(["0", "3661"], unit="s", origin="2023-01-01T00:00:00").to_list() == [
        datetime(2023, 1, 1),
        datetime(2023, 1, 1, 1, 1, 1),
    ]
    assert made(["60"], unit="s", origin="2023-01-01T00:00:00+02:00").to_list() == [
        "2023-01-01T00:01:00+02:00"
    ]
    assert made(["60"], unit="s", origin="2023-07-01T00:00:00", zone="Europe/Berlin").to_list() == [
        "2023-07-01T00:01:00+02:00"
    ]
    assert made(["60"], unit="s", origin="2023-07-01T00:00:00Z", zone="Europe/Berlin").to_list() == [
        "2023-07-01T02:01:00+02:00"
    ]


def test_an_instant_beside_its_local_stamp_tells_the_offset() -> None:
    found = made(
        ["1521025758", "1521025758", "1521025758"],
        local=["2018-03-14 07:09:18", "2018-03-14 16:39:19", "nonsense"],
        unit="s",
    )
    assert found.to_list() == [
        "2018-03-14T07:09:18-04:00",
        "2018-03-14T16:39:18+05:30",
        "2018-03-14T11:09:18+00:00",
    ]


@pytest.mark.parametrize(
    "pattern", ["%H:%M", "%d.%m.%Y %Q", "%Y", "%s", "%d.%m.%Y %f", "%Y-%d %H", "nothing"]
)
def test_patterns_that_cannot_be(pattern: str) -> None:
    with pytest.raises(InputError, match=r"here\.format"):
        checks.time_use("start_time", pattern, None, "here")
