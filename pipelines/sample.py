"""``python -m pipelines.sample``: made-up records, their directory, consents and rules (off), all in one store.

For a first look round: the web app starts it from a button. Everything is made and read here; nothing is fetched.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # the work of a step is spread over threads already

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from callbeam_io.store import Store, locks, open_store
from callbeam_io.store.rules import list_rules
from callbeam_io.workload import Workload, WorkloadSettings, beside, write_workload
from pipelines import rules, run
from pipelines.recipes import RECIPES
from transforms.errors import CallbeamError, OptionError, RequestError
from transforms.rules.parse import parse_rule
from transforms.schema import BUSINESS_TYPES

DONE, FAILED, WRONG = 0, 1, 2
PEOPLE: Final = 2000
DAYS: Final = 30
DIRT: Final = 0.003
"""Share of records that are broken, so that the pages about rejects have something to show."""
_MORE_TYPES: Final = (("Credit card", "Business"), ("Insurance", "Business"))
"""Business types that the shipped rules speak of, besides the usual ones."""


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser(prog="python -m pipelines.sample", description=__doc__, allow_abbrev=False)
    made.add_argument(
        "--store", default="sqlite:///callbeam.db", metavar="URL", help="result store (%(default)s)"
    )
    made.add_argument("--people", type=int, default=PEOPLE, metavar="N", help="people who call (%(default)s)")
    made.add_argument("--days", type=int, default=DAYS, metavar="N", help="days until today (%(default)s)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Makes and loads the sample; the exit status is 0 done, 1 failed, 2 wrong request."""
    flags = parser().parse_args(argv)
    try:
        records = prepare(flags.store, flags.people, flags.days)
    except RequestError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return WRONG
    except (CallbeamError, OSError) as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return FAILED
    return run.main(run_flags(flags.store, records))


def prepare(url: str, people: int, days: int) -> Path:
    """Writes the files of the sample beside the store and the rules into it; gives the file of the records.

    Raises:
        RequestError: no store can be there, a streaming run is working on it, or numbers that cannot be.
        OSError: the files cannot be written.
    """
    if days < 1:
        raise OptionError(f"--days {days}", "at least 1")
    with closing(open_store(url)) as store:
        _refuse_live(store)
        folder = folder_of(url)
        folder.mkdir(parents=True, exist_ok=True)
        types = folder / "business_types.csv"
        types.write_text(
            "business_type,tag\n" + "".join(f"{n},{t}\n" for n, t in all_types()), encoding="utf-8"
        )
        start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        settings = WorkloadSettings(
            people=people, days=float(days), start=start - timedelta(days=days), business_types=all_types(),
            reject_rate=DIRT,
        )  # fmt: skip
        written = write_workload(Workload(settings), folder / "records.csv")
        print(f"{written.records:,} records of {people:,} people over {days} days", flush=True)
        _add_rules(store, url, types)
    return written.output


def _refuse_live(store: Store) -> None:
    for row in store.runs():
        live = row["mode"] == "streaming" and row["state"] == "running"
        if live and not locks.is_free(store.engine, row["run_id"]):
            raise OptionError(
                f"a live run ({row['run_id']}) is working on {store.name}",
                "a store without one: made-up people would stand among the real ones",
                "load the sample into another store",
            )


def folder_of(url: str) -> Path:
    """Where the sample's files are: ``<file>.sample`` beside SQLite, else ``callbeam.sample`` here."""
    if url.startswith("sqlite:///") and url != "sqlite:///":
        return Path(url.removeprefix("sqlite:///").split("?")[0] + ".sample").absolute()
    return Path("callbeam.sample").absolute()


def all_types() -> tuple[tuple[str, str], ...]:
    """The business types with their tags."""
    return (*BUSINESS_TYPES[:2], *_MORE_TYPES, *BUSINESS_TYPES[2:])


def _add_rules(store: Store, url: str, types: Path) -> None:
    """Adds the shipped rules, switched off; one that is there already stays as it is."""
    there = {row["rule_id"] for row in list_rules(store)}
    shipped: list[dict[str, Any]] = [{**r.definition, "enabled": False} for r in RECIPES if r.shipped]
    new = [rule for rule in shipped if parse_rule(rule).rule_id not in there]
    if new:
        path = types.with_name("rules.json")
        path.write_text(json.dumps(new, ensure_ascii=False, indent=1), encoding="utf-8")
        rules.main(["add", str(path), "--store", url, "--pane", "1h", "--business_types", str(types)])


def run_flags(url: str, records: Path) -> list[str]:
    """The flags of ``pipelines.run`` that read the sample."""
    return [
        f"--input={records}", f"--output={url}", f"--directory={beside(records, 'directory')}",
        f"--consent={beside(records, 'consent')}", f"--business_types={records.with_name('business_types.csv')}",
        "--keep_records=30d", "--default_region=US", "--timezone=UTC",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
