"""Orders to a streaming run, given through its store: drain, and go on with other flags.

The run looks for them every second. An order with changes makes it drain, save its state, and go on with the
changed flags in the same process; without changes it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from callbeam_io.store import Store, web_accounts
from transforms.errors import OptionError

CHANGEABLE: Final = ("templates", "window")
"""Flags of `pipelines.run` that an order may change."""
DURABLE: Final = ("FlinkRunner", "PortableRunner", "DataflowRunner")
"""Engines that keep state by themselves: a run goes on there from their own checkpoints only."""


@dataclass(frozen=True)
class Order:
    """What a run is told.

    Attributes:
        changes: flags with their new values; empty: it is to end.
        by: who says so.
    """

    changes: Mapping[str, str] = field(default_factory=dict)
    by: str = ""


def _key(run_id: str) -> str:
    return f"order/{run_id}"


def give(store: Store, run_id: str, order: Order) -> None:
    """Gives an order to a streaming run.

    Raises:
        OptionError: the run is not one that takes orders, or a flag cannot be changed.
    """
    run = store.run(run_id)
    if run["mode"] != "streaming" or run["state"] != "running":
        raise OptionError(f"run {run_id}", "a streaming run that is running")
    if order.changes and run["runner"] in DURABLE:
        raise OptionError(
            f"run {run_id} is on {run['runner']}", "an engine in the process", "drain it and start it again"
        )
    wrong = sorted(order.changes.keys() - set(CHANGEABLE))
    if wrong:
        raise OptionError(f"--{wrong[0]}", f"one of {', '.join(CHANGEABLE)}")
    store.set_control(_key(run_id), {"changes": dict(order.changes), "by": order.by})


def given(store: Store, run_id: str) -> Order | None:
    """The order that waits for a run; None where there is none."""
    return _order(store.control(_key(run_id)))


def take(store: Store, run_id: str) -> Order | None:
    """The order, which is carried out now: nobody finds it any more."""
    return _order(web_accounts.take_setting(store, _key(run_id)))


def _order(value: Any) -> Order | None:
    return Order(value["changes"], value["by"]) if value else None


def changed(words: Sequence[str], changes: Mapping[str, str]) -> list[str]:
    """A command line with other values of some flags; it goes on with the run, and does not start anew.

    >>> changed(["--input", "x", "--window=all", "--fresh"], {"window": "fixed:1h"})
    ['--input', 'x', '--window=fixed:1h']
    """
    kept: list[str] = []
    skip = False
    for word in words:
        name, has_value = word.removeprefix("--").partition("=")[0], "=" in word
        if skip:
            skip = False
        elif word.startswith("--") and name in changes:
            skip = not has_value
        elif word != "--fresh":
            kept.append(word)
    return [*kept, *(f"--{name}={value}" for name, value in changes.items())]
