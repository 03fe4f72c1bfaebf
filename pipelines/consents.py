"""Who consents: the statements of the store and of consent files, as ledgers by party code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from callbeam_io.store import Store
from callbeam_io.store.changes import changed_between, newest_change
from callbeam_io.store.consent import read_consent as read_file
from callbeam_io.store.filters import Condition
from transforms.columns.numbers import party_codes, party_texts
from transforms.columns.rules.arrays import Bools
from transforms.columns.rules.outcomes import Consent, Ledger, ledger
from transforms.errors import OptionError
from transforms.schema import TIME_FORMAT

_FEW: Final = 1000  # people whose statements are read one by one
_STATED: Final = {"subscriber": pl.String, "at": pl.String, "opted_in": pl.Boolean}


def consent_of(stated: pl.DataFrame, suppressed: pl.DataFrame, *, default: bool) -> Consent:
    """Consents and suppressions as ledgers by party code.

    Args:
        stated, suppressed: as of `statements`; of several statements of one person at one time the last counts.
        default: whether who stated nothing consents.
    """
    said = stated["opted_in"].fill_null(False).to_numpy()
    return Consent(_ledger(stated, said), _ledger(suppressed, np.ones(suppressed.height, np.bool_)), default)


def _ledger(frame: pl.DataFrame, said: Bools) -> Ledger:
    at = frame["at"].str.to_datetime(TIME_FORMAT, time_unit="us").to_physical().to_numpy() // 1_000_000
    return ledger(party_codes(frame["subscriber"]).code, at, said)


def statements(store: Store | None, table: str, where: Mapping[str, Condition] | None = None) -> pl.DataFrame:
    """Columns ``subscriber``, ``at`` and ``opted_in`` of ``consent`` or ``suppressed`` (null there); none without
    a store. ``where`` as of `Store.rows`."""
    if store is None:
        return pl.DataFrame(schema=_STATED)
    return _shaped(pl.DataFrame(pl.from_arrow(store.table(table, where=where))))


def _shaped(frame: pl.DataFrame) -> pl.DataFrame:
    columns = {name: pl.col(name) if name in frame.columns else pl.lit(None) for name in _STATED}
    return frame.select(column.cast(_STATED[name]).alias(name) for name, column in columns.items())


def with_file(stated: pl.DataFrame, path: str, region: str | None) -> pl.DataFrame:
    """Statements with those of a consent file over them, as a run would load them.

    Raises:
        OptionError: no such file.
        InputError: it cannot be read as consents.
    """
    _refuse_missing(path)
    given = pl.DataFrame(pl.from_arrow(read_file(Path(path), _normaliser(region)).rows))
    return pl.concat([stated, _shaped(given)]).unique(["subscriber", "at"], keep="last", maintain_order=True)


def read_consent(store: Store, *, default: bool) -> Consent:
    """Consents and suppressions of the store."""
    return consent_of(statements(store, "consent"), statements(store, "suppressed"), default=default)


@dataclass
class ConsentReader:
    """Reads consents and suppressions of a store again and again: as a whole at first, then what changed.

    Attributes:
        store: where from.
        default: whether who stated nothing consents.
    """

    store: Store
    default: bool
    _seen: int = 0
    _consent: Consent | None = None

    def read(self) -> Consent:
        """What the store says now; the same object as long as nothing changed."""
        now = newest_change(self.store)
        if self._consent is None:
            self._consent = read_consent(self.store, default=self.default)
        elif now != self._seen:
            self._consent = self._changed(self._consent, now)
        self._seen = now  # what was written in between is read again
        return self._consent

    def _changed(self, old: Consent, now: int) -> Consent:
        changed = None if now < self._seen else changed_between(self.store, self._seen, now, _FEW)
        if changed is None:
            return read_consent(self.store, default=self.default)
        codes = np.unique(party_codes(pl.Series(changed, dtype=pl.String)).code)
        of_these = {"subscriber": ("in", changed)}
        stated, suppressed = (statements(self.store, table, of_these) for table in ("consent", "suppressed"))
        new = consent_of(stated, suppressed, default=self.default)
        return Consent(
            old.stated.replaced(codes, new.stated),
            old.suppressed.replaced(codes, new.suppressed),
            self.default,
        )


def load_consents(store: Store, path: str, region: str | None) -> tuple[str, ...]:
    """Loads a consent file into the store; gives what is to be said about it.

    Raises:
        OptionError: no such file.
        InputError: it cannot be read as consents.
    """
    _refuse_missing(path)
    counts = store.load_consent(path, _normaliser(region))
    rejected = f", {len(counts.rejected):,} lines could not be read" if counts.rejected else ""
    return (f"{counts.stored:,} consents were loaded{rejected}",)


def _refuse_missing(path: str) -> None:
    if not Path(path).is_file():
        raise OptionError(f"--consent {path}: no such file", "a CSV subscriber,opted_in[,at]")


def _normaliser(region: str | None) -> Callable[[pl.Series], pl.Series]:
    def normalise(subscribers: pl.Series) -> pl.Series:
        parties = party_codes(subscribers, region)
        return party_texts(parties.code, parties.text)

    return normalise
