"""The commands that the web app may start, with the flags that they may be given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from transforms.errors import OptionError

Value = str | bool | Sequence[str]
"""Of a flag: its text, several texts, or True for one without a value."""


@dataclass(frozen=True)
class Command:
    """A command that may be started.

    Attributes:
        module: behind ``python -m``.
        store: its flag for the result store.
        flags: the other ones that it may be given.
        alone: only one may run at a time.
    """

    module: str
    store: str
    flags: frozenset[str]
    alone: bool = False


_RUN_FLAGS: Final = (
    "input input_format timezone default_region directory business_types max_ahead max_bad_ratio templates window"
    " pane rule_delay rule_history contact_cap quiet_hours consent consent_default keep_records keep_runs"
)
COMMANDS: Final[Mapping[str, Command]] = {
    "run": Command("pipelines.run", "output", frozenset(_RUN_FLAGS.split())),
    "sample": Command("pipelines.sample", "store", frozenset({"people", "days"}), alone=True),
    "generate": Command(
        "pipelines.generate",
        "settings",
        frozenset({"output", "tables", "people", "rate", "speed"}),
        alone=True,
    ),
    "preview": Command(
        "pipelines.preview", "", frozenset({"input", "input_format", "timezone", "default_region"})
    ),
}
"""What there is. None of their flags makes a runner or a file of code be loaded."""

_LONGEST: Final = 4096
_SAYS: Final = "callbeam: "


def arguments(kind: str, options: Mapping[str, Value]) -> list[str]:
    """The arguments of a command, without its store.

    Raises:
        OptionError: no such command, a flag that it may not be given, or a value that cannot be.
    """
    if kind not in COMMANDS:
        raise OptionError(f"no command {kind!r}", f"one of {', '.join(COMMANDS)}")
    found: list[str] = []
    for name, value in options.items():
        if name not in COMMANDS[kind].flags:
            raise OptionError(
                f"--{name} cannot be given here", f"one of {', '.join(sorted(COMMANDS[kind].flags))}"
            )
        if value is True:
            found.append(f"--{name}")
        elif value is not False:
            found += [f"--{name}={_plain(name, v)}" for v in ([value] if isinstance(value, str) else value)]
    return found


def _plain(name: str, value: str) -> str:
    if len(value) > _LONGEST or any(ord(c) < 32 for c in value):
        raise OptionError(f"--{name} cannot be that", f"at most {_LONGEST} characters on one line")
    return value


def complaint(said: str) -> str:
    """The last thing that a command complained of, without its name in front."""
    lines = [line for line in said.splitlines() if line.startswith(_SAYS)]
    return lines[-1].removeprefix(_SAYS) if lines else "\n".join(said.strip().splitlines()[-3:])


def environment(**more: str) -> dict[str, str]:
    """That of a command: it says things at once, and finds the packages where this process found them."""
    specs = [find_spec(name) for name in ("callbeam_io", "pipelines")]
    folders = [
        str(Path(spec.origin).resolve().parents[1]) for spec in specs if spec is not None and spec.origin
    ]
    before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join([*folders, *before]), **more}
