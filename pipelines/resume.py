"""Which run of the store a streaming run goes on with."""

from __future__ import annotations

from typing import Any, Final

from callbeam_io.store import Store
from pipelines.config import RunConfig
from pipelines.engines import LOCAL_STREAMING
from transforms.errors import OptionError

_SAVED_BY_US: Final = (LOCAL_STREAMING, "PrismRunner")


def find_resumable(store: Store, config: RunConfig) -> str | None:
    """The newest streaming run with a saved state, or cut short before it was saved; None where there is none.

    Raises:
        OptionError: where it had other inputs, or other templates or windows and did not end by draining.
    """
    store.mark_dead_runs()
    for run in store.runs():
        if run["mode"] == "streaming" and store.count("shard_state", run["run_id"]):
            _check(run, config)
            return str(run["run_id"])
        if _begun(run) and _same(run, config):
            return str(run["run_id"])
    return None


def _begun(run: dict[str, Any]) -> bool:
    """Whether a run without a saved state did not come to its end: it goes on from the beginning."""
    return run["mode"] == "streaming" and run["runner"] in _SAVED_BY_US and run["state"] != "done"


def _same(run: dict[str, Any], config: RunConfig) -> bool:
    try:
        _check(run, config)
    except OptionError:
        return False
    return True


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
