"""Runs on uploaded files: a file is looked at, how it is read is changed, then the run is started."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from flask import abort
from flask_smorest.fields import Upload
from marshmallow import Schema, fields

from callbeam_io.formats import NAMES
from callbeam_io.store.web_queries import RequestError
from webui import drafts, mappings, new_run
from webui.api.base import Part, choice, shape, text
from webui.api.jobs import JobRow, one_or_404
from webui.drafts import OWN, Draft
from webui.errors import field_error
from webui.roles import ADMIN, log

part = Part(
    "drafts", "Runs on files that are uploaded: looked at first, then started. A draft waits for an hour."
)
_FLAGS: Final = ("format", "timezone", "region", "keep")


class Files(Schema):
    """What comes as a form."""

    file = Upload(metadata={"description": "records, in any format that can be read"})
    directory = Upload(metadata={"description": "CSV: number,business_type"})


Where = shape("DraftQuery", path=text("in place of a file: inside the folders of `--data_folder`"))
Change = shape(
    "DraftChange",
    format=choice("how it is read; `mapping`: as the mapping says", [*NAMES, OWN]),
    timezone=text("zone of stamps that carry none", most=100, least=0),
    region=text("region of numbers without +", most=2, least=0),
    keep=fields.Boolean(metadata={"description": "whether records are kept for later questions"}),
    mapping=fields.Dict(
        metadata={"description": "which column holds what, see FORMATS.md; implies `mapping`"}
    ),
)
Shown = shape(
    "Draft",
    draft=fields.String(),
    name=fields.String(),
    **{name: fields.String() for name in ("format", "timezone", "region")},
    keep=fields.Boolean(),
    mapping=fields.Dict(allow_none=True),
    found=fields.Dict(allow_none=True, metadata={"description": "what a run would make of it"}),
    trouble=fields.String(metadata={"description": "why it cannot be read so, or empty"}),
)


@part.call("POST", "/drafts", ADMIN, Shown, files=Files, query=Where, status=201)
def begin(asked: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """Takes a file of records, or a path, and looks at it; nothing is stored in the results."""
    try:
        draft = drafts.begin(files.get("file"), asked.get("path", ""), files.get("directory"))
    except RequestError as error:
        raise field_error("file", str(error)) from None
    return _shown(draft)


@part.call("GET", "/drafts/<string:draft_id>", ADMIN, Shown)
def look(draft_id: str) -> dict[str, Any]:
    """What a run would make of the file."""
    return _shown(_there(draft_id))


@part.call("PATCH", "/drafts/<string:draft_id>", ADMIN, Shown, body=Change)
def change(body: dict[str, Any], draft_id: str) -> dict[str, Any]:
    """Changes how the file is read, and looks again."""
    draft = replace(_there(draft_id), **{name: body[name] for name in _FLAGS if name in body})
    if "mapping" in body:
        draft = replace(draft, format=OWN, mapping=_checked(body["mapping"]))
    if draft.format == OWN and draft.mapping is None:
        raise field_error("mapping", "This format needs a mapping.")
    drafts.save(draft)
    return _shown(draft)


@part.call("POST", "/drafts/<string:draft_id>/start", ADMIN, JobRow, status=202)
def start(draft_id: str) -> dict[str, Any]:
    """Starts the run."""
    draft = _there(draft_id)
    try:
        new_run.start(draft)
    except RequestError as error:
        raise field_error("draft", str(error)) from None
    return one_or_404(draft.job_id)


@part.call("DELETE", "/drafts/<string:draft_id>", ADMIN)
def drop(draft_id: str) -> None:
    """Forgets the draft and its files."""
    draft = _there(draft_id)
    drafts.drop(draft)
    log("file forgotten", draft.name, {"job": draft.job_id})


def _there(draft_id: str) -> Draft:
    return drafts.load(draft_id) or abort(
        404, "There is no such draft: it waits for an hour, or was started."
    )


def _checked(mapping: dict[str, Any]) -> dict[str, Any]:
    try:
        return mappings.from_form(json.dumps(mapping), {}, mapping)
    except (RequestError, ValueError) as error:
        raise field_error("mapping", str(error)) from None


def _shown(draft: Draft) -> dict[str, Any]:
    answer = draft.look()
    return {
        "draft": draft.job_id,
        **{name: getattr(draft, name) for name in ("name", *_FLAGS, "mapping")},
        "found": json.loads(answer.output) if answer.status == 0 else None,
        "trouble": answer.error if answer.status else "",
    }
