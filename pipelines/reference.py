"""Business types and the directory of numbers: read once per process, on whatever worker needs them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from transforms.columns.directory import BusinessTypes, Directory
from transforms.columns.numbers import party_codes
from transforms.columns.templates import Reference
from transforms.errors import OptionError
from transforms.schema import BUSINESS_TYPES, PRIVATE

MAX_TYPES = 250


@dataclass(frozen=True)
class ReferenceSpec:
    """Where the reference data is; calling it gives the data.

    Attributes:
        directory: CSV or Parquet ``number,business_type``; None: every number is Private.
        business_types: CSV ``business_type,tag``; None: the default list.
        default_region: region of numbers without ``+`` in the directory.
    """

    directory: str | None = None
    business_types: str | None = None
    default_region: str | None = None

    def __call__(self) -> Reference:
        """The data, read at the first call in a process.

        Raises:
            OptionError: for a file that cannot be read, lacks a column or names an unknown type.
        """
        return _load(self)


@lru_cache(maxsize=8)
def _load(spec: ReferenceSpec) -> Reference:
    types = load_business_types(spec.business_types)
    return Reference(types, load_directory(spec.directory, types, spec.default_region))


def load_business_types(path: str | None) -> BusinessTypes:
    """The types and tags of a CSV ``business_type,tag``, in its order; the default ones for None."""
    if path is None:
        return BusinessTypes.of(BUSINESS_TYPES, PRIVATE)
    frame = _read(path, "--business_types", ("business_type", "tag"))
    pairs = tuple(
        (str(t).strip(), str(g).strip()) for t, g in frame.select("business_type", "tag").iter_rows()
    )
    names = [name for name, _ in pairs]
    problem = (
        f"twice {next(n for n in names if names.count(n) > 1)!r}" if len(set(names)) < len(names)
        else f"no type {PRIVATE!r}, which unlisted numbers have" if PRIVATE not in names
        else f"more than {MAX_TYPES} types" if len(names) > MAX_TYPES
        else "a type or tag without a name" if not all(name and tag for name, tag in pairs)
        else ""
    )  # fmt: skip
    if problem:
        raise OptionError(
            f"--business_types {path}: {problem}", "each type once, with its tag, Private among them"
        )
    return BusinessTypes.of(pairs, PRIVATE)


def load_directory(path: str | None, types: BusinessTypes, default_region: str | None) -> Directory:
    """The directory of a CSV or Parquet file ``number,business_type``."""
    private = types.private
    if path is None:
        return Directory(np.empty(0, np.int64), np.empty(0, np.uint8), private)
    frame = _read(path, "--directory", ("number", "business_type"))
    names = frame["business_type"].cast(pl.String).str.strip_chars()
    unknown = sorted(set(names.unique().to_list()) - set(types.names), key=str)
    if unknown:
        raise OptionError(
            f"--directory {path}: unknown business type {unknown[0]!r}",
            f"one of {', '.join(types.names)}",
            "correct it, or give your own list with --business_types",
        )
    codes = party_codes(frame["number"].cast(pl.String), default_region).code
    positions = names.replace_strict(list(types.names), list(range(len(types.names))), return_dtype=pl.UInt8)
    listed = codes != 0
    return Directory(codes[listed], positions.to_numpy()[listed], private)


def _read(path: str, flag: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """A CSV or Parquet file with these columns, all as text in CSV."""
    if not Path(path).is_file():
        raise OptionError(f"{flag} {path}: no such file", f"a CSV with the columns {', '.join(columns)}")
    try:
        if path.endswith(".parquet"):
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise OptionError(
            f"{flag} {path}: {error}", f"a CSV or Parquet file with {', '.join(columns)}"
        ) from error
    frame = frame.rename({n: n.strip().lstrip("\ufeff") for n in frame.columns})
    missing = [n for n in columns if n not in frame.columns]
    if missing:
        raise OptionError(
            f"{flag} {path}: no column {missing[0]!r}",
            f"the columns {', '.join(columns)}",
            f"it has {', '.join(frame.columns)}",
        )
    return frame
