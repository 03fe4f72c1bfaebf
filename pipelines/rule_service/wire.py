"""Questions and answers as JSON lines: each question on a thread of its own, so that a count keeps nobody waiting."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from transforms.errors import CallbeamError, RequestError

Json = dict[str, Any]
_LOG: Final = logging.getLogger(__name__)


class Cancelled(CallbeamError):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Asked:
    """A question that is being answered.

    Attributes:
        values: what it says.
        say: hands out a first part of the answer.
        given_up: set when nobody waits for the answer any more.
    """

    values: Mapping[str, Any]
    say: Callable[[Json], None]
    given_up: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Cancelled where nobody waits any more."""
        if self.given_up.is_set():
            raise Cancelled("cancelled: its caller asked for something else")


Operation = Callable[[Asked], Json]


def serve(operations: Mapping[str, Operation], questions: Iterable[bytes], answers: BinaryIO) -> None:
    """Answers questions until there are no more.

    A question is ``{"id": …, "op": …, …}``. ``{"op": "cancel", "of": id}`` gives one up; so does a question with the
    same ``token``.

    Args:
        operations: what answers each ``op``.
        questions: a JSON object each.
        answers: where to, a line each.
    """
    wire = _Wire(operations, answers)
    for line in questions:
        wire.take(json.loads(line))


class _Wire:
    def __init__(self, operations: Mapping[str, Operation], answers: BinaryIO) -> None:
        self._operations, self._answers = operations, answers
        self._writing, self._guard = threading.Lock(), threading.Lock()
        self._open: dict[int, Asked] = {}

    def take(self, question: Json) -> None:
        """Begins to answer a question."""
        number, op = question.pop("id"), question.pop("op")
        if op == "cancel":
            self._give_up(lambda other, _: other == question["of"])
            return
        token = question.pop("token", None)
        asked = Asked({**question, "token": token}, lambda part: self._answer(number, "about", part))
        if token is not None:
            self._give_up(lambda _, other: other.values["token"] == token)
        with self._guard:
            self._open[number] = asked
        threading.Thread(target=self._work, args=(number, op, asked), daemon=True).start()

    def _give_up(self, which: Callable[[int, Asked], bool]) -> None:
        with self._guard:
            for number, asked in self._open.items():
                if which(number, asked):
                    asked.given_up.set()

    def _work(self, number: int, op: str, asked: Asked) -> None:
        try:
            if op not in self._operations:
                raise RequestError(f"no operation {op!r}", f"one of {', '.join(self._operations)}")
            self._answer(number, "exact", self._operations[op](asked))
        except Exception as error:  # whatever it is, somebody waits for an answer
            self._fail(number, op, error)
        finally:
            with self._guard:
                del self._open[number]

    def _fail(self, number: int, op: str, error: Exception) -> None:
        if isinstance(error, CallbeamError):
            cancelled = "cancelled" if isinstance(error, Cancelled) else "run"
            kind, message = "request" if isinstance(error, RequestError) else cancelled, str(error)
        else:
            kind, message = "run", f"{op} failed: {type(error).__name__}"  # its own text may hold a number
            _LOG.error("%s\n%s", message, "".join(traceback.format_tb(error.__traceback__)))
        self._write({"id": number, "error": {"kind": kind, "message": message}})

    def _answer(self, number: int, part: str, result: Json) -> None:
        self._write({"id": number, "part": part, "result": result})

    def _write(self, answer: Json) -> None:
        line = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._writing:
            self._answers.write(line)
            self._answers.flush()
