"""The command of a run, from what its row says it was asked to do: to go on with it, or to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from callbeam_io.commands import COMMANDS, Value

_DEFAULTS: Final[Mapping[str, str]] = {
    "input_format": "auto",
    "max_bad_ratio": "0.05",
    "window": "all",
    "pane": "3600s",
    "rule_delay": "0s",
    "rule_history": "2592000s",
    "contact_cap": "none",
    "quiet_hours": "21-9",
    "consent_default": "out",
    "keep_records": "0s",
    "keep_runs": "10",
    "rules": "store",
    "max_ahead": "86400s",
}
_LIVE_DEFAULTS: Final = {
    **_DEFAULTS,
    "pane": "5s",
    "keep_records": "2592000s",
    "keep_windows": "1000",
    "early_every": "2s",
    "snapshot_every": "30s",
}
_EXTRA: Final = ("duration_by_hour", "business_types", "regions", "subscribers", "type_graph")


def flags_of(options: Mapping[str, Any], *, live: bool) -> dict[str, Value]:
    """The flags of ``pipelines.run`` that say the same, without those that say the default.

    Args:
        options: of the row of a run.
        live: whether it is a streaming run.
    """
    found = _flags(options)
    if live:
        found["allowed_lateness"] = _seconds(options.get("lateness"))
        found |= {n: _seconds(options.get(n)) for n in ("early_every", "snapshot_every")}
        found["keep_windows"] = _text(options.get("keep_windows"))
    defaults = _LIVE_DEFAULTS if live else _DEFAULTS
    said: dict[str, Value] = {"input": [str(path) for path in options.get("inputs") or []]}
    said |= {n: v for n, v in found.items() if v is not None and v != defaults.get(n)}
    return said


def _flags(options: Mapping[str, Any]) -> dict[str, str | None]:
    rules = options.get("rule_settings") or {}
    reference, plan = options.get("reference") or {}, options.get("plan") or {}
    cap, quiet = rules.get("cap"), rules.get("quiet")
    ahead = options.get("max_ahead")
    return {
        "input_format": options.get("input_format"),
        "timezone": None if options.get("timezone_assumed") else options.get("timezone"),
        "default_region": options.get("default_region"),
        "directory": reference.get("directory"),
        "business_types": reference.get("business_types"),
        "templates": _templates(plan.get("templates")),
        "window": plan.get("window"),
        "max_ahead": "none" if ahead is None else _seconds(ahead),
        "max_bad_ratio": _text(options.get("max_bad_ratio")),
        "pane": _seconds(rules.get("pane")),
        "rule_delay": _seconds(rules.get("delay")),
        "rule_history": _seconds(options.get("rule_history")),
        "contact_cap": f"{cap['most']}/{cap['window']}s" if cap else "none",
        "quiet_hours": f"{quiet['begin']}-{quiet['end']}" if quiet else "none",
        "rules": options.get("rules"),
        "consent": options.get("consent"),
        "consent_default": "in" if options.get("consent_default") else "out",
        "keep_records": _seconds(options.get("keep_records")),
        "keep_runs": _text(options.get("keep_runs")),
    }


def _templates(names: list[str] | None) -> str | None:
    return None if names is None or sorted(names) == sorted(_EXTRA) else ",".join(names)


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:g}s" if isinstance(value, float) else f"{value}s"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def resume_command(run: Mapping[str, Any]) -> str:
    """What is typed to go on with a streaming run; a password in the store's address is not shown."""
    options = run["options"] or {}
    words = ["python", "-m", "pipelines.run", "--streaming"]
    words += _words(flags_of(options, live=True))
    words += [f"--output={options['output']}"] if options.get("output") else []
    words += [f"--runner={options['runner']}"] if options.get("runner") not in (None, "DirectRunner") else []
    return shlex.join([*words, *(a for a in options.get("beam_args") or [] if a != "--streaming")])


def _words(flags: Mapping[str, Value]) -> list[str]:
    return [
        f"--{name}={text}"
        for name, value in flags.items()
        for text in ([value] if isinstance(value, str) else [] if isinstance(value, bool) else value)
    ]


def again_options(run: Mapping[str, Any]) -> dict[str, Value] | None:
    """The flags of a job that reads the same files again; None where pages may not start such a run."""
    options = run["options"] or {}
    if run["mode"] != "batch" or not options.get("inputs") or options.get("beam_args"):
        return None
    flags = flags_of(options, live=False)
    flags.pop("rules", None)  # those that are on now
    return flags if flags.keys() <= COMMANDS["run"].flags else None
