"""Speed of the batch pipeline beside DuckDB and PySpark: whole processes on the same cores, equal results.

    python tests/bench_batch.py --sizes 1e6,1e7 --rounds 2 --write docs/BENCHMARKS.md

The inputs are made once and kept in $CALLBEAM_CACHE/bench: records without account_id, a tenth as many
subscribers, a directory. DuckDB and PySpark get two aids that are made beforehand and not timed: the list of
types, and the region of each prefix of the numbers in the file (by the phone number library).
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from string import Template
from typing import Final

import duckdb
import polars as pl
from bench_inputs import ROOT, WIDTH, Input, cache, make_input
from bench_process import Cost, timed

TABLES: Final = {
    "duration_by_hour": ("hour",),
    "business_types": ("business_type",),
    "regions": ("region",),
    "type_graph": ("caller_type", "called_type"),
    "subscribers": ("subscriber",),
}
MEASURES: Final = """count(*) FILTER (NOT message) AS calls, count(*) FILTER (answered) AS answered,
    count(*) FILTER (message) AS messages, coalesce(sum(duration) FILTER (answered), 0) AS duration_s"""
THREADS: Final = "2"


def on_two_cores(command: Sequence[str]) -> Cost:
    """Times a process on the first two cores, where the system can pin it."""
    pinned = ["taskset", "-c", "0,1", *command] if shutil.which("taskset") else command
    paths = os.pathsep.join([str(ROOT), str(ROOT / "io")])
    return timed(pinned, ROOT, {**os.environ, "PYTHONPATH": paths, "CALLBEAM_THREADS": THREADS})


def run_callbeam(found: Input, out: Path) -> Cost:
    """``python -m pipelines.run``."""
    words = [
        f"--input={found.records}",
        f"--directory={found.directory}",
        f"--output=sqlite:///{out}/results.db",
    ]
    return on_two_cores([sys.executable, "-m", "pipelines.run", *words])


def run_duckdb(found: Input, out: Path) -> Cost:
    """The script beside this file, in a process of its own."""
    script = out / "script.sql"
    script.write_text(duckdb_script(found))
    program = f"import duckdb; duckdb.connect({str(out / 'results.duckdb')!r}).execute(open({str(script)!r}).read())"
    return on_two_cores([sys.executable, "-c", program])


def duckdb_script(found: Input) -> str:
    """`bench_batch.sql` with its names filled in."""
    with found.kinds.open() as file:
        kinds = list(csv.DictReader(file))
    tags = list(dict.fromkeys(k["tag"] for k in kinds))

    def counts(expression: str, size: int, also: str = "") -> str:
        return "[" + ", ".join(f"count(*) FILTER ({expression} = {k}{also})" for k in range(size)) + "]"

    sums = [" + ".join(f"types[{i + 1}]" for i, k in enumerate(kinds) if k["tag"] == tag) for tag in tags]
    population = "getvariable('population')"
    scores = [f"span(hours, {h}) * list_sum({population}) + 100 * span({population}, {h})" for h in range(24)]
    return Template((ROOT / "tests" / "bench_batch.sql").read_text()).substitute(
        threads=THREADS,
        records=found.records,
        directory=found.directory,
        prefixes=found.prefixes,
        kinds=found.kinds,
        width=WIDTH,
        private=len(kinds) - 1,
        measures=MEASURES,
        types=counts("type", len(kinds)),
        weekdays=counts("weekday", 7),
        hours=counts("hour", 24),
        older=counts("hour", 24, " AND early"),
        tags=f"[{', '.join(sums)}]",
        scores=f"[{', '.join(scores)}]",
        names=[k["business_type"] for k in kinds],
        tag_names=tags,
    )


def run_spark(found: Input, out: Path) -> Cost:
    """The PySpark script beside this file."""
    files = [str(p) for p in (found.records, found.directory, found.prefixes, found.kinds, out / "spark")]
    return on_two_cores(
        [sys.executable, str(ROOT / "tests" / "bench_batch_spark.py"), *files, str(WIDTH), THREADS]
    )


def rows_of(engine: str, out: Path, table: str) -> pl.DataFrame:
    """A result table, times as text."""
    if engine == "PySpark":
        return pl.read_parquet(f"{out}/spark/{table}/*.parquet")
    if engine == "DuckDB":
        with duckdb.connect(str(out / "results.duckdb"), read_only=True) as connection:
            return connection.sql(f"SELECT * FROM {table}").pl()
    from callbeam_io.store import open_store

    store = open_store(f"sqlite:///{out}/results.db")
    try:
        return pl.DataFrame(pl.from_arrow(store.table(table, store.newest_run())))
    finally:
        store.close()


def check_equal(name: str, out: Path) -> None:
    """Raises SystemExit where an engine's tables are not those of the pipeline."""
    for table, keys in TABLES.items():
        other = rows_of(name, out, table)
        texts = [pl.col(pl.Datetime).dt.strftime("%Y-%m-%d %H:%M:%S")]
        other = other.with_columns(*texts).sort(keys)
        own = rows_of("callbeam", out, table).select(other.columns).sort(keys)
        same = own.equals(other.cast(dict(own.schema)), null_equal=True)  # type: ignore[arg-type]
        if not same and table == "subscribers":  # sums of doubles may differ in the last digit
            same = close(own, other.cast(dict(own.schema)))  # type: ignore[arg-type]
        if not same:
            raise SystemExit(f"{name} has another table {table}")


