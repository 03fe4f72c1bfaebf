"""``/subscribers``: everybody, filtered, sorted, page by page, as CSV too; ``/find`` for one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_people, web_queries
from callbeam_io.store.standing import Standing
from callbeam_io.store.web_exports import csv_pages
from webui import spelling, view, words
from webui.analysis_kinds import tag_place, type_place
from webui.crowd import crowd_of, people_of
from webui.exports import csv_download
from webui.layout import NavItem
from webui.moments import contact_time
from webui.roles import ANALYST, log, required
from webui.services import cached, services, store

bp = Blueprint("subscribers", __name__)
NAV = [NavItem("People", "Subscribers", "people", "subscribers.subscribers", ANALYST, place=10)]

PAGE: Final = 50
MAY_CONTACT: Final = {"yes": "yes", "no": "no", "unknown": "not asked"}
DEFAULT_SORT: Final = "-calls"
SORTS: Final = dict.fromkeys(
    ("subscriber", "calls", "messages", "duration_s", "international", "last_seen"), True
)
COLUMNS: Final = tuple(c for c in web_people.COLUMNS if c != "run_id")


class Chip(NamedTuple):
    """A filter that is on, and the address without it."""

    text: str
    without: str


class Asked:
    """The filters of a request: as the store wants them, and in words."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self.q = request.args.get("q", "").strip()
        self.where: dict[str, Any] = {}
        self.chips: list[Chip] = []
        if self.q:
            region = spelling.home_region(run)
            self._add(
                "q", "subscriber", ("prefix", beginning(self.q, region)), f"number begins with {self.q}"
            )
        for name, label in (("tag", "tag"), ("business_type", "mostly calls")):
            if value := request.args.get(name, ""):
                self._add(name, name, value, f"{label}: {value}")
        self._whole("weekday", "best_weekday", 6, lambda day: f"best day: {words.weekday(day)}")
        self._whole("hour", "best_hour", 23, lambda hour: f"best hour: {words.hour_span(hour)}")
        self._least("min_calls", "calls", 1, lambda n: f"at least {n:,} calls")
        self._least("min_talk", "duration_s", 60, lambda n: f"talks at least {n:,} min")
        self._least("min_abroad", "international", 1, lambda n: f"at least {n:,} international")
        self.standing = self._standing(run)

    def _standing(self, run: Mapping[str, Any]) -> Standing | None:
        value = request.args.get("contact", "")
        if value not in MAY_CONTACT:
            return None
        self._chip("contact", f"may be contacted: {MAY_CONTACT[value]}")
        return Standing(value, contact_time(run))

    def _add(self, parameter: str, column: str, condition: Any, text: str) -> None:
        self.where[column] = condition
        self._chip(parameter, text)

    def _chip(self, parameter: str, text: str) -> None:
        self.chips.append(
            Chip(text, view.address("subscribers.subscribers", **{parameter: None, "page": None}))
        )

    def _whole(self, parameter: str, column: str, most: int, text: Any) -> None:
        value = request.args.get(parameter, type=int)
        if value is not None and 0 <= value <= most:
            self._add(parameter, column, value, text(value))

    def _least(self, parameter: str, column: str, unit: int, text: Any) -> None:
        value = request.args.get(parameter, type=int)
        if value is not None and 0 < value < 10**12:
            self._add(parameter, column, (">=", value * unit), text(value))


def beginning(typed: str, region: str | None) -> str:
    """The beginning of a number as the store spells it: ``0049 30`` -> ``+4930``, a whole number in E.164."""
    digits = "".join(c for c in typed if c.isdigit())
    if not digits or not all(c in "+0123456789 ()-./" for c in typed):
        return typed
    if typed.startswith("00"):
        return f"+{digits[2:]}"
    whole = None if typed.startswith("+") else words.valid(typed, region)
    return whole or f"+{digits}"


@bp.get("/subscribers")
@required(ANALYST)
def subscribers() -> ResponseReturnValue:
    """The page; for htmx, the list alone."""
    run = view.chosen_run()
    if run is None:
        return render_template("no_run.html", title="Subscribers")
    run_id, asked = run["run_id"], Asked(run)
    sort, down = view.sort_of(SORTS, DEFAULT_SORT)
    people = crowd_of(run_id, asked.where, asked.standing)
    total = cached(count_key(people), 5, people.count)
    last = max(1, -(-total // PAGE))
    page = min(max(1, request.args.get("page", 1, type=int)), last)
    rows = people.page(sort, down, PAGE, (page - 1) * PAGE)
    shown = {
        "run": run,
        "asked": asked,
        "rows": rows,
        "more": _about(run, [r["subscriber"] for r in rows]),
        "total": total,
        "page": page,
        "last": last,
        "sort": sort,
        "down": down,
        "may_contact": MAY_CONTACT,
        "sort_text": f"-{sort}" if down else sort,
        "as_of": people.as_of,
    }
    alone = request.headers.get("HX-Target") == "grid"
    choices = {} if alone else {"choices": _choices(run_id), "runs": view.recent_runs()}
    response = make_response(
        render_template("_people.html" if alone else "subscribers.html", **shown, **choices)
    )
    response.headers["Vary"] = "HX-Request, HX-Target"
    return response


def count_key(people: web_people.People) -> tuple[str, ...]:
    """Under which key how many they are is kept."""
    return "people", people.run_id, repr(people.where), people.standing.is_ if people.standing else ""


def reach(run: Mapping[str, Any], seconds: float) -> tuple[int | None, int | None]:
    """How many subscribers of a run may be contacted, and how many there are; None while they are being counted."""
    kept = services().cache
    all_of_them = people_of(run["run_id"])
    some = people_of(run["run_id"], standing=Standing("yes", contact_time(run)))
    return (
        kept.soon(count_key(some), seconds, some.count),
        kept.soon(count_key(all_of_them), seconds, all_of_them.count),
    )


def _about(run: Mapping[str, Any], numbers: list[str]) -> dict[str, Any]:
    """What other tables say about the people of a page."""
    return {
        "contacts": web_people.contacts(store(), numbers, contact_time(run)),
        "offers": web_people.offers(store(), run["run_id"], numbers),
    }


def _choices(run_id: str) -> dict[str, list[str]]:
    """The groups and types that there are."""
    types = cached(("types", run_id), 30, lambda: web_queries.tags_of_types(store(), run_id))
    return {"types": sorted(types, key=type_place), "tags": sorted(set(types.values()), key=tag_place)}


@bp.get("/subscribers.csv")
@required(ANALYST)
def as_csv() -> Response:
    """Everybody who passes the filters, in the order of numbers."""
    run = view.chosen_run() or abort(404)
    asked = Asked(run)
    log("subscribers exported", run["run_id"], {"filters": [c.text for c in asked.chips]})
    pages = csv_pages(store(), "subscribers", run["run_id"], asked.where, COLUMNS, asked.standing)
    return csv_download("subscribers", pages)


@bp.get("/find")
@required(ANALYST)
def find() -> ResponseReturnValue:
    """From a number in any spelling to its page; where it is not known, to those that begin so."""
    typed, run = request.args.get("q", "").strip(), view.chosen_run()
    if run is not None and typed:
        number = spelling.subscriber_of(typed, run)
        for tried in dict.fromkeys((typed, number, beginning(typed, None))):
            if web_people.person(store(), run["run_id"], tried) is not None:
                return redirect(url_for("person.person", number=tried))
    return redirect(url_for("subscribers.subscribers", q=typed or None))
