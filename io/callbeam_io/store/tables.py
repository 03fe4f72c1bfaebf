"""The tables of the result store; those of `transforms.schema` come from there, so that names stand once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table

from callbeam_io.store.types import KINDS
from transforms.schema import TABLE_KEYS, TABLE_VALUES

METADATA: Final = MetaData()

_RULE = "name text, enabled bool, priority int, definition json, created_at time, created_by text"
_DELIVERY = (
    "state text, at time, run_id text, due_at time, expires_at time, attempts int, next_at time, detail text,"
    "rule_version int, offer json, zones text, quiet text"
)
_JOB = (
    "kind text, state text, command json, created_at time, created_by text, started_at time,"
    "finished_at time, pid int, run_id text, log text, error text"
)

_OTHERS: Final[dict[str, tuple[str, str]]] = {
    "runs": (
        "run_id text",
        "state text, mode text, runner text, started_at time, finished_at time, heartbeat time, options json,"
        "records_read int, records_good int, records_rejected int, records_duplicate int,"
        "records_conflicting int, records_late int, decided_without int, watermark time, error text,"
        "live json, pruned_at time",
    ),
    "rules": ("rule_id text", f"{_RULE}, version int, error text, sentence text"),
    "rule_versions": ("rule_id text, version int", f"{_RULE}, sentence text"),
    "rule_activations": ("run_id text, rule_id text, version int, active_from time", "active_to time"),
    "promotions": (
        "run_id text, rule_id text, subscriber text, decided_at time",
        "rule_version int, offer_code text, outcome text, features json, contact_at time",
    ),
    "deliveries": ("rule_id text, subscriber text, decided_at time", _DELIVERY),
    "consent": ("subscriber text, at time", "opted_in bool, source text"),
    "suppressed": ("subscriber text, at time", "reason text"),
    "users": (
        "username text",
        "password_hash text, role text, must_change bool, created_at time, disabled bool",
    ),
    "api_tokens": ("token_hash text", "name text, role text, created_at time, created_by text"),
    "source_offsets": (
        "run_id text, source text, split text",
        "offset text, watermark time, updated_at time",
    ),
    "shard_state": ("run_id text, shard int, kind text, seq int", "payload bytes, created_at time"),
    "record_files": ("run_id text, path text", "shard int, seq int, rows int, first int, last int"),
    "run_samples": ("run_id text, at time", "figures json"),
    "state_changes": ("at time", "state text, detail text, run_id text"),
    "jobs": ("job_id text", _JOB),
    "control": ("name text", "value json, updated_at time"),
    "schema_version": ("version int", "applied_at time"),
}
"""The other tables: key columns, other columns, each with its kind. ``runs.live`` holds the live numbers of a
streaming run, ``record_files`` the files of kept records that count; ``runs.pruned_at`` marks a run that is
being deleted; ``rules.version`` is the version that the row is a copy of; ``rules.error`` says why a rule was
switched off; ``sentence`` is the rule in words. ``run_samples`` holds what a streaming run counted since the
sample before, ``state_changes`` when the pipeline became live, stalled or stopped, ``jobs`` the commands that
were started from the web app. ``consent_changes`` says whose consents or suppressions changed, see `changes`."""


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(name, kind) for name, kind in (c.split() for c in text.split(","))]


def _column(name: str, kind: str, key: bool) -> Column[object]:
    return Column(name, KINDS[kind].sql(), primary_key=key, autoincrement=False, info={"kind": kind})


def _table(name: str, keys: Iterable[tuple[str, str]], values: Iterable[tuple[str, str]]) -> Table:
    columns = [_column(n, k, True) for n, k in keys] + [_column(n, k, False) for n, k in values]
    return Table(name, METADATA, *columns)


for _name, _keys in TABLE_KEYS.items():
    _table(_name, (("run_id", "text"), *_keys), TABLE_VALUES[_name])
for _name, (_key_text, _value_text) in _OTHERS.items():
    _table(_name, _pairs(_key_text), _pairs(_value_text))
Table(
    "audit_log",
    METADATA,
    # only an INTEGER key counts up by itself in SQLite
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, info={"kind": "int"}),
    *(
        _column(n, k, False)
        for n, k in _pairs("at time, username text, action text, target text, detail json")
    ),
)

Table(
    "consent_changes",
    METADATA,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, info={"kind": "int"}),
    _column("subscriber", "text", False),
)

TABLES: Final[dict[str, Table]] = dict(METADATA.tables)
"""Every table by its name; a column's ``info["kind"]`` names its kind."""

RUN_TABLES: Final = tuple(n for n, t in TABLES.items() if "run_id" in t.primary_key.columns and n != "runs")
"""The tables whose rows belong to one run."""

INSERT_ONLY: Final = frozenset({"promotions", "deliveries"})
"""Tables whose rows no writer of results revises: a row that is there already stays as it is."""

Index("promotions_by_time", TABLES["promotions"].c.run_id, TABLES["promotions"].c.decided_at)
Index("promotions_by_subscriber", TABLES["promotions"].c.run_id, TABLES["promotions"].c.subscriber)
_DUE = [TABLES["deliveries"].c[name] for name in ("state", "due_at", "rule_id", "subscriber", "decided_at")]
Index("deliveries_by_state", *_DUE)
Index("deliveries_by_subscriber", TABLES["deliveries"].c.subscriber)


def table_named(name: str) -> Table:
    """The table of this name; ValueError names the ones that there are."""
    if name not in TABLES:
        raise ValueError(f"no table {name!r} in the result store. There are: {', '.join(sorted(TABLES))}")
    return TABLES[name]


def key_names(table: Table) -> tuple[str, ...]:
    """The names of the key columns, in order."""
    return tuple(c.name for c in table.primary_key.columns)


def arrow_schema(table: Table, names: Iterable[str] | None = None) -> pa.Schema:
    """The Arrow schema of a table, or of these columns of it."""
    columns = table.columns if names is None else [table.c[n] for n in names]
    return pa.schema([pa.field(c.name, KINDS[c.info["kind"]].arrow) for c in columns])
