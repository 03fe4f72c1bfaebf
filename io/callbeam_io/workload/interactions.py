"""From who calls when to whole records: whom, for how long, with what result and at what charge."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from callbeam_io.workload.mixing import I64, key_of, mix, unit
from callbeam_io.workload.plan import Block
from callbeam_io.workload.population import AWAY, HOME, NONE, Population
from callbeam_io.workload.shapes import durations, pick

Bools = npt.NDArray[np.bool_]

GOOD, COPY, CONFLICT = 0, 1, 2
"""Values of the column ``dirt`` of a frame; greater ones are kinds of bad records, see `dirt`."""

_FAVOURITES, _ABROAD = 201, 202
_OFTEN, _SOMETIMES = 0.6, 0.8  # up to these: the first favourite, the second; else any business of the type
_NEIGHBOURS: Final = 8
_NEAR: Final = 0.8
"""Share of private calls to the 16 nearest on the ring of people, the others to anybody: a small world."""
_CONTACTS: Final = 3
_FAILURES: Final = (("BUSY", 0.3), ("NO_ANSWER", 0.55), ("FAILED", 0.15))
_ANSWERED: Final = len(_FAILURES)
_RESULTS: Final = pl.Series([name for name, _ in _FAILURES] + ["ANSWERED"])
_TYPES: Final = pl.Series(["VOICE", "SMS"])
_PRICES: Final = np.array([[0.02, 0.25], [0.01, 0.10]])
"""Charge [voice by the minute, message][home, abroad]."""
_HEX: Final = np.frombuffer(b"".join(b"%03x" % i for i in range(4096)), dtype=np.uint8).reshape(-1, 3)


def interactions(population: Population, block: Block) -> pl.DataFrame:
    """The records of a block, in its order of time.

    Columns: id (16 hex digits), calling_number, called_number (E.164), start_time (datetime, us, UTC), offset
    (int32, seconds of local time ahead of UTC), duration (int32, seconds), call_type, charge (float64, 4
    decimals), call_result, account_id, dirt (uint8, all `GOOD`).
    """
    s, rng, size = population.settings, block.rng, len(block.caller)
    kinds = _called_types(population, block)
    away = rng.random(size) >= s.domestic_rate
    message = rng.random(size) < s.sms_share
    result = np.where(rng.random(size) < s.answered_share, _ANSWERED, _failures(rng, message))
    seconds = np.zeros(size, dtype=np.int32)
    talked = ~message & (result == _ANSWERED)
    seconds[talked] = durations(s, rng, int(talked.sum()))
    return pl.DataFrame(
        {
            "id": ids(population, block.first, np.arange(size)),
            "calling_number": plus(population.numbers[block.caller]),
            "called_number": plus(_called(population, block, kinds, away)),
            "start_time": pl.Series(block.start * 1_000_000).cast(pl.Datetime("us", "UTC")),
            "offset": block.offset,
            "duration": seconds,
            "call_type": _TYPES.gather(message.view(np.uint8)),
            "charge": _charges(seconds, message, result == _ANSWERED, away),
            "call_result": _RESULTS.gather(result),
            "account_id": accounts(block.caller),
            "dirt": np.zeros(size, dtype=np.uint8),
        }
    )


def ids(population: Population, first: int, sequence: I64) -> pl.Series:
    """Record ids: 8 hex digits of the block's first second, 2 of the settings, 6 of the place in it."""
    start = f"{first & 0xFFFFFFFF:08x}{population.mark:02x}".encode()
    text = np.empty((len(sequence), 16), dtype=np.uint8)
    text[:, :10] = np.frombuffer(start, dtype=np.uint8)
    text[:, 10:13] = _HEX[sequence >> 12 & 4095]
    text[:, 13:] = _HEX[sequence & 4095]
    return fixed_width(text)


def accounts(callers: I64) -> pl.Series:
    """Account ids of callers by index: ``A`` and nine digits."""
    digits = pl.Series(callers + 100_000_000).cast(pl.String)
    return _glue("A", digits)


def plus(numbers: I64) -> pl.Series:
    """E.164 numbers as text from their digits."""
    return _glue("+", pl.Series(numbers).cast(pl.String))


