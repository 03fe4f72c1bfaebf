"""Everything that can be wrong is found here, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callbeam_io.inputs import Plan as InputPlan
from callbeam_io.inputs import plan_inputs
from callbeam_io.kept import folder_of
from callbeam_io.sources.feeds import Feed
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


@dataclass(frozen=True)
class PreparedLive:
    """A streaming run that can start."""

    config: RunConfig
    engine: Engine
    feeds: tuple[Feed, ...]
    store: Store
    notes: tuple[str, ...]


def prepare(argv: Sequence[str]) -> Prepared | PreparedLive:
    """Checks flags, runner, reference data, inputs and the store, in that order.

    Raises:
        RequestError: for the first thing that is wrong.
    """
    flags, beam_args = options.parse(argv)
    config = make_config(flags, beam_args)
    engine = choose_engine(config.runner, config.beam_args, streaming=config.streaming)
    config.reference()
    if config.streaming:
        return _prepare_live(config, engine)
    inputs = plan_inputs(config.inputs, config.input_format, timezone=config.timezone)
    store = open_store(config.output)
    return Prepared(config, engine, inputs, store, (*assumptions(config), *inputs.assumed, *inputs.notes))


def _prepare_live(config: RunConfig, engine: Engine) -> PreparedLive:
    from callbeam_io.sources.registry import open_feed  # not needed in batch

    spool = str(folder_of(config.output).with_suffix(".spool"))
    feeds = tuple(open_feed(i, config.input_format, config.timezone, spool=spool) for i in config.inputs)
    for feed in feeds:
        feed.check()
    store = open_store(config.output)
    return PreparedLive(config.for_feeds(feeds), engine, feeds, store, tuple(assumptions(config)))
