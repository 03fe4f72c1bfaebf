from __future__ import annotations

import gzip
import os
import pickle
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callbeam_io import storage
from callbeam_io.blocks import file_stem
from callbeam_io.inputs import Plan, line_numbers, plan_inputs, read_block
from callbeam_io.linecount import LineCounter
from transforms.errors import InputError, RunError
from transforms.schema import origin

HEADER = "id,calling_number,called_number,start_time,duration,call_type,charge,call_result"


def line(k: int, **changes: str) -> str:
    values = {"id": f"i{k}", "stamp": "2024-02-05T10:00:00Z", "result": "ANSWERED", **changes}
    return f"{values['id']},+12025550123,+4930123456,{values['stamp']},{k},VOICE,0.5,{values['result']}"


def csv_file(path: Path, lines: list[str], header: str = HEADER) -> str:
    path.write_text("\n".join([header, *lines, ""]), "utf-8")
    return str(path)


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """All rows with their line numbers and what their batches say of their origin."""
    rows = []
    for block in plan.blocks:
        for batch in read_block(pickle.loads(pickle.dumps(block))):
            numbers = line_numbers(block, np.arange(batch.num_rows), batch)
            frame = pl.DataFrame(pl.from_arrow(batch))
            told = origin(batch.schema)
            rows += [
                {**row, "line": int(n), "source": told["source"], "order": told["order"]}
                for row, n in zip(frame.to_dicts(), numbers, strict=True)
            ]
    return rows


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the cutting into blocks must not change."""
    names = ("line", "raw", "bad_reason", "source")
    good = {"id", "start_time", "call_result"}
    return [{k: r.get(k) for k in (*names, *(() if r.get("bad_reason") else good))} for r in rows]


def test_files_globs_and_folders_in_the_order_given(tmp_path: Path) -> None:
    inner = tmp_path / "in"
    (inner / "deep").mkdir(parents=True)
    for name in ("b.csv", "a.csv", ".hidden.csv", "_SUCCESS", "empty.csv"):
        csv_file(inner / name, [line(1)])
    (inner / "empty.csv").write_text("")
    csv_file(inner / "deep" / "c.csv", [line(1)])
    single = csv_file(tmp_path / "z.csv", [line(1)])
    plan = plan_inputs([single, str(inner), str(inner / "*.csv"), str(inner / "**" / "c.csv")])
    assert [Path(f).name for f in plan.files] == ["z.csv", "a.csv", "b.csv", "c.csv"]
    notes = " | ".join(plan.notes)
    for part in (
        ".hidden.csv is hidden",
        "_SUCCESS is hidden",
        "empty.csv is empty",
        "deep is a folder",
        "a.csv is named twice",
    ):
        assert part in notes
    assert plan.bytes == sum(Path(f).stat().st_size for f in plan.files)
    assert plan.format_names == ["callbeam"]
    assert [block.file_index for block in plan.blocks] == [0, 1, 2, 3]


def test_only_empty_files_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    plan = plan_inputs([str(tmp_path / "a.csv")])
    assert (plan.files, plan.blocks, plan.bytes) == ([], [], 0)
    csv_file(tmp_path / "b.csv", [])
    assert rows_of(plan_inputs([str(tmp_path)])) == []


def test_blocks_hold_each_line_once_with_its_number(tmp_path: Path) -> None:
    lines = ["" if k % 7 == 3 else "bad" if k % 11 == 5 else line(k) for k in range(60)]
    path = csv_file(tmp_path / "a.csv", lines)
    whole = rows_of(plan_inputs([path]))
    assert [row["line"] for row in whole] == [k + 2 for k, text in enumerate(lines) if text]
    for block_bytes in (1, 64, 99, 1000):
        plan = plan_inputs([path], block_bytes=block_bytes)
        random.Random(1).shuffle(plan.blocks)
        found = sorted(rows_of(plan), key=lambda row: row["order"])
        assert plain(found) == plain(whole)
        assert sum(block.size for block in plan.blocks) == plan.bytes


def test_orders_sort_as_the_input_does(tmp_path: Path) -> None:
    first = csv_file(tmp_path / "z.csv", [line(k) for k in range(50)])
    second = csv_file(tmp_path / "a.csv", [line(k) for k in range(50, 60)])
    rows = rows_of(plan_inputs([first, second], block_bytes=500))
    assert [int(r["duration"]) for r in sorted(rows, key=lambda r: r["order"])] == list(range(60))
    assert {r["source"] for r in rows} == {first, second}


def test_line_numbers_without_the_batch_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_file(tmp_path / "a.csv", [line(k) if k != 50 else "" for k in range(101)])
    plan = plan_inputs([path], block_bytes=700)
    numbers = []
    for block in plan.blocks:
        numbers += [line_numbers(block, np.arange(batch.num_rows)).tolist() for batch in read_block(block)]
    assert [n for part in numbers for n in part] == [n for n in range(2, 103) if n != 52]
    last = plan.blocks[-1]
    expected = line_numbers(last, np.arange(1))
    monkeypatch.setattr(storage, "line_breaks", lambda *_: pytest.fail("counted again"))
    assert line_numbers(last, np.arange(1)) == expected


def test_a_replaced_file_is_counted_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"1\n2\n3\n")
    counter = LineCounter()
    assert counter.before(str(path), 4) == 2
    counter.note(str(path), 4, 6, 1)
    assert counter.before(str(path), 6) == 3
    path.write_bytes(b"12345\n67\n")
    assert counter.before(str(path), 6) == 1


def test_byte_order_mark_and_crlf_and_gzip(tmp_path: Path) -> None:
    text = "\r\n".join([HEADER, line(1), "", line(2), "bad"]) + "\r\n"
    bare, packed = tmp_path / "a.csv", tmp_path / "b.data"
    bare.write_bytes(b"\xef\xbb\xbf" + text.encode())
    packed.write_bytes(gzip.compress(bare.read_bytes()))
    for path in (bare, packed):
        rows = rows_of(plan_inputs([str(path)]))
        assert [r["id"] for r in rows[:2]] == ["i1", "i2"]
        assert [(r["line"], r["raw"]) for r in rows] == [
            (2, line(1).encode()),
            (4, line(2).encode()),
            (5, b"bad"),
        ]


def test_gzip_in_pieces_and_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbeam_io.blocks._PIECE", 300)
    texts = [line(k) if k % 5 else "" for k in range(60)]
    text = "\n".join([HEADER, *texts])
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(text[:900].encode()) + gzip.compress(text[900:].encode()))
    plan = plan_inputs([str(path)])
    assert [b.kind for b in plan.blocks] == ["gzip"]
    rows = rows_of(plan)
    assert [(r["id"], r["line"]) for r in rows] == [(f"i{k}", k + 2) for k in range(60) if k % 5]
    orders = [r["order"] for r in rows]
    assert orders == sorted(orders)
    assert len(set(orders)) > 3


def test_damaged_gzip(tmp_path: Path) -> None:
    data = gzip.compress(
        ("\n".join([HEADER, *(line(random.randrange(10**9)) for _ in range(9000))])).encode()
    )
    path = tmp_path / "a.csv.gz"
    path.write_bytes(data[: len(data) // 2])
    plan = plan_inputs([str(path)])
    with pytest.raises(RunError, match="no whole gzip file"):
        rows_of(plan)
    path.write_bytes(data[:15])
    with pytest.raises(InputError, match="no whole gzip file"):
        plan_inputs([str(path)])


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = csv_file(tmp_path / "a.csv", [line(k) for k in range(9)])
    plan = plan_inputs([path])
    csv_file(tmp_path / "a.csv", [line(1)])
    with pytest.raises(RunError, match="became shorter"):
        rows_of(plan)


def test_the_header_tells_the_order_of_columns(tmp_path: Path) -> None:
    header = "call_result,note,ID ,called_number,calling_number,duration,start_time,charge,call_type"
    text = 'BUSY,"a, b",i1,+2,+1,3,2024-02-05T10:00:00Z,,SMS'
    row = rows_of(plan_inputs([csv_file(tmp_path / "a.csv", [text], header)]))[0]
    assert (row["id"], row["calling_number"], row["called_number"]) == ("i1", "+1", "+2")
    assert (row["call_type"], row["call_result"], row["charge"]) == ("SMS", "BUSY", None)
    assert "note" not in row


def test_what_was_assumed_about_zones(tmp_path: Path) -> None:
    good = csv_file(tmp_path / "a.csv", [line(1), line(2, stamp="2024-02-05T10:00:00+0200")])
    assert plan_inputs([good]).assumed == []
    bare = csv_file(tmp_path / "b.csv", [line(1), line(2, stamp="2024-02-05T10:00:00")])
    (told,) = plan_inputs([bare], timezone="Europe/Berlin").assumed
    assert told == "callbeam: stamps without a zone are in Europe/Berlin (--timezone)"
    pipes = tmp_path / "c.psv"
    pipes.write_text("a|+1|i|+2|Mon Feb  5 10:00:00 2024|60|VOICE|0|Busy\n")
    assert plan_inputs([str(pipes), bare]).assumed == [
        "pipes: stamps without a zone are in UTC (--timezone)",
        "callbeam: stamps without a zone are in UTC (--timezone)",
    ]


def typed_table(n: int) -> pa.Table:
    moments = [datetime(2024, 2, 5, tzinfo=UTC) + timedelta(seconds=k) for k in range(n)]
    return pa.table(
        {
            "ID": pa.array([f"i{k}" for k in range(n)]).dictionary_encode(),
            "calling_number": pa.array([12025550100 + k for k in range(n)]),
            "called_number": ["+4930123456"] * n,
            "start_time": pa.array(moments, pa.timestamp("ms", "UTC")),
            "duration": pa.array(
                [timedelta(seconds=k, milliseconds=500) for k in range(n)], pa.duration("ms")
            ),
            "call_type": ["VOICE"] * n,
            "charge": pa.array([None] * n, pa.float64()),
            "call_result": ["ANSWERED"] * n,
            "cell": [{"x": 1}] * n,
        }
    )


def test_parquet_by_row_groups(tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    pq.write_table(typed_table(25), path, row_group_size=10)
    plan = plan_inputs([path])
    assert len(plan.blocks) == 3
    assert plan.assumed == ["parquet: the local time of stamps in UTC is that of UTC (--timezone)"]
    rows = rows_of(plan)
    assert [r["line"] for r in rows] == list(range(1, 26))
    assert rows[3]["id"] == "i3"
    assert rows[3]["calling_number"] == "12025550103"
    assert rows[3]["duration"] == 3.5
    assert rows[3]["start_time"] == datetime(2024, 2, 5, 0, 0, 3, tzinfo=UTC)
    assert "raw" not in rows[0]


def test_parquet_that_cannot_be(tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    table = typed_table(2)
    pq.write_table(table.drop_columns(["charge", "duration"]), path)
    with pytest.raises(InputError, match="column duration, charge missing"):
        plan_inputs([path])
    pq.write_table(table.set_column(3, "start_time", pa.array([1, 2])), path)
    with pytest.raises(InputError, match=r"start_time is of type int64\. expected a timestamp"):
        plan_inputs([path])
    pq.write_table(table.set_column(4, "duration", pa.array([[1], [2]])), path)
    with pytest.raises(InputError, match="duration is of type list"):
        plan_inputs([path])
    pq.write_table(table.set_column(3, "start_time", pa.array([date(2024, 2, 5)] * 2)), path)
    assert rows_of(plan_inputs([path]))[0]["start_time"] == datetime(2024, 2, 5)
    Path(path).write_bytes(Path(path).read_bytes()[:100])
    with pytest.raises(InputError, match="no readable Parquet file"):
        plan_inputs([path])


WRONG_FILES: list[tuple[bytes, str, str]] = [
    (b"\xbf\x81\x04\x00\x30\x82\x01\x02" * 20, "auto", "is binary.*ASN.1 BER, 3GPP TS 32.298.*decode"),
    (b"\x30\x82\x01\x05\x80\x01\x02\x81" * 20, "callbeam", "is binary"),
    (b"PK\x03\x04 stuff", "auto", "an Excel workbook.*save it as CSV"),
    (b"BZh91AY", "auto", "packed with bzip2"),
    (HEADER.encode("utf-16"), "auto", "UTF-16 text.*iconv"),
    (b"a,b\r1,2\r", "auto", "line ends of CR only"),
    (
        b"id,calling_number,called_number\n1,2,3\n",
        "auto",
        "column start_time, duration, call_type, charge, call_result",
    ),
    (b"id,calling_number,called_number\n1,2,3\n", "callbeam", "missing for format callbeam"),
    (b"x,y\n1,2\n", "auto", "cannot tell the format.*2 fields on the first line, separated by ','"),
    (b"x,y\n1,2\n", "parquet", "is no Parquet file"),
    (b"x,y\n1,2\n", "arrow", "is for messages"),
    (b"x,y\n1,2\n" * 6, "pipes", "not of format pipes: expected 9 fields, found 1"),
    (b"x,y\n1,2\n", "cucm", "missing for format cucm"),
]


@pytest.mark.parametrize(("data", "name", "message"), WRONG_FILES)
def test_files_that_cannot_be_read_are_refused_at_once(
    tmp_path: Path, data: bytes, name: str, message: str
) -> None:
    path = tmp_path / "calls.dat"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        plan_inputs([str(path)], name)
    assert str(path) in str(caught.value) or name == "arrow"


def test_inputs_that_are_none(tmp_path: Path) -> None:
    for given, message in [
        (str(tmp_path / "no.csv"), "does not exist"),
        (str(tmp_path / "*.csv"), "matches nothing"),
        (str(tmp_path), "holds no file"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            plan_inputs([given])
        assert given in str(caught.value)
    with pytest.raises(InputError, match="no --input"):
        plan_inputs([])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no regular file"):
        plan_inputs([str(tmp_path / "pipe")])
    (tmp_path / "broken").symlink_to("nowhere")
    with pytest.raises(InputError, match="broken cannot be read"):
        plan_inputs([str(tmp_path / "b*")])
    parquet = str(tmp_path / "a.parquet")
    pq.write_table(typed_table(1), parquet)
    with pytest.raises(InputError, match=r"is Parquet\. expected format pipes"):
        plan_inputs([parquet], "pipes")


def test_no_message_shows_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "calls.txt"
    path.write_text("+12025550123;+4930123456;yesterday\n" * 20)
    for name in ("auto", "pipes", "callbeam", "bandicoot_orange"):
        with pytest.raises(InputError) as caught:
            plan_inputs([str(path)], name)
        assert "2025550123" not in str(caught.value)


def test_names_without_their_endings() -> None:
    assert [file_stem(p) for p in ("/a/b.csv.gz", "x/user.1.csv", "+49 30.json", "noend")] == [
        "b",
        "user.1",
        "+49 30",
        "noend",
    ]


def test_other_file_systems_through_beam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line(k) for k in range(30)]
    local = csv_file(tmp_path / "a.csv", lines)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(Path(local).read_bytes()))
    pq.write_table(typed_table(5), tmp_path / "c.parquet")
    monkeypatch.setattr(
        storage, "is_remote", lambda path: True
    )  # Beam's own local file system as a remote one
    plan = plan_inputs([str(tmp_path / "*")], block_bytes=500)
    assert [Path(f).name for f in plan.files] == ["a.csv", "b.csv.gz", "c.parquet"]
    rows = rows_of(plan)
    assert [r["line"] for r in rows] == [*range(2, 32), *range(2, 32), *range(1, 6)]
    with pytest.raises(InputError, match="matches nothing"):
        plan_inputs([str(tmp_path / "*.none")])


def test_stores_that_cannot_be_reached() -> None:
    with pytest.raises(InputError, match=r"nosuch://bucket/a\.csv cannot be listed"):
        plan_inputs(["nosuch://bucket/a.csv"])
