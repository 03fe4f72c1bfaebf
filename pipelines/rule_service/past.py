"""The history with the firings of the rules that are on: at once for whoever is at work, renewed beside the work."""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import partial
from typing import Final

from callbeam_io.store import Store
from pipelines.rule_service.firings import Others
from pipelines.rule_service.memory import KeptHistory
from pipelines.rule_service.world import rules_on, setting_of
from pipelines.rules_world import World
from pipelines.shard_threads import on_threads
from transforms.errors import CallbeamError

_AT_WORK: Final = 120.0
_LOG: Final = logging.getLogger(__name__)


class Past:
    """What counts look at.

    Somebody who edits a rule counts again and again, while a stream keeps more records: each count is of what is in
    memory, and what is new is read meanwhile. Whoever comes back after a while waits for it.
    """

    def __init__(self, store: Store, history: KeptHistory) -> None:
        self._store, self._history = store, history
        self._guard, self._renewing = threading.Lock(), threading.Lock()
        self._others: Others | None = None
        self._asked = -math.inf

    def now(self) -> Others | None:
        """The history; None where no records are kept."""
        with self._guard:
            others, asked = self._others, self._asked
            self._asked = time.monotonic()
        if others is None or self._asked - asked > _AT_WORK:
            return self.renew()
        threading.Thread(target=self.renew_aside, daemon=True).start()
        return others

    def renew(self) -> Others | None:
        """The history as it is now."""
        kept = self._history.now()
        with self._guard:
            if kept is None or not kept.parts:
                self._others = None
            elif self._others is None or self._others.kept is not kept:
                self._others = Others(kept, setting_of(kept.run))
            return self._others

    def renew_aside(self) -> None:
        """Reads what is new and decides the rules that are on over it, before anybody looks at it."""
        if not self._renewing.acquire(blocking=False):
            return
        try:
            others = self._others if self._others is not None else self.renew()
            kept = self._history.now()
            if kept is not None and kept.parts and others is not None and others.kept is not kept:
                others = Others(kept, setting_of(kept.run))
            if others is not None:
                self._decide(others)
                self._others = others
        except CallbeamError as error:  # whoever waits for it hears of it
            _LOG.warning("the history cannot be read: %s", error)
        finally:
            self._renewing.release()

    def _decide(self, others: Others) -> None:
        on, _ = rules_on(self._store, World(others.setting.settings.pane, others.setting.types))
        rules = [active for active in on if not others.too_often(active)]
        for _ in on_threads(partial(others.of, rules), others.kept.parts):
            pass
