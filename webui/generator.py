"""``/generator``: the knobs of the workload generator, and what turning them does. For administrators."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.store import web_accounts
from callbeam_io.store.web_queries import BUSINESS_TYPES, RequestError, tags_of_types
from webui import traffic, words
from webui.analyses import news
from webui.figures.lines import lines
from webui.figures.style import theme
from webui.knobs import PLAIN, PRESETS, Knob, knobs, problem
from webui.layout import NavItem
from webui.moments import is_live
from webui.promotions import rule_names
from webui.roles import ADMIN, log, required
from webui.services import cached, jobs, services, store

bp = Blueprint("generator", __name__)
NAV = [NavItem("Operate", "Workload generator", "sliders", "generator.generator", ADMIN, place=30)]
CONTROL: Final = "generator"
CHANGED: Final = "generator changed"
_RULES: Final = {"rule switched on": "on", "rule switched off": "off"}
"""Deeds of the audit log whose effect the charts show too."""
RATE: Final = "100"
"""Records a second of a generator that is started here, as long as the knob says nothing else."""
_WRITABLE: Final = ("dir://", "kafka://")
_HINT: Final = "A live run is drawn here<br>seconds after it began"
_KEPT: Final = ("paused", "rate", "speed", "people")
"""What a preset leaves as it is."""


@bp.route("/generator", methods=["GET", "POST"])
@required(ADMIN)
def generator() -> ResponseReturnValue:
    """The knobs; the field ``do`` says what to do with them."""
    now = settings()
    if request.method == "GET":
        return _page(now)
    do = request.form.get("do", "")
    if do in ("start", "stop"):
        return _started() if do == "start" else _stopped()
    if do in ("pause", "go_on"):
        wanted = {**now, "paused": "true" if do == "pause" else "false"}
    elif do in PRESETS:
        kept: dict[str, str] = {n: now[n] for n in _KEPT if n in now}
        wanted = {**kept, **PRESETS[do].values}
    elif do == "update":
        given = {k.name: request.form.get(k.name, "").strip() for k in knobs()}
        wanted = {n: v for n, v in given.items() if v} | {n: now[n] for n in ("paused",) if n in now}
    else:
        abort(400)
    wrong = problem(wanted, known_types())
    if wrong is not None:
        return _page(wanted, wrong), 400
    if change(wanted):
        flash("Set: a generator that reads this store takes it over within two seconds.", "success")
    else:
        flash("Nothing was changed.", "info")
    return redirect(url_for("generator.generator"))


def place() -> str:
    """Where a generator that is started here writes: what the live run reads; empty where it can write nowhere."""
    run = services().pulse.run()
    if run is None or not is_live(run):
        return ""
    inputs = [str(name) for name in (run["options"] or {}).get("inputs") or []]
    return next((name.partition("?")[0] for name in inputs if name.startswith(_WRITABLE)), "")


def running() -> dict[str, Any] | None:
    """The generator that was started here and runs, if any."""
    return next((job for job in jobs().running() if job["kind"] == "generate"), None)


def _started() -> ResponseReturnValue:
    try:
        start()
    except RequestError as error:
        flash(str(error), "danger")
    else:
        flash("Started: its records arrive in a few seconds.", "success")
    return redirect(url_for("generator.generator"))


def start() -> str:
    """Starts a generator that writes where the live run reads; gives the job's id.

    Raises:
        RequestError: there is no such place, or one runs already.
    """
    output, job_id = place(), jobs().new_id()
    folder = jobs().place(job_id)
    if not output or folder is None:
        raise RequestError("There is no live run that reads a folder or a topic")
    options = {"output": output, "tables": str(folder / "live.csv"), "rate": RATE}
    jobs().start("generate", options, current_user.name, job_id, note={"name": output})
    log("generator started", output, {"job": job_id})
    return job_id


def _stopped() -> ResponseReturnValue:
    if stop():
        flash("Stopped.", "success")
    return redirect(url_for("generator.generator"))


def stop() -> bool:
    """Stops the generator that was started here; gives whether one ran."""
    job = running()
    if job is None:
        return False
    jobs().cancel(job["job_id"])
    log("generator stopped", "", {"job": job["job_id"]})
    return True


def known_types() -> list[tuple[str, str]]:
    """The business types that a generator may know, with their tags: the usual ones and those of the newest run."""
    run, opened = services().pulse.run(), store()
    if run is None:
        return list(BUSINESS_TYPES)
    return list(cached(("types", run["run_id"]), 30, lambda: tags_of_types(opened, run["run_id"])).items())


def settings() -> dict[str, str]:
    """What the pages have set so far."""
    found = store().control(CONTROL)
    return {str(n): str(v) for n, v in found.items()} if isinstance(found, dict) else {}


def change(wanted: dict[str, str]) -> bool:
    """Sets the knobs to what is wanted; gives whether that changed anything."""
    now = settings()
    changed = {n: wanted.get(n, "as started") for n in {**wanted, **now} if now.get(n) != wanted.get(n)}
    if changed:
        store().set_control(CONTROL, wanted)
        log(CHANGED, "", changed)
    return bool(changed)


def _page(values: dict[str, str], wrong: tuple[str, str] | None = None) -> str:
    found = knobs(known_types())
    groups: dict[str, list[Knob]] = {}
    for knob in found:
        if knob.name not in PLAIN:
            groups.setdefault(knob.group, []).append(knob)
    return render_template(
        "generator.html",
        values=values,
        wrong=wrong,
        plain=[k for k in found if k.name in PLAIN],
        groups=groups,
        folded=wrong is None or wrong[0] in PLAIN,
        presets=PRESETS.values(),
        paused=values.get("paused") == "true",
        changes=_changes()[::-1],
        address=store().name,
        place=place(),
        job=running(),
        flows=services().pulse.status().kind in ("live", "catching_up"),
    )


@bp.get("/generator/live")
@required(ADMIN)
def live() -> ResponseReturnValue:
    """The charts of the last five minutes, with a mark at every change."""
    run = services().pulse.run()
    found = traffic.recent(store(), run["run_id"]) if run is not None and run["mode"] == "streaming" else []
    types, rules = traffic.types(found), traffic.promotions(found)
    names, look = rule_names(), theme(request.args.get("theme"))
    marks = [(at, said) for at, said in _changes() if at > time.time() - traffic.SHOWN]
    drawn = {
        "types": lines(types, marks, "records a second", "No live records by type yet", look, _HINT),
        "rules": lines(
            {names.get(n, n): p for n, p in rules.items()},
            marks,
            "promotions a second",
            "No promotions in a live run yet",
            look,
            _HINT,
        ),
    }
    parts = {"changes": render_template("_changes.html", changes=_changes()[::-1])}
    return jsonify(status=services().pulse.status().as_json(), figures=news(drawn), parts=parts)


def _changes() -> list[tuple[float, str]]:
    """The newest changes of knobs and rules: when, and what in a few words; the oldest first."""
    rows = [row for action in (CHANGED, *_RULES) for row in web_accounts.logged(store(), 10, action=action)]
    found = [(at.timestamp(), _said(row)) for row in rows if (at := words.moment(row["at"])) is not None]
    return sorted(found)[-10:]


def _said(row: dict[str, Any]) -> str:
    if row["action"] == CHANGED:
        return _in_words(row["detail"] or {})
    return f"{rule_names().get(row['target'], row['target'])} {_RULES[row['action']]}"


def _in_words(changed: dict[str, Any]) -> str:
    parts = [
        {"true": "paused", "false": "goes on"}.get(str(v), str(v))
        if n == "paused"
        else f"{n.replace('_', ' ')} {v}"
        for n, v in changed.items()
    ]
    return ", ".join(parts[:2]) + (f" and {len(parts) - 2} more" if len(parts) > 2 else "")
