"""``/consent``: who may be contacted. Lists, single numbers, their history. For administrators."""

from __future__ import annotations

from typing import Any, Final

import polars as pl
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.store import web_consent, web_people
from callbeam_io.store.consent import ConsentFile, read_consent
from callbeam_io.store.web_queries import RequestError
from webui import spelling, uploads, view, words
from webui.layout import NavItem
from webui.moments import contact_time, record_time
from webui.roles import ADMIN, log, required, viewed
from webui.services import store
from webui.subscribers import reach

bp = Blueprint("consent", __name__)
NAV = [NavItem("People", "Consent", "person-check", "consent.consent", ADMIN, place=40)]
SHOWN: Final = 20
UNKNOWN: Final = "Nobody is spelled so. Write it with + and the code of its country."
DEEDS: Final = {"opt_in": "opted in", "opt_out": "opted out", "suppress": "suppressed"}


@bp.route("/consent", methods=["GET", "POST"])
@required(ADMIN)
def consent() -> ResponseReturnValue:
    """The numbers, the two forms, and what is known about one number; the field ``do`` says what is sent."""
    if request.method == "POST":
        return _done(request.form.get("do", ""))
    return _page()


def _done(do: str) -> ResponseReturnValue:
    if do == "preview":
        return _preview()
    if do == "load":
        return _load()
    if do not in DEEDS:
        abort(400)
    typed, said = request.form.get("number", "").strip(), request.form.get("source", "").strip()
    if not typed:
        return _page(errors={"number": "Enter a number."})
    number = spelling.subscriber_of(typed, view.chosen_run())
    if spelling.is_doubtful(number, view.chosen_run()):
        return _page(errors={"number": UNKNOWN})
    record(number, do, said)
    flash(f"{words.phone(number)} is {DEEDS[do]} now.", "success")
    return redirect(url_for("consent.consent", number=number))


def record(number: str, do: str, said: str) -> None:
    """Records what one person said, or a suppression, from the next decision on."""
    at, source = record_time(view.chosen_run()), said or f"page, {current_user.name}"
    if do == "suppress":
        web_consent.suppress(store(), number, at, source)
    else:
        web_consent.record_consent(store(), number, at, do == "opt_in", source)
    log(DEEDS[do], number, {"from": at, "source": source})


def _page(errors: dict[str, str] | None = None, **more: Any) -> ResponseReturnValue:
    run, opened = view.chosen_run(), store()
    at = contact_time(run)
    typed = request.args.get("number", "").strip()
    number = spelling.subscriber_of(typed, run) if typed else ""
    if number:
        viewed(number, "consent")
    return (
        render_template(
            "consent.html",
            reached=(web_people.count_contactable(opened, at), None) if run is None else reach(run, 2),
            number=number,
            contact=web_people.contacts(opened, [number], at)[number] if number else None,
            history=web_people.contact_history(opened, number) if number else [],
            errors=errors or {},
            **more,
        ),
        400 if errors else 200,
    )


def _preview() -> ResponseReturnValue:
    """Reads the uploaded list and shows what is in it; nothing is stored yet."""
    upload = request.files.get("list")
    if upload is None or not upload.filename:
        return _page(errors={"list": "Choose a file."})
    token = uploads.keep(upload)
    try:
        found = read(token)
    except RequestError as error:
        said = str(error).replace(str(uploads.kept(token)), upload.filename)
        uploads.forget(token)
        return _page(errors={"list": said})
    return _page(token=token, name=upload.filename, found=found, shown=_shown(found))


def _load() -> ResponseReturnValue:
    """Stores the list that was looked at."""
    token = request.form.get("token", "")
    if uploads.kept(token) is None:
        return _page(
            errors={"list": "This upload is gone: it waits for an hour only. Choose the file again."}
        )
    replaces = request.form.get("how") == "replaces"
    found, removed = load(token, replaces=replaces)
    uploads.forget(token)
    flash(
        f"{words.count(found.rows.num_rows, 'consent')} loaded"
        + (f", {words.count(removed, 'other')} opted out." if replaces else "."),
        "success",
    )
    return redirect(url_for("consent.consent"))


def load(token: str, *, replaces: bool) -> tuple[ConsentFile, int]:
    """Stores an uploaded list; gives what was in it, and how many others it opted out.

    Raises RequestError: the file is no consent list.
    """
    path = uploads.kept(token) or abort(404)
    found, at = read(token), record_time(view.chosen_run())
    source = f"{path.name}, {words.when(contact_time(None), seconds=True)}"
    removed = web_consent.load_list(store(), found.rows, source, at, replaces)
    counts = {"lines": found.rows.num_rows, "rejected": len(found.rejected), "opted_out": removed}
    log("consent list loaded", path.name, {**counts, "replaces": replaces})
    return found, removed


def read(token: str) -> ConsentFile:
    """What is in an uploaded list; RequestError: it is none."""
    path = uploads.kept(token)
    if path is None:
        abort(404)
    run = view.chosen_run()

    def normalise(numbers: pl.Series) -> pl.Series:
        """Numbers that are spelled as in the store stay; the few others are read one by one."""
        plain = numbers.str.contains(r"^\+[0-9]{6,15}$")
        others = numbers.filter(~plain).drop_nulls().unique().to_list()
        return numbers.replace(spelling.subscribers_of(others, run))

    return read_consent(path, normalise)


def _shown(found: ConsentFile) -> dict[str, Any]:
    """What the preview says about a list."""
    rows = pl.DataFrame(pl.from_arrow(found.rows))
    return {
        "first": rows.head(SHOWN).to_dicts(),
        "yes": int(rows["opted_in"].sum()),
        "no": rows.height - int(rows["opted_in"].sum()),
        "doubtful": int(rows["subscriber"].str.contains(r"^[0-9 ()./-]{7,}$").sum()),
        "rejected": found.rejected[:SHOWN],
    }
