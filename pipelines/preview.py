"""``python -m pipelines.preview``: what the pipeline would make of an input's first records, as JSON.

Nothing is stored. The web app asks it before a run is started from a page.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import phonenumbers
import polars as pl
import pyarrow as pa

from callbeam_io.blocks import TEXT, Block, line_numbers, read_block
from callbeam_io.formats import FORMATS
from callbeam_io.formats.layout import layout_of
from callbeam_io.inputs import plan_inputs
from transforms.columns.clean import Cleaned, CleanSettings, clean
from transforms.columns.directory import Directory
from transforms.errors import CallbeamError, OptionError, RequestError
from transforms.schema import RECORD_FIELDS

DONE, FAILED, WRONG = 0, 1, 2
ROWS: Final = 1000
"""Records that are looked at."""
SHOWN: Final = 10
_BYTES: Final = 256 << 10
_AHEAD: Final = 86_400


def parser() -> argparse.ArgumentParser:
    """The flags, as of ``pipelines.run``."""
    made = argparse.ArgumentParser(
        prog="python -m pipelines.preview", description=__doc__, allow_abbrev=False
    )
    made.add_argument("--input", required=True, metavar="WHAT", help="file, glob or folder")
    made.add_argument("--input_format", default="auto", metavar="NAME", help="as of the run (auto)")
    made.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="zone of stamps that carry none (UTC)"
    )
    made.add_argument(
        "--default_region", default=None, metavar="XX", help="region of numbers without + (none)"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what was found; the exit status is 0 done, 1 failed, 2 wrong request."""
    flags = parser().parse_args(argv)
    try:
        found = preview(flags.input, flags.input_format, flags.timezone, flags.default_region)
    except RequestError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return WRONG
    except CallbeamError as error:
        print(f"callbeam: {error}", file=sys.stderr)
        return FAILED
    print(json.dumps(found, ensure_ascii=False, default=str))
    return DONE


def preview(given: str, input_format: str, timezone: str, region: str | None) -> dict[str, Any]:
    """The first records of an input, those that would be rejected, and how it is read.

    Returns:
        JSON values: ``format, title, mapping, header`` of the first file, ``files, bytes, records`` (about how
        many there are), ``assumed, notes``; of the records looked at ``read, rejected, reasons``, ``rows``: the
        first ones with their fields as read, and ``bad``: the first that would be rejected.

    Raises:
        RequestError: as `plan_inputs`; no such zone or region.
    """
    settings = CleanSettings(_zone(timezone), _region(region), int((time.time() + _AHEAD) * 1_000_000))
    plan = plan_inputs([given], input_format, timezone=timezone)
    if not plan.blocks:
        raise OptionError(f"--input {given} holds no records", "a file with records", "; ".join(plan.notes))
    block = _beginning(plan.blocks[0])
    batch = next(read_block(block))
    looked_at = batch.slice(0, ROWS)
    cleaned = clean(looked_at, settings, Directory(np.zeros(0, np.int64), np.zeros(0, np.uint8), 0))
    return {
        **_described(block, plan.format_names),
        "files": len(plan.files),
        "bytes": plan.bytes,
        "records": _about(block, batch.num_rows, plan.bytes),
        "assumed": plan.assumed,
        "notes": plan.notes,
        "read": looked_at.num_rows,
        **_shown(block, looked_at, cleaned),
    }


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise OptionError(f"--timezone {name!r}", "a name such as Europe/Berlin or UTC") from error
    return name


def _region(name: str | None) -> str | None:
    if name and name.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise OptionError(f"--default_region {name!r}", "an ISO 3166 region, such as US or DE")
    return name.upper() if name else None


def _beginning(block: Block) -> Block:
    """The first part of a block of text; what is packed is read piece by piece anyway."""
    return replace(block, end=min(block.end, block.start + _BYTES)) if block.kind == TEXT else block


def _described(block: Block, names: Sequence[str]) -> dict[str, Any]:
    """The format's name and title, and its mapping where there is one."""
    if not block.layout:
        return {"format": "parquet", "title": "Parquet", "mapping": None, "header": []}
    layout = layout_of(block.layout)
    title = FORMATS[layout.name].title if layout.name in FORMATS else "your mapping"
    return {
        "format": ", ".join(names),
        "title": title,
        "mapping": layout.mapping.spec,
        "header": list(layout.header),
    }


def _about(block: Block, rows: int, whole: int) -> int | None:
    """How many records there are if the rest is like the beginning; None where the beginning says nothing."""
    part = block.end - block.start
    return round((whole - block.start) * rows / part) if block.kind == TEXT and part > 0 else None


def _shown(block: Block, batch: pa.RecordBatch, cleaned: Cleaned) -> dict[str, Any]:
    bad = cleaned.bad_rows
    faults = dict(zip(bad.tolist(), zip(cleaned.bad_fields, cleaned.bad_reasons, strict=True), strict=True))
    wanted = np.array([*range(min(SHOWN, batch.num_rows)), *bad[:SHOWN]], np.int64)
    lines = [int(n) for n in line_numbers(block, wanted, batch)]
    names = [n for n in RECORD_FIELDS if n in batch.schema.names]
    frame = pl.DataFrame(pl.from_arrow(batch.select(names)))[wanted].cast(pl.String)
    rows = [
        {"line": line, **fields, "bad": " ".join(faults.get(int(row), ()))}
        for line, row, fields in zip(lines, wanted, frame.to_dicts(), strict=True)
    ]
    first = min(SHOWN, batch.num_rows)
    reasons = Counter(zip(cleaned.bad_fields, cleaned.bad_reasons, strict=True))
    return {
        "rejected": len(bad),
        "reasons": [{"field": f, "reason": r, "count": n} for (f, r), n in reasons.most_common(SHOWN)],
        "columns": names,
        "rows": rows[:first],
        "bad": rows[first:],
    }


if __name__ == "__main__":
    sys.exit(main())
