"""Numbers, lengths of time, moments and phone numbers as people read them. All times are UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import phonenumbers
from flask import Flask

from callbeam_io.store.web_queries import ALL_START, TIME_FORMAT

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DASH: Final = "–"
_SHORT: Final = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))


def number(value: float | None) -> str:
    """1234567 -> ``1,234,567``; nothing known -> a dash."""
    return DASH if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def count(value: int | None, one: str, many: str = "") -> str:
    """How many of something.

    >>> count(1, "record"), count(1200, "record"), count(2, "entry says", "entries say")
    ('1 record', '1,200 records', '2 entries say')
    """
    return f"{number(value)} {one if value == 1 else many or f'{one}s'}"


def short(value: float | None) -> str:
    """1234567 -> ``1.2M``; below 10,000 it is written out.

    >>> short(9999), short(12_345), short(1_200_000), short(3_000_000)
    ('9,999', '12.3k', '1.2M', '3M')
    """
    if value is None:
        return DASH
    if abs(value) < 10_000:
        return f"{round(value):,}"
    size, unit = next((s, u) for s, u in _SHORT if abs(value) >= s)
    return f"{value / size:.1f}".removesuffix(".0") + unit


def percent(part: float | None, whole: float | None = 1) -> str:
    """(26, 1000) -> ``2.6%``; of nothing -> a dash.

    >>> percent(26, 1000), percent(1, 1), percent(1, 10_000), percent(0, 5)
    ('2.6%', '100%', '<0.1%', '0%')
    """
    if part is None or not whole:
        return DASH
    share = part / whole * 100
    if 0 < share < 0.1:
        return "<0.1%"
    return f"{share:.1f}".removesuffix(".0") + "%"


def talk(seconds: float | None) -> str:
    """A length of talk: 2217960 -> ``616 h 6 min``, 242 -> ``4 min 2 s``."""
    if seconds is None:
        return DASH
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600:,} h {whole % 3600 // 60} min"
    if whole >= 60:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole} s"


def age(seconds: float) -> str:
    """How long ago, in its greatest unit: 250 -> ``4 min``."""
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def moment(text: str | None) -> datetime | None:
    """A time of the store (``2026-11-15 09:11:00``) as a datetime in UTC."""
    if not text:
        return None
    plain = len(text) == len(ALL_START) and text[10] + text[13] + text[16] == " ::"
    # strptime takes twenty times as long, and a page may name a thousand windows
    read = datetime.fromisoformat(text) if plain else datetime.strptime(text, TIME_FORMAT)
    return read.replace(tzinfo=UTC)


def now() -> str:
    """This moment as the store writes it."""
    return datetime.now(UTC).strftime(TIME_FORMAT)


def when(text: str | None, seconds: bool = False) -> str:
    """A time of the store: ``15 Nov 09:11``, with the year where it is not this one."""
    at = moment(text)
    if at is None:
        return DASH
    year = "" if at.year == datetime.now(UTC).year else f" {at.year}"
    return f"{at.day} {at:%b}{year} {at:%H:%M:%S}" if seconds else f"{at.day} {at:%b}{year} {at:%H:%M}"


def epoch(seconds: float) -> str:
    """Seconds since 1970 as a time: ``15 Nov 09:11:05``."""
    return when(datetime.fromtimestamp(seconds, UTC).strftime(TIME_FORMAT), seconds=True)


def clock(text: str | None) -> str:
    """A time of the store as one says it today: ``02:14``, on other days with the day."""
    at = moment(text)
    if at is None:
        return DASH
    return f"{at:%H:%M}" if at.date() == datetime.now(UTC).date() else when(text)


def window(start: str, end: str) -> str:
    """A window of time: ``15 Nov 09:00 – 10:00``, or ``Whole run``."""
    if start == ALL_START:
        return "Whole run"
    first, last = moment(start), moment(end)
    same = first is not None and last is not None and first.date() == last.date()
    exact = not (start.endswith(":00") and end.endswith(":00"))
    to = (f"{last:%H:%M:%S}" if exact else f"{last:%H:%M}") if same else when(end, exact)
    return f"{when(start, exact)} {DASH} {to}"


def hour_span(hour: int | None) -> str:
    """An hour of the day: 17 -> ``17–18``."""
    return DASH if hour is None else f"{hour:02d}{DASH}{(hour + 1) % 24:02d}"


def weekday(day: int | None) -> str:
    """0 -> ``Monday``."""
    return DASH if day is None else WEEKDAYS[day]


def short_type(name: str) -> str:
    """A business type without what it includes, cut between words to fit.

    >>> short_type("Food (including takeaway)"), short_type("Housekeeping and property management")
    ('Food', 'Housekeeping …')
    """
    plain = name.partition(" (")[0]
    if len(plain) <= 20:
        return plain
    cut = plain[:19].rpartition(" ")[0].removesuffix(" and") or plain[:18]
    return f"{cut} …"


def kind(mode: str) -> str:
    """What a run reads: ``streaming`` -> ``live``, ``batch`` -> ``from files``."""
    return "live" if mode == "streaming" else "from files"


@lru_cache(maxsize=20_000)
def phone(value: str) -> str:
    """A number in groups: ``+12025550123`` -> ``+1 202 555 0123``; what is none stays as it is."""
    parsed = _parsed(value)
    if parsed is None:
        return value
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return text.replace("-", " ")


def masked(value: str) -> str:
    """A number that nobody can call: country and the last two digits; what is none shows its first letter.

    >>> masked("+12025550123"), masked("reception")
    ('+1 ••• 23', 'r•••')
    """
    parsed = _parsed(value)
    if parsed is None:
        return f"{value[:1]}•••"
    return f"+{parsed.country_code} ••• {value[-2:]}"


def spelled(text: str, region: str | None) -> str:
    """A number in any spelling as the store spells it (``+12025550123``); what is none as it was typed.

    Args:
        text: what somebody typed.
        region: ISO 3166 region of numbers without ``+`` and ``00``, if known.
    """
    typed = text.strip()
    tried = f"+{typed[2:]}" if typed.startswith("00") else typed
    try:
        parsed = phonenumbers.parse(tried, region)
    except phonenumbers.NumberParseException:
        return typed
    if not phonenumbers.is_possible_number(parsed):
        return typed
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def valid(text: str, region: str | None) -> str | None:
    """A number as people of this region dial it, as the store spells it; None: there is no such number."""
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    known = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if known else None


def _parsed(value: str) -> Any:
    if not (value.startswith("+") and value[1:].isdigit()):
        return None
    try:
        return phonenumbers.parse(value)
    except phonenumbers.NumberParseException:
        return None


def plainly(value: Any) -> str:
    """What a store keeps as JSON, as one reads it; what is empty is left out.

    >>> plainly({"version": 2, "enabled": False, "asked": {}, "tags": ["AD", "Job"], "quiet": {"begin": 21}})
    'version 2, enabled no, tags AD, Job, quiet begin 21'
    """
    if isinstance(value, Mapping):
        found = ((str(name).replace("_", " "), plainly(v)) for name, v in value.items())
        return ", ".join(f"{name} {said}" for name, said in found if said)
    if isinstance(value, list | tuple):
        return ", ".join(plainly(v) for v in value)
    if value is None or isinstance(value, bool):
        return "" if value is None else "yes" if value else "no"
    return str(value)


FILTERS: Final = {
    "num": number,
    "counted": count,
    "short": short,
    "percent": percent,
    "talk": talk,
    "when": when,
    "clock": clock,
    "hour_span": hour_span,
    "weekday": weekday,
    "phone": phone,
    "masked": masked,
    "short_type": short_type,
    "kind": kind,
    "plainly": plainly,
    "epoch": epoch,
    "pair": lambda value: (value, value),
}


def install(app: Flask) -> None:
    """Makes them filters of the templates."""
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals.update(
        window_text=window, weekdays=list(enumerate(WEEKDAYS)), hours=[(h, hour_span(h)) for h in range(24)]
    )
