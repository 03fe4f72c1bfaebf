"""Promotions on their way out: states, calendar, export, withdrawal, rate, webhook, and the switch that holds all."""

from __future__ import annotations

import time
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from flask_login import current_user
from marshmallow import fields
from werkzeug.exceptions import Conflict, NotFound

from callbeam_io.delivery.export import COLUMNS, export_rows
from callbeam_io.delivery.rate import LARGEST_RATE, RATE, rate_of
from callbeam_io.delivery.webhook import (
    SENT,
    WEBHOOK,
    Webhook,
    post,
    save_webhook,
    trial_message,
    webhook_of,
)
from callbeam_io.sealing import NoKey
from callbeam_io.store import deliveries as kept
from callbeam_io.store.web_queries import RequestError
from webui import deliveries, pause
from webui import webhook as page
from webui.api.base import Part, listed, shape, text, whole
from webui.errors import field_error
from webui.roles import ADMIN, ANALYST, VIEWER, log
from webui.services import store

part = Part(
    "promotions", "Promotions on their way out. The rows are in the tables promotions and deliveries."
)
_LISTS: Final = ("hosts", "http_hosts", "private_hosts")
_LONGEST: Final = 7 * 86400
Paused = shape(
    "Paused",
    paused=fields.Boolean(required=True),
    by=fields.String(dump_only=True, allow_none=True),
    at=fields.String(dump_only=True, allow_none=True),
)
Summary = shape(
    "DeliverySummary",
    counts=fields.Dict(keys=fields.String(), values=fields.Integer()),
    rate=fields.Integer(metadata={"description": "most messages a minute"}),
    webhook=fields.String(allow_none=True, metadata={"description": "its host"}),
)
Rate = shape("Rate", rate=whole("most messages a minute", 1, LARGEST_RATE, required=True))
Some = shape(
    "SomeDeliveries",
    rule_id=text("only of this rule", most=300),
    subscriber=text("only for this number", most=100),
    decided_at=text("only those decided at this time", most=19),
)
Export = shape(
    "ExportBody",
    rule_id=text("only of this rule", most=300),
    ahead_s=whole("also what is due in so many seconds", 0, _LONGEST, load_default=0),
)
Count = shape("DeliveryCount", count=fields.Integer())
Contacts = listed("Contacts", shape("ContactRow", **{name: fields.String() for name in COLUMNS}))
Hours = listed("DueHours", shape("DueHour", day=fields.String(), hours=fields.List(fields.Integer())))
HookBody = shape(
    "WebhookBody",
    url=text("https://host/path", most=2000, required=True),
    secret=text("signs every message; without one that there is stays, or one is made", most=200, least=16),
    **{name: fields.List(text("a host", most=255), load_default=list) for name in _LISTS},
)
Hook = shape(
    "Webhook",
    url=fields.String(),
    **{name: fields.List(fields.String()) for name in _LISTS},
    secret=fields.String(metadata={"description": "only where it was made just now"}),
)
Tried = shape("WebhookTried", arrived=fields.Boolean(), detail=fields.String())


@part.call("GET", "/promotions/pause", VIEWER, Paused)
def paused() -> dict[str, Any]:
    """Whether all promotions are paused, by whom and since when."""
    return _paused_now()


@part.call("PUT", "/promotions/pause", ANALYST, Paused, body=Paused)
def switch(body: dict[str, Any]) -> dict[str, Any]:
    """Pauses all promotions, on every way out, or lets them go again."""
    pause.switch(on=body["paused"])
    return _paused_now()


def _paused_now() -> dict[str, Any]:
    found = pause.paused() or {}
    return {"paused": bool(found), "by": found.get("by"), "at": found.get("at")}


@part.call("GET", "/deliveries", ANALYST, Summary)
def summary() -> dict[str, Any]:
    """Deliveries by state, the sending rate, and the webhook's host."""
    hook = webhook_of(store().control(WEBHOOK))
    counts, rate = kept.counts(store()), rate_of(store().control(RATE))
    return {"counts": counts, "rate": rate, "webhook": hook.host if hook else None}


