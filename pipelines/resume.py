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
    options = run["options"]
    if list(options["inputs"]) != list(config.inputs):
        raise OptionError(
            f"the store's run {run['run_id']} reads {', '.join(options['inputs'])}, not {', '.join(config.inputs)}",
            "the same inputs to go on with it",
            "start anew with --fresh, or give another --output",
        )
    now = config.as_options()
    for flag in ("templates", "window"):
        if options["plan"][flag] != now["plan"][flag]:
            raise OptionError(
                f"the store's run {run['run_id']} has --{flag} {_shown(options['plan'][flag])}, "
                f"not {_shown(now['plan'][flag])}",
                f"the same --{flag} to go on with it",
                "start anew with --fresh, or give another --output",
            )


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
