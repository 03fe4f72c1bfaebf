"""The app factory: one blueprint a page, put together here."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Final

from flask import Flask

from callbeam_io.alerts import Teller
from callbeam_io.jobs import Jobs
from callbeam_io.store import Store, open_store
from webui import (
    account,
    alerts,
    analyses,
    api,
    audience,
    audit,
    consent,
    dashboard,
    data,
    deliveries,
    desk,
    errors,
    first_start,
    generator,
    habits,
    health,
    jobs,
    layout,
    metrics,
    new_run,
    outlines,
    pause,
    person,
    person_week,
    plan,
    preparation,
    promotions,
    records,
    rejects,
    rule_address,
    rule_builder,
    rule_page,
    rules,
    runs,
    security,
    services,
    signin,
    signing,
    subscribers,
    uploads,
    users,
    vendor,
    webhook,
    welcome,
    why,
)
from webui.config import WebConfig
from webui.pulse import Pulse
from webui.watch import Watch

PAGES: Final[Sequence[ModuleType]] = (
    vendor,
    outlines,
    health,
    metrics,
    data,
    signin,
    account,
    welcome,
    dashboard,
    analyses,
    habits,
    subscribers,
    person,
    person_week,
    records,
    why,
    audience,
    rules,
    rule_builder,
    rule_page,
    promotions,
    deliveries,
    webhook,
    pause,
    consent,
    new_run,
    jobs,
    runs,
    plan,
    rejects,
    generator,
    alerts,
    users,
    audit,
    api.about,
)
"""Modules with a blueprint ``bp`` and, if they stand in the menu, their lines ``NAV``."""


def create_app(config: WebConfig, store: Store | None = None) -> Flask:
    """The web app.

    Args:
        config: its settings.
        store: the opened store of ``config.store``; None: it is opened here.

    Raises:
        RequestError: the store cannot be opened.
    """
    store = open_store(config.store) if store is None else store
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # rows keep the order of their columns
    app.secret_key = config.secret_key or first_start.secret_key(store)
    pulse = Pulse(store)
    services.install(app, services.Services(config, store, pulse, Jobs(store, config.store)))
    metrics.install(app)
    uploads.install(app, config)
    security.install(app, config)
    signing.install(app)
    errors.install(app)
    layout.install(app, [line for page in PAGES for line in getattr(page, "NAV", ())])
    app.jinja_env.globals.update(drill_url=records.drill_url, promotions_paused=pause.paused)
    rule_address.install(app)
    for page in PAGES:
        app.register_blueprint(page.bp)
    api.install(app)
    if config.background:
        Watch(store, pulse, Teller(store)).start()
        preparation.start(store)
        deliveries.start(app)
        desk.warm(app)
    return app