@part.call("GET", "/deliveries/calendar", ANALYST, Hours)
def calendar() -> dict[str, Any]:
    """What is due in each hour (UTC) of the next seven days."""
    return {"rows": [{"day": day.name, "hours": list(day.hours)} for day in deliveries.calendar_days()]}


@part.call("PUT", "/deliveries/rate", ADMIN, Rate, body=Rate)
def rate(body: dict[str, Any]) -> dict[str, Any]:
    """Sets how many messages are sent a minute at most."""
    deliveries.set_rate(body["rate"])
    return {"rate": body["rate"]}


@part.call("POST", "/deliveries/send_again", ANALYST, Count, body=Some)
def send_again(body: dict[str, str]) -> dict[str, int]:
    """Lets failed deliveries that are still good wait again."""
    return {"count": deliveries.send_again(body)}


@part.call("POST", "/deliveries/withdraw", ANALYST, Count, body=Some)
def withdraw(body: dict[str, str]) -> dict[str, int]:
    """Withdraws deliveries that wait: they are never sent."""
    return {"count": deliveries.withdraw(body)}


@part.call("POST", "/deliveries/export", ANALYST, Contacts, body=Export)
def export(body: dict[str, Any]) -> dict[str, Any]:
    """What may be contacted, for a dialler or mail tool; it counts as exported.

    At most a thousand or so at a time: ask again until no rows come.
    """
    if pause.is_paused():
        raise Conflict("All promotions are paused.")
    where = {"rule_id": body["rule_id"]} if "rule_id" in body else {}
    log("deliveries exported", where.get("rule_id", ""), {**where, "ahead_s": body["ahead_s"]})
    pages = islice(export_rows(store(), time.time, body["ahead_s"], current_user.name, where), 1)
    return {"rows": [dict(zip(COLUMNS, row, strict=True)) for page in pages for row in page]}


@part.call("GET", "/promotions/webhook", ADMIN, Hook)
def hook() -> dict[str, Any]:
    """The webhook, without its secret."""
    return _without_secret(_there())


@part.call("PUT", "/promotions/webhook", ADMIN, Hook, body=HookBody)
def set_up(body: dict[str, Any]) -> dict[str, Any]:
    """Sets the webhook up. A secret that is made is in the answer, and nowhere after."""
    try:
        secret, is_new = page.secret_for(body.get("secret") or "")
        wanted = Webhook(body["url"], secret, *(tuple(h.lower() for h in body[n]) for n in _LISTS))
        save_webhook(store(), wanted)
    except NoKey as error:
        raise field_error("secret", str(error)) from None
    except RequestError as error:
        raise field_error("url", str(error)) from None
    log("webhook set up", wanted.host, {name: list(getattr(wanted, name)) for name in _LISTS})
    return {**_without_secret(wanted), **({"secret": secret} if is_new else {})}


@part.call("POST", "/promotions/webhook/secret", ADMIN, Hook)
def another() -> dict[str, Any]:
    """Makes another secret, which is in the answer and nowhere after."""
    now = _there()
    return {**_without_secret(now), "secret": page.another_secret(now)}


@part.call("DELETE", "/promotions/webhook", ADMIN)
def remove() -> None:
    """Takes the webhook away: nothing is sent from then on."""
    save_webhook(store(), None)
    log("webhook removed")


@part.call("POST", "/promotions/webhook/test", ADMIN, Tried)
def tried() -> dict[str, Any]:
    """Sends a message of the type test, which offers nobody anything."""
    now = page.signing() or _there()
    answer = post(now, trial_message(), time.time())
    log("webhook tested", now.host, {"answer": answer.detail})
    return {"arrived": answer.state == SENT, "detail": answer.detail}


def _there() -> Webhook:
    found = webhook_of(store().control(WEBHOOK))
    if found is None:
        raise NotFound("No webhook is set up.")
    return found


def _without_secret(found: Webhook) -> dict[str, Any]:
    return {name: value for name, value in asdict(found).items() if name != "secret"}
