"""Jobs: runs that are started on files of the server, watched and cancelled."""

from __future__ import annotations

from typing import Any

from flask import abort
from flask_login import current_user
from marshmallow import fields

from callbeam_io.formats import NAMES
from callbeam_io.store import web_queries
from callbeam_io.store.web_queries import RequestError
from webui import drafts, welcome
from webui.api.base import Part, choice, listed, row_of, shape, text, whole
from webui.commands import again_options
from webui.errors import field_error
from webui.roles import ADMIN, log
from webui.services import jobs, store

part = Part("jobs", "Runs on files of the server, started from here.")
JobRow = row_of("jobs")
Jobs = listed("Jobs", JobRow)
Newest = shape("NewestJobs", limit=whole("how many", 1, 100, load_default=30))
Log = shape("Log", text=fields.String(metadata={"description": "the end of what it said"}))
NewRun = shape(
    "NewRun",
    input=text("a file or folder inside the folders of `--data_folder`", required=True),
    directory=text("a list of business numbers, inside them too", load_default=""),
    input_format=choice("how it is read", NAMES, load_default="auto"),
    timezone=text("zone of stamps that carry none", most=100, load_default="UTC"),
    default_region=text("region of numbers without +", most=2, least=0, load_default=""),
    keep_records=fields.Boolean(load_default=True, metadata={"description": "for later questions"}),
)


@part.call("GET", "/jobs", ADMIN, Jobs, query=Newest)
def newest(asked: dict[str, Any]) -> dict[str, Any]:
    """Jobs, the newest first."""
    return {"rows": jobs().newest(asked["limit"])}


@part.call("POST", "/jobs", ADMIN, JobRow, body=NewRun, status=202)
def start(body: dict[str, Any]) -> dict[str, Any]:
    """Starts a run on a file: it begins in a few seconds, `run_id` says which run it made."""
    try:
        paths = {n: drafts.allowed(body[n]) for n in ("input", "directory") if body[n]}
    except RequestError as error:
        raise field_error("input", str(error)) from error
    said = {n: body[n] for n in ("input_format", "timezone", "default_region") if body[n]}
    kept = {"keep_records": "30d"} if body["keep_records"] else {}
    return _started({**paths, **said, **kept}, body["input"])


@part.call("POST", "/sample", ADMIN, JobRow, status=202)
def sample() -> dict[str, Any]:
    """Loads sample data: made-up records, their directory, consents, and rules that are off; in some 20 seconds."""
    return one_or_404(welcome.load_sample())


@part.call("POST", "/runs/<string:run_id>/again", ADMIN, JobRow, status=202)
def again(run_id: str) -> dict[str, Any]:
    """Reads the files of a batch run again, with the rules that are on now."""
    run = web_queries.run_row(store(), run_id) or abort(404, "There is no such run.")
    options = again_options(run)
    if options is None:
        abort(400, "Only a run that read files at once can be done again.")
    return _started(options, "the same files again")


def _started(options: dict[str, Any], name: str) -> dict[str, Any]:
    job_id = jobs().start("run", options, current_user.name, note={"name": name})
    log("run started", name, {"job": job_id, **options})
    return jobs().job(job_id) or abort(404)


@part.call("GET", "/jobs/<string:job_id>", ADMIN, JobRow)
def one(job_id: str) -> dict[str, Any]:
    """A job as it is now."""
    return one_or_404(job_id)


@part.call("GET", "/jobs/<string:job_id>/log", ADMIN, Log)
def tail(job_id: str) -> dict[str, Any]:
    """The end of its log."""
    return {"text": jobs().tail(one_or_404(job_id)["job_id"])}


@part.call("DELETE", "/jobs/<string:job_id>", ADMIN)
def cancel(job_id: str) -> None:
    """Asks a job to end; what does not within ten seconds is ended by force."""
    jobs().cancel(one_or_404(job_id)["job_id"])
    log("job cancelled", job_id)


def one_or_404(job_id: str) -> dict[str, Any]:
    """The row of a job; 404 where there is none."""
    return jobs().job(job_id) or abort(404, "There is no such job.")
