"""``python -m pipelines.generate``: records to try the pipeline on, and a report against their truth."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NoReturn

import polars as pl
from tqdm import tqdm

from callbeam_io.store import open_store
from callbeam_io.workload import (
    FORMATS,
    ORDERS,
    Workload,
    WorkloadSettings,
    Written,
    beside,
    compare,
    read_truth,
    settings_from,
    write_workload,
)
from pipelines import generate_live
from transforms.errors import CallbeamError, OptionError, RequestError

DONE, FAILED, WRONG = 0, 1, 2
REPORT_LEAST: Final = 20
REPORT_SHARE: Final = 0.4

_EPILOG: Final = """
examples
  a week of 1,000 people
      python -m pipelines.generate --output data/cdrs.csv
  ten million records of a million people, a day in the order of time
      python -m pipelines.generate --people 1000000 --records 10000000 --days 1 --output big.csv.gz
  half of everything goes to one type, in the mornings
      python -m pipelines.generate --favoured_type Banking --favoured_rate 0.5 --time_of_day morning
  as the student project wrote it, with two bad records in a hundred
      python -m pipelines.generate --output cdrs.psv --reject_rate 0.02
  live, a day of event time a minute, into a landing folder that the pipeline reads
      python -m pipelines.generate --output dir://$PWD/calls --speed 1440 --rate 5000
  what did the run find of the habits that were planted?
      python -m pipelines.generate --report sqlite:///callbeam.db --truth data/cdrs.truth.csv

docs/GENERATOR.md explains every flag.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the other commands do."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(message, todo="--help lists the flags")


