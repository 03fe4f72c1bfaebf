from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callbeam_io.formats.base import Head
from callbeam_io.formats.layout import lay_out, layout_of
from callbeam_io.formats.mapping import load_mapping, make_mapping
from transforms.errors import InputError

FIELDS: dict[str, Any] = {
    "calling_number": "a",
    "called_number": "b",
    "start_time": "t",
    "call_type": {"constant": "VOICE"},
    "call_result": {"constant": "ANSWERED"},
}


def parsed(spec: dict[str, Any], text: str, name: str = "file") -> pl.DataFrame:
    """A file's records by a mapping; through its settings, as a worker would read it."""
    data = text.encode(spec.get("encoding", "utf-8"))
    head = Head("file.csv", data, whole=True)
    layout, start = lay_out(make_mapping("test", spec), head)
    batch, _ = layout_of(layout.settings()).parse(data[start:], name)
    return pl.DataFrame(pl.from_arrow(batch)).drop("raw")


def column(field: dict[str, Any], text: str, **more: Any) -> list[Any]:
    """One field's values by a mapping."""
    name = next(iter(field))
    return parsed({**more, "fields": {**FIELDS, **field}}, text)[name].to_list()


def test_names_in_any_case_and_positions_and_the_files_name() -> None:
    spec = {"fields": {**FIELDS, "calling_number": 2, "called_number": "$file", "start_time": "When"}}
    frame = parsed(spec, "x, WHEN ,y\n1,2024-01-01T00:00:00Z,2\n", name="alice")
    assert frame["calling_number"].to_list() == ["2024-01-01T00:00:00Z"]
    assert frame["called_number"].to_list() == ["alice"]
    assert frame["start_time"].to_list() == ["2024-01-01T00:00:00Z"]


def test_values_otherwise_and_alternatives() -> None:
    text = "a,b,t,r,s\n1,2,t,-1,\n1,2,t,0,x\n1,2,t,,busy\n1,2,t,Weird,\n"
    one = {"call_result": {"column": "r", "values": {"-1": "NO_ANSWER", "0": "ANSWERED"}}}
    assert column(one, text) == ["NO_ANSWER", "ANSWERED", None, "Weird"]
    rest = {"call_result": {"column": "r", "values": {"-1": "NO_ANSWER", "*": "ANSWERED"}}}
    assert column(rest, text) == ["NO_ANSWER", "ANSWERED", "ANSWERED", "ANSWERED"]
    several = {
        "call_result": [
            {"column": "r", "values": {"": None, "weird": None, "*": "ANSWERED"}},
            {"column": "s", "values": {"BUSY": "BUSY"}},
            {"constant": "FAILED"},
        ]
    }
    assert column(several, text) == ["ANSWERED", "ANSWERED", "BUSY", "FAILED"]


def test_joined_matched_and_prefixed() -> None:
    text = "a,b,t,d,h\n1,2,t,2024-01-05,10:00\n,2,t,2024-01-05,\n"
    assert column({"id": {"columns": ["d", "h"], "join": "T"}}, text) == ["2024-01-05T10:00", "2024-01-05"]
    assert column({"calling_number": {"column": "a", "prefix": "+"}}, text) == ["+1", None]
    assert column({"id": {"column": "d", "match": r"^\d+-(\d+)"}}, text) == ["01", "01"]
    assert column({"id": {"column": "h", "match": r"\d:\d"}}, text) == ["0:0", None]


def test_durations_and_charges() -> None:
    text = "a;b;t;d;c\n1;2;t;01:02:03;1.234,50\n1;2;t;2:03;0,1\n1;2;t;;\n"
    hms = {"duration": {"column": "d", "format": "hms"}}
    assert column(hms, text, separator=";") == [3723, 123, None]
    assert column({"charge": {"column": "c", "comma": True}}, text, separator=";") == ["1234.50", "0.1", None]
    units = "a,b,t,d\n1,2,t,1500\n1,2,t,x\n"
    assert column({"duration": {"column": "d", "unit": "ms"}}, units) == [1.5, None]
    assert column({"duration": {"column": "d", "unit": "min"}}, units) == [90_000.0, None]


