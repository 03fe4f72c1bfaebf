"""What a streaming run is told through its store: to drain, and to go on with other templates or another window."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from callbeam_io import orders
from callbeam_io.store import Store
from pipelines.config import templates_of
from pipelines.patience import unless_away
from transforms.columns.windows import parse_window
from transforms.errors import OptionError

_EVERY: Final = 1.0
_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {"templates": templates_of, "window": parse_window}


@dataclass
class Orders:
    """Looks for an order once a second; one that came before the run began is void.

    Attributes:
        store: of the run.
        run_id: of the run.
    """

    store: Store
    run_id: str
    _looked: float = 0.0
    _told: bool = False

    def __post_init__(self) -> None:
        orders.take(self.store, self.run_id)

    def told(self) -> bool:
        """Whether the run is told to drain; while the store is away it is not."""
        if not self._told and time.monotonic() - self._looked >= _EVERY:
            self._looked = time.monotonic()
            unless_away(self._look)
        return self._told

    def _look(self) -> None:
        self._told = orders.given(self.store, self.run_id) is not None


def go_on(store: Store, run_id: str, words: Sequence[str]) -> None:
    """After a drain: starts this process anew with the changed flags, where an order says so.

    Args:
        store: of the run.
        run_id: of the run that has drained.
        words: of the command line that it was started with.
    """
    order = orders.take(store, run_id)
    if order is None or not order.changes:
        return
    again = orders.changed(words, order.changes)
    said = " ".join(f"--{name}={value}" for name, value in order.changes.items())
    print(f"callbeam: going on with {said}, as {order.by} ordered", file=sys.stderr, flush=True)
    store.close()
    os.execv(sys.executable, [sys.executable, "-m", "pipelines.run", *again])


def check(changes: Mapping[str, str]) -> dict[str, str]:
    """Flags of an order as they are written in full.

    Raises:
        OptionError: a flag or its value cannot be.
    """
    wrong = sorted(changes.keys() - _PARSERS.keys())
    if wrong:
        raise OptionError(f"--{wrong[0]}", f"one of {', '.join(_PARSERS)}")
    for name, value in changes.items():
        _PARSERS[name](value)
    return dict(changes)
