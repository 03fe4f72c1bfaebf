"""The rows of the result tables."""

from __future__ import annotations

from typing import Any

from flask import abort
from flask.typing import ResponseReturnValue
from marshmallow import fields

from webui import data, records
from webui.analysis_kinds import ANALYSES
from webui.api.base import Part, Run, choice, listed, shape, text, whole
from webui.measures import MEASURES
from webui.roles import ANALYST, VIEWER, log

part = Part("tables", "The rows of the result tables, as they stand in the store.")

Table = shape("Table", name=fields.String(), role=fields.String(), aggregate=fields.Boolean())
Tables = listed("Tables", Table)


class Rows(Run):
    """What is wanted of a table; any column may be given too, with the value that it must have."""

    order_by = text("a column, or -column for the greatest first")
    limit = whole("rows of a page, for the tables that come in pages", 1, data.LARGEST_PAGE)
    after = text("where the page before ended", most=4000)


RowsAnswer = shape(
    "Rows",
    run_id=fields.String(allow_none=True),
    rows=fields.List(fields.Dict()),
    next=fields.String(allow_none=True, metadata={"description": "address of the next page"}),
)


class Clicked(Run):
    """Which number of an analysis; its key as in the table: `hour`, `business_type`, `tag`, `region`, …."""

    window = text("start of the window, or `all`: all of the run together", most=30)
    measure = choice("which number of the row", list(MEASURES))
    page = whole("number of the page", 1, 10**7, load_default=1)


Behind = shape(
    "RecordsBehind",
    value=fields.Integer(metadata={"description": "the number"}),
    total=fields.Integer(metadata={"description": "records on all pages"}),
    rows=fields.List(fields.Dict()),
    reason=fields.String(metadata={"description": "why the kept records cannot answer, or empty"}),
)


@part.call("GET", "/tables", VIEWER, Tables)
def tables() -> dict[str, object]:
    """The tables that can be read, and the least role for each."""
    rows = [{"name": n, "role": r, "aggregate": n in data.AGGREGATES} for n, r in data.READERS.items()]
    return {"rows": rows}


@part.call("GET", "/tables/<string:table>", VIEWER, RowsAnswer, query=Rows)
def rows(asked: dict[str, object], table: str) -> ResponseReturnValue:
    """The rows of a table of the newest run, or of another.

    Tables of many people or lines come in pages: `next` is the address of the following one. Every other
    parameter is a column with the value that it must have. Some tables need a higher role.
    """
    if table not in data.READERS:
        abort(404, f"There is no table {table}. There are: {', '.join(data.READERS)}.")
    return data.table_rows(table)


@part.call("GET", "/records/<string:table>", ANALYST, Behind, query=Clicked)
def behind(asked: dict[str, Any], table: str) -> dict[str, Any]:
    """The records behind a number of an analysis, a hundred a page: all that it counts, or none."""
    found = records.number_asked(ANALYSES.get(table) or abort(404, "There is no such analysis."))
    answer = records.answer_to(found, (asked["page"] - 1) * records.PAGE)
    log("records viewed", table, {**found.key, "rows": len(answer.rows)})
    return {"value": found.value, "total": answer.total, "rows": answer.rows, "reason": answer.reason}