def test_what_is_wrong_is_told_with_its_field() -> None:
    fields = {
        **FIELDS,
        "start_time": {"column": "t", "format": "%d.%m.%Y"},
        "duration": {"column": "d", "unit": "ms"},
    }
    spec = {"fields": fields, "direction": {"column": "way", "in": ["in"], "out": ["out"]}}
    text = (
        "a,b,t,d,way\n1,2,05.02.2024,7,in\n1,2,5/2/24,7,out\n1,2,05.02.2024,x,OUT\n"
        "1,2,,,up\n1,2\n1,2,05.02.2024,,out\n"
    )
    frame = parsed(spec, text)
    assert frame.select("bad_field", "bad_reason").rows() == [
        (None, None),
        ("start_time", "not a time of the form %d.%m.%Y"),
        ("duration", "not a number"),
        ("", "way is neither in nor out"),
        ("", "expected 5 fields, found 2"),
        (None, None),
    ]
    assert frame["calling_number"].to_list()[:3] == ["2", "1", "1"]
    assert frame["start_time"][0] == datetime(2024, 2, 5)


def test_only_and_skipped_lines() -> None:
    spec = {"skip_lines": 2, "only": {"column": "kind", "values": ["Call"]}, "fields": FIELDS}
    text = "report\n\nkind,a,b,t\nTYPE,TEXT,TEXT,TIME\ncall,1,2,t\nfee,3,4,t\nCALL,5,6,t\n"
    assert parsed(spec, text)["calling_number"].to_list() == ["1", "5"]


def test_single_byte_encodings() -> None:
    spec = {"encoding": "cp1252", "separator": ";", "fields": {**FIELDS, "calling_number": "Größe"}}
    assert parsed(spec, "größe;b;t\nMüller €;2;t\n")["calling_number"].to_list() == ["Müller €"]


def test_lines_without_a_header() -> None:
    fields = {**FIELDS, "calling_number": 1, "called_number": 2, "start_time": 3}
    frame = parsed({"header": False, "fields": fields}, "1,2,t,x\n3,4,t\n5,6,t,y\n")
    assert frame["bad_reason"].to_list() == [None, "expected 4 fields, found 3", None]
    frame = parsed({"header": False, "widths": [3, 4], "fields": fields}, "1,2,t,x\n3,4,t\n")
    assert "bad_reason" not in frame.columns


