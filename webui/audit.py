"""``/audit``: who did what when. For administrators."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_accounts
from webui.layout import NavItem
from webui.roles import ADMIN, required
from webui.services import store

bp = Blueprint("audit", __name__)
NAV = [NavItem("Operate", "Audit log", "journal-text", "audit.audit", ADMIN, place=90)]
PAGE: Final = 100


@bp.get("/audit")
@required(ADMIN)
def audit() -> ResponseReturnValue:
    """The newest entries, by user and kind if wanted; ``before`` goes further back."""
    asked = {name: request.args.get(name, "").strip() for name in ("username", "action")}
    before = request.args.get("before", type=int)
    rows = web_accounts.logged(store(), PAGE + 1, before, **asked)
    older = rows[PAGE - 1]["id"] if len(rows) > PAGE else None
    return render_template(
        "audit.html",
        rows=rows[:PAGE],
        older=older,
        actions=web_accounts.actions(store()),
        before=before,
        **asked,
    )
