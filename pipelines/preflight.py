"""Everything that can be wrong is found here, before anything starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from callbeam_io.inputs import Plan as InputPlan
from callbeam_io.inputs import plan_inputs
from callbeam_io.kept import folder_of
from callbeam_io.sources.feeds import Feed
from callbeam_io.store import LOCK_WAIT, PATIENT_LOCK_WAIT, Store, open_store
from pipelines import options
from pipelines.config import RunConfig, make_config
from pipelines.consents import load_consents
from pipelines.engines import Engine, check_store, choose_engine
from pipelines.rulebook import FROM_STORE, BookSpec, book_spec, rules_of_file, windows_beyond
from pipelines.summary import assumptions


@dataclass(frozen=True)
class Prepared:
    """A run that can start; ``book`` is None where no rule is on."""

    config: RunConfig
    engine: Engine
    inputs: InputPlan
    store: Store
    notes: tuple[str, ...]
    book: BookSpec | None = None


@dataclass(frozen=True)
class PreparedLive:
    """A streaming run that can start."""

    config: RunConfig
    engine: Engine
    feeds: tuple[Feed, ...]
    store: Store
    notes: tuple[str, ...]
    book: BookSpec | None = None


def prepare(argv: Sequence[str]) -> Prepared | PreparedLive:
    """Checks flags, runner, reference data, inputs and the store, in that order.

    Raises:
        RequestError: for the first thing that is wrong.
    """
    flags, beam_args = options.parse(argv)
    config = make_config(flags, beam_args)
    engine = choose_engine(config.runner, config.beam_args, streaming=config.streaming)
    check_store(engine, config.output)
    config.reference()
    if config.streaming:
        return _prepare_live(config, engine)
    inputs = plan_inputs(config.inputs, config.input_format, timezone=config.timezone)
    store, book, notes = _open_results(config)
    if config.deliver:
        book = replace(book, asked_at=str(time.time()))
    notes = (*assumptions(config), *inputs.assumed, *inputs.notes, *notes)
    return Prepared(config, engine, inputs, store, notes, book if book.definitions else None)


def _open_results(config: RunConfig) -> tuple[Store, BookSpec, tuple[str, ...]]:
    """The store with the consents of ``--consent`` in it, the rules, and what is to be said about both."""
    types, pane = config.reference().types, config.rule_settings.pane
    history = config.rule_history if config.streaming else None
    if config.rules != FROM_STORE:
        rules_of_file(config.rules, types, pane, history)  # refused before anything is written
    store = open_store(config.output, lock_wait=PATIENT_LOCK_WAIT if config.streaming else LOCK_WAIT)
    notes = load_consents(store, config.consent, config.reference.default_region) if config.consent else ()
    book = book_spec(
        store,
        config.rules,
        config.output,
        types,
        pane,
        consent_default=config.consent_default,
        history=history,
    )
    notes = (*notes, *(windows_beyond(book, config.rule_history) if history is None else ()))
    if book.definitions and not config.consent_default and not store.count("consent"):
        notes = (*notes, "nobody may be contacted yet: the store holds no consents (--consent)")
    return store, book, notes


def _prepare_live(config: RunConfig, engine: Engine) -> PreparedLive:
    from callbeam_io.sources.registry import open_feed  # not needed in batch

    spool = str(folder_of(config.output).with_suffix(".spool"))
    feeds = tuple(open_feed(i, config.input_format, config.timezone, spool=spool) for i in config.inputs)
    for feed in feeds:
        if not engine.is_dry:
            feed.check()
    store, book, notes = _open_results(config)
    return PreparedLive(config.for_feeds(feeds), engine, feeds, store, (*assumptions(config), *notes), book)
