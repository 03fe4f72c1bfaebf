"""The rule desk: how web pages check, count and explain rules, which only ``pipelines`` can.

A process of its own (``python -m pipelines.rule_service --store URL``) answers, one JSON object a line on its
standard input and output: ``{"id": 1, "op": "count", …}`` is answered by ``{"id": 1, "part": "exact", "result":
{…}}`` or ``{"id": 1, "error": {…}}``. It keeps the newest run's records in memory, is started by the first
question, started again when it died, and ends with this process, whatever ends that.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from callbeam_io.commands import environment
from callbeam_io.store.engines import without_password
from transforms.errors import RequestError, RunError

Json = dict[str, Any]
MODULE: Final = "pipelines.rule_service"
QUICK, SLOW = 20.0, 120.0
"""Seconds that a question may take: one about words, and one that looks through the history."""
_ENDING: Final = 2.0
_DIED: Final[Json] = {"error": {"kind": "died"}}
_LOG: Final = logging.getLogger(__name__)


class DeskError(RunError):
    """The rule desk gave no answer."""


class CountCancelled(DeskError):
    """The count was given up, because its caller asked for another one."""


class RuleDesk:
    """Asks the rule desk, from any thread. Answers are JSON values.

    All questions raise RequestError for what is wrong with the question (no such rule) and `DeskError` where
    there is no answer in time. Subscribers are E.164 numbers, moments ``YYYY-MM-DD HH:MM:SS`` in UTC.
    """

    def __init__(self, store_url: str, *, quick: float = QUICK, slow: float = SLOW) -> None:
        shown, self._secret = without_password(store_url)
        self._command = [sys.executable, "-m", MODULE, "--store", shown]
        self._quick, self._slow = quick, slow
        self._guard = threading.Lock()
        self._process: _Process | None = None

    def language(self) -> Json:
        """What rules can say: ``fields``, ``operators``, ``where``, ``windows``, ``limits``, with the names of the
        newest run's types."""
        return self._ask("language", self._quick)

    def check(self, definition: Mapping[str, Any]) -> Json:
        """Whether a rule can be decided by the live run: ``ok``, ``problems`` (path, message), ``rule_id``,
        ``definition`` with all defaults, ``sentence`` and ``conditions`` (path, sentence)."""
        return self._ask("check", self._quick, definition=definition)

    def recipes(self) -> list[Json]:
        """Rules to begin with: ``key``, ``title``, ``text``, ``definition``, and ``needs``: what keeps the newest run
        from deciding it (None: nothing)."""
        found: list[Json] = self._ask("recipes", self._quick)["recipes"]
        return found

    def count(
        self,
        definition: Mapping[str, Any],
        *,
        days: int = 30,
        on_part: Callable[[Json], None] | None = None,
        token: str | None = None,
    ) -> Json:
        """What the rule would have done, had it been on over the whole history that is kept.

        Args:
            definition: of the rule.
            days: firings of so many days up to the end of the history are counted.
            on_part: is handed a first estimate (``exact`` false), if there is one, on this thread.
            token: whose count it is: the one that is running for the same token is cancelled.

        Raises:
            CountCancelled: another count with this token came in between.
        """
        asked = {"definition": definition, "days": days, "token": token}
        return self._ask("count", self._slow, on_part, **asked)

    def effect(self, rule_id: str) -> Json:
        """What a rule brought about: offered against control."""
        return self._ask("effect", self._slow, rule_id=rule_id)

    def try_on(self, definition: Mapping[str, Any], subscriber: str, at: str | None = None) -> Json:
        """Whether a rule holds for one person: ``holds`` and each condition with its value; ``at``: a moment, or
        the newest pane end."""
        return self._ask("try_on", self._slow, definition=definition, subscriber=subscriber, at=at)

    def why(self, rule_id: str, subscriber: str, decided_at: str) -> Json:
        """Why a promotion was made and what became of it: ``rule``, ``conditions``, ``gate``, ``outcome``,
        ``contact_at``, ``local_time`` and ``answer``, two sentences to copy."""
        return self._ask("why", self._quick, rule_id=rule_id, subscriber=subscriber, decided_at=decided_at)

    def why_not(self, rule_id: str, subscriber: str) -> Json:
        """Why a person has no promotion of a rule: the same entries, as of now."""
        return self._ask("why_not", self._slow, rule_id=rule_id, subscriber=subscriber)

    def records(self, **asked: Any) -> Json:
        """The records behind a number of an analysis, of the newest run that kept any (``run_id`` null: none has).

        Args:
            asked: ``window_start`` and ``window_end``, ``key`` (such as ``{"hour": 17}``), ``measure``, ``offset``,
                ``limit``.
        """
        return self._ask("records", self._slow, **asked)

    def person(self, subscriber: str) -> Json:
        """What a subscriber did: ``week`` (7 x 24), ``records``, ``since`` and the newest ``rows``."""
        return self._ask("person", self._slow, subscriber=subscriber)

    def changes(self, changes: Mapping[str, str]) -> Json:
        """Flags of an order to a stream (see `callbeam_io.orders`) as ``changes``; RequestError for what cannot be."""
        return self._ask("changes", self._quick, changes=changes)

    def close(self) -> None:
        """Ends the process; the next question starts another one."""
        with self._guard:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def _ask(
        self, op: str, seconds: float, on_part: Callable[[Json], None] | None = None, **asked: Any
    ) -> Json:
        """The answer to a question; a process that dies meanwhile is started again, once."""
        until = time.monotonic() + seconds
        for _ in range(2):
            answer = self._running().ask({"op": op, **asked}, until, on_part)
            if answer is not _DIED:
                return _result(answer)
        raise DeskError(f"the rule desk ended while it was asked for {op}, twice")

    def _running(self) -> _Process:
        with self._guard:
            if self._process is None or not self._process.alive:
                if self._process is not None:
                    self._process.close()
                self._process = _Process(self._command, environment(**self._secret))
                weakref.finalize(self, self._process.close)  # its thread keeps it, not this desk
            return self._process


