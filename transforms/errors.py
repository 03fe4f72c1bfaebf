"""The errors of callbeam.

CallbeamError                 everything that callbeam raises on purpose
|- RequestError               the request was wrong, found before anything started (exit status 2)
|  |- InputError              an input that is missing, unreadable or of no known format
|  |- OptionError             a flag with a value that cannot be
|  |- RuleError               a rule that cannot be read
|- RunError                   the run failed (exit status 1)
   |- TooManyRejects          more rejects than --max_bad_ratio allows
   |- StoreError              the result store could not be read or written
"""

from __future__ import annotations

from dataclasses import dataclass


class CallbeamError(Exception):
    """Everything that callbeam raises on purpose."""


class RequestError(CallbeamError):
    """The request was wrong: found before anything started, exit status 2.

    Args:
        what: the thing that is wrong, with its value (``--window 7x``).
        expected: what would have been right.
        todo: what to do about it.
    """

    def __init__(self, what: str, expected: str = "", todo: str = "") -> None:
        self.what, self.expected, self.todo = what, expected, todo
        parts = [what, f"expected {expected}" if expected else "", todo]
        super().__init__(". ".join(p.rstrip(".") for p in parts if p) + ".")


class InputError(RequestError):
    """An input that is missing, unreadable or of no known format."""


class OptionError(RequestError):
    """A flag with a value that cannot be."""


class RuleError(RequestError):
    """A rule that cannot be read: ``what`` begins with its path (``when.rules[1].field``)."""


class RunError(CallbeamError):
    """The run failed: exit status 1."""


class TooManyRejects(RunError):
    """More of the records were rejects than ``--max_bad_ratio`` allows."""


class StoreError(RunError):
    """The result store could not be read or written."""


@dataclass(frozen=True)
class BadRecord:
    """A record that was not taken, kept as it came.

    ``line`` is the line number (from 1), offset or message id as text (``17``, ``17#2``); ``field`` the
    record field that is wrong, empty where the whole line is; ``raw`` the text as it stood in the source.
    """

    source: str
    line: str
    field: str
    reason: str
    raw: str
