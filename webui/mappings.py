"""A mapping as a form: per field the column that it is read from; what is more than a column stays JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from callbeam_io.discover import find_files, read_head
from callbeam_io.formats.guess import columns_of, starter
from callbeam_io.formats.mapping import make_mapping
from callbeam_io.store.web_queries import RequestError

UNREAD: Final = ""
AS_WRITTEN: Final = "~"
"""The choice of a field whose source is more than a column."""
_LABELS: Final = {
    "calling_number": "Caller",
    "called_number": "Called",
    "start_time": "Begin",
    "duration": "Seconds",
    "call_type": "Call or message",
    "call_result": "Answered or not",
    "charge": "Charge",
    "id": "Id",
    "account_id": "Account",
}


class Choice(NamedTuple):
    """A field of the form: its name, label, the value that is chosen."""

    name: str
    label: str
    value: str


def text_of(spec: Mapping[str, Any] | None) -> str:
    """The JSON of a mapping to be edited."""
    return "" if spec is None else json.dumps(spec, indent=1, ensure_ascii=False)


def choices(spec: Mapping[str, Any]) -> list[Choice]:
    """The fields of the form with what the mapping says."""
    fields = spec.get("fields", {})
    return [Choice(name, label, _chosen(fields.get(name))) for name, label in _LABELS.items()]


def _chosen(source: Any) -> str:
    if source is None:
        return UNREAD
    return str(source) if isinstance(source, str | int) else AS_WRITTEN


def columns(path: str, spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The columns of a file of lines to choose from: value and label; none for JSON and Parquet."""
    if spec.get("lines", "csv") != "csv":
        return []
    head = read_head(find_files([path])[0][0])[1]
    found = columns_of(head, spec.get("separator", ","), spec.get("header", True))
    return [(str(key), f"{key}: {value}"[:60] if value else str(key)) for key, value in found]


def starter_of(path: str) -> dict[str, Any]:
    """A mapping to begin with, for a file of no known format."""
    return starter(read_head(find_files([path])[0][0])[1])


def from_form(text: str, form: Mapping[str, str], before: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping as it was edited: the JSON, and over it every select that was changed.

    Args:
        text: of the JSON.
        form: with ``field.<name>`` per select.
        before: the mapping that the form showed.

    Raises:
        RequestError: it is no JSON object, or no mapping.
    """
    try:
        spec = json.loads(text) if text.strip() else dict(before)
    except ValueError as error:
        raise RequestError(f"the mapping is not JSON ({error})", "a JSON object") from error
    if not isinstance(spec, dict) or not isinstance(spec.get("fields", {}), dict):
        raise RequestError("the mapping is no JSON object", '{"fields": {…}}')
    fields = dict(spec.get("fields", {}))
    named = spec.get("header", True)
    for choice in choices(before):
        wanted = form.get(f"field.{choice.name}", choice.value)
        if wanted == choice.value or wanted == AS_WRITTEN:
            continue
        if wanted == UNREAD:
            fields.pop(choice.name, None)
        else:
            fields[choice.name] = wanted if named else _position(wanted)
    spec = {**spec, "fields": fields}
    make_mapping("mapping", spec)
    return spec


def _position(text: str) -> int | str:
    return int(text) if text.isdigit() else text
