from __future__ import annotations

import csv
import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbeam_io.formats.delimited import Shape, read_delimited
from callbeam_io.formats.lines import split_lines
from callbeam_io.formats.survey import survey
from callbeam_io.inputs import line_numbers, plan_inputs, read_block
from transforms.schema import RECORD_FIELDS

NEEDED = RECORD_FIELDS[:-1]


def frame_of(batch: pa.RecordBatch) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(batch))


def read_all(path: str, block_bytes: int = 8 << 20, input_format: str = "callbeam") -> list[dict[str, Any]]:
    """Every row that the blocks of a file give, with its line number."""
    rows = []
    for block in plan_inputs([path], input_format, block_bytes=block_bytes).blocks:
        for batch in read_block(block):
            numbers = line_numbers(block, np.arange(batch.num_rows), batch)
            for row, number in zip(frame_of(batch).to_dicts(), numbers, strict=True):
                rows.append({**row, "line": int(number)})
    return rows


def oracle(data: bytes) -> list[dict[str, Any]]:
    """The same by the csv module, line by line."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    header = [name.strip().lower() for name in next(csv.reader([lines[0].decode().removesuffix("\r")]))]
    least = len(header) - (header[-1] == "account_id")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        raw = line.removesuffix(b"\r")
        if raw:
            rows.append({"line": number, "raw": raw, **record(raw, header, least)})
    return rows


def record(raw: bytes, header: list[str], least: int) -> dict[str, Any]:
    try:
        if b"\0" in raw:
            raise UnicodeDecodeError("utf-8", raw, 0, 1, "NUL")
        reader = csv.reader([raw.decode(), ""])
        fields = next(reader)
    except UnicodeDecodeError:
        return {"bad_reason": "not UTF-8 text"}
    if reader.line_num > 1:
        return {"bad_reason": "a quote is not closed on its line"}
    if not least <= len(fields) <= len(header):
        return {"bad_reason": f"expected {least} fields, found {len(fields)}"}
    found = dict(zip(header, fields, strict=False))
    return {name: found.get(name) or None for name in RECORD_FIELDS if name in header}


def compare(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [row["line"] for row in found] == [row["line"] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        assert row["raw"] == wanted["raw"]
        assert row.get("bad_reason") == wanted.get("bad_reason")
        if wanted.get("bad_reason") is None:
            assert {k: v for k, v in row.items() if k in RECORD_FIELDS} == {
                k: v for k, v in wanted.items() if k in RECORD_FIELDS
            }
        else:
            assert row["bad_field"] == ""


texts = st.text(alphabet="ab1+ é:;'", max_size=5)
quoted = st.text(alphabet='ab,"é ', max_size=5)


@st.composite
def csv_lines(draw: st.DrawFn, width: int) -> bytes:
    """A good line, a ragged one, a quoted one, one with odd quotes, one that is no text, an empty one."""
    kind = draw(st.sampled_from(["plain", "plain", "plain", "quoted", "ragged", "odd", "bytes", "blank"]))
    if kind == "plain":
        return ",".join(draw(st.lists(texts, min_size=width, max_size=width))).encode()
    if kind == "quoted":
        fields = draw(st.lists(quoted, min_size=width, max_size=width))
        return ",".join('"' + field.replace('"', '""') + '"' for field in fields).encode()
    if kind == "ragged":
        return ",".join(draw(st.lists(texts, min_size=1, max_size=width + 2))).encode()
    if kind == "odd":
        return draw(st.text(alphabet='a,"', max_size=14)).encode()
    if kind == "bytes":
        odd = draw(st.sampled_from([b"\xff", b"\xc3", "\ufeffx".encode(), b"\0", b"\x01\x02", b"\xe2\x82"]))
        return odd + b"," * (width - 1)
    return b""


@st.composite
def canonical_files(draw: st.DrawFn) -> bytes:
    """A header in any order with unknown columns, and lines of all kinds and line ends."""
    extra = draw(st.lists(st.sampled_from(["note", "cell", "account_id"]), unique=True))
    header = draw(st.permutations([*NEEDED, *extra]))
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    lines = draw(st.lists(csv_lines(len(header)), max_size=14))
    ends = draw(
        st.lists(st.sampled_from([end, end, end, b"\n", b"\r\n"]), min_size=len(lines), max_size=len(lines))
    )
    body = b"".join(line + stop for line, stop in zip(lines, ends, strict=True))
    if draw(st.booleans()):
        body = body.removesuffix(b"\n").removesuffix(b"\r")
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return mark + ",".join(header).encode() + end + body


def safe(data: bytes) -> bool:
    """Without line ends within a line, as the csv module sees them, and not binary."""
    controls = data.count(b"\0") + data.count(b"\1") + data.count(b"\2")
    return b"\r" not in data.replace(b"\r\n", b"") and controls <= 4


@settings(max_examples=80, deadline=None)
@given(data=canonical_files().filter(safe), block_bytes=st.sampled_from([1, 7, 40, 150, 10_000]))
def test_any_file_in_any_blocks_is_what_the_csv_module_reads(data: bytes, block_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(data)
        compare(read_all(str(path), block_bytes), oracle(data))
        packed = Path(folder, "a.csv.gz")
        packed.write_bytes(gzip.compress(data))
        compare(read_all(str(packed)), oracle(data))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(alphabet='ab,"', max_size=12), min_size=1, max_size=8))
def test_survey_counts_fields_and_finds_odd_quotes(lines: list[str]) -> None:
    data = "\n".join(lines).encode() + b"\n"
    found = survey(split_lines(data), ",", '"')
    for line, fields, odd in zip(lines, found.fields, found.odd, strict=True):
        if not odd:
            row = next(csv.reader([line]), [""])
            assert fields == max(len(row), 1)


def test_clean_blocks_share_their_bytes_with_raw() -> None:
    data = b"a,b\n" + b"x" * 40 + b",y\n"
    lines = split_lines(data)
    assert lines.raw().to_pylist() == [b"a,b", b"x" * 40 + b",y"]
    assert lines.raw().buffers()[2].address == pa.py_buffer(data).address


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2", "expected 3 fields, found 2"),
        ("1,2,3,4", "expected 3 fields, found 4"),
        ('1,"2,3', "a quote is not closed on its line"),
        ('"1"x,2,3', None),
        ('5" screen,2,3', None),
        ('1,"a\rb",3', None),
    ],
)
def test_lines_that_need_care(line: str, reason: str | None) -> None:
    shape = Shape(",", '"', 3, 3, ((0, "a"), (2, "c")))
    table = read_delimited(f"0,0,0\n{line}\n9,9,9\n".encode(), shape)
    assert table.frame.rows()[0] == ("0", "0")
    assert table.frame.rows()[2] == ("9", "9")
    assert (None if table.faults is None else table.faults[1]) == reason


def test_quotes_are_text_where_the_format_has_none() -> None:
    shape = Shape("|", None, 2, 2, ((0, "a"), (1, "b")))
    table = read_delimited(b'"a|b"\nc"|d\n', shape)
    assert table.frame.rows() == [('"a', 'b"'), ('c"', "d")]
    assert table.faults is None


def test_the_last_optional_field_may_be_left_out() -> None:
    shape = Shape(",", '"', 2, 3, ((0, "a"), (2, "c")))
    table = read_delimited(b"1,2\n3,4,5\n6\n", shape)
    assert table.frame.rows()[:2] == [("1", None), ("3", "5")]
    assert table.faults is not None
    assert table.faults.to_list() == [None, None, "expected 2 fields, found 1"]


def test_nothing_to_read() -> None:
    shape = Shape(",", '"', 2, 2, ((0, "a"),))
    assert read_delimited(b"", shape).frame.height == 0
    assert read_delimited(b"\n\r\n", shape).frame.height == 0
