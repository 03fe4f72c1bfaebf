"""The frozen configuration of one run: flags, checked and turned into what they mean."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers

from callbeam_io.sources.feeds import Feed
from callbeam_io.sources.registry import is_live
from pipelines.reference import ReferenceSpec
from pipelines.rulebook import rule_settings
from transforms.columns.analysis import Plan
from transforms.columns.clean import CleanSettings
from transforms.columns.decisions import RuleSettings
from transforms.columns.live import LivePlan
from transforms.columns.windows import Window, parse_duration, parse_window
from transforms.errors import OptionError
from transforms.schema import EXTRA_TEMPLATES, TEMPLATES

LIVE_SUBSCRIBER_WINDOW = "sliding:60s/5s"


@dataclass(frozen=True)
class RunConfig:
    """What a run is asked to do; lengths of time in seconds."""

    inputs: tuple[str, ...]
    input_format: str
    pubsub_id_label: str | None
    timezone: str
    timezone_assumed: bool
    default_region: str | None
    reference: ReferenceSpec
    plan: Plan
    max_ahead: int | None
    max_bad_ratio: float
    output: str
    keep_records: int
    keep_runs: int
    keep_windows: int
    streaming: bool
    runner: str
    beam_args: tuple[str, ...]
    window_given: bool
    lateness: int | None
    early_every: float
    snapshot_every: float
    rules: str
    consent: str | None
    consent_default: bool
    deliver: bool
    rule_settings: RuleSettings
    rule_history: int
    fresh: bool
    stop_seconds: int | None
    stop_rows: int | None

    def for_feeds(self, feeds: Sequence[Feed]) -> RunConfig:
        """The same with what follows from the feeds: the greatest default lateness, no limit of the future for
        accelerated input."""
        lateness = self.lateness if self.lateness is not None else max(f.lateness for f in feeds)
        accelerated = any(f.accelerated for f in feeds)
        names = tuple(f.name for f in feeds)  # the inputs without secrets
        return replace(
            self, inputs=names, lateness=lateness, max_ahead=None if accelerated else self.max_ahead
        )

    def live_plan(self) -> LivePlan:
        """What a live shard keeps: the table of subscribers slides over a minute unless a window is given."""
        subscribers = self.plan.window if self.window_given else parse_window(LIVE_SUBSCRIBER_WINDOW)
        return LivePlan(self.plan, subscribers, self.lateness or 0, self.rule_history, self.rule_settings)

    def clean_settings(self) -> CleanSettings:
        """How records are cleaned; the limit of the future is that of now."""
        latest = None if self.max_ahead is None else int((time.time() + self.max_ahead) * 1_000_000)
        return CleanSettings(self.timezone, self.default_region, latest, keep_text=self.keep_records > 0)

    def as_options(self) -> dict[str, Any]:
        """JSON values for the column ``options`` of ``runs``; secrets in URLs left out."""
        values = asdict(self)
        values["reference"] = asdict(self.reference)
        values["plan"] = {"templates": list(self.plan.templates), "window": str(self.plan.window)}
        values["output"] = hide_password(self.output)
        values["beam_args"] = [a for a in self.beam_args if "password" not in a.lower()]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def hide_password(url: str) -> str:
    """The URL with its password as ``***``."""
    return re.sub(r"([?&]password=)[^&]*", r"\1***", re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url))


def make_config(flags: argparse.Namespace, beam_args: Sequence[str]) -> RunConfig:
    """Checks every flag by itself and gives the configuration of the run.

    Raises:
        OptionError: naming the flag, its value, what was expected and what to do.
    """
    streaming = "--streaming" in beam_args
    return RunConfig(
        inputs=_inputs(flags.input, streaming=streaming),
        input_format=flags.input_format,
        pubsub_id_label=_id_label(flags.pubsub_id_label, _runner(beam_args)),
        timezone=_timezone(flags.timezone or "UTC"),
        timezone_assumed=flags.timezone is None,
        default_region=_region(flags.default_region),
        reference=ReferenceSpec(flags.directory, flags.business_types, _region(flags.default_region)),
        plan=Plan(templates_of(flags.templates), _window(flags.window)),
        max_ahead=_max_ahead(flags.max_ahead),
        max_bad_ratio=_share(flags.max_bad_ratio, "--max_bad_ratio"),
        output=flags.output,
        keep_records=parse_duration(flags.keep_records or ("30d" if streaming else "0s"), "--keep_records"),
        keep_runs=_count(flags.keep_runs, "--keep_runs"),
        keep_windows=_count(flags.keep_windows, "--keep_windows"),
        streaming=streaming,
        runner=_runner(beam_args),
        beam_args=tuple(_without_runner(beam_args)),
        window_given=flags.window is not None,
        lateness=_lateness(flags.allowed_lateness),
        early_every=_interval(flags.early_every, "--early_every"),
        snapshot_every=_interval(flags.snapshot_every, "--snapshot_every"),
        rules=flags.rules,
        consent=flags.consent,
        consent_default=flags.consent_default == "in",
        deliver=flags.deliver,
        rule_settings=rule_settings(flags, streaming=streaming),
        rule_history=parse_duration(flags.rule_history, "--rule_history"),
        fresh=flags.fresh,
        **_stop(flags.stop_after),
    )


def _inputs(given: Sequence[str] | None, *, streaming: bool) -> tuple[str, ...]:
    if not given:
        raise OptionError(
            "no --input", "a file, a glob, a folder or a live source", "see --help for examples"
        )
    live = [i.partition("?")[0] for i in given if is_live(i)]  # what follows may hold secrets
    if live and not streaming:
        raise OptionError(f"--input {live[0]}", "--streaming with a live source", "add --streaming")
    twice = [i for i in given if given.count(i) > 1]
    if twice:
        raise OptionError(f"--input {twice[0].partition('?')[0]} twice", "each input once")
    return tuple(given)


def _id_label(name: str | None, runner: str) -> str | None:
    if name is not None and runner != "DataflowRunner":
        raise OptionError(
            f"--pubsub_id_label {name!r} on {runner}",
            "--runner=DataflowRunner",
            "leave it out: elsewhere messages are known by their id, records by theirs",
        )
    return name


def _lateness(text: str | None) -> int | None:
    return None if text is None else parse_duration(text, "--allowed_lateness")


def _interval(text: str, flag: str) -> float:
    seconds = parse_duration(text, flag)
    if seconds < 1:
        raise OptionError(f"{flag} {text!r}", "at least 1s")
    return float(seconds)


def _stop(text: str | None) -> dict[str, int | None]:
    """A time (``60s``) or a number of records (``10000``)."""
    rows = int(text) if text is not None and text.isascii() and text.isdigit() else None
    if rows == 0:
        raise OptionError(
            f"--stop_after {text!r}", "a time such as 60s, or a number of records of at least 1"
        )
    seconds = None if text is None or rows is not None else parse_duration(text, "--stop_after")
    return {"stop_seconds": seconds, "stop_rows": rows}


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise OptionError(
            f"--timezone {name!r}", "a name of the tz database, such as Europe/Berlin or UTC"
        ) from error
    return name


def _region(name: str | None) -> str | None:
    if name is None:
        return None
    if name.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise OptionError(
            f"--default_region {name!r}", "an ISO 3166 region with telephone numbers, such as US or DE"
        )
    return name.upper()


def templates_of(text: str) -> tuple[str, ...]:
    """The templates of a comma list, ``all`` among them, in their own order; OptionError for one that is none."""
    wanted: set[str] = set()
    for word in (w.strip() for w in text.split(",")):
        if word != "all" and word not in (*TEMPLATES, *EXTRA_TEMPLATES):
            raise OptionError(
                f"--templates {word!r}", f"all, or of {', '.join((*TEMPLATES, *EXTRA_TEMPLATES))}"
            )
        wanted |= set(TEMPLATES) if word == "all" else {word}
    if "clusters" in wanted and "subscribers" not in wanted:
        raise OptionError(
            "--templates clusters", "subscribers with clusters", "clusters are a column of subscribers"
        )
    return tuple(t for t in (*TEMPLATES, *EXTRA_TEMPLATES) if t in wanted)


def _window(text: str | None) -> Window:
    return parse_window(text or "all")


def _max_ahead(text: str | None) -> int | None:
    return None if text == "none" else parse_duration(text or "1d", "--max_ahead")


def _share(text: str, flag: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise OptionError(f"{flag} {text!r}", "a share from 0 to 1, such as 0.05")
    return share


def _count(text: str, flag: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise OptionError(f"{flag} {text!r}", "a whole number of at least 1")
    return int(text)


def _runner(beam_args: Sequence[str]) -> str:
    """Value of the last ``--runner``; DirectRunner where there is none."""
    runner = "DirectRunner"
    for word, following in zip(beam_args, [*beam_args[1:], ""], strict=False):
        if word.startswith("--runner="):
            runner = word.removeprefix("--runner=")
        elif word == "--runner":
            runner = following
    return runner


def _without_runner(beam_args: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in beam_args:
        if skip or word.startswith("--runner="):
            skip = False
        elif word == "--runner":
            skip = True
        else:
            kept.append(word)
    return kept
