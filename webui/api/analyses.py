"""The analyses of the live run: which are on, over which windows; a change drains the run and goes on with it."""

from __future__ import annotations

from typing import Any

from flask import abort
from marshmallow import fields

from callbeam_io import orders
from callbeam_io.store.web_queries import RequestError
from webui.api.base import Part, shape, text
from webui.errors import field_error
from webui.plan import give, kept, live_run
from webui.roles import ADMIN, ANALYST
from webui.services import store

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
    run = live_run()
    if run is None:
        return {"run_id": None, "templates": [], "window": None, "ordered": None}
    waiting = orders.given(store(), run["run_id"])
    return {
        "run_id": run["run_id"],
        **kept(run),
        "ordered": None if waiting is None else dict(waiting.changes),
    }


@part.call("PUT", "/analyses", ADMIN, Plan, body=Change, status=202)
def change(body: dict[str, Any]) -> dict[str, Any]:
    """Switches analyses on or off, or changes their windows.

    The run drains, which closes its windows, and goes on with the change within seconds; changed tables begin
    anew, the others go on.
    """
    wanted = {n: ",".join(v) if isinstance(v, list) else v for n, v in body.items()}
    run = live_run() or abort(404, "There is no streaming run.")
    if not wanted:
        raise field_error("templates", "Say what is to change: templates, window or both.")
    _given(run["run_id"], wanted)
    return _plan()


@part.call("POST", "/runs/<string:run_id>/drain", ADMIN)
def drain(run_id: str) -> None:
    """Ends a streaming run in good order: everything that was read is counted, its state is saved."""
    _given(run_id, {})


def _given(run_id: str, changes: dict[str, str]) -> None:
    try:
        give(run_id, changes)
    except RequestError as error:
        name = error.what.split()[0].removeprefix("--")
        raise field_error(name if name in changes else "run", str(error)) from None
