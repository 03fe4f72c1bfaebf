"""The analyses of the live run: which are on, over which windows; a change drains the run and goes on with it."""

from __future__ import annotations

from typing import Any

from flask import abort
from flask_login import current_user
from marshmallow import fields

from callbeam_io import orders
from callbeam_io.orders import Order
from callbeam_io.store import web_queries
from callbeam_io.store.web_queries import RequestError
from webui.api.base import Part, shape, text
from webui.desk import desk
from webui.errors import field_error
from webui.roles import ADMIN, ANALYST, log
from webui.services import services, store

part = Part("analyses", "Which analyses the live run keeps, over which windows.")
Plan = shape(
    "Plan",
    run_id=fields.String(allow_none=True),
    templates=fields.List(fields.String()),
    window=fields.String(allow_none=True),
    ordered=fields.Dict(
        allow_none=True, metadata={"description": "changes that the run has not taken up yet"}
    ),
)
Change = shape(
    "PlanChange",
    templates=fields.List(
        fields.String(), metadata={"description": "those that are on; all the others are off"}
    ),
    window=text("all, fixed:1d, sliding:60s/5s, …", most=60),
)


@part.call("GET", "/analyses", ANALYST, Plan)
def plan() -> dict[str, Any]:
    """What the newest streaming run keeps."""
    return _plan()


def _plan() -> dict[str, Any]:
    run_id = store().newest_run(mode="streaming")
    if run_id is None:
        return {"run_id": None, "templates": [], "window": None, "ordered": None}
    planned = (store().run(run_id)["options"] or {}).get("plan") or {}
    waiting = orders.given(store(), run_id)
    return {
        "run_id": run_id,
        "templates": planned.get("templates") or [],
        "window": planned.get("window"),
        "ordered": None if waiting is None else dict(waiting.changes),
    }


@part.call("PUT", "/analyses", ADMIN, Plan, body=Change, status=202)
def change(body: dict[str, Any]) -> dict[str, Any]:
    """Switches analyses on or off, or changes their windows.

    The run drains, which closes its windows, and goes on with the change within seconds; changed tables begin
    anew, the others go on.
    """
    wanted = {n: ",".join(v) if isinstance(v, list) else v for n, v in body.items()}
    if not wanted:
        raise field_error("templates", "Say what is to change: templates, window or both.")
    give(wanted)
    return _plan()


@part.call("POST", "/runs/<string:run_id>/drain", ADMIN)
def drain(run_id: str) -> None:
    """Ends a streaming run in good order: everything that was read is counted, its state is saved."""
    _give(run_id, {})


def give(changes: dict[str, str]) -> None:
    """Orders the live run to go on with other flags; 422 for what cannot be."""
    try:
        found = desk().changes(changes)["changes"] if changes else {}
    except RequestError as error:
        raise field_error(error.what.split()[0].removeprefix("--") or "templates", str(error)) from None
    _give(services().store.newest_run(mode="streaming") or abort(404, "There is no streaming run."), found)


def _give(run_id: str, changes: dict[str, str]) -> None:
    if web_queries.run_row(store(), run_id) is None:
        abort(404, "There is no such run.")
    try:
        orders.give(store(), run_id, Order(changes, current_user.name))
    except RequestError as error:
        raise field_error("run", str(error)) from None
    log("run ordered", run_id, changes or "drain")
