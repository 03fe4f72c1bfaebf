"""Every flag changes something or is refused in words; and each runner gets the flags that make it safe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import options
from pipelines.config import RunConfig, hide_password, make_config
from pipelines.engines import PRISM_EXPERIMENT, Engine, choose_engine, find_prism, prism_places
from transforms.columns.windows import Window
from transforms.errors import OptionError

DAY = 86_400


def config(*words: str, streaming: bool = False) -> RunConfig:
    given = [
        "--input",
        "generator:" if streaming else "cdrs.csv",
        *(["--streaming"] if streaming else []),
        *words,
    ]
    return make_config(*options.parse(given))


CHANGES: list[tuple[str, list[str], Callable[[RunConfig], Any], Any, Any]] = [
    # flag, its words, what it changes, from, to
    ("--input", ["b.csv"], lambda c: c.inputs, ("cdrs.csv",), ("cdrs.csv", "b.csv")),
    ("--input_format", ["pipes"], lambda c: c.input_format, "auto", "pipes"),
    ("--timezone", ["Asia/Tokyo"], lambda c: (c.timezone, c.timezone_assumed), ("UTC", True), ("Asia/Tokyo", False)),
    ("--default_region", ["de"], lambda c: (c.default_region, c.reference.default_region), (None,) * 2, ("DE",) * 2),
    ("--directory", ["d.csv"], lambda c: c.reference.directory, None, "d.csv"),
    ("--business_types", ["t.csv"], lambda c: c.reference.business_types, None, "t.csv"),
    ("--max_ahead", ["2h"], lambda c: c.max_ahead, DAY, 7200),
    ("--max_ahead", ["none"], lambda c: c.clean_settings().latest is None, False, True),
    ("--max_bad_ratio", ["0.5"], lambda c: c.max_bad_ratio, 0.05, 0.5),
    ("--pubsub_id_label", ["uid", "--runner=DataflowRunner"], lambda c: c.pubsub_id_label, None, "uid"),
    ("--templates", ["regions,duration_by_hour"], lambda c: c.plan.groups[:2], ("duration_by_hour", "business_types"),
     ("duration_by_hour", "regions")),
    ("--templates", ["all,clusters"], lambda c: c.plan.with_clusters, False, True),
    ("--window", ["fixed:1d"], lambda c: c.plan.window, Window(), Window(DAY, DAY)),
    ("--window", ["all"], lambda c: c.live_plan().subscriber_window, Window(60, 5), Window()),
    ("--rules", ["rules.json"], lambda c: c.rules, "store", "rules.json"),
    ("--pane", ["10m"], lambda c: c.rule_settings.pane, 3600, 600),
    ("--rule_delay", ["5m"], lambda c: c.rule_settings.delay, 0, 300),
    ("--rule_history", ["7d"], lambda c: c.rule_history, 30 * DAY, 7 * DAY),
    ("--contact_cap", ["2/7d"], lambda c: c.rule_settings.cap is None, True, False),
    ("--quiet_hours", ["none"], lambda c: c.rule_settings.quiet is None, False, True),
    ("--consent", ["c.csv"], lambda c: c.consent, None, "c.csv"),
    ("--consent_default", ["in"], lambda c: c.consent_default, False, True),
    ("--deliver", [], lambda c: c.deliver, False, True),
    ("--output", ["sqlite:///x.db"], lambda c: c.output, "sqlite:///callbeam.db", "sqlite:///x.db"),
    ("--keep_records", ["1d"], lambda c: (c.keep_records, c.clean_settings().keep_text), (0, False), (DAY, True)),
    ("--keep_runs", ["3"], lambda c: c.keep_runs, 10, 3),
    ("--keep_windows", ["50"], lambda c: c.keep_windows, 1000, 50),
    ("--allowed_lateness", ["2h"], lambda c: c.live_plan().lateness, 0, 7200),
    ("--early_every", ["5s"], lambda c: c.early_every, 2.0, 5.0),
    ("--fresh", [], lambda c: c.fresh, False, True),
    ("--snapshot_every", ["1m"], lambda c: c.snapshot_every, 30.0, 60.0),
    ("--stop_after", ["90s"], lambda c: (c.stop_seconds, c.stop_rows), (None, None), (90, None)),
    ("--stop_after", ["500"], lambda c: (c.stop_seconds, c.stop_rows), (None, None), (None, 500)),
]  # fmt: skip

PARSED_ONLY = {
    "--resume",  # says what is so without it
}


@pytest.mark.parametrize(("flag", "words", "read", "before", "after"), CHANGES)
def test_every_flag_changes_something(
    flag: str, words: list[str], read: Callable[[RunConfig], Any], before: Any, after: Any
) -> None:
    assert read(config()) == before
    assert read(config(flag, *words)) == after


def test_no_flag_is_forgotten_here() -> None:
    assert {flag for flag, *_ in CHANGES} | PARSED_ONLY == set(options.flag_names())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--timezone", "Mars/Olympus"], "tz database"),
        (["--timezone", "Europe"], "tz database"),
        (["--default_region", "XX"], "ISO 3166"),
        (["--max_ahead", "soon"], "s, m, h or d"),
        (["--max_bad_ratio", "1.5"], "from 0 to 1"),
        (["--max_bad_ratio", "nan"], "from 0 to 1"),
        (["--templates", "horoscopes"], "duration_by_hour"),
        (["--templates", "regions,clusters"], "subscribers with clusters"),
        (["--templates", ""], "all, or of"),
        (["--window", "weekly"], "fixed:1d"),
        (["--pubsub_id_label", "uid"], "--runner=DataflowRunner"),
        (["--window", "sliding:5s/1m"], "slide not longer"),
        (["--pane", "0s"], "at least 1s"),
        (["--rule_delay=-1s"], "s, m, h or d"),
        (["--rule_history", "always"], "s, m, h or d"),
        (["--contact_cap", "7d"], "2/7d"),
        (["--quiet_hours", "21-25"], "21-9"),
        (["--keep_records", "all"], "s, m, h or d"),
        (["--keep_runs", "0"], "at least 1"),
        (["--keep_windows", "many"], "at least 1"),
        (["--allowed_lateness", "1w"], "s, m, h or d"),
        (["--early_every", "0s"], "at least 1s"),
        (["--snapshot_every", "0s"], "at least 1s"),
        (["--stop_after", "0"], "at least 1"),
        (["--stop_after", "later"], "s, m, h or d"),
        (["--input", "kafka://host:9092/topic?password=x"], "add --streaming"),
        (["--no_such_flag"], "flag of callbeam"),
        (["--windows", "all"], "--window"),
    ],
)
def test_refused_with_the_flag_its_value_and_what_was_expected(words: list[str], expected: str) -> None:
    with pytest.raises(OptionError) as caught:
        config(*words)
    assert expected in str(caught.value)
    assert words[0].partition("=")[0] in str(caught.value)
    assert "password=x" not in str(caught.value)


@pytest.mark.parametrize("words", [["--fresh", "--resume"], ["--consent_default", "maybe"], ["--keep_runs"]])
def test_what_the_parser_itself_refuses(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        config(*words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_no_input() -> None:
    with pytest.raises(OptionError, match="no --input"):
        make_config(*options.parse([]))


def test_streaming_has_defaults_of_its_own() -> None:
    live = config(streaming=True)
    assert (live.streaming, live.keep_records, live.rule_settings.pane) == (True, 30 * DAY, 5)
    assert live.live_plan().subscriber_window == Window(60, 5)
    assert config("--window", "fixed:1h", streaming=True).live_plan().subscriber_window == Window(3600, 3600)


class Traits:
    """A feed as the configuration sees it."""

    def __init__(self, lateness: int, accelerated: bool) -> None:
        self.name, self.lateness, self.accelerated = "feed:", lateness, accelerated


def test_what_follows_from_the_feeds() -> None:
    feeds = [Traits(3600, False), Traits(DAY, False)]
    assert config(streaming=True).for_feeds(feeds).lateness == DAY
    assert config("--allowed_lateness", "1m", streaming=True).for_feeds(feeds).lateness == 60
    assert config(streaming=True).for_feeds(feeds).max_ahead == DAY
    assert config(streaming=True).for_feeds([*feeds, Traits(0, True)]).max_ahead is None


def test_options_are_kept_as_json_without_secrets() -> None:
    made = config("--output", "postgresql+psycopg://me:secret@host/db", "--window", "fixed:1d")
    text = json.dumps(made.as_options())
    assert "secret" not in text
    assert json.loads(text)["plan"]["window"] == "fixed:86400s"
    assert hide_password("sqlite:///x.db") == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("words", "runner", "rest"),
    [
        ([], "DirectRunner", ()),
        (["--runner=FnApiRunner"], "FnApiRunner", ()),
        (["--runner", "PrismRunner", "--direct_num_workers=1"], "PrismRunner", ("--direct_num_workers=1",)),
        (["--runner=PrismRunner", "--runner=DirectRunner"], "DirectRunner", ()),
    ],
)
def test_the_runner_is_taken_out_of_beams_arguments(
    words: list[str], runner: str, rest: tuple[str, ...]
) -> None:
    made = config(*words)
    assert (made.runner, made.beam_args) == (runner, rest)


def engine(runner: str, *args: str, streaming: bool = False) -> Engine:
    return choose_engine(runner, args, streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_default_is_the_engine_in_this_process(streaming: bool) -> None:
    made = engine("DirectRunner", "--x", streaming=streaming)
    assert made.args == ("--runner=BundleBasedDirectRunner", "--x")
    assert (made.in_process, made.durable) == (True, False)


def test_prism_gets_its_safety_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "prism"
    binary.touch()
    monkeypatch.setenv("CALLBEAM_PRISM", str(binary))
    made = engine("PrismRunner")
    assert f"--experiments={PRISM_EXPERIMENT}" in made.args
    assert made.value("--environment_type") == "LOOPBACK"
    assert int(made.value("--job_server_timeout") or 0) > DAY * 300
    assert made.value("--prism_location") == str(binary)
    assert engine("PrismRunner", "--prism_location=/x").value("--prism_location") == "/x"
    for wrong in ("--job_server_timeout=300", "--environment_type=PROCESS"):
        with pytest.raises(OptionError, match="leave it out"):
            engine("PrismRunner", wrong)


def test_prism_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBEAM_PRISM", str(tmp_path / "nothing"))
    with pytest.raises(OptionError, match="no such file"):
        find_prism()
    monkeypatch.delenv("CALLBEAM_PRISM")
    monkeypatch.setenv("CALLBEAM_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(OptionError, match="go install"):
        find_prism()
    assert all(str(place).startswith(str(tmp_path)) for place in prism_places())


@pytest.mark.parametrize("runner", ["FlinkRunner", "PortableRunner"])
def test_flink_gets_checkpoints_when_streaming(runner: str) -> None:
    assert engine(runner, "--flink_master=x").args == (f"--runner={runner}", "--flink_master=x")
    made = engine(runner, "--checkpointing_interval=9", streaming=True)
    assert made.durable
    assert made.value("--checkpointing_interval") == "9"
    assert "--finish_bundle_before_checkpointing" in made.args
    with pytest.raises(OptionError, match="no checkpoint completes"):
        engine(runner, "--shutdown_sources_after_idle_ms=1", streaming=True)


def test_values_of_flags_in_one_word_or_two() -> None:
    made = engine("FlinkRunner", "--flink_master", "host:8081", "--a=1", "--a=2", "--bare", "--c=")
    assert made.value("--flink_master") == "host:8081"
    assert made.value("--a") == "2"
    assert made.value("--bare") == ""
    assert made.value("--nothing") is None


@pytest.mark.parametrize(
    ("runner", "streaming", "expected"),
    [
        ("SparkRunner", False, "one of DirectRunner"),
        ("", True, "one of"),
        ("FnApiRunner", True, "cannot group"),
    ],
)
def test_runners_that_are_refused(runner: str, streaming: bool, expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        engine(runner, streaming=streaming)


def test_help_names_every_flag() -> None:
    text = options.parser().format_help()
    assert all(flag in text for flag in options.flag_names())
