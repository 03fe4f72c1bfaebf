"""The batch pipeline from its command line to the rows in the store, against the naive oracle."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import messy
import pytest
from cdr_oracle import Expected, expect

from callbeam_io.kept import KeptRecords, folder_of
from callbeam_io.store import open_store
from pipelines.run import main
from transforms.schema import TABLE_KEYS

IN_PROCESS = ["BundleBasedDirectRunner", "FnApiRunner"]
LEFT_OUT = {"run_id", "contact_from", "contact_to", "contact_hit_rate", "cluster"}


def write_directory(folder: Path, listed: dict[str, str]) -> Path:
    path = folder / "directory.csv"
    text = io.StringIO()
    csv.writer(text).writerows([("number", "business_type"), *listed.items()])
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def table_of(url: str, table: str) -> dict[tuple, dict[str, Any]]:
    keys = [k for k, _ in TABLE_KEYS[table]]
    rows = open_store(url).rows(table)
    return {
        tuple(r[k] for k in keys): {k: v for k, v in r.items() if k not in LEFT_OUT and k not in keys}
        for r in rows
    }


def check(url: str, expected: Expected) -> None:
    store = open_store(url)
    run = store.runs()[0]
    for fate in ("read", "good", "rejected", "duplicate", "conflicting", "late"):
        assert run[f"records_{fate}"] == expected.fates[fate], fate
    for table, rows in expected.tables.items():
        assert table_of(url, table) == rows, table
    got = sorted((r["field"], r["raw"]) for r in store.rows("rejects"))
    assert got == sorted(expected.rejects)


def run(folder: Path, text: str, *flags: str, listed: dict[str, str] | None = None, bad: str = "1") -> str:
    data = folder / "cdrs.csv"
    data.write_text(text, encoding="utf-8")
    url = f"sqlite:///{folder}/results.db"
    args = ["--input", str(data), "--output", url, "--max_bad_ratio", bad, *flags]
    if listed:
        args += ["--directory", str(write_directory(folder, listed))]
    assert main(args) == 0
    return url


@pytest.mark.parametrize("runner", IN_PROCESS)
@pytest.mark.parametrize("accounts", [False, True])
def test_equals_the_oracle_on_messy_input(tmp_path: Path, runner: str, accounts: bool) -> None:
    text, listed = messy.csv_text(1500, seed=1, accounts=accounts), messy.directory()
    url = run(tmp_path, text, f"--runner={runner}", listed=listed)
    check(url, expect(text, listed))


@pytest.mark.prism
def test_equals_the_oracle_on_prism(tmp_path: Path, prism_binary: Path) -> None:
    text, listed = messy.csv_text(1500, seed=2, accounts=True), messy.directory()
    url = run(tmp_path, text, "--runner=PrismRunner", f"--prism_location={prism_binary}", listed=listed)
    check(url, expect(text, listed))


@pytest.mark.parametrize(
    ("flag", "window"),
    [
        ("fixed:1d", (86400, 86400)),
        ("fixed:90m", (5400, 5400)),
        ("sliding:12h/5h", (43200, 18000)),
        ("sliding:1d/2h", (86400, 7200)),
    ],
)
def test_windows(tmp_path: Path, flag: str, window: tuple[int, int]) -> None:
    text, listed = messy.csv_text(600, seed=3), messy.directory()
    url = run(tmp_path, text, "--window", flag, listed=listed)
    check(url, expect(text, listed, window))


def test_zone_and_region(tmp_path: Path) -> None:
    text = messy.csv_text(400, seed=4).replace("+1202", "202")
    url = run(tmp_path, text, "--timezone", "America/New_York", "--default_region", "us")
    check(url, expect(text, None, zone="America/New_York", region="US"))


def test_many_files_count_as_one_input(tmp_path: Path) -> None:
    text, listed = messy.csv_text(900, seed=5, bad=0), messy.directory()
    lines = text.splitlines()
    folder = tmp_path / "in"
    folder.mkdir()
    for number, start in enumerate(range(1, len(lines), 300)):
        part = "\n".join([lines[0], *lines[start : start + 300], ""])
        if number % 2:
            (folder / f"{number}.csv.gz").write_bytes(gzip.compress(part.encode()))
        else:
            (folder / f"{number}.csv").write_bytes(part.replace("\n", "\r\n").encode("utf-8-sig"))
    (folder / "9.csv").write_text("")
    url = f"sqlite:///{tmp_path}/results.db"
    assert (
        main(["--input", str(folder), "--output", url, "--directory", str(write_directory(tmp_path, listed))])
        == 0
    )
    check(url, expect(text, listed))


def test_templates_can_be_chosen(tmp_path: Path) -> None:
    text = messy.csv_text(100, seed=6)
    url = run(tmp_path, text, "--templates", "regions,duration_by_hour")
    expected = expect(text)
    assert table_of(url, "regions") == expected.tables["regions"]
    assert table_of(url, "duration_by_hour") == expected.tables["duration_by_hour"]
    for table in ("business_types", "subscribers", "type_graph"):
        assert table_of(url, table) == {}


def test_clusters_are_numbered_as_the_tags(tmp_path: Path) -> None:
    lines = [messy.HEADER]
    listed = {"+12025550001": "Banking", "+12025550002": "School"}
    for caller in range(30):
        for call in range(4):
            called = "+12025550001" if caller % 2 else "+12025550002"
            lines.append(
                f"{caller}-{call},+1202666{caller:04d},{called},2026-01-01T00:00:00Z,1,VOICE,0,ANSWERED"
            )
    url = run(tmp_path, "\n".join([*lines, ""]), "--templates", "all,clusters", listed=listed)
    clusters = {r["tag"]: r["cluster"] for r in open_store(url).rows("subscribers")}
    assert clusters == {"Business": 0, "Education": 2}


def test_an_empty_input_is_a_run_without_rows(tmp_path: Path) -> None:
    url = run(tmp_path, messy.HEADER + "\n")
    check(url, expect(messy.HEADER + "\n"))


def test_too_many_rejects_fail_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "cdrs.csv"
    data.write_text(messy.csv_text(200, seed=7, bad=0.3), encoding="utf-8")
    url = f"sqlite:///{tmp_path}/results.db"
    assert main(["--input", str(data), "--output", url]) == 1
    assert "--max_bad_ratio" in capsys.readouterr().err
    run = open_store(url).runs()[0]
    assert run["state"] == "failed"
    assert "rejects" in run["error"]
    assert run["records_rejected"] > 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--input"),
        (["--input", "nowhere.csv"], "nowhere.csv"),
        (["--input", "{data}", "--input_format", "morse"], "morse"),
        (["--input", "{data}", "--templates", "regions,horoscopes"], "horoscopes"),
        (["--input", "{data}", "--window", "7x"], "7x"),
        (["--input", "{data}", "--window", "sliding:5s/60s"], "slide"),
        (["--input", "{data}", "--output", "sqlite:////no/such/folder/x.db"], "/no/such/folder"),
        (["--input", "{data}", "--runner", "SparkRunner"], "SparkRunner"),
        (["--input", "{data}", "--directory", "{data}"], "business_type"),
        (["--input", "{data}", "--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (["--input", "{data}", "--default_region", "XX"], "XX"),
        (["--input", "{data}", "--max_bad_ratio", "2"], "--max_bad_ratio"),
        (["--input", "{data}", "--keep_runs", "0"], "--keep_runs"),
        (["--input", "{data}", "--no_such_flag"], "--no_such_flag"),
        (["--input", "kafka://localhost:9092/t"], "--streaming"),
        (["--input", "{binary}"], "decode"),
    ],
)
def test_wrong_requests_are_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    data, binary = tmp_path / "cdrs.csv", tmp_path / "cdrs.ber"
    data.write_text(messy.csv_text(10), encoding="utf-8")
    binary.write_bytes(bytes([0x30, 0x82, 0x01, 0x00, 0x80, 0x01, 0x00]) * 100)
    filled = [f.format(data=data, binary=binary) for f in flags]
    if "--output" not in filled:
        filled += ["--output", f"sqlite:///{tmp_path}/results.db"]
    assert main(filled) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err
    path = tmp_path / "results.db"
    assert not path.exists() or open_store(f"sqlite:///{path}").runs() == []


def test_an_unknown_business_type_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "cdrs.csv"
    data.write_text(messy.csv_text(10), encoding="utf-8")
    directory = write_directory(tmp_path, {"+12025550000": "Astrology"})
    assert (
        main(["--input", str(data), "--directory", str(directory), "--output", f"sqlite:///{tmp_path}/r.db"])
        == 2
    )
    assert "Astrology" in capsys.readouterr().err


def test_own_business_types(tmp_path: Path) -> None:
    types = (("Insurance", "Finance"), ("Private", "Private"))
    path = tmp_path / "types.csv"
    path.write_text("business_type,tag\n" + "".join(f"{t},{g}\n" for t, g in types), encoding="utf-8")
    text, listed = messy.csv_text(300, seed=8), dict.fromkeys(messy.CALLED[:20], "Insurance")
    url = run(tmp_path, text, "--business_types", str(path), listed=listed)
    check(url, expect(text, listed, types=types))


def test_a_second_run_leaves_the_first_one_alone(tmp_path: Path) -> None:
    text = messy.csv_text(200, seed=9)
    url = run(tmp_path, text)
    first = open_store(url).runs()[0]["run_id"]
    before = open_store(url).rows("subscribers", first)
    run(tmp_path, messy.csv_text(50, seed=10), "--keep_runs", "2")
    assert open_store(url).rows("subscribers", first) == before
    run(tmp_path, messy.csv_text(50, seed=11), "--keep_runs", "2")
    assert first not in [r["run_id"] for r in open_store(url).runs()]
    assert open_store(url).rows("subscribers", first) == []


def test_good_records_are_kept_when_asked_for(tmp_path: Path) -> None:
    text = messy.csv_text(300, seed=12)
    url = run(tmp_path, text, "--keep_records", "9000d")
    store = open_store(url)
    files = store.rows("record_files")
    kept = KeptRecords(folder_of(url), store.runs()[0]["run_id"]).read([f["path"] for f in files])
    assert kept is not None
    assert kept.num_rows == expect(text).fates["good"]
    assert {"id", "called_text"} <= set(kept.column_names)
