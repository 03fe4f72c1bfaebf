"""The flags of ``python -m pipelines.run``, in groups, and their way into a frozen `RunConfig`."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, Final

from apache_beam.options.pipeline_options import PipelineOptions

from transforms.errors import OptionError

EPILOG: Final = """\
examples:
  python -m pipelines.run --input cdrs.csv
  python -m pipelines.run --input 'cdrs/*.csv.gz' --directory directory.csv --timezone Europe/Berlin
  python -m pipelines.run --input calls.csv --input_format docs/examples/cns_calls.json
  python -m pipelines.run --input cdrs.csv --window fixed:1d --templates duration_by_hour,regions
  python -m pipelines.run --input cdrs.csv --output postgresql+psycopg://user@host/callbeam

All flags of Apache Beam and of its runners work too (--runner, --streaming, --project, ...).
Exit status: 0 done; 1 the run failed; 2 the request was wrong, found before anything started.
"""

_DEFAULT_INPUT: Final = "auto"


class CallbeamOptions(PipelineOptions):
    """callbeam's flags among Beam's options."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds every flag of callbeam to a parser, in groups."""
    _input_flags(parser.add_argument_group("input"))
    _analysis_flags(parser.add_argument_group("analyses and windows"))
    _rule_flags(parser.add_argument_group("rules and promotions"))
    _output_flags(parser.add_argument_group("results"))
    _live_flags(parser.add_argument_group("streaming"))


def _input_flags(group: Any) -> None:
    add = group.add_argument
    add(
        "--input",
        action="append",
        metavar="WHAT",
        help="file, glob, folder or gs://…; live: kafka://host:9092/topic, "
        "pubsub://projects/P/subscriptions/S, dir:///path, generator: (repeatable)",
    )
    add(
        "--input_format",
        default=_DEFAULT_INPUT,
        metavar="NAME",
        help="auto, callbeam, pipes, jsonl, parquet, the name of a switch's format, or a mapping file (auto)",
    )
    add("--pubsub_id_label", metavar="NAME", help="on Dataflow: attribute with the message's id (its own)")
    add("--timezone", default=None, metavar="ZONE", help="zone of stamps that carry none (UTC)")
    add("--default_region", default=None, metavar="XX", help="ISO region of numbers without + (none)")
    add("--directory", default=None, metavar="FILE", help="CSV or Parquet number,business_type")
    add(
        "--business_types",
        default=None,
        metavar="FILE",
        help="CSV business_type,tag, in order (16 types, 7 tags)",
    )
    add(
        "--max_ahead",
        default=None,
        metavar="TIME",
        help="a stamp further ahead of the clock is a reject (1d; none)",
    )
    add(
        "--max_bad_ratio",
        default="0.05",
        metavar="SHARE",
        help="rejects above this share fail a batch run (0.05)",
    )


def _analysis_flags(group: Any) -> None:
    add = group.add_argument
    add(
        "--templates",
        default="all",
        metavar="LIST",
        help="all, or a comma list of duration_by_hour, business_types, regions, subscribers, type_graph; "
        "clusters is extra (all)",
    )
    add(
        "--window",
        default=None,
        metavar="WINDOW",
        help="all, fixed:1d or sliding:60s/5s; units s m h d (all)",
    )


def _rule_flags(group: Any) -> None:
    add = group.add_argument
    add(
        "--rules",
        default="store",
        metavar="FILE",
        help="rules file, or store: the enabled rules of the store (store)",
    )
    add(
        "--pane",
        default=None,
        metavar="TIME",
        help="rules are decided at its multiples (1h; 5s in streaming)",
    )
    add("--rule_delay", default="0s", metavar="TIME", help="a pane end is decided this long after it (0s)")
    add(
        "--rule_history", default="30d", metavar="TIME", help="how long interactions are kept for rules (30d)"
    )
    add(
        "--contact_cap",
        default="none",
        metavar="N/TIME",
        help="promotions per subscriber, such as 2/7d (none)",
    )
    add("--quiet_hours", default="21-9", metavar="H-H", help="no contact in these hours, local time (21-9)")
    add("--consent", default=None, metavar="FILE", help="CSV subscriber,opted_in[,at] to load first")
    add("--consent_default", default="out", choices=("in", "out"), help="of subscribers without one (out)")
    add("--deliver", action="store_true", help="batch: queue promotions for delivery")


def _output_flags(group: Any) -> None:
    add = group.add_argument
    add(
        "--output",
        default="sqlite:///callbeam.db",
        metavar="URL",
        help="result store (sqlite:///callbeam.db)",
    )
    add(
        "--keep_records",
        default=None,
        metavar="TIME",
        help="keep good records beside the store (30d live; off)",
    )
    add("--keep_runs", default="10", metavar="N", help="runs kept in the store (10)")
    add("--keep_windows", default="1000", metavar="N", help="windows kept per table in streaming (1000)")


def _live_flags(group: Any) -> None:
    add = group.add_argument
    add(
        "--allowed_lateness",
        default=None,
        metavar="TIME",
        help="how late a record may be (1h; 1d: dir, pubsub)",
    )
    add("--early_every", default="2s", metavar="TIME", help="how often an open window is shown (2s)")
    start = group.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on where the store says (the default)")
    start.add_argument("--fresh", action="store_true", help="start anew")
    add("--snapshot_every", default="30s", metavar="TIME", help="how often the state is saved (30s)")
    add("--stop_after", default=None, metavar="TIME|N", help="drain after a time or a number of records")


def parser() -> argparse.ArgumentParser:
    """The parser behind ``--help``: callbeam's flags only."""
    made = argparse.ArgumentParser(
        prog="python -m pipelines.run",
        description="Turns call detail records into analyses and promotions: batch from files, or live.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_arguments(made)
    return made


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """callbeam's flags, and the arguments left over for Beam.

    Raises:
        OptionError: for words that are no flag of callbeam nor of any Beam option known to Python, unless a
            runner outside this process may know them.
        SystemExit: for ``--help`` and argparse's own refusals (status 2).
    """
    known, rest = parser().parse_known_args(list(argv))
    unknown = _unknown_to_beam(rest)
    if unknown and not _takes_any_flag(rest):
        raise OptionError(f"unknown flag {unknown[0]!r}", _suggestion(unknown[0]), "see --help")
    return known, rest


def _beam_parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        if options is not CallbeamOptions:
            options._add_argparse_args(made)
    return made


def _unknown_to_beam(rest: list[str]) -> list[str]:
    return list(_beam_parser().parse_known_args(rest)[1])


def _takes_any_flag(rest: list[str]) -> bool:
    """Flink and other portable runners have flags of their own, which Python passes on unseen."""
    return any(name in word for word in rest for name in ("FlinkRunner", "PortableRunner", "DataflowRunner"))


def _suggestion(word: str) -> str:
    flags = [s for a in [*parser()._actions, *_beam_parser()._actions] for s in a.option_strings]
    close = difflib.get_close_matches(word.split("=")[0], flags, n=1)
    return f"a flag such as {close[0]}" if close else "a flag of callbeam or of Apache Beam"


def flag_names() -> list[str]:
    """Every flag of callbeam, with its dashes."""
    return [s for a in parser()._actions for s in a.option_strings if s.startswith("--") and s != "--help"]
