"""The landing folder: what counts as whole, each file once, going on from anywhere."""

import gzip
import json
import os
import pickle
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feeds import all_rows, column, count, file_rows, lines, read_rows, read_until, sources
from hypothesis import given, settings
from hypothesis import strategies as st

from callbeam_io.sources import folder as folder_module
from callbeam_io.sources import parts
from callbeam_io.sources.feeds import Chunk, SplitReader
from callbeam_io.sources.folder import FolderFeed, open_folder
from callbeam_io.sources.landing import Landing, ReadNames
from callbeam_io.sources.registry import open_feed
from transforms.errors import InputError

HEADER = b"id,calling_number,called_number,start_time,duration,call_type,charge,call_result\n"


def land(folder: Path, name: str, content: bytes) -> None:
    """Moves a file in, as a careful sender does; its change of name is younger than its content."""
    part = folder / f".{name}.part"
    part.write_bytes(content)
    os.utime(part, ns=(1, time.time_ns() - 10**9))
    part.rename(folder / name)


def feed_of(folder: Path) -> FolderFeed:
    return open_folder(f"dir://{folder}", "auto", "UTC")


def text(count: int, first: int = 0) -> bytes:
    return HEADER + b"\n".join(lines(count, first)) + b"\n"


def test_files_are_read_in_order_of_names_and_as_in_batch(tmp_path: Path) -> None:
    landing = tmp_path / "in"
    landing.mkdir()
    contents = {
        "b.csv": text(30, 100),
        "a.csv": text(20) + b"torn,line\n",
        "c.csv.gz": gzip.compress(text(40, 200)),
    }
    for name, content in contents.items():
        land(landing, name, content)
    reader = feed_of(landing).open("files", None)
    chunks = read_rows(reader, 91)
    expected = [row for name in sorted(contents) for row in file_rows(tmp_path / name, contents[name])]
    assert all_rows(chunks) == expected
    assert sources(chunks) == [str(landing / name) for name in sorted(contents)]
    assert column(chunks[:1], "line") == [str(n) for n in range(2, 23)]
    assert reader.lag() == 0
    assert reader.poll(0.0) is None


def test_files_that_wait_let_one_with_an_earlier_name_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_LOOK_EVERY_BUSY", 0.0)
    for name in ("b.csv", "c.csv"):
        land(tmp_path, name, text(5, 10))
    reader = feed_of(tmp_path).open("files", None)
    assert sources(read_rows(reader, 5)) == [str(tmp_path / "b.csv")]
    (tmp_path / "a.csv").write_bytes(text(5))  # written in place: it has to keep still first
    assert reader.poll(0.0) is None and reader.lag() == 2
    assert sources(read_rows(reader, 10)) == [str(tmp_path / "a.csv"), str(tmp_path / "c.csv")]


