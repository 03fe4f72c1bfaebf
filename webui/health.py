"""``/healthz`` for watchdogs, ``/status`` for the line on top of every page."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from webui.errors import error_json
from webui.roles import VIEWER, required
from webui.services import services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """200 while the store can be read; says how the pipeline is."""
    status = services().pulse.status()
    if status.kind == "unreachable":
        return error_json(503, "The result store cannot be reached.")
    return jsonify(status="ok", pipeline=status.kind)


@bp.get("/status")
@required(VIEWER)
def status() -> ResponseReturnValue:
    """The status line as JSON."""
    return jsonify(status=services().pulse.status().as_json())
