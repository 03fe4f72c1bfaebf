"""What becomes of a firing: consent, contact cap, control group, and the total that a rule may offer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from transforms.columns.rules.arrays import Bools, Ints, find
from transforms.columns.rules.firings import Firings
from transforms.rules.language import ActiveRule

OUTCOMES: Final = ("no_consent", "capped", "control", "sold_out", "offered")
"""In the order in which they apply."""
NO_CONSENT, CAPPED, CONTROL, SOLD_OUT, OFFERED = range(len(OUTCOMES))
CONTACTS: Final = tuple(OUTCOMES[k] for k in (OFFERED, CONTROL, SOLD_OUT))
"""What a cap counts."""
_DIGEST: Final = hashlib.sha256().digest_size
ALWAYS: Final = -(1 << 62)
"""``at`` of a consent that has always been given."""
Texts = Callable[[Ints], Sequence[str]]


def _none() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Ledger:
    """Statements about subscribers, each true from a second on; ascending by ``codes`` and ``at``."""

    codes: Ints = field(default_factory=_none)
    at: Ints = field(default_factory=_none)
    said: Bools = field(default_factory=lambda: np.empty(0, np.bool_))

    def newest(self, codes: Ints, when: Ints) -> Ints:
        """Position of the last row of each code with ``at <= when``, -1 without."""
        first = np.searchsorted(self.codes, codes)
        low, high = first.copy(), np.searchsorted(self.codes, codes, "right")
        while (
            open_ := np.flatnonzero(low < high)
        ).size:  # all at once: as often as halves the most rows of one
            middle = (low[open_] + high[open_]) // 2
            before = self.at[middle] <= when[open_]
            low[open_[before]] = middle[before] + 1
            high[open_[~before]] = middle[~before]
        return np.where(low > first, low - 1, -1)

    def replaced(self, codes: Ints, rows: Ledger) -> Ledger:
        """With these rows in place of all of some ascending codes'."""
        there = find(codes, self.codes)[1]
        kept = Ledger(self.codes[~there], self.at[~there], self.said[~there]) if there.any() else self
        place = np.searchsorted(kept.codes, rows.codes)
        columns = ("codes", "at", "said")
        return Ledger(*(np.insert(getattr(kept, n), place, getattr(rows, n)) for n in columns))


def ledger(codes: Ints, at: Ints, said: Bools | None = None) -> Ledger:
    """A ledger of rows in any order; of those of one subscriber and moment the last one holds."""
    order = np.lexsort((at, codes))
    return Ledger(codes[order], at[order], np.ones(len(codes), np.bool_) if said is None else said[order])


@dataclass(frozen=True)
class Consent:
    """Who may be offered anything, and from when on.

    Attributes:
        stated: who opted in or out, and when (`ALWAYS`: it has always been so).
        suppressed: who counts as opted out, and from when on, whatever they stated.
        default: what holds of subscribers who stated nothing.
    """

    stated: Ledger = field(default_factory=Ledger)
    suppressed: Ledger = field(default_factory=Ledger)
    default: bool = False

    def given(self, codes: Ints, at: Ints) -> Bools:
        """Whether subscribers consent at some moments: by their newest statement not after the moment."""
        row = self.stated.newest(codes, at)
        said = self.stated.said[row] if len(self.stated.codes) else np.zeros(len(codes), np.bool_)
        return np.where(row >= 0, said, self.default) & (self.suppressed.newest(codes, at) < 0)


@dataclass(frozen=True)
class Cap:
    """At most ``most`` contacts per subscriber within ``window`` seconds."""

    most: int
    window: int


@dataclass(frozen=True)
class Contacts:
    """Earlier contacts that count for the cap: promotions offered, sold out or of the control group."""

    codes: Ints = field(default_factory=_none)
    at: Ints = field(default_factory=_none)

    def since(self, second: int) -> Contacts:
        """Those after a second: the ones that can still count."""
        new = self.at > second
        return Contacts(self.codes[new], self.at[new])

    def to_arrow(self) -> pa.RecordBatch:
        """As an Arrow RecordBatch with the columns ``codes`` and ``at``."""
        return pa.RecordBatch.from_pydict({"codes": self.codes, "at": self.at})


def contacts_from_arrow(batch: pa.RecordBatch) -> Contacts:
    """Contacts from `Contacts.to_arrow`."""
    return Contacts(*(batch.column(n).to_numpy(zero_copy_only=True) for n in ("codes", "at")))


