"""Which run of the store a streaming run goes on with."""

from __future__ import annotations

from typing import Any

from callbeam_io.store import Store
from pipelines.config import RunConfig
from transforms.errors import OptionError


def find_resumable(store: Store, config: RunConfig) -> str | None:
    """The newest streaming run with a saved state; None where there is none.

    Raises:
        OptionError: where it had other inputs, or other templates or windows and did not end by draining.
    """
    store.mark_dead_runs()
    for run in store.runs():
        if run["mode"] == "streaming" and store.count("shard_state", run["run_id"]):
            _check(run, config)
            return str(run["run_id"])
    return None


def _check(run: dict[str, Any], config: RunConfig) -> None:
    before, now = run["options"], config.as_options()
    compared = [
        ("--input", before["inputs"], now["inputs"]),
        ("--pane", f"{before['rule_settings']['pane']}s", f"{now['rule_settings']['pane']}s"),
        *((f"--{flag}", before["plan"][flag], now["plan"][flag]) for flag in ("templates", "window")),
    ]
    for flag, old, new in compared:
        if old != new:
            raise OptionError(
                f"the store's run {run['run_id']} has {flag} {_shown(old)}, not {_shown(new)}",
                f"the same {flag} to go on with it",
                "start anew with --fresh, or give another --output",
            )


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
