"""The knobs of the workload generator, as its settings describe themselves, and settings to begin from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from callbeam_io.store.web_queries import BUSINESS_TYPES, RequestError
from callbeam_io.workload.live import LIVE, live_settings
from callbeam_io.workload.settings import WorkloadSettings

PLAIN: Final = (
    "rate",
    "people",
    "type_weights",
    "favoured_type",
    "favoured_rate",
    "sms_share",
    "time_of_day",
)
"""Those that stand open; the others are folded away."""
Types = Sequence[tuple[str, str]]
"""Business types with their tags, in order."""
_HIDDEN: Final = ("business_types", "paused")
"""Not for a page: files of the generator's machine, and what has buttons of its own."""


@dataclass(frozen=True)
class Knob:
    """One setting.

    Attributes:
        name: of the setting.
        label: its heading.
        help: what it does.
        choices: the values that there are, or none.
        default: what holds when nothing is given.
        group: under which it stands.
    """

    name: str
    label: str
    help: str
    choices: tuple[str, ...]
    default: str
    group: str


@dataclass(frozen=True)
class Preset:
    """Settings to begin from."""

    name: str
    label: str
    values: Mapping[str, str]


PRESETS: Final = {
    p.name: p
    for p in (
        Preset("banking", "Three times the calls to Banking", {"type_weights": "Banking=3"}),
        Preset(
            "food",
            "Half of all calls go to Food",
            {"favoured_type": "Food (including takeaway)", "favoured_rate": "0.5"},
        ),
        Preset("evening", "Everybody calls in the evening", {"time_of_day": "evening"}),
        Preset("messages", "Mostly messages", {"sms_share": "0.8"}),
        Preset("dirty", "One record in fifty is broken", {"reject_rate": "0.02"}),
        Preset("normal", "Back to what it was started with", {}),
    )
}


def knobs(types: Types = BUSINESS_TYPES) -> list[Knob]:
    """All of them: the plain ones first, the others by group; ``types``: the business types that there are."""
    found = [Knob(n, _label(n), h, (), "", "live") for n, h in LIVE.items() if n not in _HIDDEN]
    for field in dataclasses.fields(WorkloadSettings):
        about = field.metadata
        if field.name not in _HIDDEN:
            choices = tuple(about.get("choices") or ())
            if field.name == "favoured_type":
                choices = tuple(name for name, _ in types)
            shown = str(about.get("shown") or _plain(field.default))
            help_text = str(about["help"]).replace("%%", "%")
            found.append(Knob(field.name, _label(field.name), help_text, choices, shown, about["group"]))
    order = {name: place for place, name in enumerate(PLAIN)}
    return sorted(found, key=lambda knob: order.get(knob.name, len(order)))


def _label(name: str) -> str:
    return name.replace("_", " ").replace("sms", "SMS").capitalize().replace("Sms", "SMS")


def _plain(value: object) -> str:
    return "-".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def problem(values: Mapping[str, str], types: Types = BUSINESS_TYPES) -> tuple[str, str] | None:
    """The setting that cannot be, and what is wrong with it; None: all is well."""
    try:
        live_settings(values, types)
    except RequestError as error:
        name = next(iter(error.what.removeprefix("--").split()), "")
        return name, f"Enter {error.expected}." if error.expected else str(error)
    return None