def close(own: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Equal but for the last digits of doubles."""
    doubles = [n for n, t in own.schema.items() if t == pl.Float64]
    if own.height != other.height or not own.drop(doubles).equals(other.drop(doubles), null_equal=True):
        return False
    return all(((own[n] - other[n]).abs().fill_null(0) < 1e-9).all() for n in doubles)


ENGINES: Final[dict[str, Callable[[Input, Path], Cost]]] = {
    "callbeam": run_callbeam,
    "DuckDB": run_duckdb,
    "PySpark": run_spark,
}


def measure(found: Input, engines: Sequence[str], rounds: int) -> dict[str, Cost]:
    """The best of some rounds, the engines in turn in each; all must give the same tables."""
    best: dict[str, Cost] = {}
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            for name in engines:
                cost = ENGINES[name](found, Path(folder))
                best[name] = min(best.get(name, cost), cost, key=lambda c: c.wall)
                print(
                    f"{found.size:,} records, round {number + 1}: {name} {cost.wall:.1f} s", file=sys.stderr
                )
                if number == 0 and name != "callbeam":
                    check_equal(name, Path(folder))
    return best


def table_of(results: dict[int, dict[str, Cost]]) -> str:
    """A Markdown table."""
    lines = [
        "| records | engine | wall | CPU | peak memory | records/s | wall, callbeam = 1 |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for size, costs in results.items():
        for name, cost in costs.items():
            ratio = cost.wall / costs["callbeam"].wall
            lines.append(
                f"| {size:,} | {name} | {cost.wall:.1f} s | {cost.cpu:.1f} s | {cost.peak / 2**30:.2f} GiB "
                f"| {size / cost.wall:,.0f} | {ratio:.2f} |"
            )
    return "\n".join(lines)


def usable_engines(wanted: Sequence[str]) -> list[str]:
    """The engines that this machine has; says why one is left out."""
    found = [name for name in ENGINES if name.lower() in wanted]
    if "PySpark" in found and (reason := spark_missing()):
        print(f"PySpark is left out: {reason}", file=sys.stderr)
        found.remove("PySpark")
    return found


def spark_missing() -> str:
    """Why PySpark cannot run; empty where it can."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "no Java on this machine (install a JRE, 17 or newer)"
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "the package pyspark is not installed (pip install pyspark)"
    return ""


def page(table: str, argv: Sequence[str]) -> str:
    """docs/BENCHMARKS.md."""
    command = f"python tests/bench_batch.py {' '.join(argv)}"
    machine = (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("apache-beam", "polars", "duckdb", "pyspark"))
    text = (ROOT / "tests" / "bench_batch.md").read_text()
    day = datetime.now(tz=UTC).date()
    return Template(text).substitute(
        table=table, command=command, machine=machine, versions=versions, day=day
    )


def other_chapters(path: Path) -> str:
    """What stands in a page below its first chapter, with a blank line before it."""
    _, mark, rest = (path.read_text() if path.exists() else "").partition("\n## ")
    return f"{mark}{rest}"


def version(package: str) -> str:
    """Of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def processor() -> str:
    """The model's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (x.partition(":")[2].strip() for x in lines if x.startswith("model name")), platform.processor()
    )


def other_sections(path: Path) -> str:
    """What the page has besides, from its first section on."""
    text = path.read_text() if path.exists() else ""
    return text[text.index("\n## ") :] if "\n## " in text else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 0."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description="Speed of the batch pipeline beside DuckDB and PySpark.")
    parser.add_argument("--sizes", default="1e7", help="records, a comma list (1e7)")
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many counts (2)")
    parser.add_argument("--engines", default="callbeam,duckdb,pyspark", help="a comma list; callbeam first")
    parser.add_argument(
        "--write", type=Path, help="file whose first chapter this becomes (docs/BENCHMARKS.md)"
    )
    args = parser.parse_args(argv)
    engines = usable_engines(args.engines.split(","))
    sizes = [int(float(size)) for size in args.sizes.split(",")]
    table = table_of({size: measure(make_input(size), engines, args.rounds) for size in sizes})
    print(table)
    if args.write:
        args.write.write_text(page(table, argv) + other_sections(args.write))
    return 0


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "io")]
    sys.exit(main())
