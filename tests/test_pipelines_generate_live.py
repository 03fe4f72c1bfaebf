"""The generator's command line with live outputs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from pipelines import generate

ROOT = Path(__file__).parents[1]


def records(folder: Path) -> pl.DataFrame:
    files = sorted(path for path in folder.iterdir() if path.suffix == ".csv")
    return pl.concat([pl.read_csv(path, infer_schema=False) for path in files])


def test_records_go_to_the_folder_and_tables_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--speed", "86400", "--rate", "3000", "--people", "200", "--stop_after", "500"]
    assert generate.main([*flags, "--output", f"dir://{tmp_path}/in", "--tables", f"{tmp_path}/t/x.csv"]) == 0
    assert capsys.readouterr().out.startswith("500 records in ")
    found = records(tmp_path / "in")
    assert len(found) == 500
    assert found["start_time"].is_sorted()
    assert found["start_time"][0].startswith("2025-05-05T00:")
    people = pl.read_csv(tmp_path / "t" / "x.truth.csv", infer_schema=False)
    assert len(people) == 200
    assert (tmp_path / "t" / "x.directory.csv").exists()


def test_it_stops_at_a_signal_with_all_records_sent(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"rate": 2000}))
    command = [sys.executable, "-m", "pipelines.generate", "--output", f"dir://{tmp_path}/in"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'io'}"}
    process = subprocess.Popen(
        [*command, "--settings", "settings.json"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "in").exists() or not list((tmp_path / "in").glob("*.csv")):
        assert process.poll() is None
        time.sleep(0.05)
    (tmp_path / "settings.json").write_text(json.dumps({"people": "none"}))
    assert process.stderr is not None
    assert "settings stay as they were" in process.stderr.readline()
    for _ in range(2):  # as a terminal and a parent do at once
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.startswith(f"{len(records(tmp_path / 'in')):,} records in ")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--speed", "2"], "--speed 2. expected a live --output"),
        (["--output", "dir://x", "--speed", "0"], "--speed 0"),
        (["--output", "dir://x", "--lines", "0"], "--lines 0"),
        (["--output", "dir://x", "--stop_after", "soon"], "--stop_after 'soon'"),
        (["--output", "pubsub://x"], "pubsub://projects/PROJECT/topics/NAME"),
    ],
)
def test_wrong_requests_end_with_2(
    flags: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate.main(flags) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
