"""JSON lines: one object a line, its keys the fields of a record."""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import make_mapping
from transforms.schema import RECORD_FIELDS

MAPPING: Final = make_mapping(
    "jsonl", {"lines": "json", "strip": False, "fields": {field: field for field in RECORD_FIELDS}}
)


def _sniff(head: Head) -> bool:
    first = head.lines[0].lstrip() if head.lines else ""
    return first.startswith("{") and '"calling_number"' in first


FORMAT: Final = Format("jsonl", "JSON lines with the record's fields", _sniff, MAPPING)
