"""``/data/<table>``: the rows of a result table as JSON, of the newest run unless another is named.

    {"run_id": "…", "rows": […], "next": null}

Tables of many people or lines come in pages: ``next`` is the address of the following one.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, abort, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.store import TABLES
from webui import view
from webui.promotions import standing
from webui.roles import ADMIN, ANALYST, VIEWER, demand, log
from webui.services import store

bp = Blueprint("data", __name__)

READERS: Final[Mapping[str, str]] = {
    "duration_by_hour": VIEWER,
    "business_types": VIEWER,
    "type_graph": VIEWER,
    "regions": VIEWER,
    "runs": ANALYST,
    "subscribers": ANALYST,
    "rejects": ANALYST,
    "rules": ANALYST,
    "rule_versions": ANALYST,
    "rule_activations": ANALYST,
    "promotions": ANALYST,
    "deliveries": ANALYST,
    "consent": ADMIN,
    "suppressed": ADMIN,
}
"""Who may read a table: the least role."""
AGGREGATES: Final = ("duration_by_hour", "business_types", "type_graph", "regions")
PERSONAL: Final = ("subscribers", "rejects", "promotions", "deliveries", "consent", "suppressed")
PAGE: Final = 1000
LARGEST_PAGE: Final = 10_000
_OWN: Final = ("run", "limit", "after", "order_by")


@bp.get("/data/<table>")
def table_rows(table: str) -> ResponseReturnValue:
    """Rows of a table, as they stand in the store.

    Parameters: ``run`` (a run_id), ``order_by`` (``-calls``), ``limit`` and ``after`` (pages), and any column
    with the value that it must have.
    """
    if not current_user.is_authenticated:
        abort(401)
    if table not in READERS:
        abort(404, f"There is no table {table}. There are: {', '.join(READERS)}.")
    demand(READERS[table])
    run_id = _run_id(table)
    if run_id is None and "run_id" in TABLES[table].primary_key.columns and table != "runs":
        return jsonify(run_id=None, rows=[], next=None)
    limit = None if table in AGGREGATES else _limit()
    asked: dict[str, Any] = {
        "where": _where(table),
        "order_by": request.args.get("order_by"),
        "after": _after(table),
    }
    try:
        rows = store().rows(table, run_id, limit=None if limit is None else limit + 1, **asked)
    except (ValueError, KeyError) as error:
        abort(400, str(error))
    if table in PERSONAL:
        log("data read", table, {"rows": len(rows)})
    if table == "promotions" and rows:
        rows = _asked_again(rows)
    more = limit is not None and len(rows) > limit
    return jsonify(
        run_id=run_id, rows=rows[:limit], next=_next(table, rows[limit - 1]) if more and limit else None
    )


def _asked_again(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Promotions with ``may_contact``: whether the offer may be made at this moment."""
    run = view.chosen_run() or abort(404)
    return [{**r, "may_contact": m} for r, m in zip(rows, standing(rows, run), strict=True)]


def _run_id(table: str) -> str | None:
    """The run whose rows are read; for the table of runs itself all of them, unless one is named."""
    if table == "runs":
        return request.args.get("run")
    run = view.chosen_run()
    return None if run is None else str(run["run_id"])


def _limit() -> int:
    limit = request.args.get("limit", PAGE, type=int)
    if not 1 <= limit <= LARGEST_PAGE:
        abort(400, f"limit: expected a number from 1 to {LARGEST_PAGE}.")
    return limit


def _where(table: str) -> dict[str, Any]:
    found = {}
    for name, text in request.args.items():
        if name in _OWN:
            continue
        if name not in TABLES[table].c:
            abort(400, f"{name}: expected one of {', '.join((*_OWN, *TABLES[table].c.keys()))}.")
        found[name] = _value(name, TABLES[table].c[name].info["kind"], text)
    return found


def _value(name: str, kind: str, text: str) -> Any:
    """A parameter as the column holds it."""
    if kind == "bool":
        return text.lower() in ("1", "true", "yes")
    try:
        return int(text) if kind == "int" else float(text) if kind == "float" else text
    except ValueError:
        abort(400, f"{name}: expected a number, not {text!r}.")


def _next(table: str, last: Mapping[str, Any]) -> str:
    """The address of the page after this row: it holds what the order needs of it."""
    columns = [*TABLES[table].primary_key.columns.keys(), request.args.get("order_by", "").removeprefix("-")]
    place = {name: last[name] for name in columns if name in last}
    text = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    return url_for(request.endpoint or "data.table_rows", table=table, **{**_plain_args(), "after": text})


def _plain_args() -> dict[str, Any]:
    return {k: v for k, v in request.args.to_dict().items() if k in _OWN or not k.startswith("_")}


def _after(table: str) -> dict[str, Any] | None:
    text = request.args.get("after")
    if text is None:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error):
        place = None
    if not isinstance(place, dict) or not set(place) <= set(TABLES[table].c.keys()):
        abort(400, "after: expected what the page before gave as next.")
    return place
