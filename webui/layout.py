"""What every page stands in: menu, status, addresses of files, the theme."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from flask import Flask, Response, g, request, url_for
from flask_login import current_user

from webui import words
from webui.analysis_kinds import tag_number
from webui.geo.countries import name_of
from webui.roles import MEANING, ROLES, may
from webui.services import services
from webui.vendor import vendor_url
from webui.view import address

THEMES: Final = ("light", "dark")
SECTIONS: Final = ("Now", "Analyses", "People", "Operate")
_STATIC: Final = Path(__file__).parent / "static"


class NavItem(NamedTuple):
    """A line of the menu.

    Attributes:
        section: one of `SECTIONS`.
        label: its text.
        icon: name of a Bootstrap icon.
        endpoint: of the page.
        role: the least role that sees it.
        args: of the page's address.
        place: order within the section.
        also: addresses of other pages that belong to it.
    """

    section: str
    label: str
    icon: str
    endpoint: str
    role: str
    args: Mapping[str, str] = MappingProxyType({})
    place: int = 50
    also: tuple[str, ...] = ()


def install(app: Flask, menu: list[NavItem]) -> None:
    """Sets up the templates' surroundings."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    words.install(app)
    app.after_request(_keep_for_good)
    app.jinja_env.filters["country"] = name_of
    app.jinja_env.globals.update(
        vendor_url=vendor_url, static_url=static_url, may=may, roles=ROLES, role_meaning=MEANING
    )
    ordered = sorted(menu, key=lambda item: (SECTIONS.index(item.section), item.place))
    app.jinja_env.globals.update(
        menu=lambda: menu_of(ordered),
        page_status=page_status,
        theme=chosen_theme,
        current_user=current_user,
        address=address,
        tag_number=tag_number,
    )


def menu_of(items: list[NavItem]) -> list[tuple[str, list[tuple[NavItem, str, bool]]]]:
    """Sections with the items that the user may see: item, address, whether it is the current page."""
    shown = [(item, _address(item)) for item in items if may(item.role)]
    found = []
    for section in SECTIONS:
        lines = [(i, url, _is_here(url, *i.also)) for i, url in shown if i.section == section]
        if lines:
            found.append((section, lines))
    return found


def _address(item: NavItem) -> str:
    args: dict[str, Any] = dict(item.args)
    return url_for(item.endpoint, **args)


def _is_here(*urls: str) -> bool:
    return any(request.path == u or (u != "/" and request.path.startswith(f"{u}/")) for u in urls)


def page_status() -> Any:
    """The status line, asked for once a request."""
    if "status" not in g:
        g.status = services().pulse.status()
    return g.status


def chosen_theme() -> str | None:
    """``light`` or ``dark`` as chosen before; None: as the system likes it."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else None


def static_url(name: str) -> str:
    """The address of one of our files; it changes with the file, so that browsers may keep it."""
    return url_for("static", filename=name, v=_version(name))


def _keep_for_good(response: Response) -> Response:
    """Browsers need not ask again for one of our files whose address names this version of it."""
    asked = (request.view_args or {}).get("filename", "")
    if (
        request.endpoint == "static"
        and response.status_code == 200
        and request.args.get("v") == _version(asked)
    ):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def _version(name: str) -> str:
    return _digest(name, (_STATIC / name).stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(name: str, _: int) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:10]