def _result(answer: Json) -> Json:
    if "error" not in answer:
        result: Json = answer["result"]
        return result
    error = answer["error"]
    if error["kind"] == "cancelled":
        raise CountCancelled(error["message"])
    if error["kind"] == "request":
        raise RequestError(error["message"])
    raise DeskError(error["message"])


class _Process:
    """One process, and the questions that it has not answered yet."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        try:
            self._popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env)
        except OSError as error:
            raise DeskError(f"the rule desk cannot be started: {error}") from error
        self._guard = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Json]] = {}
        self._last = 0
        self.alive = True
        threading.Thread(target=self._read, name="rule desk", daemon=True).start()

    def ask(self, question: Json, until: float, on_part: Callable[[Json], None] | None) -> Json:
        """The last answer to a question; `_DIED` where the process ended before it."""
        answers: queue.SimpleQueue[Json] = queue.SimpleQueue()
        number = self._send(question, answers)
        try:
            while True:
                answer = answers.get(timeout=max(until - time.monotonic(), 0))
                if answer.get("part") != "about":
                    return answer
                if on_part is not None:
                    on_part(answer["result"])
        except queue.Empty:
            self._send({"op": "cancel", "of": number})
            raise DeskError(f"the rule desk did not answer {question['op']} in time") from None
        finally:
            self._waiting.pop(number, None)

    def _send(self, question: Json, answers: queue.SimpleQueue[Json] | None = None) -> int:
        """Writes a question; gives its number. Where the process has ended that is the answer."""
        with self._guard:
            self._last = number = self._last + 1
            if answers is not None:
                self._waiting[number] = answers
            line = json.dumps({"id": number, **question}, separators=(",", ":")).encode() + b"\n"
            try:
                stdin = self._popen.stdin
                if stdin is not None:
                    stdin.write(line)
                    stdin.flush()
            except (OSError, ValueError):  # its end of the pipe is closed, or ours is
                self.alive = False
            if answers is not None and not self.alive:
                answers.put(_DIED)
        return number

    def _read(self) -> None:
        """Hands answers to those who wait, until the process ends; then all of them hear of it."""
        for line in self._popen.stdout or ():
            answer = json.loads(line)
            waiting = self._waiting.get(answer["id"])
            if waiting is not None:
                waiting.put(answer)
        with self._guard:
            self.alive = False
            for waiting in self._waiting.values():
                waiting.put(_DIED)
        code = self._popen.wait()
        if code > 0:
            _LOG.warning("the rule desk ended with status %d", code)

    def close(self) -> None:
        """Ends the process: by the end of its input, else by force."""
        with self._guard:
            self.alive = False
            stdin = self._popen.stdin
            if stdin is not None:
                with suppress(OSError):
                    stdin.close()
        try:
            self._popen.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
