"""Asterisk's cdr_custom with the sample order of its ``Master.csv``: the caller's name first."""

from __future__ import annotations

from typing import Final

from callbeam_io.formats.asterisk import has_stamps, master
from callbeam_io.formats.base import Format

_MAPPING: Final = master("asterisk_custom", account=16, src=2, start=9)
FORMAT: Final = Format(
    "asterisk_custom",
    "Asterisk cdr_custom Master.csv",
    has_stamps(9, 10, 11, 16, 21),
    _MAPPING,
)
