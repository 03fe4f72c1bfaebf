"""``/runs/new``: a file is looked at, how it is read is changed, a run is started on it. For administrators."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.formats import FORMATS, PARQUET
from callbeam_io.store.web_queries import RequestError
from webui import drafts, mappings
from webui.drafts import AUTO, OWN, Draft
from webui.roles import ADMIN, log, required
from webui.services import jobs, services

bp = Blueprint("new_run", __name__)
WAIT: Final = 5.0
"""Seconds in which a run that cannot begin says so."""


@bp.route("/runs/new", methods=["GET", "POST"])
@required(ADMIN)
def new_run() -> ResponseReturnValue:
    """The form; ``draft`` names what was looked at, the field ``do`` says what is sent."""
    if request.method == "GET":
        return _look(request.args["draft"]) if request.args.get("draft") else _first()
    do = request.form.get("do", "")
    if do == "look":
        return _begin()
    draft = drafts.load(request.form.get("draft", ""))
    if draft is None:
        return _first(
            "This draft is gone: it waits for an hour, or until it is started. Choose the file again."
        )
    if do == "again":
        return _change(draft)
    return _start(draft) if do == "start" else abort(400)


def _first(error: str = "") -> ResponseReturnValue:
    page = render_template("new_run.html", draft=None, files=drafts.listed(), error=error, limit=_limit())
    return page, 400 if error else 200


def _limit() -> int:
    return services().config.max_file >> 20


def _begin() -> ResponseReturnValue:
    """Takes the file, or the path, and shows what is in it."""
    files = request.files
    try:
        draft = drafts.begin(files.get("file"), request.form.get("path", "").strip(), files.get("directory"))
    except RequestError as error:
        return _first(str(error))
    return redirect(url_for("new_run.new_run", draft=draft.job_id))


def _look(job_id: str) -> ResponseReturnValue:
    draft = drafts.load(job_id)
    if draft is None:
        return _first("This draft is gone. Choose the file again.")
    return _page(draft)


def _page(draft: Draft, error: str = "", status: int = 200) -> ResponseReturnValue:
    """What the pipeline would make of the file, and the knobs to change it."""
    answer = draft.look()
    found: dict[str, Any] | None = json.loads(answer.output) if answer.status == 0 else None
    spec = draft.mapping or (found or {}).get("mapping") or {}
    guessed = found is None and not spec
    if guessed:
        spec = _starter(draft)
    before = mappings.text_of(spec)
    page = render_template(
        "new_run.html",
        draft=draft,
        found=found,
        error=error or ("" if found else answer.error),
        chosen=OWN if guessed and draft.format == AUTO else draft.format,
        before=before,
        spec=request.form.get("mapping", before) if error else before,  # what cannot be stays to be corrected
        choices=mappings.choices(spec) if spec else [],
        columns=_columns(draft, spec),
        formats=[(AUTO, "As the file looks"), *_formats(), (PARQUET, "Parquet"), (OWN, "The mapping below")],
    )
    return page, status


def _formats() -> list[tuple[str, str]]:
    return [(f.name, f"{f.name}: {f.title}") for f in FORMATS.values()]


def _starter(draft: Draft) -> dict[str, Any]:
    try:
        return mappings.starter_of(draft.path)
    except RequestError:
        return {}


def _columns(draft: Draft, spec: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        return mappings.columns(draft.path, spec) if spec else []
    except RequestError:
        return []


def _changed(draft: Draft) -> Draft:
    """The draft with what the form says; RequestError where the mapping cannot be."""
    form = request.form
    draft = replace(
        draft,
        timezone=form.get("timezone", "").strip(),
        region=form.get("region", "").strip().upper(),
        keep="keep" in form,
    )
    before = json.loads(form.get("before") or "{}")
    spec = mappings.from_form(form.get("mapping", ""), form, before) if before else {}
    chosen = form.get("format", AUTO)
    if spec and (spec != before or chosen == OWN):
        return replace(draft, format=OWN, mapping=spec)
    return replace(draft, format=chosen, mapping=None)


def _change(draft: Draft) -> ResponseReturnValue:
    try:
        draft = _changed(draft)
    except (RequestError, ValueError) as error:
        return _page(draft, str(error), 400)
    drafts.save(draft)
    return redirect(url_for("new_run.new_run", draft=draft.job_id))


def _start(draft: Draft) -> ResponseReturnValue:
    """Starts the run; what it refuses at once is said on the form."""
    try:
        draft = _changed(draft)
        drafts.save(draft)
        start(draft)
    except (RequestError, ValueError) as error:
        return _page(draft, str(error), 400)
    row = _settled(draft.job_id)
    if row is not None and row["state"] == "failed" and not row["run_id"]:  # refused before it began
        return _page(drafts.again(draft), draft.plainly(row["error"] or "It failed."), 400)
    return redirect(url_for("jobs.job", job_id=draft.job_id))


def start(draft: Draft) -> None:
    """Starts the run of a draft.

    Raises:
        RequestError: the file cannot be read so, or the run cannot start now.
    """
    answer = draft.look()
    if answer.status:
        raise RequestError(answer.error)
    note = {"name": draft.name, "records": json.loads(answer.output)["records"]}
    jobs().start("run", draft.run_options(), current_user.name, draft.job_id, note=note)
    log("run started", draft.name, {"job": draft.job_id, **draft.run_options()})


def begun(job_id: str) -> ResponseReturnValue:
    """To the job's page, as soon as it is clear that it began; it says there what went wrong, if it did not."""
    row = _settled(job_id)
    if row is not None and row["state"] == "failed":
        flash(row["error"] or "It failed.", "danger")
    return redirect(url_for("jobs.job", job_id=job_id))


def _settled(job_id: str) -> dict[str, Any] | None:
    """The job's row once its run has begun, or it ended; after some seconds in any case."""
    end = time.monotonic() + WAIT
    row = jobs().job(job_id)
    while row is not None and row["state"] == "running" and not row["run_id"] and time.monotonic() < end:
        time.sleep(0.1)
        row = jobs().job(job_id)
    return row
