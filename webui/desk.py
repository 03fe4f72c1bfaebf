"""The rule desk, which checks, counts and explains rules, and the counts that are under way."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Flask, current_app
from flask_login import current_user

from callbeam_io.rule_desk import CountCancelled, RuleDesk
from callbeam_io.store.web_queries import CallbeamError
from webui.roles import log
from webui.rule_language import Language
from webui.services import cached, services

_LOG: Final = logging.getLogger(__name__)
_DESK, _COUNTS = "rule_desk", "rule_counts"
_KEPT: Final = 100
_GUARD: Final = threading.Lock()
DAYS: Final = 30
"""Days of history that a count is about."""
_MATTERS: Final = ("name", "priority", "when", "limits", "control_share", "valid_from", "valid_to")


def desk() -> RuleDesk:
    """The app's desk; its process starts with the first question."""
    extensions = current_app.extensions
    with _GUARD:
        if _DESK not in extensions:
            extensions[_DESK] = RuleDesk(services().config.store)
        found: RuleDesk = extensions[_DESK]
        return found


def warm(app: Flask) -> None:
    """Starts the desk's process beside the work, so that nobody waits for it."""
    with app.app_context():
        asked = desk()
    threading.Thread(target=_greet, args=(asked,), daemon=True).start()


def _greet(asked: RuleDesk) -> None:
    try:
        asked.language()
    except CallbeamError as error:  # whoever asks next is told
        _LOG.warning("%s", error)


def close(app: Flask) -> None:
    """Ends the desk's process, if there is one."""
    found = app.extensions.pop(_DESK, None)
    if found is not None:
        found.close()


def language() -> Language:
    """What rules can say: names of types and groups are those of the newest run."""
    asked = desk()
    return cached("rule language", 10, lambda: Language(asked.language()))


def sentence_of(row: Mapping[str, Any]) -> str:
    """A saved rule in words; of rules that were saved without, the desk says them, if it can."""
    if row.get("sentence"):
        return str(row["sentence"])
    key = ("sentence", row["rule_id"], row["version"])
    asked = desk()
    try:
        return cached(key, 600, lambda: str(asked.check(row["definition"])["sentence"] or ""))
    except CallbeamError as error:
        _LOG.warning("a rule cannot be said in words: %s", error)
        return ""


@dataclass
class Count:
    """A count that is under way or done.

    Attributes:
        of: what is counted, see `digest`.
        definition: of the rule.
        found: the newest answer: about, then exact; None: there is none yet.
        done: whether it changes no more.
        trouble: why there is no answer, or empty.
    """

    of: str
    definition: Mapping[str, Any]
    found: dict[str, Any] | None = None
    done: bool = False
    trouble: str = ""
    news: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> None:
        """Waits until it is done, at most so long."""
        self.over.wait(seconds)

    def run(self, asked: RuleDesk, token: str) -> None:
        """Counts; whoever waits for ``news`` hears of the first answer and of the last one."""
        try:
            self.found = asked.count(self.definition, days=DAYS, on_part=self._part, token=token)
        except CountCancelled:
            self.trouble = "given up for a newer count"
        except CallbeamError as error:
            _LOG.warning("a rule cannot be counted: %s", error)
            self.trouble = str(error)
        finally:
            self.done = True
            self.news.set()
            self.over.set()

    def _part(self, part: dict[str, Any]) -> None:
        self.found = part
        self.news.set()


def digest(definition: Mapping[str, Any]) -> str:
    """What a count of this rule depends on, shortened: the text of its offer is no part of it."""
    parts = json.dumps([definition.get(name) for name in _MATTERS], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def begin_count(definition: Mapping[str, Any], token: str, wait: float) -> Count:
    """The count of a rule for one open page: the one under way, or a new one, for which the old one is given up.

    Args:
        definition: a rule that the desk's check takes.
        token: of the page.
        wait: seconds to wait for a first answer.
    """
    wanted = digest(definition)
    with _GUARD:
        counts: dict[str, Count] = current_app.extensions.setdefault(_COUNTS, {})
        count = counts.pop(token, None)
        if count is None or count.of != wanted or count.trouble:
            count = None
        fresh = count or Count(wanted, dict(definition))
        counts[token] = fresh
        while len(counts) > _KEPT:
            del counts[next(iter(counts))]
    if count is None:
        threading.Thread(target=fresh.run, args=(desk(), token), daemon=True).start()
    fresh.news.wait(wait)
    _note_people(fresh)
    return fresh


def count_of(token: str, of: str) -> Count | None:
    """The count that a page polls for; None where it is gone, or another one by now."""
    counts: dict[str, Count] = current_app.extensions.get(_COUNTS, {})
    found = counts.get(token)
    if found is None or found.of != of:
        return None
    _note_people(found)
    return found


def _note_people(count: Count) -> None:
    """In the audit log, once for who is shown some of the people whom a rule reaches."""
    shown = len((count.found or {}).get("examples") or ())
    if shown:
        name, key = str(count.definition.get("name") or ""), ("shown", current_user.name, count.of)
        cached(key, 600, lambda: log("rule counted", name, {"people shown": shown}))
