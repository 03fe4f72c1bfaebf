"""Cleaning: every field's faults, the first of which names the record, and what becomes of the good ones."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from record_sets import LISTED, TYPES, small_reference

from transforms.columns.clean import Cleaned, CleanSettings, clean
from transforms.schema import RECORD_FIELDS, RECORDS

GOOD = {
    "id": "x",
    "calling_number": "+12025550123",
    "called_number": "+12025550101",
    "start_time": "2026-01-05T10:00:00+01:00",
    "duration": "59.5",
    "call_type": "VOICE",
    "charge": "0.0000005",
    "call_result": "ANSWERED",
}
DIRECTORY = small_reference().directory


def cleaned(*rows: dict[str, str | None], settings: CleanSettings | None = None) -> Cleaned:
    names = [n for n in RECORD_FIELDS if any(n in r for r in rows)]
    columns = [pa.array([r.get(n) for r in rows], pa.large_string()) for n in names]
    return clean(pa.RecordBatch.from_arrays(columns, names), settings or CleanSettings(), DIRECTORY)


def test_a_good_record() -> None:
    records = cleaned(GOOD).records
    assert records.caller.tolist() == [12025550123]
    assert records.called_type.tolist() == [[n for n, _ in TYPES].index(LISTED["+12025550101"])]
    assert (records.seconds[0], records.offset[0], records.hour[0]) == (1_767_603_600, 3600, 10)
    assert (records.duration[0], records.charge[0], records.kind[0], records.weekday[0]) == (60, 1, 0, 0)
    assert records.to_batch().schema.equals(
        pa.schema([f for f in RECORDS if f.name in records.to_batch().schema.names])
    )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("calling_number", None, "empty"),
        ("calling_number", "  ", "empty"),
        ("called_number", "", "empty"),
        ("start_time", None, "empty"),
        ("start_time", "soon", "not a time with date, ISO 8601"),
        ("duration", "-1", "negative"),
        ("duration", "1m", "not a number"),
        ("duration", "1e12", "too large"),
        ("charge", "-0.01", "negative"),
        ("charge", "free", "not a number"),
        ("call_type", "FAX", "not one of VOICE, SMS"),
        ("call_type", "", "empty"),
        ("call_type", None, "empty"),
        ("call_result", "MAYBE", "not one of ANSWERED, BUSY, NO_ANSWER, FAILED"),
        ("call_result", " ", "empty"),
    ],
)
def test_faults(name: str, value: str | None, reason: str) -> None:
    got = cleaned(GOOD, {**GOOD, name: value}, {**GOOD, "id": "y"})
    assert (got.bad_rows.tolist(), got.bad_fields, got.bad_reasons) == ([1], [name], [reason])
    assert len(got.records) == 2


def test_the_first_fault_in_the_order_of_the_checks() -> None:
    got = cleaned({**GOOD, "duration": "-1", "start_time": "never", "call_type": "FAX"})
    assert got.bad_fields == ["start_time"]


def test_what_the_reader_says_comes_first() -> None:
    batch = pa.RecordBatch.from_pylist(
        [
            {**GOOD, "bad_field": None, "bad_reason": None},
            {**GOOD, "charge": "x", "bad_field": "", "bad_reason": "torn"},
        ]
    )
    got = clean(batch, CleanSettings(), DIRECTORY)
    assert (got.bad_rows.tolist(), got.bad_fields, got.bad_reasons) == ([1], [""], ["torn"])


@pytest.mark.parametrize("field", ["call_type", "call_result"])
def test_columns_that_are_missing_count_as_empty(field: str) -> None:
    assert cleaned({k: v for k, v in GOOD.items() if k != field}).bad_fields == [field]
    assert len(cleaned({k: v for k, v in GOOD.items() if k not in ("id", "duration", "charge")}).records) == 1


@pytest.mark.parametrize(
    ("call_type", "result", "kind"),
    [("VOICE", "ANSWERED", 0), ("voice", "Busy", 1), ("Sms", " no_answer ", 6), ("SMS", "FAILED", 7)],
)
def test_words_in_any_case(call_type: str, result: str, kind: int) -> None:
    records = cleaned({**GOOD, "call_type": call_type, "call_result": result}).records
    assert records.kind.tolist() == [kind]


def test_the_future() -> None:
    limit = 1_767_603_600 * 1_000_000
    for latest, bad in ((limit, []), (limit - 1, [0])):
        got = cleaned(GOOD, settings=CleanSettings(latest=latest))
        assert got.bad_rows.tolist() == bad
        assert got.bad_reasons == ["future"] * len(bad)


def test_a_records_key_does_not_depend_on_its_neighbours() -> None:
    bare = {**GOOD, "id": None}
    alone = cleaned({k: v for k, v in bare.items() if k != "id"}).records.id_hash[0]
    among = cleaned(bare, {**GOOD, "account_id": "A1"}, {**GOOD, "id": "  "}).records.id_hash
    assert among[0] == alone == among[2]
    assert among[1] == cleaned(GOOD).records.id_hash[0]
    assert cleaned({**bare, "account_id": "A1"}).records.id_hash[0] != alone


def test_text_is_kept_only_where_it_is_needed() -> None:
    odd = {**GOOD, "calling_number": "sip:alice", "called_number": "bob"}
    assert cleaned(GOOD).records.text == {}
    assert list(cleaned(odd).records.text) == ["caller_text"]
    assert list(cleaned({**GOOD, "account_id": "A"}).records.text) == ["account_id", "id"]
    assert set(cleaned(odd, settings=CleanSettings(keep_text=True)).records.text) == {
        "id",
        "caller_text",
        "called_text",
    }


def test_numbers_as_dialled_and_local_times() -> None:
    row = {**GOOD, "calling_number": "030 123456", "start_time": "2026-07-01T12:00:00"}
    records = cleaned(row, settings=CleanSettings("Europe/Berlin", "DE")).records
    assert records.caller.tolist() == [4930123456]
    assert records.offset.tolist() == [7200]


def test_typed_columns() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "calling_number": pa.array([12025550123, 100]),
            "called_number": pa.array(["+12025550101", "bob"]),
            "start_time": pa.array([0, 1_767_603_600_000], pa.timestamp("ms", "UTC")),
            "duration": pa.array([1.5, None]),
            "call_type": pa.array(["SMS", "VOICE"]).dictionary_encode(),
            "call_result": pa.array(["ANSWERED", "BUSY"]),
        }
    )
    got = clean(batch, CleanSettings("Asia/Kolkata"), DIRECTORY)
    assert not len(got.bad_rows)
    assert got.records.duration.tolist() == [2, 0]
    assert got.records.offset.tolist() == [19_800, 19_800]
    assert (got.records.caller < 0).all()  # no plus: no phone number


def test_no_rows() -> None:
    got = clean(pa.RecordBatch.from_pylist([], pa.schema([("id", pa.string())])), CleanSettings(), DIRECTORY)
    assert len(got.records) == 0
    assert isinstance(got.bad_rows, np.ndarray)
