"""Which run of the store a streaming run goes on with."""

from __future__ import annotations

import json
from typing import Any, Final

from callbeam_io.store import Store
from pipelines.anew import changed_tables
from pipelines.config import RunConfig
from pipelines.engines import LOCAL_STREAMING
from transforms.errors import OptionError

_SAVED_BY_US: Final = (LOCAL_STREAMING, "PrismRunner")


def find_resumable(store: Store, config: RunConfig) -> str | None:
    """The newest streaming run with a saved state, or cut short before it was saved; None where there is none.

    Raises:
        OptionError: where it had other inputs or panes, or other templates or windows and did not end by draining.
    """
    store.mark_dead_runs()
    for run in store.runs():
        if run["mode"] == "streaming" and store.count("shard_state", run["run_id"]):
            _check(run, config, drained=_drained(store, run["run_id"]))
            return str(run["run_id"])
        if _begun(run) and _same(run, config):
            return str(run["run_id"])
    return None


def _drained(store: Store, run_id: str) -> bool:
    """Whether the saved state is that of a run that had come to its end."""
    return any(
        json.loads(r["payload"])["drained"] for r in store.rows("shard_state", run_id, where={"kind": "run"})
    )


def _begun(run: dict[str, Any]) -> bool:
    """Whether a run without a saved state did not come to its end: it goes on from the beginning."""
    return run["mode"] == "streaming" and run["runner"] in _SAVED_BY_US and run["state"] != "done"


def _same(run: dict[str, Any], config: RunConfig) -> bool:
    try:
        _check(run, config, drained=False)
    except OptionError:
        return False
    return True


def _check(run: dict[str, Any], config: RunConfig, *, drained: bool) -> None:
    before, now = run["options"], config.as_options()
    compared = [
        ("--input", before["inputs"], now["inputs"]),
        ("--pane", f"{before['rule_settings']['pane']}s", f"{now['rule_settings']['pane']}s"),
    ]
    if not drained and changed_tables(before, now):
        compared += [
            ("--templates", before["plan"]["templates"], now["plan"]["templates"]),
            ("--window", _window(before), _window(now)),
        ]
    for flag, old, new in compared:
        if old != new:
            raise OptionError(
                f"the store's run {run['run_id']} has {flag} {_shown(old)}, not {_shown(new)}",
                f"the same {flag} to go on with it",
                "start anew with --fresh, or give another --output",
            )


def _window(options: dict[str, Any]) -> str:
    return str(options["plan"]["window"]) if options["window_given"] else "not given"


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
