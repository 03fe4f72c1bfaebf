"""Which question of the rule desk is answered by what."""

from __future__ import annotations

from typing import Any

from callbeam_io.store import Store
from pipelines.rule_service import words
from pipelines.rule_service.wire import Asked, Operation
from pipelines.rules_world import world_of

Json = dict[str, Any]


class Desk:
    """Answers questions about the rules of a store.

    Attributes:
        store: the result store.
        url: its URL.
    """

    def __init__(self, store: Store, url: str) -> None:
        self.store, self.url = store, url

    def operations(self) -> dict[str, Operation]:
        """What answers each ``op``."""
        return {
            "language": lambda _: words.language(world_of(self.store, None, None)),
            "recipes": lambda _: words.recipes(world_of(self.store, None, None)),
            "check": self._check,
        }

    def _check(self, asked: Asked) -> Json:
        return words.check(asked.values["definition"], world_of(self.store, None, None))
