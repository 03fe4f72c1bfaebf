"""Consent: what people said, lists of it, suppressions."""

from __future__ import annotations

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import Schema, fields

from callbeam_io.store import web_people
from callbeam_io.store.web_queries import RequestError
from webui import consent, spelling, uploads, view
from webui.api.base import Part, listed, row_of, shape, text
from webui.api.people import Contact, Said
from webui.errors import field_error
from webui.moments import contact_time
from webui.roles import ADMIN, viewed
from webui.services import store

part = Part("consent", "Who may be contacted, and what says so.")
Reach = shape("Reach", contactable=fields.Integer())
Known = shape(
    "Known",
    subscriber=fields.String(),
    contact=fields.Nested(Contact),
    history=fields.List(fields.Nested(Said)),
)
Loaded = shape(
    "Loaded",
    lines=fields.Integer(metadata={"description": "that can be read"}),
    stored=fields.Integer(),
    opted_out=fields.Integer(metadata={"description": "people who were not in the list, where it replaces"}),
    rejected=fields.List(fields.Dict()),
)
ConsentBody = shape(
    "ConsentBody",
    subscriber=text("the number, in any spelling", most=100, required=True),
    opted_in=fields.Boolean(required=True),
    source=text("what says so", most=500, least=0, load_default=""),
)
SuppressionBody = shape(
    "SuppressionBody",
    subscriber=text("the number, in any spelling", most=100, required=True),
    reason=text("why", most=500, least=0, load_default=""),
)


class ListFile(Schema):
    """A consent list."""

    file = Upload(required=True, metadata={"description": "CSV: subscriber,opted_in[,at]"})


class How(Schema):
    """What a list does."""

    replaces = fields.Boolean(
        load_default=False, metadata={"description": "everybody who is not in it is opted out"}
    )
    preview = fields.Boolean(load_default=False, metadata={"description": "only look: nothing is stored"})


Suppressed = listed("Suppressed", row_of("suppressed"))


@part.call("GET", "/consent", ADMIN, Reach)
def reach() -> dict[str, int]:
    """How many people may be contacted now."""
    return {"contactable": web_people.count_contactable(store(), contact_time(view.chosen_run()))}


@part.call("GET", "/consent/<string:number>", ADMIN, Known)
def known(number: str) -> dict[str, Any]:
    """What one person said so far."""
    spelled = spelling.subscriber_of(number, view.chosen_run())
    contact = web_people.contacts(store(), [spelled], contact_time(view.chosen_run()))[spelled]
    viewed(spelled, "consent")
    return {
        "subscriber": spelled,
        "contact": contact,
        "history": web_people.contact_history(store(), spelled),
    }


@part.call("POST", "/consent", ADMIN, body=ConsentBody)
def say(body: dict[str, Any]) -> None:
    """Records that somebody opted in or out, from the next decision on."""
    consent.record(_meant(body), "opt_in" if body["opted_in"] else "opt_out", body["source"])


@part.call("POST", "/suppressed", ADMIN, body=SuppressionBody)
def suppress(body: dict[str, Any]) -> None:
    """Puts somebody on the suppression list."""
    consent.record(_meant(body), "suppress", body["reason"])


def _meant(body: dict[str, Any]) -> str:
    """The subscriber of a body."""
    run = view.chosen_run()
    number = spelling.subscriber_of(body["subscriber"], run)
    if spelling.is_doubtful(number, run):
        raise field_error("subscriber", consent.UNKNOWN)
    return number


@part.call("POST", "/consent/list", ADMIN, Loaded, files=ListFile, query=How)
def load(how: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """Loads a list, or looks what is in it; lines that cannot be read come back with their reason."""
    token = uploads.keep(files["file"])
    try:
        found, removed = (
            (consent.read(token), 0) if how["preview"] else consent.load(token, replaces=how["replaces"])
        )
    except RequestError as error:
        raise field_error("file", str(error).replace(str(uploads.kept(token)), "the file")) from None
    finally:
        uploads.forget(token)
    rejected = [{"line": r.line, "field": r.field, "reason": r.reason} for r in found.rejected[:100]]
    stored = 0 if how["preview"] else found.rows.num_rows
    return {"lines": found.rows.num_rows, "stored": stored, "opted_out": removed, "rejected": rejected}
