"""The texts of settings: each function reads one kind and says by ValueError what it expected."""

from __future__ import annotations

import csv
import math
from datetime import datetime
from pathlib import Path


def integer(text: str) -> int:
    """A whole number; ``1_000_000`` and ``1,000,000`` too.

    >>> integer("1,000")
    1000
    """
    try:
        return int(text.replace(",", ""))
    except ValueError:
        raise ValueError("a whole number") from None


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("a number")
    return value


def span(text: str) -> tuple[int, int]:
    """Least and most: ``10-50``, or ``30`` for both.

    >>> span("10-50"), span("30")
    ((10, 50), (30, 30))
    """
    least, dash, most = text.partition("-")
    try:
        return integer(least), integer(most if dash else least)
    except ValueError:
        raise ValueError("least-most, such as 10-50, or one number") from None


def moment(text: str) -> datetime:
    """A wall clock time: ``2025-05-05``, ``2025-05-05T06:00``."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a date or a time such as 2025-05-05T06:00") from None


def weights(text: str) -> tuple[tuple[str, float], ...]:
    """Weights by type: ``Banking=3,School=1``.

    >>> weights("Banking=3,School=1")
    (('Banking', 3.0), ('School', 1.0))
    """
    pairs = []
    for part in filter(None, text.split(",")):
        name, equals, weight = part.rpartition("=")
        if not equals:
            raise ValueError("TYPE=WEIGHT,…, such as Banking=3,School=1")
        pairs.append((name.strip(), number(weight)))
    return tuple(pairs)


def business_types(text: str) -> tuple[tuple[str, str], ...]:
    """The types with their tags, in order, from a CSV file ``business_type,tag``."""
    try:
        with Path(text).open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"a readable CSV file business_type,tag ({error})") from error
    pairs = [((r.get("business_type") or "").strip(), (r.get("tag") or "").strip()) for r in rows]
    if not pairs or not all(name and tag for name, tag in pairs):
        raise ValueError("a CSV file with the columns business_type,tag, both filled in every row")
    return tuple(pairs)
