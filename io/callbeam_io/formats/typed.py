"""Parquet and Arrow: columns that have a type already. Names are the record's fields, in any case."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from callbeam_io.formats.callbeam import OPTIONAL
from transforms.errors import InputError
from transforms.schema import RECORD_FIELDS

_NUMBERS: Final = ("duration", "charge")


def chosen(schema: pa.Schema, path: str) -> dict[str, str]:
    """The record's fields with the names of their columns.

    Raises:
        InputError: one that is needed is missing, or a column has a type that no field can have.
    """
    names = {name.strip().lower(): name for name in schema.names}
    missing = [f for f in RECORD_FIELDS if f not in names and f not in OPTIONAL]
    if missing:
        raise InputError(
            f"{path}: column {', '.join(missing)} missing",
            f"columns {', '.join(RECORD_FIELDS[:-1])} and no matter which more",
            "rename the columns, or write CSV and describe it with a mapping (docs/FORMATS.md)",
        )
    found = {field: names[field] for field in RECORD_FIELDS if field in names}
    for field, name in found.items():
        kind = schema.field(name).type
        if not _fits(field, kind):
            raise InputError(f"{path}: column {name} is of type {kind}", _expected(field))
    return found


def renamed(batch: pa.RecordBatch, columns: dict[str, str]) -> pa.RecordBatch:
    """The chosen columns as a parsed batch: texts as texts, times and numbers as they are."""
    arrays = [_plain(field, batch.column(name)) for field, name in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _plain(field: str, array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.cast(kind.value_type), kind.value_type
    if pa.types.is_duration(kind):
        return pc.divide(array.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    if pa.types.is_date(kind):
        return array.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", kind.tz), safe=False)
    if field in _NUMBERS or _is_text(kind) or field == "start_time":
        return array
    return array.cast(pa.large_string())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _fits(field: str, kind: pa.DataType) -> bool:
    """Whether a field can be of a type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_text(kind) or pa.types.is_null(kind):
        return True
    if field == "start_time":
        return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    if field in _NUMBERS:
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        return bool(number or (field == "duration" and pa.types.is_duration(kind)))
    return bool(pa.types.is_integer(kind))


def _expected(field: str) -> str:
    if field == "start_time":
        return "a timestamp, or text in ISO 8601"
    return "a number or text" if field in _NUMBERS else "text or a whole number"
