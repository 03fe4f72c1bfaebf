"""From firings to promotions: the gate that all of them pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Ints
from transforms.columns.rules.firings import Firings
from transforms.columns.rules.interactions import Interactions
from transforms.columns.rules.moments import Quiet, contact_hours, contact_times, hours_in
from transforms.columns.rules.outcomes import Cap, Consent, Contacts, Texts, decide, plain_texts
from transforms.columns.rules.people import Context
from transforms.columns.rules.promotions import promotions
from transforms.columns.rules.zones import Zones, zones_of
from transforms.rules.language import ActiveRule


@dataclass(frozen=True)
class Gate:
    """What stands between a firing and its subscriber.

    Attributes:
        consent: who may be offered anything.
        cap: of contacts over all rules, None for none.
        quiet: local hours in which nobody is to be reached, None for no such.
        default_zone: of subscribers whose number does not tell it.
        texts: texts of party codes; the default is right for numbers only.
    """

    consent: Consent = field(default_factory=Consent)
    cap: Cap | None = field(default_factory=lambda: Cap(2, 7 * 86400))
    quiet: Quiet | None = field(default_factory=Quiet)
    default_zone: str = "UTC"
    texts: Texts = plain_texts


def promote(
    firings: Firings,
    rules: Sequence[ActiveRule],
    rows: Interactions,
    context: Context,
    gate: Gate,
    earlier: Contacts,
) -> tuple[pa.Table, Contacts]:
    """The promotions that firings become, but for ``max_total``: see `promotions.apply_max_total`.

    Args:
        firings: of this list of ``rules``, of whole pane ends.
        rows: all interactions of their subscribers, of others, too, if need be.
        context: own regions; counts of interactions no longer kept.
        gate: consent, cap and hours.
        earlier: contacts before these firings.

    Returns:
        Promotions (`promotions.SCHEMA`) in the order of the firings, and the contacts that count for later ones.
    """
    outcome, contacts = decide(
        firings, rules, consent=gate.consent, cap=gate.cap, earlier=earlier, texts=gate.texts
    )
    codes, person = np.unique(firings.subscriber, return_inverse=True)
    known = _zones(codes, context)
    zones = Zones(known.place[person], known.sets)
    older = context.people.older if context.people else None
    hours = contact_hours(firings.subscriber, firings.decided_at, rows, zones, gate.default_zone, older)
    at = contact_times(firings.decided_at, zones, gate.default_zone, gate.quiet, hours)
    names = pa.array(gate.texts(codes), pa.string()).take(pa.array(person))
    return promotions(firings, rules, outcome, at, names), contacts


def zone_hours(context: Context, default_zone: str) -> Callable[[Ints, Ints], NDArray[np.uint8]]:
    """A function that gives the hours of moments (seconds) in the zones of subscribers, for what `History` drops."""

    def of(subscribers: Ints, seconds: Ints) -> NDArray[np.uint8]:
        codes, person = np.unique(subscribers, return_inverse=True)
        known = _zones(codes, context)
        return hours_in([main or default_zone for _, main in known.sets], known.place[person], seconds)

    return of


def _zones(codes: Ints, context: Context) -> Zones:
    return zones_of(codes, context.regions_of(codes), context.words.regions)
