"""Formats by name, and which one a file is of.

One module a format; each is a mapping (`formats.mapping`) and a test of a file's beginning. ``parquet`` and
``arrow`` hold typed columns and are read by themselves (`formats.typed`).
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Final

from callbeam_io.formats import (
    asterisk,
    asterisk_custom,
    bandicoot,
    bandicoot_orange,
    callbeam,
    cdr_stats,
    cellyzer,
    cider,
    cucm,
    flowkit,
    freeswitch_csv,
    freeswitch_json,
    jsonl,
    pipes,
)
from callbeam_io.formats.base import Format, Head
from callbeam_io.formats.mapping import load_mapping
from transforms.errors import InputError

AUTO: Final = "auto"
PARQUET: Final = "parquet"
ARROW: Final = "arrow"

FORMATS: Final[dict[str, Format]] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        callbeam,
        pipes,
        jsonl,
        asterisk,
        asterisk_custom,
        freeswitch_csv,
        freeswitch_json,
        cucm,
        cdr_stats,
        bandicoot,
        bandicoot_orange,
        cider,
        flowkit,
        cellyzer,
    )
}
"""Every format of text, by name."""

NAMES: Final = (AUTO, *FORMATS, PARQUET, ARROW)
"""What ``--input_format`` takes, besides the path of a mapping file."""

_PAIRED: Final = {
    "kamailio": "the table acc has a line for a call's begin and one for its end, and no duration",
    "opensips": "db_flatstore has a line for a call's begin (INVITE) and one for its end (BYE)",
}
_LEARN: Final = "write a mapping file and give its path (docs/FORMATS.md)"


def format_named(name: str) -> Format | None:
    """The format of a name or a mapping file; None for ``auto``, ``parquet`` and ``arrow``.

    Raises:
        InputError: there is none, or the mapping file cannot be read.
    """
    if name in FORMATS:
        return FORMATS[name]
    if name in NAMES:
        return None
    if name in _PAIRED:
        raise InputError(
            f"--input_format {name} is not read: {_PAIRED[name]}",
            "one record per call",
            "let its dialog module write call records with durations and describe those with a mapping",
        )
    if name.endswith(".json") or Path(name).is_file():
        mapping = load_mapping(name)
        return Format(mapping.name, f"mapping file {name}", lambda _head: True, mapping)
    near = get_close_matches(name, NAMES, 1)
    raise InputError(
        f"--input_format {name} is not known" + (f" (did you mean {near[0]}?)" if near else ""),
        f"one of {', '.join(NAMES)}, or the path of a mapping file",
        f"for any other CSV, {_LEARN}",
    )


def detect(head: Head) -> Format:
    """The format of a file by its beginning.

    Raises:
        InputError: it looks like none, or like several; the message names the candidates.
    """
    found = [f for f in FORMATS.values() if f.sniff(head)]
    if len(found) == 1:
        return found[0]
    what = f"cannot tell the format of {head.path} ({_looks(head)})"
    if found:
        names = ", ".join(f.name for f in found)
        raise InputError(f"{what}: it may be {names}", "one format", f"give --input_format one of {names}")
    raise InputError(what, f"one of {', '.join((*FORMATS, PARQUET))}", f"give --input_format, or {_LEARN}")


def _looks(head: Head) -> str:
    """What a file looks like, without a word of its contents."""
    if not head.lines:
        return "no line in its first 64 KiB"
    if head.lines[0].lstrip().startswith(("{", "[")):
        return "JSON"
    counts = {sep: len(head.rows(sep)[0]) for sep in (",", ";", "|", "\t")}
    separator = max(counts, key=lambda sep: counts[sep])
    if counts[separator] == 1:
        return "one field on the first line"
    return f"{counts[separator]} fields on the first line, separated by {separator!r}"
