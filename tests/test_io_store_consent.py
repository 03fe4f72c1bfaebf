"""Consent files."""

from pathlib import Path

import polars as pl
import pytest
from stores import store_fixture, url_fixture  # noqa: F401

from callbeam_io.store import Store
from callbeam_io.store.consent import read_consent
from transforms.errors import BadRecord, InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "consent.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_with_times_and_mistakes(store: Store, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "subscriber,opted_in,at\n"
        "+1,true,2026-11-24T12:00:00+02:00\n"
        "+1,no,2026-11-24 12:00:00\n"
        " +2 ,IN,\n"
        ",true,\n"
        "+3,perhaps,\n"
        "+4,1,soon\n"
        "+5,0,2026-11-24\n"
        "+6,out,2026-11-24T12:00:00Z\n"
        "+6,in,2026-11-24T12:00:00Z\n"
        "+7\n",
    )
    counts = store.load_consent(path)
    assert [(r["subscriber"], r["at"], r["opted_in"], r["source"]) for r in store.rows("consent")] == [
        ("+1", "2026-11-24 10:00:00", True, "consent.csv"),
        ("+1", "2026-11-24 12:00:00", False, "consent.csv"),
        ("+2", "1970-01-01 00:00:00", True, "consent.csv"),
        ("+5", "2026-11-24 00:00:00", False, "consent.csv"),
        ("+6", "2026-11-24 12:00:00", True, "consent.csv"),
    ]
    assert counts.stored == 6
    assert counts.rejected == [
        BadRecord("consent.csv", "5", "subscriber", "subscriber cannot be read", ",true,"),
        BadRecord("consent.csv", "6", "opted_in", "opted_in cannot be read", "+3,perhaps,"),
        BadRecord("consent.csv", "7", "at", "at cannot be read", "+4,1,soon"),
        BadRecord("consent.csv", "11", "opted_in", "opted_in cannot be read", "+7,,"),
    ]


def test_without_times_consent_holds_since_always_and_again_changes_nothing(
    store: Store,
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "\ufeffSubscriber, opted_in\n+1,yes\n+2,no\n")
    for _ in range(2):
        assert store.load_consent(path).stored == 2
    assert [(r["subscriber"], r["at"], r["opted_in"]) for r in store.rows("consent")] == [
        ("+1", "1970-01-01 00:00:00", True),
        ("+2", "1970-01-01 00:00:00", False),
    ]


def test_numbers_are_named_as_the_caller_wants(tmp_path: Path) -> None:
    path = write(tmp_path, "subscriber,opted_in\n0044,1\nx,1\n")

    def normalise(numbers: pl.Series) -> pl.Series:
        return numbers.str.extract(r"^00(\d+)$").str.replace("^", "+")

    found = read_consent(path, normalise)
    assert found.rows["subscriber"].to_pylist() == ["+44"]
    assert [bad.line for bad in found.rejected] == ["3"]


@pytest.mark.parametrize("text", ["number,consent\n+1,1\n", "", "subscriber\n+1\n"])
def test_files_that_are_no_consent(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"consent.csv.*subscriber,opted_in"):
        read_consent(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_consent(tmp_path / "none.csv")


def test_a_file_without_lines(tmp_path: Path) -> None:
    assert read_consent(write(tmp_path, "subscriber,opted_in\n")).rows.num_rows == 0
