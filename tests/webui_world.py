"""A small store with results in it, and the web app on it: what the tests of the pages share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from callbeam_io.jobs import Jobs
from callbeam_io.store import Store, open_store, utc_text, web_accounts
from callbeam_io.store.web_queries import ALL_END, ALL_START, BUSINESS_TYPES
from webui import WebConfig, create_app, desk, passwords

PASSWORDS = {"admin": "sesame-admin", "analyst": "sesame-analyst", "viewer": "sesame-viewer"}
SECRET = {"admin": "token-of-admin", "analyst": "token-of-analyst", "viewer": "token-of-viewer"}
"""Tokens by role, see `seed_tokens`."""
HASHES = {name: generate_password_hash(p, "pbkdf2:sha256:1000") for name, p in PASSWORDS.items()}
DAY = datetime(2026, 3, 2, tzinfo=UTC)
PEOPLE = 120
RULE = {
    "name": "Bank shopper",
    "when": {
        "combinator": "and",
        "rules": [
            {
                "field": "calls",
                "operator": ">=",
                "value": 3,
                "window": "6h",
                "where": {"business_type": ["Banking"]},
            },
            {"field": "tag", "operator": "in", "value": ["Business"], "window": "30d"},
        ],
    },
    "offer": {"code": "BANK5"},
}


def number(i: int) -> str:
    """The i-th subscriber."""
    return f"+1202555{i:04d}"


def at(hours: float) -> str:
    """A moment of the day of the records."""
    return utc_text(DAY + timedelta(hours=hours))


def counts(i: int) -> dict[str, int]:
    return {"calls": i + 2, "answered": i + 1, "messages": i % 3, "duration_s": (i + 1) * 95}


def window(start: str = ALL_START, end: str = ALL_END) -> dict[str, str]:
    return {"window_start": start, "window_end": end}


def tables(windows: list[dict[str, str]]) -> dict[str, pl.DataFrame]:
    """Rows of the aggregates for these windows."""
    names = [name for name, _ in BUSINESS_TYPES]
    regions = ["US", "DE", "FR", "HK", "GF", "SG", "BR", "IN", "001", "ZZ", "ZA", "LS"]
    pairs = [(a, b) for i, a in enumerate(names) for j, b in enumerate(names) if (i + j) % 3 == 0]
    return {
        "duration_by_hour": pl.DataFrame(
            [{**w, "hour": h, **counts(h)} for w in windows for h in range(6, 22)]
        ),
        "business_types": pl.DataFrame(
            [
                {**w, "business_type": n, "tag": t, **counts(i)}
                for w in windows
                for i, (n, t) in enumerate(BUSINESS_TYPES)
            ]
        ),
        "type_graph": pl.DataFrame(
            [
                {**w, "caller_type": a, "called_type": b, **counts(i)}
                for w in windows
                for i, (a, b) in enumerate(pairs)
            ]
        ),
        "regions": pl.DataFrame(
            [{**w, "region": r, **counts(i * i)} for w in windows for i, r in enumerate(regions)]
        ),
    }


def subscriber(i: int) -> dict[str, Any]:
    """The row of the i-th subscriber."""
    name, tag = BUSINESS_TYPES[i % len(BUSINESS_TYPES)]
    return {
        "subscriber": number(i),
        "account_id": f"A{i}",
        **window(),
        **counts(i),
        "charge": i / 10,
        "international": i % 5,
        "first_seen": at(1),
        "last_seen": at(2 + i / 60),
        "business_type": name,
        "business_type_count": 1 + i // 2,
        "tag": tag,
        "tag_count": 1 + i // 2,
        "best_weekday": i % 7,
        "best_weekday_count": 1,
        "best_hour": i % 24,
        "best_hour_count": 1,
        "contact_from": 17,
        "contact_to": 20,
        "contact_hit_rate": 0.5,
    }


REJECTS = [
    {
        "source": "/data/day.csv",
        "line": str(n),
        "field": f,
        "reason": r,
        "raw": f"{n},+12025550000,<b>x</b>,{f}",
    }
    for n, (f, r) in enumerate(
        [("start_time", "time cannot be read"), ("duration", "negative duration")] * 70, start=2
    )
]


def promotion(i: int, outcome: str) -> dict[str, Any]:
    """A promotion of the i-th subscriber."""
    return {
        "rule_id": "bank-shopper",
        "subscriber": number(i),
        "decided_at": at(12 + i / 60),
        "rule_version": 1,
        "offer_code": "BANK5",
        "outcome": outcome,
        "features": '{"when.rules[0]": 4, "when.rules[1]": "Business"}',
        "contact_at": at(17),
    }


def seed_batch(store: Store) -> str:
    """A batch run that is done, over all of time."""
    run_id = store.start_run(mode="batch", runner="DirectRunner", options={"default_region": "US"})
    rows = tables([window()])
    rows["subscribers"] = pl.DataFrame([subscriber(i) for i in range(PEOPLE)])
    rows["rejects"] = pl.DataFrame(REJECTS)
    numbers = {"read": 5000, "good": 4800, "rejected": 140, "duplicate": 50, "conflicting": 5, "late": 10}
    store.writer().write(run_id, rows, counts=numbers)
    store.finish_run(run_id, "done", watermark=at(14))
    return run_id


def seed_tokens(store: Store) -> None:
    """A token for each role."""
    for role, secret in SECRET.items():
        web_accounts.add_token(store, passwords.token_hash(secret), role, role, "test")


def seed_promotions(store: Store, run_id: str) -> None:
    """A rule that is on, its promotions, consents and a suppression."""
    rule = {
        "rule_id": "bank-shopper",
        "name": "Bank shopper",
        "enabled": True,
        "priority": 1,
        "created_at": at(0),
    }
    rule |= {"definition": store_json(RULE), "created_by": "admin", "version": 1}
    outcomes = ["offered"] * 6 + ["no_consent", "capped", "control", "sold_out"]
    consents = [
        {"subscriber": number(i), "at": ALL_START, "opted_in": i % 4 != 3, "source": "list.csv"}
        for i in range(60)
    ]
    written = {
        "rules": pl.DataFrame([rule]),
        "rule_versions": pl.DataFrame([rule]),
        "promotions": pl.DataFrame([promotion(i, o) for i, o in enumerate(outcomes)]),
        "consent": pl.DataFrame(consents),
        "suppressed": pl.DataFrame([{"subscriber": number(1), "at": at(1), "reason": "asked by phone"}]),
        "deliveries": pl.DataFrame(
            [
                {
                    "rule_id": "bank-shopper",
                    "subscriber": number(0),
                    "decided_at": at(12),
                    "state": "sent",
                    "at": at(13),
                }
            ]
        ),
    }
    store.writer().write(run_id, written)


def store_json(value: Any) -> str:
    import json

    return json.dumps(value)


def seed_stream(store: Store, *, read: int = 900) -> str:
    """A streaming run that is running in this process, with windows of an hour."""
    run_id = store.start_run(
        mode="streaming", runner="DirectRunner", options={"max_ahead": 86400, "default_region": "US"}
    )
    now = datetime.now(UTC).replace(minute=0, second=0)
    hours = [(now - timedelta(hours=h), now - timedelta(hours=h - 1)) for h in range(3)]
    rows = tables([window(utc_text(a), utc_text(b)) for a, b in hours])
    rows["subscribers"] = pl.DataFrame([subscriber(i) for i in range(PEOPLE)])
    rows["rejects"] = pl.DataFrame(REJECTS)
    store.writer().write(run_id, rows, counts={"read": read, "good": read})
    store.update_run(run_id, watermark=utc_text(datetime.now(UTC) - timedelta(seconds=2)))
    return run_id


def add_sample(store: Store, run_id: str, when: float, seconds: float = 10, **figures: Any) -> None:
    """A row of ``run_samples``, as a streaming run writes them."""
    at = utc_text(datetime.fromtimestamp(when, UTC))
    row = {"at": at, "figures": store_json({"seconds": seconds, **figures})}
    store.writer().write(run_id, {"run_samples": pl.DataFrame([row])})


class World:
    """A store in a folder, and the app on it."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.url = url or f"sqlite:///{folder / 'web.db'}"
        self.store = open_store(self.url)
        for name, password_hash in HASHES.items():
            web_accounts.add_user(self.store, name, password_hash, name, must_change=False)
        self.app = create_app(WebConfig(self.url), self.store)
        self._clients: dict[str, FlaskClient] = {}

    def stranger(self) -> FlaskClient:
        """A browser that nobody has signed in with."""
        return self.app.test_client()

    def client(self, role: str) -> FlaskClient:
        """A browser in which the user of this role is signed in; the same one each time."""
        if role not in self._clients:
            self._clients[role] = self.stranger()
            answer = sign_in(self._clients[role], role, PASSWORDS[role])
            assert answer.status_code == 302, answer.text
        return self._clients[role]

    def get(self, path: str, role: str = "admin", **more: Any) -> TestResponse:
        """What the user of this role gets."""
        return self.client(role).get(path, **more)

    def post(self, path: str, data: dict[str, Any], role: str = "admin", **more: Any) -> TestResponse:
        """What the user of this role gets who sends the form of that page."""
        client = self.client(role)
        return client.post(path, data={"csrf_token": token_of(client), **data}, **more)

    def close(self) -> None:
        """Closes the store, and the rule desk if it was asked."""
        desk.close(self.app)
        for row in jobs_of(self).running():
            jobs_of(self).cancel(row["job_id"])
        self.store.close()


def jobs_of(world: World) -> Jobs:
    """What the web app has started."""
    found: Jobs = world.app.extensions["callbeam"].jobs
    return found


def sign_in(client: FlaskClient, username: str, password: str, **more: Any) -> TestResponse:
    """Sends the form of ``/signin``."""
    form = {"username": username, "password": password, "csrf_token": token_of(client, "/signin")}
    return client.post("/signin", data=form, **more)


def token_of(client: FlaskClient, path: str = "/account") -> str:
    """The token of the forms in this browser."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]
