"""The API about itself: the description, who is asking, how the pipeline is; and the page that shows all that."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, current_app, jsonify, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from marshmallow import fields

from webui import account
from webui.api.base import PREFIX, Part, description, shape, text
from webui.errors import field_error
from webui.layout import NavItem
from webui.roles import VIEWER, required
from webui.services import services

bp = Blueprint("api", __name__)
NAV = [NavItem("Operate", "API", "braces", "api.docs", VIEWER, place=95)]
part = Part("about", "Who is asking, and whether records flow.")
EXTENSION: Final = "callbeam-api"
_LIVE: Final = ("run_id", "mode", "state", "watermark", "heartbeat", "records_read", "live")

Me = shape("Me", name=fields.String(), role=fields.String())
Status = shape(
    "Status",
    kind=fields.String(
        metadata={"description": "live, catching_up, quiet, stopped, unreachable, batch, empty"}
    ),
    text=fields.String(metadata={"description": "the line on top of every page"}),
    detail=fields.String(),
    as_of=fields.String(),
    run=fields.Dict(allow_none=True, metadata={"description": "the newest run and its live numbers"}),
)
OwnPassword = shape(
    "OwnPassword",
    current=text("the one until now", required=True),
    password=text("the new one", required=True),
)


@part.call("GET", "/me", VIEWER, Me)
def me() -> dict[str, str]:
    """Whom the token or the session stands for."""
    return {"name": current_user.name, "role": current_user.role}


@part.call("PUT", "/me/password", VIEWER, body=OwnPassword)
def password(body: dict[str, str]) -> None:
    """Changes one's own password, in a session: every other session of the user ends with that."""
    wrong = account.change_password(body["current"], body["password"])
    if wrong is not None:
        raise field_error(*wrong)


@part.call("GET", "/status", VIEWER, Status)
def status() -> dict[str, Any]:
    """Whether records flow, in the words of the pages."""
    run = services().pulse.run()
    return {
        **services().pulse.status().as_json(),
        "run": None if run is None else {n: run.get(n) for n in _LIVE},
    }


@bp.get(f"{PREFIX}/openapi.json")
@required(VIEWER)
def openapi() -> ResponseReturnValue:
    """The description of the API."""
    return jsonify(description(current_app.extensions[EXTENSION]))


@bp.get("/api/docs")
@required(VIEWER)
def docs() -> str:
    """All calls, to read and to try."""
    return render_template("api.html", description=url_for("api.openapi"))
