"""From a number as somebody types it to the subscriber of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from callbeam_io.store import web_people, web_queries
from webui import view, words
from webui.services import cached, store

_NO_COUNTRY: Final = frozenset({"ZZ", "001"})
_DIALLED: Final = frozenset("+0123456789 ()-./")
_LEAST: Final = 7
"""Digits from which on what is typed is meant as a phone number, and no extension."""


def home_region(run: Mapping[str, Any] | None) -> str | None:
    """The region of numbers that are typed without their country: that of the run's option ``default_region``, else
    the one that most of its calls and messages go to, if more than half of them do."""
    if run is None:
        return None
    said = (run["options"] or {}).get("default_region")
    return said or cached(("home", run["run_id"]), 60, lambda: _most_called(run))


def _most_called(run: Mapping[str, Any]) -> str | None:
    window = view.window_of_now(view.windows("regions", run["run_id"]), run["watermark"])
    if window is None:
        return None
    rows = web_queries.analysis_rows(store(), "regions", run["run_id"], window[0])
    counts = {row["region"]: row["calls"] + row["messages"] for row in rows}
    most = max(counts, key=lambda region: counts[region], default="ZZ")
    return most if most not in _NO_COUNTRY and 2 * counts[most] > sum(counts.values()) else None


def subscriber_of(typed: str, run: Mapping[str, Any] | None) -> str:
    """The subscriber that a number in any spelling means; what is no number stays as it is typed.

    Where no region is set, one is only guessed: a subscriber that is spelled just as typed comes first.

    >>> subscriber_of(" +1 202-555-0123 ", None), subscriber_of("0012025550123", None), subscriber_of("desk", None)
    ('+12025550123', '+12025550123', 'desk')
    """
    return subscribers_of([typed], run)[typed]


def subscribers_of(typed: Sequence[str], run: Mapping[str, Any] | None) -> dict[str, str]:
    """`subscriber_of` of many: what is typed -> the subscriber."""
    region = ((run or {}).get("options") or {}).get("default_region")
    found = {text: words.spelled(text, region) for text in typed}
    guessed: dict[str, str] = {}
    if run is not None and (home := home_region(run)) is not None:
        plain = (number for number in found.values() if not number.startswith("+"))
        guessed = {number: whole for number in plain if (whole := words.valid(number, home)) is not None}
        for number in web_people.known(store(), run["run_id"], list(guessed)):
            del guessed[number]
    return {text: guessed.get(number, number) for text, number in found.items()}


def is_doubtful(number: str, run: Mapping[str, Any] | None) -> bool:
    """Whether a subscriber as `subscriber_of` gives it looks like a phone number whose country is not known, and
    nobody is spelled so: what is recorded for it would count for nobody."""
    digits = sum(c.isdigit() for c in number)
    if number.startswith("+") or digits < _LEAST or not set(number) <= _DIALLED:
        return False
    known = run is not None and web_people.person(store(), run["run_id"], number) is not None
    return not known and not web_people.contact_history(store(), number)
