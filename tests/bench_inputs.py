"""Inputs of the batch benchmark: made once, kept in $CALLBEAM_CACHE/bench."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import phonenumbers

ROOT: Final = Path(__file__).parents[1]
WIDTH: Final = 7  # characters of a number, + among them, that settle its region


@dataclass(frozen=True)
class Input:
    """The files of one size."""

    size: int
    records: Path
    directory: Path
    prefixes: Path
    kinds: Path


def cache() -> Path:
    """Where inputs are kept."""
    place = Path(os.environ.get("CALLBEAM_CACHE") or Path.home() / ".cache" / "callbeam") / "bench"
    place.mkdir(parents=True, exist_ok=True)
    return place


def make_input(size: int) -> Input:
    """The files of one size, made where they are missing."""
    folder = cache() / str(size)
    folder.mkdir(exist_ok=True)
    found = Input(size, *(folder / f"{n}.csv" for n in ("records", "records.directory", "prefixes", "kinds")))
    if not found.records.exists():
        whole = folder / "whole.csv"
        people = f"--people={max(size // 10, 2)}"
        subprocess.run(
            [sys.executable, "-m", "pipelines.generate", f"--output={whole}", people, f"--records={size}"],
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'io'}"},
            stdout=subprocess.DEVNULL,
        )
        found.directory.write_bytes((folder / "whole.directory.csv").read_bytes())
        rows = f"SELECT * EXCLUDE (account_id) FROM read_csv('{whole}', all_varchar = true)"
        duckdb.sql(f"COPY ({rows}) TO '{found.records}'")
        whole.unlink()
    if not found.prefixes.exists():
        write_prefixes(found)
        write_kinds(found.kinds)
    return found


def write_prefixes(found: Input) -> None:
    """The region of each prefix, as the library says it of the least number that has it."""
    each = " UNION ALL ".join(
        f"SELECT {n} AS number FROM read_csv('{found.records}', all_varchar = true)"
        for n in ("calling_number", "called_number")
    )
    query = f"SELECT left(number, {WIDTH}), min(number) FROM ({each}) GROUP BY ALL"
    rows = duckdb.connect().execute(query).fetchall()
    with found.prefixes.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["prefix", "region"])
        out.writerows((prefix, region_of(number)) for prefix, number in rows)


def region_of(number: str) -> str:
    """What the library says, ZZ where it says nothing."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or "ZZ"
    except phonenumbers.NumberParseException:
        return "ZZ"


def write_kinds(path: Path) -> None:
    """The business types with their tags, numbered."""
    from transforms.schema import BUSINESS_TYPES

    tags = list(dict.fromkeys(tag for _, tag in BUSINESS_TYPES))
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["position", "business_type", "tag_position", "tag"])
        out.writerows((i, name, tags.index(tag), tag) for i, (name, tag) in enumerate(BUSINESS_TYPES))
