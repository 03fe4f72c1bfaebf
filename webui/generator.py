"""``/generator``: the knobs of the workload generator, and what turning them does. For administrators."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from callbeam_io.store import web_accounts
from webui import traffic, words
from webui.analyses import news
from webui.figures.lines import lines
from webui.figures.style import theme
from webui.knobs import PLAIN, PRESETS, Knob, knobs, problem
from webui.layout import NavItem
from webui.promotions import rule_names
from webui.roles import ADMIN, log, required
from webui.services import services, store

bp = Blueprint("generator", __name__)
NAV = [NavItem("Operate", "Workload generator", "sliders", "generator.generator", ADMIN, place=30)]
CONTROL: Final = "generator"
CHANGED: Final = "generator changed"
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
    wrong = problem(wanted)
    if wrong is not None:
        return _page(wanted, wrong), 400
    if change(wanted):
        flash("Set: a generator that reads this store takes it over within two seconds.", "success")
    else:
        flash("Nothing was changed.", "info")
    return redirect(url_for("generator.generator"))


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
    found = knobs()
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
        "types": lines(types, marks, "records a second", "No live records by type yet", look),
        "rules": lines(
            {names.get(n, n): p for n, p in rules.items()},
            marks,
            "a second",
            "No promotions in a live run yet",
            look,
        ),
    }
    parts = {"changes": render_template("_changes.html", changes=_changes()[::-1])}
    return jsonify(status=services().pulse.status().as_json(), figures=news(drawn), parts=parts)


def _changes() -> list[tuple[float, str]]:
    """The newest changes: when, and what in a few words; the oldest first."""
    found = []
    for row in reversed(web_accounts.logged(store(), 10, action=CHANGED)):
        at = words.moment(row["at"])
        if at is not None:
            found.append((at.timestamp(), _in_words(row["detail"] or {})))
    return found


def _in_words(changed: dict[str, Any]) -> str:
    parts = [
        {"true": "paused", "false": "goes on"}.get(str(v), str(v))
        if n == "paused"
        else f"{n.replace('_', ' ')} {v}"
        for n, v in changed.items()
    ]
    return ", ".join(parts[:2]) + (f" and {len(parts) - 2} more" if len(parts) > 2 else "")
