"""A naive oracle: one record at a time, plain Python, no columns; written from the contract alone."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

from transforms.schema import BUSINESS_TYPES, CALL_RESULTS, CALL_TYPES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL = (None, "1970-01-01 00:00:00", "9999-12-31 00:00:00")
SEPARATORS = str.maketrans("", "", " -()/.\u00a0[]")


@dataclass
class Expected:
    """Tables by name: key tuple -> dict of values; and the records by fate."""

    tables: dict[str, dict[tuple, dict[str, Any]]]
    fates: Counter = field(default_factory=Counter)
    rejects: list[tuple[str, str]] = field(default_factory=list)  # (field, raw)


@cache
def party(text: str, region: str | None) -> str:
    text = text.strip()
    plain = text.translate(SEPARATORS)
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    digits = plain[1:]
    if (
        plain.startswith("+")
        and digits.isascii()
        and digits.isdigit()
        and digits[0] != "0"
        and 2 <= len(digits) <= 15
    ):
        try:
            number = phonenumbers.parse("+" + digits)
        except phonenumbers.NumberParseException:
            return "+" + digits
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if region is not None and not text.startswith("+"):
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            return text
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return text


@cache
def region_of(number: str) -> str:
    if not number.startswith("+"):
        return "ZZ"
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or "ZZ"
    except phonenumbers.NumberParseException:
        return "ZZ"


def parse_record(row: dict[str, str | None], zone: str, region: str | None) -> dict[str, Any] | str:
    """The record, or the name of the first field that is wrong."""
    r: dict[str, Any] = {}
    for name in ("calling_number", "called_number"):
        if not (row.get(name) or "").strip():
            return name
        r[name] = party(row[name], region)
    text = (row.get("start_time") or "").strip()
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        return "start_time"
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=ZoneInfo(zone))
    r["start"], r["local"] = stamp.astimezone(UTC), stamp.replace(tzinfo=None)
    if r["start"] > datetime.now(UTC) + timedelta(days=1):
        return "start_time"
    for name, digits in (("duration", 0), ("charge", 6)):
        text = (row.get(name) or "").strip()
        try:
            value = Decimal(text or "0")
            if not value.is_finite() or value < 0:
                return name
            r[name] = int((value * 10**digits).to_integral_value(ROUND_HALF_UP))
        except InvalidOperation:
            return name
    for name, words in (("call_type", CALL_TYPES), ("call_result", CALL_RESULTS)):
        r[name] = (row.get(name) or "").strip().upper()
        if r[name] not in words:
            return name
    r["id"] = (row.get("id") or "").strip() and row["id"]
    r["account_id"] = row.get("account_id") or None
    return r


def window_bounds(start: int, window: tuple[int, int]) -> tuple[str, str]:
    size, _ = window
    if not size:
        return ALL[1], ALL[2]
    return tuple((EPOCH + timedelta(seconds=s)).strftime("%Y-%m-%d %H:%M:%S") for s in (start, start + size))


def windows_with(second: int, window: tuple[int, int]) -> list[int]:
    size, slide = window
    if not size:
        return [0]
    first = (second // slide) * slide
    return (
        [s for s in range(first - size, first + slide, slide) if s % slide == 0 and s <= second < s + size]
        if (size % slide == 0)
        else [s for s in range((second - size) // slide * slide, second + 1, slide) if s <= second < s + size]
    )


def expect(
    text: str,
    directory: dict[str, str] | None = None,
    window: tuple[int, int] = (0, 0),
    zone: str = "UTC",
    region: str | None = None,
    types: tuple[tuple[str, str], ...] = BUSINESS_TYPES,
) -> Expected:
    """What callbeam must make of a canonical CSV; ``window`` is (size, slide) in seconds, (0, 0) for all."""
    names, tag_of = [n for n, _ in types], dict(types)
    tags = list(dict.fromkeys(tag_of.values()))
    listed = {party(k, region): v for k, v in (directory or {}).items()}
    out = Expected(
        {t: {} for t in ("duration_by_hour", "business_types", "regions", "type_graph", "subscribers")}
    )
    seen: dict[tuple, tuple] = {}
    good = []
    lines = text.splitlines()
    for number, row in enumerate(csv.DictReader(io.StringIO(text), restkey="__extra__")):
        out.fates["read"] += 1
        missing = [k for k in ("charge", "call_result") if row.get(k) is None and k in row]
        record = "" if row.get("__extra__") or missing else parse_record(row, zone, region)
        if isinstance(record, str):
            out.fates["rejected"] += 1
            out.rejects.append((record, lines[number + 1]))
            continue
        content = tuple(
            record[k]
            for k in (
                "called_number",
                "start",
                "local",
                "duration",
                "charge",
                "call_type",
                "call_result",
                "account_id",
            )
        )
        key = (record["calling_number"], record["id"] or content)
        if key in seen:
            out.fates["duplicate"] += 1
            out.fates["conflicting"] += seen[key] != content
            continue
        seen[key] = content
        out.fates["good"] += 1
        good.append(record)
    type_of = lambda number: listed.get(number, "Private")  # noqa: E731
    per_caller = defaultdict(list)
    for r in good:
        r["second"] = math.floor((r["start"] - EPOCH).total_seconds())
        r["type"], r["region"] = type_of(r["called_number"]), region_of(r["called_number"])
        per_caller[r["calling_number"]].append(r)
        keys = {
            "duration_by_hour": (r["local"].hour,),
            "business_types": (r["type"],),
            "regions": (r["region"],),
            "type_graph": (type_of(r["calling_number"]), r["type"]),
        }
        for start in windows_with(r["second"], window):
            begin, end = window_bounds(start, window)
            for table, key in keys.items():
                values = out.tables[table].setdefault((begin, *key), measures(end))
                if table == "business_types":
                    values["tag"] = tag_of[r["type"]]
                add(values, r)
    for caller, records in per_caller.items():
        out.tables["subscribers"][(caller,)] = subscriber(caller, records, window, names, tags, tag_of)
    return out


def measures(end: str) -> dict[str, Any]:
    return {"window_end": end, "calls": 0, "answered": 0, "messages": 0, "duration_s": 0}


def add(values: dict[str, Any], r: dict[str, Any]) -> None:
    voice = r["call_type"] == "VOICE"
    values["calls"] += voice
    values["messages"] += not voice
    if voice and r["call_result"] == "ANSWERED":
        values["answered"] += 1
        values["duration_s"] += r["duration"]


def best(counter: Counter, order: list) -> tuple[Any, int]:
    winner = max(order, key=lambda k: (counter[k], -order.index(k)))
    return winner, counter[winner]


def subscriber(
    caller: str, records: list, window: tuple[int, int], names: list, tags: list, tag_of: dict
) -> dict[str, Any]:
    last = max(r["second"] for r in records)
    size, _ = window
    start = min(windows_with(last, window), key=lambda s: s + size)
    inside = [r for r in records if not size or start <= r["second"] < start + size]
    begin, end = window_bounds(start, window)
    out = measures(end) | {"window_start": begin}
    for r in inside:
        add(out, r)
    own = region_of(caller)
    newest = max(inside, key=lambda r: (r["start"], r["id"] or ""))
    out["account_id"] = newest["account_id"]
    out["charge"] = sum(r["charge"] for r in inside) / 1_000_000
    out["international"] = sum(r["region"] not in (own, "ZZ") for r in inside)
    for name, pick in (("first_seen", min), ("last_seen", max)):
        second = pick(r["second"] for r in inside)
        out[name] = (EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")
    types = Counter(r["type"] for r in inside)
    by_tag: Counter = Counter()
    for name, n in types.items():
        by_tag[tag_of[name]] += n
    for column, counter, order in (
        ("business_type", types, names),
        ("tag", by_tag, tags),
        ("best_weekday", Counter(r["local"].weekday() for r in inside), list(range(7))),
        ("best_hour", Counter(r["local"].hour for r in inside), list(range(24))),
    ):
        out[column], out[f"{column}_count"] = best(counter, order)
    return out
