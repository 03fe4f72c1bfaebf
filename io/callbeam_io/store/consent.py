"""Consent as people hand it in: a CSV file ``subscriber,opted_in[,at]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from transforms.errors import BadRecord, InputError
from transforms.schema import ALL_START, TIME_FORMAT

_YES: Final = ("true", "t", "yes", "y", "1", "in")
_NO: Final = ("false", "f", "no", "n", "0", "out")
_COLUMNS: Final = ("subscriber", "opted_in")
_TIMES: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d")
_ZONED: Final = "%Y-%m-%dT%H:%M:%S%z"


@dataclass(frozen=True)
class ConsentFile:
    """What a consent file says.

    Attributes:
        rows: of the table ``consent``, in the order of the file; of several for one subscriber and time the
            last one counts.
        rejected: lines that could not be used; ``raw`` holds the line's columns, with commas between them.
    """

    rows: pa.Table
    rejected: list[BadRecord]


def read_consent(path: Path, normalise: Callable[[pl.Series], pl.Series] | None = None) -> ConsentFile:
    """Reads a consent file.

    Args:
        path: CSV with a header: ``subscriber`` (a number in E.164 or what ``normalise`` makes one),
            ``opted_in`` (true/false, yes/no, 1/0, in/out), and, if wanted, ``at`` (ISO 8601, UTC where it has
            no offset; empty or no such column: since always).
        normalise: subscribers as they stand there -> as the store names them, null where that cannot be.

    Raises InputError: the file is missing, unreadable or has no such header.
    """
    lines = _read(path)
    subscriber = lines["subscriber"].str.strip_chars().replace("", None)
    known = lines.with_columns(
        subscriber=subscriber if normalise is None else normalise(subscriber),
        opted=_answer(pl.col("opted_in")),
        time=_time(pl.col("at")),
    )
    reason = (
        pl.when(pl.col("subscriber").is_null())
        .then(pl.lit("subscriber"))
        .when(pl.col("opted").is_null())
        .then(pl.lit("opted_in"))
        .when(pl.col("time").is_null())
        .then(pl.lit("at"))
    )
    judged = known.with_columns(field=reason, raw=pl.Series(_raw(lines)))
    good = judged.filter(pl.col("field").is_null())
    rows = good.select("subscriber", at="time", opted_in="opted", source=pl.lit(path.name))
    return ConsentFile(rows.to_arrow(), _rejected(judged.filter(pl.col("field").is_not_null()), path.name))


def _read(path: Path) -> pl.DataFrame:
    """The file's three columns as text with line numbers; fields that a short line lacks are null."""
    expected = "CSV with the header subscriber,opted_in or subscriber,opted_in,at"
    try:
        lines = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True, encoding="utf8-lossy")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"the consent file {path} cannot be read: {str(error).splitlines()[0]}", expected
        ) from error
    lines = lines.rename(lambda name: name.strip().lstrip("\ufeff").lower())
    if not set(_COLUMNS) <= set(lines.columns):
        raise InputError(f"the consent file {path} has the header {','.join(lines.columns)}", expected)
    if "at" not in lines.columns:
        lines = lines.with_columns(at=pl.lit(None, pl.String))
    return lines.select(*_COLUMNS, "at").with_row_index("line", offset=2)


def _answer(text: pl.Expr) -> pl.Expr:
    word = text.str.strip_chars().str.to_lowercase()
    return pl.when(word.is_in(_YES)).then(True).when(word.is_in(_NO)).then(False)


def _time(text: pl.Expr) -> pl.Expr:
    text = text.str.strip_chars()
    plain = [text.str.to_datetime(form, strict=False, time_unit="us") for form in _TIMES]
    zoned = text.str.to_datetime(_ZONED, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(
        None
    )
    known = pl.coalesce(*plain, zoned).dt.to_string(TIME_FORMAT)
    return pl.when(text.is_null() | (text == "")).then(pl.lit(ALL_START)).otherwise(known)


def _raw(lines: pl.DataFrame) -> pl.Series:
    parts = [pl.col(name).fill_null("") for name in (*_COLUMNS, "at")]
    return lines.select(pl.concat_str(parts, separator=",")).to_series()


def _rejected(lines: pl.DataFrame, source: str) -> list[BadRecord]:
    return [
        BadRecord(source, str(line), field, f"{field} cannot be read", raw)
        for line, field, raw in lines.select("line", "field", "raw").iter_rows()
    ]
