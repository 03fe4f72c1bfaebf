"""The canonical CSV: a header that names the fields of a record, in any order."""

from __future__ import annotations

import re
from typing import Any, Final

from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import Mapping, make_mapping
from transforms.errors import InputError
from transforms.schema import CALL_TYPES, RECORD_FIELDS

NAME: Final = "callbeam"
OPTIONAL: Final = ("id", "account_id")
_PARTS: Final = {"calling_number", "called_number"}
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


def named(header: tuple[str, ...]) -> Mapping:
    """The mapping of a header; columns that are no field of a record are passed over.

    The last column may be left out on a line where it is the optional ``account_id``.
    """
    width = len(header)
    least = width - 1 if header[-1:] == ("account_id",) else width
    fields = {field: field for field in RECORD_FIELDS if field in header}
    return make_mapping(NAME, {"strip": False, "widths": [max(least, 1), width], "fields": fields})


def unnamed() -> Mapping:
    """The mapping of lines without a header: the canonical order, ``account_id`` or not."""
    fields: dict[str, Any] = {field: place for place, field in enumerate(RECORD_FIELDS, 1)}
    most = len(RECORD_FIELDS)
    return make_mapping(NAME, {"strip": False, "header": False, "widths": [most - 1, most], "fields": fields})


def is_header(names: tuple[str, ...]) -> bool:
    """Whether a line is a header and no record."""
    return len(set(names) & set(RECORD_FIELDS)) > 1


def _is_record(row: list[str]) -> bool:
    return len(row) in (8, 9) and bool(_STAMP.match(row[3])) and row[5].upper() in CALL_TYPES


def _sniff(head: Head) -> bool:
    return set(head.header()) >= _PARTS or any(map(_is_record, head.rows(",")))


def _mapping(head: Head) -> Mapping:
    header = head.header()
    if not is_header(header) and any(map(_is_record, head.rows(","))):
        return unnamed()
    missing = [f for f in RECORD_FIELDS if f not in header and f not in OPTIONAL]
    if missing:
        raise InputError(
            f"{head.path}: column {', '.join(missing)} missing for format {NAME}",
            f"a first line that names {','.join(RECORD_FIELDS[:-1])} in any order",
            "correct the header, name another --input_format or describe the file with a mapping "
            "(docs/FORMATS.md)",
        )
    return named(header)


FORMAT: Final = Format(NAME, "the canonical CSV", _sniff, _mapping)
