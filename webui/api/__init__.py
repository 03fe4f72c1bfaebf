"""``/api/v1``: everything that the pages can do, for programs; described in OpenAPI, documented at ``/api/docs``."""

from __future__ import annotations

from typing import Final

from flask import Flask

from webui.api import (
    about,
    accounts,
    alerts,
    analyses,
    base,
    consents,
    drafts,
    jobs,
    people,
    promotions,
    rules,
    runs,
    tables,
    workload,
)

PARTS: Final = (
    about,
    tables,
    analyses,
    people,
    consents,
    rules,
    promotions,
    runs,
    jobs,
    drafts,
    workload,
    alerts,
    accounts,
)


def install(app: Flask) -> None:
    """Registers the calls of all parts, the description, and the page of both."""
    app.extensions[about.EXTENSION] = base.install(app, [module.part for module in PARTS])
