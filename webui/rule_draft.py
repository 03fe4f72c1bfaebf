"""A rule while it is being written: what stands in the form, what the desk says of it, what else the page shows."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from webui import rule_tree, rule_words
from webui.desk import Count, desk

UNNAMED, NO_CODE = "New rule", "OFFER"


@dataclass
class Draft:
    """A rule in the builder.

    Attributes:
        definition: as it stands in the form, right or wrong.
        row: of the rule that is edited; None: a new one.
        base: the version that was edited.
        token: of the open page, for its counts.
        count: the count that is shown.
        focus, opened: the place where the work goes on, the filter that was just added.
        json_text, json_error: JSON that could not be taken over, and why.
        tried: what came of trying it on a person.
        theirs: the row that somebody else saved meanwhile.
        renamed: the rule_id that the new name makes, where that is another rule.
    """

    definition: dict[str, Any]
    row: Mapping[str, Any] | None
    base: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    count: Count | None = None
    focus: str = ""
    opened: str = ""
    json_text: str = ""
    json_error: str = ""
    tried: dict[str, Any] | None = None
    theirs: Mapping[str, Any] | None = None
    renamed: str = ""
    _judged: Mapping[str, Any] | None = None

    def judge(self) -> Mapping[str, Any]:
        """The desk's check of the rule as it is; from now on the page shows its problems."""
        self._judged = desk().check(self.definition)
        return self._judged

    @property
    def judged(self) -> bool:
        """Whether the page shows all that is wrong: once somebody tried to save it."""
        return self._judged is not None

    @cached_property
    def counted(self) -> dict[str, Any]:
        """The desk's check of the rule with a name and an offer, so that its conditions can be tried before."""
        offer = dict(self.definition.get("offer") or {})
        offer["code"] = offer.get("code") or NO_CODE
        named = {**self.definition, "name": self.definition.get("name") or UNNAMED, "offer": offer}
        return desk().check(named)

    @property
    def errors(self) -> dict[str, str]:
        """What is said beside which field."""
        return rule_words.errors_of((self._judged or self.counted)["problems"])

    @property
    def sentences(self) -> dict[str, str]:
        """The conditions that can be said in words, by path."""
        return {c["path"]: c["sentence"] for c in self.counted["conditions"]}

    @property
    def sentence(self) -> str:
        """The whole rule in words; empty where it cannot be said yet."""
        return str(self.counted["sentence"] or "").replace(f"Offer {NO_CODE} ", "Offer … ", 1)

    @property
    def json(self) -> str:
        """The rule as JSON, or what stands in its place."""
        return self.json_text or json.dumps(self.definition, indent=2, ensure_ascii=False)

    def filters(self, place: str) -> dict[str, list[Any]] | None:
        """The filters of the condition at a place, or of the ``goal``, to be changed; None: there can be none."""
        if place == "goal":
            offer = self.definition.setdefault("offer", {})
            offer["goal"] = offer.get("goal") or {}
            found: dict[str, list[Any]] = offer["goal"]
            return found
        node = rule_tree.node_at(self.definition["when"], place)
        if node is None or rule_tree.is_group(node):
            return None
        return node.setdefault("where", {})

    @property
    def slots(self) -> list[str]:
        """Every place where an error can stand, so that the page fills and empties them all."""
        return [*FIELDS, *places(self.definition["when"], "0")]


FIELDS = (
    "name", "priority", "start", "offer.code", "offer.text", "offer.channel", "offer.expires_after", "offer.goal",
    "limits.repeat", "limits.cooldown", "limits.max_per_subscriber", "limits.max_total", "control_share",
    "valid_from", "valid_to",
)  # fmt: skip
"""Paths of the fields beside the tree."""


def places(node: Any, place: str) -> list[str]:
    """Paths of a node that is on screen and of those below it."""
    found = [rule_tree.path_of(place)]
    if rule_tree.is_group(node) and place.count(".") < rule_tree.ON_SCREEN:
        for step, child in enumerate(node["rules"]):
            found += places(child, f"{place}.{step}")
    return found