def parser() -> argparse.ArgumentParser:
    """The command's flags: those of the output, and one per setting of a workload, in groups."""
    made = _Parser(
        prog="python -m pipelines.generate",
        description="Writes call detail records, a directory, a consent list and the planted truth.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_output(made.add_argument_group("output"))
    generate_live.add_flags(made.add_argument_group("live output"))
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(WorkloadSettings):
        about = field.metadata
        group = groups.get(about["group"]) or made.add_argument_group(about["group"])
        groups[about["group"]] = group
        shown = about.get("shown") or _shown(field.default)
        group.add_argument(
            f"--{field.name}",
            choices=about.get("choices"),
            metavar=about["metavar"],
            help=f"{about['help']} ({shown})",
        )
    _add_report(made.add_argument_group("report"))
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Writes a workload, or reports on a run; the exit status is 0 done, 1 failed, 2 wrong request."""
    try:
        flags = vars(parser().parse_args(sys.argv[1:] if argv is None else argv))
        if flags["report"]:
            return _report(flags)
        names = [field.name for field in dataclasses.fields(WorkloadSettings)]
        given = {name: flags[name] for name in names if flags[name] is not None}
        if generate_live.live_output(flags):
            print(generate_live.run_live(flags, given))
            return DONE
        return _generate(Workload(settings_from(given)), flags)
    except RequestError as error:
        return _say(error, WRONG)
    except (CallbeamError, OSError) as error:
        return _say(error, FAILED)


def summary(workload: Workload, written: Written, seconds: float, flags: dict[str, Any]) -> str:
    """What was written, and how to run the pipeline on it."""
    s = workload.settings
    rate = written.records / max(seconds, 1e-9)
    lines = [
        f"{written.records:,} records = {written.good:,} good + {written.duplicates:,} duplicate"
        f" ({written.conflicting:,} conflicting) + {written.rejects:,} bad",
        f"{s.people:,} people, {s.business_count:,} businesses; {s.hours:,} h from {s.start:%Y-%m-%d %H:%M}"
        f" {s.zone}; {seconds:.1f} s, {rate:,.0f} records/s",
    ]
    names = [written.output, *(beside(written.output, what) for what in ("directory", "consent", "truth"))]
    lines += [f"  {name!s:<40} {name.stat().st_size / 1e3:>12,.0f} kB" for name in names]
    return "\n".join([*lines, "Run the pipeline on it:", f"  {_command(workload, written, flags)}"])


def report_text(truth: pl.DataFrame, found: pl.DataFrame, least: int, share: float) -> str:
    """Recall and precision as a table: of everybody, then of people with at least `least` interactions."""
    lines = [f"A habit is claimed where one value holds {share:.0%} of a subscriber's interactions."]
    for bound in dict.fromkeys((0, least)):
        rows = compare(truth, found, bound, share)
        who = f"with {bound:,} interactions or more" if bound else "all"
        lines.append(f"People {who}: {rows['people'][0]:,}")
        lines.append(
            f"  {'property':<14}{'planted':>10}{'claimed':>10}{'right':>10}{'recall':>9}{'precision':>11}"
        )
        for row in rows.iter_rows(named=True):
            counts = "".join(f"{row[name]:>10,}" for name in ("planted", "claimed", "right"))
            lines.append(
                f"  {row['property']:<14}{counts}{_part(row['recall']):>9}{_part(row['precision']):>11}"
            )
    return "\n".join(lines)


def newest_subscribers(url: str) -> pl.DataFrame:
    """The table subscribers of a store's newest run that is done, or running if streaming.

    Raises:
        OptionError: no store there, or no run that is done.
    """
    with closing(open_store(url, create=False)) as store:
        found = pl.DataFrame(store.table("subscribers"))
    if found.is_empty():
        raise OptionError(
            f"--report {store.name}", "a store with a run that is done", "Run the pipeline first"
        )
    return found


def _add_output(group: Any) -> None:
    group.add_argument(
        "--output",
        default="data/cdrs.csv",
        help="file of the records, .gz for a zipped one; or live: dir:///path, kafka://host:9092/topic, "
        "pubsub://projects/P/topics/T (data/cdrs.csv)",
    )
    group.add_argument(
        "--format", choices=FORMATS, help="its format (by the extension: .csv .psv .jsonl .parquet)"
    )
    group.add_argument("--order", choices=ORDERS, default="time", help="order of the records (time)")


def _add_report(group: Any) -> None:
    group.add_argument(
        "--report", metavar="STORE_URL", help="writes nothing; compares the store's newest done run"
    )
    group.add_argument("--truth", metavar="CSV", help="the planted truth (the one beside --output)")
    group.add_argument(
        "--report_least", default=str(REPORT_LEAST), help=f"interactions of a regular ({REPORT_LEAST})"
    )
    group.add_argument(
        "--report_share", default=str(REPORT_SHARE), help=f"share that makes a habit ({REPORT_SHARE})"
    )


def _generate(workload: Workload, flags: dict[str, Any]) -> int:
    started = time.monotonic()
    expected = round(workload.total * workload.settings.lines_per_record)
    with tqdm(total=expected, unit=" records", unit_scale=True, disable=None, leave=False) as bar:
        written = write_workload(workload, Path(flags["output"]), flags["format"], flags["order"], bar.update)
    print(summary(workload, written, time.monotonic() - started, flags))
    return DONE


def _report(flags: dict[str, Any]) -> int:
    least, share = _number(flags, "report_least"), _number(flags, "report_share")
    if not 0 < share <= 1:
        raise OptionError(f"--report_share {share:g}", "a share more than 0, at most 1")
    truth = read_truth(Path(flags["truth"] or beside(Path(flags["output"]), "truth")))
    print(report_text(truth, newest_subscribers(flags["report"]), int(least), share))
    return DONE


def _number(flags: dict[str, Any], name: str) -> float:
    try:
        return float(flags[name])
    except ValueError:
        raise OptionError(f"--{name} {flags[name]}", "a number") from None


def _command(workload: Workload, written: Written, flags: dict[str, Any]) -> str:
    output = written.output
    parts = ["--input", str(output), "--directory", str(beside(output, "directory"))]
    if flags["format"] and written.format in ("callbeam", "pipes"):
        parts += ["--input_format", written.format]
    if flags["business_types"]:
        parts += ["--business_types", flags["business_types"]]
    if written.format == "pipes" and not workload.utc:
        parts += ["--timezone", workload.settings.zone]
    return f"python -m pipelines.run {shlex.join(parts)}"


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _shown(default: object) -> str:
    return f"{default[0]}-{default[1]}" if isinstance(default, tuple) else f"{default}"


def _say(error: Exception, status: int) -> int:
    print(f"callbeam: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