def test_parquet_has_its_row_numbers(tmp_path: Path) -> None:
    rows = [
        dict(zip(HEADER.decode().strip().split(","), line.decode().split(","), strict=True))
        for line in lines(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "calls.parquet", row_group_size=2)
    chunks = read_rows(feed_of(tmp_path).open("files", None), 5)
    assert column(chunks, "line") == ["1", "2", "3", "4", "5"]
    assert column(chunks, "id") == [f"r{i}" for i in range(5)]


def test_names_of_unfinished_files_do_not_count(tmp_path: Path) -> None:
    for name in ("_x.csv", ".x.csv", "x.csv.tmp", "x.part", "x.partial"):
        land(tmp_path, name, text(1))
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.csv").touch()
    landing = Landing(tmp_path, ReadNames())
    for now in (0.0, 5.0, 9.0):
        landing.look(now)
    assert landing.waiting == []
    land(tmp_path, "x.csv", text(1))
    landing.look(10.0)
    landing.look(10.1)
    assert landing.waiting == ["x.csv"]


def test_a_file_written_in_place_counts_when_it_has_been_still_for_a_second(tmp_path: Path) -> None:
    landing = Landing(tmp_path, ReadNames())
    path = tmp_path / "slow.csv"
    path.write_bytes(b"one")
    landing.look(0.0)
    landing.look(0.9)
    assert landing.waiting == []
    with path.open("ab") as file:
        file.write(b"two")
    landing.look(1.1)
    landing.look(2.0)
    assert landing.waiting == []
    assert landing.unsettled == 1
    landing.look(2.2)
    assert landing.waiting == ["slow.csv"]


def test_a_file_moved_in_counts_at_the_second_look(tmp_path: Path) -> None:
    landing = Landing(tmp_path, ReadNames())
    land(tmp_path, "quick.csv", text(1))
    landing.look(0.0)
    assert landing.waiting == []
    landing.look(0.01)
    assert landing.waiting == ["quick.csv"]


def test_files_with_later_names_wait_for_one_that_may_be_whole_but_not_for_one_that_grows(
    tmp_path: Path,
) -> None:
    landing = Landing(tmp_path, ReadNames())
    (tmp_path / "1.csv").write_bytes(text(1))
    land(tmp_path, "2.csv", text(1))
    landing.look(0.0)
    landing.look(0.2)
    assert landing.waiting == [] and landing.unsettled == 2
    landing.look(1.2)
    assert landing.waiting == ["1.csv", "2.csv"] and landing.unsettled == 0
    (tmp_path / "3.csv").write_bytes(text(1))
    land(tmp_path, "4.csv", text(1))
    for k in range(4):
        assert landing.waiting == ["1.csv", "2.csv"]
        (tmp_path / "3.csv").write_bytes(text(2 + k))
        landing.look(2.0 + 0.9 * k)
    assert landing.waiting == ["1.csv", "2.csv", "4.csv"]


def test_what_cannot_be_read_is_one_reject_and_does_not_stop_the_feed(tmp_path: Path) -> None:
    land(tmp_path, "a.csv", b"\x30\x82\x00\x01" * 100)
    whole = gzip.compress(text(9000), compresslevel=1)
    land(tmp_path, "b.csv.gz", whole[:-20])
    land(tmp_path, "c.csv", text(3))
    chunks = read_until(
        feed_of(tmp_path).open("files", None), lambda c: bool(c) and sources(c)[-1].endswith("c.csv")
    )
    assert [column([c], "line") for c in chunks if "bad_reason" in c.batch.schema.names] == [["0"], ["0"]]
    assert "binary" in column(chunks[:1], "bad_reason")[0]
    assert count(chunks[-1:]) == 3
    read = ReadNames(chunks[-1].position["read"])
    assert all(name in read for name in ("a.csv", "b.csv.gz", "c.csv"))


def test_a_file_that_is_gone_is_passed_over_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.csv", "b.csv"):
        land(tmp_path, name, text(2))
    reader = feed_of(tmp_path).open("files", {"read": [], "file": "gone.csv", "block": 1, "row": 7})
    assert count(read_rows(reader, 4)) == 4
    assert "gone.csv" in caplog.text


def test_a_folder_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    landing = tmp_path / "in"
    landing.mkdir()
    reader = feed_of(landing).open("files", None)
    landing.rmdir()
    assert reader.poll(0.3) is None
    assert "cannot be listed" in (reader.trouble() or "")
    landing.mkdir()
    land(landing, "a.csv", text(2))
    assert count(read_rows(reader, 2)) == 2
    assert reader.trouble() is None


def test_new_files_are_read_while_it_runs_and_no_file_twice(tmp_path: Path) -> None:
    reader = feed_of(tmp_path).open("files", None)
    land(tmp_path, "z.csv", text(2))
    first = read_rows(reader, 2)
    land(tmp_path, "a.csv", text(2, 10))
    second = read_rows(reader, 2)
    assert column(first + second, "id") == ["r0", "r1", "r10", "r11"]
    assert reader.poll(0.3) is None


@given(cuts=st.lists(st.integers(0, 60), max_size=4), batch=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_going_on_from_any_position_gives_every_record_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], batch: int
) -> None:
    landing = tmp_path_factory.mktemp("in")
    for number, size in enumerate((60, 1, 0, 45)):
        land(landing, f"{number}.csv", text(size, number * 100))
    land(landing, "4.csv.gz", gzip.compress(text(70, 400)))
    expected = [f"r{n * 100 + i}" for n, size in enumerate((60, 1, 0, 45, 70)) for i in range(size)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "BLOCK_BYTES", 1500)
        patch.setattr(parts, "MOST_ROWS", batch)
        patch.setattr(folder_module, "_LOOK_EVERY", 0.001)
        found: list[str] = []
        position = None
        for cut in cuts:  # each time it is killed after some chunks, and goes on from the last one's position
            reader = feed_of(landing).open("files", position)
            chunks = _some(reader, cut)
            found += column(chunks, "id")
            position = json.loads(json.dumps(chunks[-1].position)) if chunks else position
        reader = feed_of(landing).open("files", position)
        rest = read_rows(reader, len(expected) - len(found)) + _some(reader, 9)
        found += column(rest, "id")
    assert found == expected


def _some(reader: SplitReader, most: int) -> list[Chunk]:
    """Up to so many chunks; fewer when there are no more."""
    chunks: list[Chunk] = []
    while len(chunks) < most and (chunk := reader.poll(0.02)) is not None:
        chunks.append(chunk)
    return chunks


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1), max_size=40
    )
)
@settings(deadline=None)
def test_names_come_back_from_their_packs(names: list[str]) -> None:
    read = ReadNames()
    read.update(names)
    again = ReadNames(json.loads(json.dumps(read.packed())))
    assert len(again) == len(set(names))
    assert all(name in again for name in names)


def test_the_position_stays_small_and_cheap_with_many_files() -> None:
    read = ReadNames()
    started = time.process_time()
    for i in range(2_000):
        read.update([f"cdr_20250505_{i // 3600:02d}{i // 60 % 60:02d}{i % 60:02d}_{i:06d}.csv"])
        read.packed()
    assert len(json.dumps(read.packed())) < 8 * 2_000
    assert time.process_time() - started < 10


def test_names_are_forgotten_only_when_very_many_files_are_gone() -> None:
    read = ReadNames()
    read.update(f"{i}.csv" for i in range(10_001))
    read.forget_gone(set())
    assert len(read) == 10_001
    read.forget_gone({"7.csv", "new.csv"})
    assert "7.csv" in read
    assert "8.csv" not in read


def test_the_feed_says_what_it_is(tmp_path: Path) -> None:
    feed = open_feed(f"dir://{tmp_path}", "auto", "UTC")
    feed.check()
    assert (feed.name, feed.lateness, feed.accelerated, list(feed.splits())) == (
        f"dir://{tmp_path}",
        86400,
        False,
        ["files"],
    )
    assert pickle.loads(pickle.dumps(feed)) == feed
    with pytest.raises(InputError, match="cannot be listed"):
        open_feed(f"dir://{tmp_path}/none", "auto", "UTC").check()
    for wrong in ("dir://", "ftp://x"):
        with pytest.raises(InputError, match="expected"):
            open_feed(wrong, "auto", "UTC")