def decide(
    firings: Firings,
    rules: Sequence[ActiveRule],
    *,
    consent: Consent,
    cap: Cap | None,
    earlier: Contacts,
    texts: Texts,
) -> tuple[NDArray[np.uint8], Contacts]:
    """The outcome of each firing but for ``sold_out``, which only `totals.apply_max_total` can tell.

    Args:
        firings: of some subscribers, all of the pane ends that they cover.
        rules: the list that the firings' positions refer to.
        consent: who may be offered anything.
        cap: of contacts, None for none.
        earlier: contacts before these firings.
        texts: texts of party codes, as promotions name subscribers.

    Returns:
        Positions in `OUTCOMES`, and the contacts that count for firings after these.
    """
    outcome = np.full(len(firings), OFFERED, np.uint8)
    given = consent.given(firings.subscriber, firings.decided_at)
    outcome[~given] = NO_CONSENT
    rows = np.flatnonzero(given)
    if cap is not None:
        turn = _turns(rules)[firings.rule[rows]]
        rows = rows[np.lexsort((turn, firings.decided_at[rows], firings.subscriber[rows]))]
        capped = _over_cap(firings.subscriber[rows], firings.decided_at[rows], cap, earlier)
        outcome[rows[capped]] = CAPPED
        rows = rows[~capped]
    outcome[rows[_in_control(firings, rows, rules, texts)]] = CONTROL
    if cap is None or not len(firings):
        return outcome, earlier
    codes = np.concatenate([earlier.codes, firings.subscriber[rows]])
    at = np.concatenate([earlier.at, firings.decided_at[rows]])
    return outcome, Contacts(codes, at).since(int(firings.decided_at.max()) - cap.window)


def _turns(rules: Sequence[ActiveRule]) -> Ints:
    """The place of each rule among those that fire at one moment: by priority, then rule_id."""
    order = sorted(range(len(rules)), key=lambda k: (rules[k].rule.priority, rules[k].rule.rule_id))
    return np.argsort(order)


def _over_cap(codes: Ints, at: Ints, cap: Cap, earlier: Contacts) -> Bools:
    """Which contacts are too many, one after the other: those that are do not count themselves.

    Each round takes everybody's next contact and looks at the ``most``-th last one kept.
    """
    people, first = np.unique(codes, return_index=True)
    count = np.diff(np.append(first, len(codes)))
    kept = _last_kept(people, earlier, cap.most)
    over = np.zeros(len(codes), np.bool_)
    going = np.arange(len(people))
    for step in range(int(count.max(initial=0))):
        going = going[count[going] > step]
        row = first[going] + step
        too_many = kept[going, 0] > at[row] - cap.window
        over[row] = too_many
        fine = going[~too_many]
        kept[fine, :-1] = kept[fine, 1:]
        kept[fine, -1] = at[row[~too_many]]
    return over


def _last_kept(people: Ints, earlier: Contacts, most: int) -> Ints:
    """Seconds of each one's last ``most`` contacts, the oldest first, n x most; the least int64 for none."""
    kept = np.full((len(people), most), np.iinfo(np.int64).min)
    place, there = find(people, earlier.codes)
    order = np.flatnonzero(there)
    order = order[np.lexsort((earlier.at[order], place[order]))]
    owner = place[order]
    from_end = np.searchsorted(owner, owner, "right") - np.arange(len(owner))
    late = from_end <= most
    kept[owner[late], most - from_end[late]] = earlier.at[order][late]
    return kept


def _in_control(firings: Firings, rows: Ints, rules: Sequence[ActiveRule], texts: Texts) -> Bools:
    """Which of these firings belong to the control groups of their rules."""
    found = np.zeros(len(rows), np.bool_)
    for position, active in enumerate(rules):
        if active.rule.control_share > 0:
            mine = np.flatnonzero(firings.rule[rows] == position)
            people, who = np.unique(firings.subscriber[rows[mine]], return_inverse=True)
            numbers = control_numbers(active.rule.rule_id, texts(people))
            found[mine] = (numbers < active.rule.control_share)[who]
    return found


def control_number(rule_id: str, subscriber: str) -> float:
    """A number from 0 to 1, always the same: below ``control_share`` the subscriber is in the control group.

    It is the first 8 bytes, big-endian, of the SHA-256 of ``rule_id|subscriber``, divided by 2^64.
    """
    return float(control_numbers(rule_id, [subscriber])[0])


def control_numbers(rule_id: str, subscribers: Sequence[str]) -> NDArray[np.float64]:
    """`control_number` of each of some subscribers."""
    start, sha256 = f"{rule_id}|".encode(), hashlib.sha256
    digests = b"".join([sha256(start + subscriber.encode()).digest() for subscriber in subscribers])
    return np.frombuffer(digests, ">u8")[:: _DIGEST // 8].astype(np.float64) / 2.0**64


def plain_texts(codes: Ints) -> list[str]:
    """E.164 texts of party codes that are numbers."""
    return [f"+{code}" for code in codes.tolist()]
