"""Whom to tell when the pipeline's state changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from marshmallow import fields

from callbeam_io.alerts import LAST, SECURITY, Alerts, load_alerts
from callbeam_io.store.web_queries import RequestError
from webui import alerts
from webui.api.base import Part, choice, shape, text, whole
from webui.errors import field_error
from webui.roles import ADMIN
from webui.services import store

part = Part("alerts", "Who is told when the live pipeline's state changes, by webhook and by mail.")
Body = shape(
    "AlertsBody",
    url=text("of the webhook: https://host/path", most=2000, least=0, load_default=""),
    inner=fields.Boolean(
        load_default=False, metadata={"description": "it is in the inner network, where http is allowed too"}
    ),
    host=text("the mail server", most=255, least=0, load_default=""),
    port=whole("its port", 1, 65535, load_default=587),
    security=choice("how it is spoken to", SECURITY, load_default=SECURITY[0]),
    user=text("for it, if it asks", most=255, least=0, load_default=""),
    password=text(
        "for it; without one, that of the same user and server stays", most=1000, least=0, load_default=""
    ),
    sender=text("address of the sender", most=255, least=0, load_default=""),
    to=text("addresses, several with commas", most=2000, least=0, load_default=""),
)
Ways = shape(
    "Alerts",
    **{n: fields.String() for n in ("url", "host", "security", "user", "sender", "to")},
    inner=fields.Boolean(),
    port=fields.Integer(),
    has_password=fields.Boolean(),
    last=fields.Dict(allow_none=True, metadata={"description": "what was told last, and how that went"}),
)
Tried = shape("AlertsTried", wrong=fields.List(fields.String(), metadata={"description": "a sentence a way"}))


@part.call("GET", "/alerts", ADMIN, Ways)
def ways() -> dict[str, Any]:
    """What is set up, without the password."""
    return _shown(load_alerts(store()))


@part.call("PUT", "/alerts", ADMIN, Ways, body=Body)
def set_up(body: dict[str, Any]) -> dict[str, Any]:
    """Sets it up; what is empty is not used."""
    try:
        return _shown(alerts.set_up(Alerts(**body)))
    except RequestError as error:
        raise field_error(error.what, alerts.said(error)) from None


@part.call("POST", "/alerts/test", ADMIN, Tried)
def tried() -> dict[str, Any]:
    """Tells a change that did not happen, over every way."""
    return {"wrong": alerts.tried()}


def _shown(found: Alerts) -> dict[str, Any]:
    shown = {name: value for name, value in asdict(found).items() if name != "password"}
    return {**shown, "has_password": bool(found.password), "last": store().control(LAST)}