def test_json_lines_by_paths() -> None:
    spec = {
        "lines": "json",
        "percent": True,
        "fields": {**FIELDS, "calling_number": "from.0.n", "called_number": "to"},
    }
    text = '{"from":[{"n":"%2B49 1"}],"to":"%zz","t":5}\n\n{"from":[],"to":{"x":1}}\nnothing\n{"to":"7"}\n'
    frame = parsed(spec, text)
    assert frame["calling_number"].to_list() == ["+49 1", None, None, None]
    assert frame["called_number"].to_list()[0] == "%zz"
    assert frame["start_time"].to_list()[0] == "5"
    assert frame["bad_reason"].to_list() == [
        None,
        "to is an object, not text or a number",
        "not a JSON object",
        None,
    ]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"fields": []}, "fields is"),
    ({}, "fields: calling_number, called_number, start_time, call_type, call_result missing"),
    ({"fields": FIELDS, "header": "yes"}, "header is 'yes'. expected true or false"),
    ({"fields": FIELDS, "seperator": ";"}, "seperator is not known"),
    ({"fields": FIELDS, "separator": ";;"}, "separator is ';;'. expected one ASCII character"),
    ({"fields": FIELDS, "encoding": "utf-16"}, "encoding is 'utf-16'"),
    ({"fields": FIELDS, "encoding": "klingon"}, "encoding is 'klingon'"),
    ({"fields": FIELDS, "skip_lines": -1}, "skip_lines is -1"),
    ({"fields": FIELDS, "widths": [5, 3]}, "widths is [5, 3]"),
    ({"fields": FIELDS, "lines": "xml"}, "lines is 'xml'. expected one of csv, json"),
    ({"fields": FIELDS, "header": False}, "column 'a' is a name. expected positions from 1"),
    ({"fields": {**FIELDS, "calling_number": 1}, "lines": "json"}, "column 1 is a position"),
    ({"fields": {**FIELDS, "id": "a.b"}, "lines": "json"}, "column 'a' is the beginning of another"),
    ({"fields": FIELDS, "only": {"column": "x"}}, "only.values is missing"),
    ({"fields": FIELDS, "direction": {"column": "x", "in": "in"}}, "a list of words"),
    ({"fields": {**FIELDS, "colour": "x"}}, "fields.colour is not known"),
]
WRONG_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"calling_number": 0}, "fields.calling_number is 0. expected a column's name or its position from 1"),
    ({"calling_number": {"column": "a", "constant": "b"}}, "names no source, or several"),
    ({"calling_number": {}}, "names no source, or several"),
    ({"calling_number": []}, "has 0 sources"),
    ({"calling_number": {"column": "a", "match": "("}}, "fields.calling_number.match is '('"),
    ({"calling_number": {"column": "a", "match": "(?=x)"}}, "a regular expression without look-around"),
    ({"start_time": ["a", "b"]}, "has 2 sources"),
    ({"start_time": {"column": "t", "unit": "h"}}, "start_time.unit is 'h'. expected one of s, ms, us, ns"),
    ({"start_time": {"column": "t", "unit": "s", "format": "%Y"}}, "both a format and a unit"),
    ({"start_time": {"column": "t", "format": "%H:%M"}}, "fields.start_time.format is '%H:%M'"),
    ({"start_time": {"column": "t", "zone": "Mars/Olympus"}}, "fields.start_time.zone is 'Mars/Olympus'"),
    ({"start_time": {"column": "t", "unit": "s", "origin": "noon"}}, "fields.start_time.origin is 'noon'"),
    ({"start_time": {"column": "t", "origin": "2024-01-01"}}, "fields.start_time.origin has no unit"),
    ({"duration": {"column": "d", "zone": "UTC"}}, "fields.duration.zone is for start_time only"),
    ({"duration": {"column": "d", "format": "%M"}}, "fields.duration.format is '%M'. expected hms"),
    ({"id": {"column": "d", "unit": "s"}}, "format and unit are for start_time and duration only"),
    ({"id": {"column": "d", "comma": True}}, "fields.id.comma is for duration and charge only"),
    ({"call_result": {"column": "r", "values": {"-1": "missed"}}}, "gives 'missed'. expected one of"),
    ({"call_type": {"constant": "FAX"}}, "fields.call_type gives 'FAX'"),
    ({"call_type": {"column": "r", "values": ["x"]}}, "fields.call_type.values is ['x']"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "message"), WRONG + [({"fields": {**FIELDS, **f}}, m) for f, m in WRONG_FIELDS]
)
def test_what_cannot_be_is_refused_with_its_path(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_mapping("m", spec, "mapping file m.json: ")
    assert message in str(caught.value)
    assert str(caught.value).startswith("mapping file m.json: ")
    assert "docs/FORMATS.md" in str(caught.value)


def test_files_that_are_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    with pytest.raises(InputError, match="cannot be read"):
        load_mapping(str(path))
    path.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        load_mapping(str(path))
    path.write_text(json.dumps([1]))
    with pytest.raises(InputError, match="a JSON object"):
        load_mapping(str(path))


def test_columns_that_the_file_lacks() -> None:
    spec = {"fields": FIELDS}
    with pytest.raises(InputError, match="column b, t missing for format test"):
        parsed(spec, "a,x\n1,2\n")
    with pytest.raises(InputError, match="column a stands twice"):
        parsed(spec, "a,b,t,A\n1,2,t,3\n")
    with pytest.raises(InputError, match=r"file\.csv has 2 columns, format test reads column 3"):
        parsed({"fields": {**FIELDS, "id": 3, "start_time": "b"}}, "a,b\n1,2\n")
