"""``/records/<table>``: the records behind a number of an analysis.

The list is shown only where it holds exactly what the number counted; where the kept records cannot answer, the
page says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.rule_desk import DeskError
from callbeam_io.store import web_queries
from callbeam_io.store.web_queries import RequestError
from webui import measures, view, words
from webui.analyses import ALL_WINDOWS
from webui.analysis_kinds import ANALYSES, Analysis
from webui.desk import desk
from webui.geo.countries import name_of
from webui.measures import MEASURES, Measure
from webui.moments import is_live
from webui.roles import ANALYST, log, may, required
from webui.services import store

bp = Blueprint("records", __name__)
PAGE: Final = 100
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "duration_by_hour": ("hour",),
    "business_types": ("business_type", "tag"),
    "type_graph": ("caller_type", "called_type", "caller_tag", "called_tag"),
    "regions": ("region",),
}
"""What a number of an analysis may be about."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Number:
    """A number that was clicked.

    Attributes:
        run: whose it is.
        window: start and end of the time it is about.
        key: columns with the value that they must have.
        what: the measure.
        value: the number.
    """

    run: Mapping[str, Any]
    window: tuple[str, str]
    key: Mapping[str, str]
    what: Measure
    value: int


@dataclass(frozen=True)
class Answer:
    """What the kept records say: the list, or why there is none."""

    total: int = 0
    rows: list[Json] = field(default_factory=list)
    reason: str = ""


@bp.get("/records/<table>")
@required(ANALYST)
def records(table: str) -> ResponseReturnValue:
    """The page."""
    analysis = ANALYSES.get(table) or abort(404)
    number = number_asked(analysis)
    page = max(1, request.args.get("page", 1, type=int))
    answer = answer_to(number, (page - 1) * PAGE)
    log("records viewed", table, {**number.key, "rows": len(answer.rows)})
    return render_template(
        "records.html",
        a=analysis,
        number=number,
        about=[_named(name, value) for name, value in number.key.items()],
        answer=answer,
        page=page,
        last=max(1, -(-answer.total // PAGE)),
    )


def _named(name: str, value: str) -> str:
    """A part of the key as people say it: ``("region", "DE")`` -> ``Germany``."""
    if name == "hour":
        return f"{words.hour_span(int(value))} h"
    return name_of(value) if name == "region" else value


def number_asked(analysis: Analysis) -> Number:
    """The number that the address means, as the store has it now; 404 where there is none."""
    run = view.chosen_run() or abort(404)
    key = {n: request.args[n] for n in KEYS[analysis.table] if request.args.get(n)}
    found = view.windows(analysis.table, run["run_id"])
    together = request.args.get("window") == ALL_WINDOWS
    window = None if together else view.chosen_window(found, run)
    if not key or not found or (window is None and not together):
        abort(404)
    start = None if window is None else window[0]
    rows = web_queries.analysis_rows(store(), analysis.table, run["run_id"], start)
    mine = [r for r in rows if all(str(r.get(n)) == v for n, v in key.items())]
    what = measures.measure(request.args.get("measure"), analysis.default)
    span = window or (min(w[0] for w in found), max(w[1] for w in found))
    return Number(run, span, key, what, measures.total(mine, what))


def answer_to(number: Number, offset: int) -> Answer:
    """The records, if they are exactly those that the number counts."""
    asked = {"window_start": number.window[0], "window_end": number.window[1], "key": dict(number.key)}
    try:
        found = desk().records(**asked, measure=number.what.name, offset=offset, limit=PAGE)
    except (DeskError, RequestError) as error:
        return Answer(reason=f"The kept records cannot be read: {error}")
    reason = _reason(number, found)
    return Answer(reason=reason) if reason else Answer(found["total"], found["rows"])


def _reason(number: Number, found: Json) -> str:
    """Why the kept records are not those that the number counts; empty: they are."""
    if found.get("run_id") is None:
        return "This run kept no records: it would have to be started with --keep_records."
    if found["run_id"] != number.run["run_id"]:
        return "The records that are kept are those of another run."
    if not found["whole"]:
        return f"The records are kept from {words.when(found['since'])} on only; this number counts older ones, too."
    missing = number.value - found["counted"][number.what.name]
    if missing == 0:
        return ""
    if is_live(number.run) and missing > 0:
        return "The newest of these records are not saved yet. They are within half a minute: load the page again."
    return "The kept records are not all that this number counts."


def drill_url(analysis: Analysis, asked: Any, row: Mapping[str, Any], measure: str) -> str | None:
    """The address of the records behind a number of a row; None where there is none for this user.

    Args:
        analysis: whose table it stands in.
        asked: what the page shows: run, window, options.
        row: of the table.
        measure: which number of it.
    """
    if not may(ANALYST) or not MEASURES[measure].of(row):
        return None
    if analysis.table == "type_graph" and asked.options.get("by") == "tag":
        key = {"caller_tag": row["caller_type"], "called_tag": row["called_type"]}
    else:
        key = {n: row[n] for n in (c.name for c in analysis.columns) if n in KEYS[analysis.table]}
    window = ALL_WINDOWS if asked.window is None else asked.window[0]
    address: str = url_for(
        "records.records",
        table=analysis.table,
        run=asked.run["run_id"],
        window=window,
        measure=measure,
        **key,
    )
    return address
