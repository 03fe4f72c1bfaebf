"""``/promotions/deliveries``: what goes out when, what has gone, what did not; and what can be done about it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Blueprint, Flask, Response, abort, flash, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from callbeam_io.delivery.export import export_pages
from callbeam_io.delivery.rate import LARGEST_RATE, RATE, rate_of
from callbeam_io.delivery.sender import LOCK, Sender
from callbeam_io.delivery.webhook import WEBHOOK, webhook_of
from callbeam_io.store import deliveries as kept
from callbeam_io.store import locks, utc_text
from callbeam_io.store.store import Store
from webui import webhook
from webui.exports import csv_download
from webui.figures.calendar import Day, calendar, finding
from webui.figures.style import theme
from webui.pause import is_paused
from webui.promotions import rule_names
from webui.roles import ADMIN, ANALYST, demand, log, required, viewed
from webui.services import cached, services, store
from webui.view import address

bp = Blueprint("deliveries", __name__)
PAGE: Final = 50
DAYS: Final = 7
STATES: Final = {
    "waiting": ("Waiting", "idle"),
    "sent": ("Sent", "ok"),
    "exported": ("Exported", "ok"),
    "failed": ("Failed", "bad"),
    "withdrawn": ("Withdrawn", "warn"),
    "expired": ("Expired", "warn"),
}
"""A state in words, and its tone."""
AHEAD: Final = {"0": "due now", "43200": "due within 12 hours", "86400": "due within 24 hours"}
_FILTERS: Final = ("rule_id", "state", "subscriber")
_PLACE: Final = ("due_at", *kept.KEY)


@bp.route("/promotions/deliveries", methods=["GET", "POST"])
@required(ANALYST)
def deliveries() -> ResponseReturnValue:
    """The calendar, the states, the list; the field ``do`` says what is to be done with what the filters pass."""
    if request.method == "POST":
        return _done(request.form.get("do", ""))
    where = _chosen(request.args, _FILTERS)
    if "subscriber" in where:
        viewed(where["subscriber"], "deliveries")
    rows = kept.page(store(), where, PAGE + 1, _before())
    older = {f"before_{n}": rows[PAGE - 1][n] for n in _PLACE} if len(rows) > PAGE else None
    counts = cached("deliveries", 1, lambda: kept.counts(store()))
    narrowed = {name: value for name, value in where.items() if name != "state"}
    of = cached(("deliveries", repr(narrowed)), 1, lambda: kept.counts(store(), narrowed))
    return render_template(
        "deliveries.html",
        states=STATES,
        counts=counts,
        of=of,
        total=of.get(where["state"], 0) if "state" in where else sum(of.values()),
        rows=rows[:PAGE],
        older=older,
        where=where,
        names=rule_names(),
        days=calendar_days(),
        finding=finding(calendar_days()),
        ahead=AHEAD,
        rate=rate_of(store().control(RATE)),
        most=LARGEST_RATE,
        hook=webhook_of(store().control(WEBHOOK)),
        trouble=webhook.trouble(),
        sending=cached("sending", 5, _is_sending),
    )


def _is_sending() -> bool:
    return not locks.is_free(store().engine, LOCK)


@bp.get("/promotions/deliveries/figures")
@required(ANALYST)
def figures() -> ResponseReturnValue:
    """The calendar, for the browser to draw."""
    drawn = {"calendar": calendar(calendar_days(), theme(request.args.get("theme")))}
    return jsonify(status=services().pulse.status().as_json(), figures=drawn)


def calendar_days() -> list[Day]:
    """The next days with what is due in their hours; what is overdue counts for this hour."""
    found = cached("calendar", 2, lambda: days_of(store(), datetime.now(UTC)))
    return list(found)


def days_of(opened: Store, now: datetime) -> list[Day]:
    """The days from now on, see `calendar_days`."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    due = kept.per_hour(opened, utc_text(today + timedelta(days=DAYS)))
    this_hour = utc_text(now)[:13]
    counted: dict[str, int] = {}
    for hour, count in due.items():
        counted[max(hour, this_hour)] = counted.get(max(hour, this_hour), 0) + count
    days = [today + timedelta(days=d) for d in range(DAYS)]
    return [
        Day(
            f"{day:%a} {day.day} {day:%b}",
            tuple(counted.get(f"{day:%Y-%m-%d} {h:02d}", 0) for h in range(24)),
        )
        for day in days
    ]


def _done(do: str) -> ResponseReturnValue:
    where = _chosen(request.form, (*_FILTERS, "decided_at"))
    where.pop("state", None)
    if do == "export":
        return _export(where)
    if do == "again":
        done = send_again(where)
        flash(f"{done:,} wait to be sent again." if done else "Nothing that failed is still good.", "info")
    elif do == "withdraw":
        flash(f"{withdraw(where):,} withdrawn: they will not be sent.", "success")
    elif do == "rate":
        demand(ADMIN)
        _set_rate(request.form.get("rate", ""))
    else:
        abort(400)
    return redirect(address("deliveries.deliveries"))


def send_again(where: dict[str, str]) -> int:
    """Lets failed deliveries wait again; gives how many."""
    done = kept.send_again(store(), where, utc_text())
    log("deliveries sent again", where.get("rule_id", ""), {**where, "count": done})
    return done


def withdraw(where: dict[str, str]) -> int:
    """Withdraws waiting deliveries; gives how many."""
    done = kept.withdraw(store(), where, utc_text(), f"by {current_user.name}")
    log("deliveries withdrawn", where.get("rule_id", ""), {**where, "count": done})
    return done


def _set_rate(text: str) -> None:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST_RATE):
        flash(f"A rate is a whole number from 1 to {LARGEST_RATE:,} a minute.", "danger")
        return
    set_rate(int(text))
    flash(f"At most {int(text):,} are sent a minute now.", "success")


def set_rate(rate: int) -> None:
    """Sets how many are sent a minute."""
    store().set_control(RATE, rate)
    log("sending rate set", "", {"a minute": rate})


def _export(where: dict[str, str]) -> ResponseReturnValue:
    """The file for a dialler or mail tool; everything in it counts as exported from then on."""
    ahead = request.form.get("ahead", "0")
    if ahead not in AHEAD:
        abort(400)
    if is_paused():
        flash("All promotions are paused: nothing was exported.", "warning")
        return redirect(address("deliveries.deliveries"))
    return export(where, int(ahead))


def export(where: dict[str, str], ahead: int) -> Response:
    """The download of what may be contacted within ``ahead`` seconds."""
    log("deliveries exported", where.get("rule_id", ""), {**where, "ahead_s": ahead})
    pages = export_pages(store(), time.time, ahead, current_user.name, where)
    return csv_download("contacts", pages)


def _chosen(given: Any, names: tuple[str, ...]) -> dict[str, str]:
    return {name: given[name] for name in names if given.get(name)}


def _before() -> dict[str, str] | None:
    if not all(f"before_{n}" in request.args for n in _PLACE):
        return None
    return {n: request.args[f"before_{n}"] for n in _PLACE}


def start(app: Flask) -> None:
    """Sends from this process, on a thread, as long as no other process of the store does."""
    with app.app_context():
        Sender(store()).start()