def fixed_width(text: npt.NDArray[np.uint8]) -> pl.Series:
    """Rows of equally many ASCII bytes as text."""
    size, width = text.shape
    offsets = np.arange(size + 1, dtype=np.int64) * width
    buffers = pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))
    return pl.Series(pa.LargeStringArray.from_buffers(size, *buffers))


def _glue(head: str, text: pl.Series) -> pl.Series:
    return pl.select(pl.concat_str(pl.lit(head), text)).to_series()


def _called_types(population: Population, block: Block) -> I64:
    """The business type that each record reaches: the planted one by habit, else by the shares."""
    drawn = pick(population.shares, block.rng.random(len(block.caller)))
    planted = population.habits[block.caller]
    by_habit = (planted != NONE) & (block.rng.random(len(drawn)) < population.settings.habit_strength)
    return np.where(by_habit, planted, drawn)


def _called(population: Population, block: Block, kinds: I64, away: Bools) -> I64:
    """The numbers called: E.164 digits."""
    called = np.empty(len(kinds), dtype=np.int64)
    private = kinds == population.private
    for rows, choose in (
        (np.flatnonzero(~private), _business),
        (np.flatnonzero(private & ~away), _person),
        (np.flatnonzero(private & away), _foreigner),
    ):
        called[rows] = choose(population, block.caller[rows], kinds[rows], away[rows], block.rng)
    return called


def _business(p: Population, caller: I64, kind: I64, away: Bools, rng: np.random.Generator) -> I64:
    """Businesses of a type: mostly the caller's favourite one, popular ones more often."""
    side = away.astype(np.int64)
    luck = rng.random(len(caller))
    favourite = (luck >= _OFTEN).astype(np.int64)
    chance = unit(mix(caller * 512 + kind * 4 + side * 2 + favourite, key_of(p.settings.seed, _FAVOURITES)))
    chance = np.where(luck < _SOMETIMES, chance, rng.random(len(caller)))
    first, count = p.businesses.first[kind, side], p.businesses.count[kind, side]
    place = (chance**2 * count).astype(np.int64)
    itself = first + place == caller - p.settings.people
    place[itself] = (place[itself] + 1) % count[itself]
    called: I64 = p.businesses.number[first + place]
    return called


def _person(p: Population, caller: I64, _kind: I64, _away: Bools, rng: np.random.Generator) -> I64:
    """People: mostly neighbours on the ring, in both directions; a business calls anybody."""
    people = p.settings.people
    near = 1 + (min(_NEIGHBOURS, people - 1) * rng.random(len(caller)) ** 2).astype(np.int64)
    near *= rng.choice(np.array([-1, 1]), len(caller))
    far = 1 + rng.integers(0, people - 1, len(caller))
    step = np.where((rng.random(len(caller)) < _NEAR) & (caller < people), near, far)
    return p.people.number[(caller + step) % people]


def _foreigner(p: Population, caller: I64, _kind: I64, _away: Bools, rng: np.random.Generator) -> I64:
    """Numbers abroad that no directory has: each caller's few contacts in every region."""
    region = pick(p.abroad_shares, rng.random(len(caller)))
    which = caller * _CONTACTS + rng.integers(0, _CONTACTS, len(caller))
    contact = mix(which, key_of(p.settings.seed, _ABROAD))
    called = np.empty(len(caller), dtype=np.int64)
    for position, plan in enumerate(p.abroad):
        rows = np.flatnonzero(region == position)
        called[rows] = plan.number((contact[rows] % np.uint64(plan.people)).astype(np.int64))
    return called


def _failures(rng: np.random.Generator, message: Bools) -> I64:
    """Results of what is not answered: a message just fails."""
    shares = np.array([share for _, share in _FAILURES])
    return np.where(message, _ANSWERED - 1, pick(shares, rng.random(len(message))))


def _charges(
    seconds: npt.NDArray[np.int32], message: Bools, answered: Bools, away: Bools
) -> npt.NDArray[np.float64]:
    """Talk by the second, messages by the piece, nothing for what is not answered; 4 decimals."""
    amount = np.where(message, 1.0, seconds / 60.0) * answered
    price = _PRICES[message.astype(np.int64), np.where(away, AWAY, HOME)]
    charges: npt.NDArray[np.float64] = np.rint(amount * price * 10_000) / 10_000
    return charges
