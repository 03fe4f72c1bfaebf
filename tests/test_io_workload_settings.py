"""Settings: what can be said, and what is said about what cannot."""

import dataclasses
from datetime import datetime
from pathlib import Path

import pytest

from callbeam_io.workload import WorkloadSettings, settings_from
from transforms.errors import OptionError

WRONG = [
    ("people", "1", "2 to 50,000,000"),
    ("people", "many", "a whole number"),
    ("calls_per_person", "50-10", "least-most"),
    ("calls_per_person", "x", "least-most"),
    ("calls_distribution", "normal", "one of uniform"),
    ("pareto_shape", "0", "more than 0"),
    ("records", "0", "1 to"),
    ("records", "9000000000", "1 to"),
    ("home_region", "ZZ", "an ISO 3166 region"),
    ("domestic_rate", "1.5", "a share between 0 and 1"),
    ("domestic_rate", "nan", "a number"),
    ("business_types", "no-such-file.csv", "a readable CSV file"),
    ("businesses", "12", "60 to"),
    ("type_weights", "Bank=1", "one of Business, Banking"),
    ("type_weights", "Banking", "TYPE=WEIGHT"),
    ("type_weights", "Banking=-1", "a weight of 0 or more"),
    ("type_weights", "Banking=1,Banking=2", "each type once"),
    ("favoured_type", "Bank", "one of Business, Banking"),
    ("business_caller_rate", "1", "less than 1"),
    ("start", "2025-05-05T06:30", "a whole hour"),
    ("start", "2025-05-05T06:00Z", "without an offset"),
    ("start", "tomorrow", "a date or a time"),
    ("start", "1970-01-01", "a year from 1980"),
    ("days", "0", "whole hours"),
    ("days", "0.01", "whole hours"),
    ("zone", "Mars/Olympus", "a zone such as Europe/Paris"),
    ("time_of_day", "noon", "one of default, midnight"),
    ("duration", "normal", "one of default, exponential"),
    ("duration_mean", "0", "seconds"),
    ("duration_n", "0", "1 to"),
    ("duration_p", "2", "a probability"),
    ("reject_rate", "11", "a rate between 0 and 10"),
    ("seed", "-1", "from 0"),
    ("sead", "1", "one of people"),
]


@pytest.mark.parametrize(("flag", "value", "expected"), WRONG)
def test_wrong_settings_are_named(flag: str, value: str, expected: str) -> None:
    with pytest.raises(OptionError) as error:
        settings_from({flag: value})
    assert error.value.what.startswith(f"--{flag}")
    assert expected in error.value.expected


def test_people_without_numbers_are_refused() -> None:
    with pytest.raises(OptionError, match="at most 36,000 with --home_region AC"):
        settings_from({"home_region": "AC", "people": "50000"})


def test_a_period_of_changing_clocks_only_is_refused() -> None:
    lost_hour = {"zone": "Europe/Paris", "start": "2025-03-30T02:00", "days": str(1 / 24)}
    with pytest.raises(OptionError, match="--start"):
        settings_from(lost_hour)


def test_texts_become_settings(tmp_path: Path) -> None:
    types = tmp_path / "types.csv"
    types.write_text("business_type,tag\nBanking,Business\nPrivate,Private\n")
    settings = settings_from(
        {
            "people": "1,000",
            "calls_per_person": "5-7",
            "type_weights": "Banking=3, Private=1",
            "business_types": str(types),
            "start": "2025-05-05T06:00",
            "days": "0.5",
        }
    )
    assert settings.people == 1000 and settings.calls_per_person == (5, 7)
    assert settings.type_weights == (("Banking", 3.0), ("Private", 1.0))
    assert settings.business_types == (("Banking", "Business"), ("Private", "Private"))
    assert settings.start == datetime(2025, 5, 5, 6) and settings.hours == 12
    assert settings.business_count == 20


def test_only_private_means_no_businesses() -> None:
    settings = WorkloadSettings(business_types=(("Private", "Private"),)).validate()
    assert settings.business_count == 0


def test_fingerprints_tell_settings_apart_but_for_dirt() -> None:
    plain = WorkloadSettings()
    others = [
        dataclasses.replace(plain, **change) for change in ({"people": 999}, {"seed": 2}, {"zone": "Z"})
    ]
    assert len({s.fingerprint() for s in (plain, *others)}) == 4
    assert dataclasses.replace(plain, reject_rate=0.1).fingerprint() == plain.fingerprint()
