"""The generator's command line, from flags to files and from a run to its report."""

import dataclasses
import re
from pathlib import Path

import polars as pl
import pytest

from callbeam_io.store import open_store
from callbeam_io.workload import WorkloadSettings
from pipelines import generate
from pipelines.run import main as run

ROOT = Path(__file__).parents[1]
FLAGS = [
    option
    for action in generate.parser()._actions
    for option in action.option_strings
    if option.startswith("--")
]
OTHER_VALUES = {
    "people": "90",
    "calls_per_person": "5-9",
    "calls_distribution": "poisson",
    "pareto_shape": "2",
    "records": "500",
    "home_region": "DE",
    "domestic_rate": "0.2",
    "businesses": "99",
    "type_weights": "Banking=5",
    "favoured_type": "School",
    "favoured_rate": "0.9",
    "business_caller_rate": "0.4",
    "start": "2025-06-01",
    "days": "2",
    "zone": "+01:00",
    "time_of_day": "evening",
    "duration": "poisson",
    "duration_mean": "20",
    "duration_n": "30",
    "duration_p": "0.9",
    "sms_share": "0.7",
    "answered_share": "0.1",
    "habit_rate": "0.1",
    "habit_strength": "0.9",
    "duplicate_rate": "0.5",
    "conflict_rate": "0.5",
    "reject_rate": "0.5",
    "seed": "9",
}
NEEDS = {
    "pareto_shape": ["--calls_distribution", "pareto"],
    "favoured_rate": ["--favoured_type", "School"],
    "duration_n": ["--duration", "binomial"],
    "duration_p": ["--duration", "binomial"],
}


def _lines(folder: Path, *flags: str) -> list[str]:
    assert generate.main(["--people", "60", "--output", str(folder / "c.csv"), *flags]) == 0
    return sorted(line.partition(",")[2] for line in (folder / "c.csv").read_text().splitlines())


def test_every_flag_is_explained() -> None:
    text = (ROOT / "docs" / "GENERATOR.md").read_text(encoding="utf-8")
    assert [flag for flag in FLAGS if not re.search(rf"`{flag}\b", text)] == ["--help"]
    assert {f"--{field.name}" for field in dataclasses.fields(WorkloadSettings)} <= set(FLAGS)


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_every_setting_changes_the_records(tmp_path: Path, name: str) -> None:
    flags = NEEDS.get(name, [])
    assert _lines(tmp_path, *flags) != _lines(tmp_path, *flags, f"--{name}", OTHER_VALUES[name])


def test_settings_of_the_files_beside(tmp_path: Path) -> None:
    types = tmp_path / "types.csv"
    types.write_text("business_type,tag\nShop,AD\nPrivate,Private\n")
    _lines(tmp_path, "--business_types", str(types), "--consent_rate", "0")
    assert set(pl.read_csv(tmp_path / "c.directory.csv")["business_type"]) == {"Shop"}
    assert set(pl.read_csv(tmp_path / "c.truth.csv")["tag"]) == {"AD", "Private", None}
    assert not pl.read_csv(tmp_path / "c.consent.csv")["opted_in"].any()


def test_the_summary_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "my cdrs.psv"
    flags = ["--people", "20", "--zone", "Europe/Paris", "--reject_rate", "0.1", "--order", "shuffled"]
    assert generate.main([*flags, "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"[\d,]+ records = [\d,]+ good \+ 0 duplicate \(0 conflicting\) \+ \d+ bad", out)
    assert "20 people, 150 businesses" in out
    assert f"python -m pipelines.run --input '{output}' --directory '{tmp_path}/my cdrs.directory.csv'" in out
    assert out.rstrip().endswith("--timezone Europe/Paris")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--people", "1"], "--people 1. expected 2 to"),
        (["--peeple", "5"], "unrecognized arguments: --peeple"),
        (["--duration", "normal"], "argument --duration: invalid choice"),
        (["--people"], "argument --people: expected one argument"),
        (["--output", "cdrs.doc"], "--output cdrs.doc. expected a name that ends in .csv"),
        (["--format", "cucm"], "argument --format: invalid choice"),
        (["--type_weights", "Bank=2"], "--type_weights Bank. expected one of Business, Banking"),
        (["--report", "sqlite:///no-such.db", "--truth", "no-such.csv"], "--truth no-such.csv"),
        (["--report", "sqlite:///x.db", "--report_share", "2"], "--report_share 2"),
        (["--report", "sqlite:///x.db", "--report_least", "x"], "--report_least x"),
    ],
)
def test_wrong_requests_end_with_2(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(flags) == 2
    assert said in capsys.readouterr().err


def test_what_cannot_be_written_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert generate.main(["--people", "5", "--output", str(tmp_path / "file" / "c.csv")]) == 1
    assert "callbeam: " in capsys.readouterr().err


def test_a_run_agrees_with_the_generator_and_finds_the_habits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, url = tmp_path / "c.csv", f"sqlite:///{tmp_path}/results.db"
    dirt = ["--duplicate_rate", "0.02", "--conflict_rate", "0.01", "--reject_rate", "0.02"]
    assert generate.main(["--people", "400", *dirt, "--output", str(output)]) == 0
    counts = re.match(
        r"([\d,]+) records = ([\d,]+) good \+ ([\d,]+) duplicate \((\d+) conflicting\) \+ (\d+)",
        capsys.readouterr().out,
    )
    assert counts is not None
    read, good, duplicate, conflicting, rejected = (int(n.replace(",", "")) for n in counts.groups())
    assert (
        run(["--input", str(output), "--directory", str(tmp_path / "c.directory.csv"), "--output", url]) == 0
    )
    found = open_store(url).runs()[0]
    assert (found["records_read"], found["records_good"], found["records_rejected"]) == (read, good, rejected)
    assert (found["records_duplicate"], found["records_conflicting"]) == (duplicate, conflicting)
    capsys.readouterr()
    assert generate.main(["--report", url, "--output", str(output), "--report_least", "25"]) == 0
    out = capsys.readouterr().out
    assert "People all: 400" in out and "with 25 interactions or more" in out
    rates = re.findall(r"^  (tag|business_type|weekday|hour) .* (\d\.\d+) +(\d\.\d+)$", out, re.MULTILINE)
    assert len(rates) == 8
    assert all(float(recall) > 0.85 and float(precision) > 0.8 for _, recall, precision in rates)


def test_a_store_without_a_run_has_nothing_to_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/results.db"
    open_store(url).close()
    truth = tmp_path / "t.csv"
    pl.DataFrame(
        {"number": ["+1"], "business_type": ["Job"], "tag": ["Business"], "weekday": [1], "hour": [2]}
    ).write_csv(truth)
    assert generate.main(["--report", url, "--truth", str(truth)]) == 2
    assert "a store with a run that is done" in capsys.readouterr().err
