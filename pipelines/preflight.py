"""Everything that can be wrong is found here, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callbeam_io.inputs import Plan as InputPlan
from callbeam_io.inputs import plan_inputs
from callbeam_io.store import Store, open_store
from pipelines import options
from pipelines.config import RunConfig, make_config
from pipelines.engines import Engine, choose_engine
from pipelines.summary import assumptions


@dataclass(frozen=True)
class Prepared:
    """A run that can start."""

    config: RunConfig
    engine: Engine
    inputs: InputPlan
    store: Store
    notes: tuple[str, ...]


def prepare(argv: Sequence[str]) -> Prepared:
    """Checks flags, runner, inputs, reference data and the store, in that order.

    Raises:
        RequestError: for the first thing that is wrong.
    """
    flags, beam_args = options.parse(argv)
    config = make_config(flags, beam_args)
    engine = choose_engine(config.runner, config.beam_args, streaming=config.streaming)
    config.reference()
    inputs = plan_inputs(config.inputs, config.input_format, timezone=config.timezone)
    store = open_store(config.output)
    return Prepared(config, engine, inputs, store, (*assumptions(config), *inputs.assumed, *inputs.notes))
