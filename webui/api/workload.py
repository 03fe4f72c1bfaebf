"""The knobs of the workload generator."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from webui import generator, knobs
from webui.api.base import Part, listed, shape
from webui.api.jobs import JobRow, one_or_404
from webui.errors import field_error
from webui.roles import ADMIN

part = Part("generator", "The workload generator: what is set, setting it, starting and stopping it.")
Knob = shape(
    "Knob",
    name=fields.String(),
    label=fields.String(),
    help=fields.String(),
    choices=fields.List(fields.String()),
    default=fields.String(),
    group=fields.String(),
)
Knobs = listed("Knobs", Knob)
Preset = shape("Preset", name=fields.String(), label=fields.String(), values=fields.Dict())
Presets = listed("Presets", Preset)
Settings = shape(
    "Settings",
    values=fields.Dict(keys=fields.String(), values=fields.String(), required=True),
)


@part.call("GET", "/generator", ADMIN, Settings)
def settings() -> dict[str, Any]:
    """What is set; a knob that is not named is as the generator was started."""
    return {"values": generator.settings()}


@part.call("PUT", "/generator", ADMIN, Settings, body=Settings)
def change(body: dict[str, Any]) -> dict[str, Any]:
    """Sets the knobs: a running generator takes them over within two seconds."""
    wrong = knobs.problem(body["values"], generator.known_types())
    if wrong is not None:
        raise field_error(*wrong)
    generator.change(body["values"])
    return {"values": generator.settings()}


@part.call("GET", "/generator/knobs", ADMIN, Knobs)
def described() -> dict[str, Any]:
    """The knobs that there are."""
    return {"rows": knobs.knobs(generator.known_types())}


@part.call("GET", "/generator/presets", ADMIN, Presets)
def presets() -> dict[str, Any]:
    """Settings to begin from."""
    return {"rows": list(knobs.PRESETS.values())}


@part.call("POST", "/generator/start", ADMIN, JobRow, status=202)
def start() -> dict[str, Any]:
    """Starts a generator that writes where the live run reads."""
    return one_or_404(generator.start())


@part.call("POST", "/generator/stop", ADMIN)
def stop() -> None:
    """Stops the generator that was started so; nothing happens where none runs."""
    generator.stop()
