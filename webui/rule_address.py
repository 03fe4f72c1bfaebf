"""Addresses of rules, ``/rules/<rule_id>``; also of one whose id is the name of another page there."""

from __future__ import annotations

from typing import Final

from flask import Flask
from werkzeug.routing import BaseConverter

TAKEN: Final = frozenset({"new", "count"})
"""Pages below ``/rules/``. A rule called so has its page at ``/rules/~new``: no id has a ``~`` in it."""


class RuleId(BaseConverter):
    """The part of an address that names a rule."""

    part_isolating = True

    def to_python(self, value: str) -> str:
        """The rule_id of a part of an address."""
        return value.removeprefix("~")

    def to_url(self, value: str) -> str:
        """The part of an address for a rule_id."""
        return f"~{value}" if value in TAKEN else super().to_url(value)


def install(app: Flask) -> None:
    """Lets addresses say ``<rule:rule_id>``; before the pages are registered."""
    app.url_map.converters["rule"] = RuleId
