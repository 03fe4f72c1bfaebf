"""From a run to the receiver: ``--deliver``, streaming, the command ``deliver``."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import messy
import numpy as np
import polars as pl
import pytest
from delivery_world import number, promotion, queue, run_with, states
from hypothesis import given
from hypothesis import strategies as st
from list_feed import ListFeed
from test_pipelines_live import prepared
from test_pipelines_run import run
from webhook_receiver import receiver

from callbeam_io.delivery.facts import PAUSED
from callbeam_io.delivery.moments import free_from, text_of
from callbeam_io.delivery.rate import RATE
from callbeam_io.delivery.webhook import save_webhook
from callbeam_io.store import Store, open_store
from pipelines import cli, deliver
from pipelines.deliveries import contact_zones, quiet_text
from pipelines.live import run_live
from pipelines.rulebook import book_spec
from transforms.columns.numbers import party_codes
from transforms.columns.regions import REGIONS, regions_of
from transforms.columns.rules.moments import Quiet, contact_times
from transforms.columns.rules.zones import zones_of

FLAGS = [
    "--pane",
    "2h",
    "--consent_default",
    "in",
    "--deliver",
    "--quiet_hours",
    "22-7",
    "--timezone",
    "Asia/Tokyo",
]
WHEN = {
    "combinator": "and",
    "rules": [{"field": "interactions", "operator": ">=", "value": 2, "window": "12h"}],
}


def rules_file(folder: Path, *limits: dict[str, Any], good: str = "3600d", name: str = "Busy") -> list[str]:
    """A file with a rule for each of these limits."""
    offer = {"code": "X", "text": "more", "expires_after": good}
    rules = [
        {"name": f"{name} {k}", "when": WHEN, "limits": of, "offer": offer} for k, of in enumerate(limits)
    ]
    path = folder / "rules.json"
    path.write_text(json.dumps(rules), encoding="utf-8")
    return ["--rules", str(path)]


def keys(url: str) -> set[tuple[str, ...]]:
    rows = open_store(url).rows("deliveries")
    return {(r["rule_id"], r["subscriber"], r["decided_at"], r["due_at"]) for r in rows}


def first_days(text: str, day: int) -> str:
    """The records before a day, of those whose stamps are in UTC."""
    frame = pl.read_csv(text.encode(), infer_schema=False)
    stamp = pl.col("start_time")
    return frame.filter(stamp.str.ends_with("Z"), stamp < f"2026-01-0{day}").write_csv()


def test_runs_go_on_from_earlier_deliveries(tmp_path: Path) -> None:
    """Three days delivered, then all of them: as all at once, and nothing twice."""
    text = first_days(messy.csv_text(700, seed=5, bad=0, repeats=0), 9)
    limits = [
        {"repeat": "never"},
        {"repeat": "on_reentry"},
        {"repeat": "on_reentry", "cooldown": "1d", "max_per_subscriber": 3},
        {"repeat": "always", "cooldown": "12h"},
        {"repeat": "always", "cooldown": "12h", "max_total": 60},
    ]
    flags = [*FLAGS, *rules_file(tmp_path, *limits)]
    expected = keys(run(tmp_path, text, *flags))
    (tmp_path / "two").mkdir()
    url = run(tmp_path / "two", first_days(text, 4), *flags)
    first = keys(url)
    assert {key[0] for key in first} == {f"busy-{k}" for k in range(5)} and first < expected
    limited = [sum(key[0] == "busy-4" for key in found) for found in (first, expected)]
    assert 0 < limited[0] < limited[1] == 60
    for _ in range(2):
        run(tmp_path / "two", text, *flags)
        assert keys(url) == expected


def test_the_contact_cap_counts_what_was_delivered(tmp_path: Path) -> None:
    text = messy.csv_text(300, seed=6, bad=0, repeats=0)
    url = run(tmp_path, text, *FLAGS, *rules_file(tmp_path, {"repeat": "never"}))
    reached = {r["subscriber"] for r in open_store(url).rows("promotions")}
    other = [*FLAGS, *rules_file(tmp_path, {"repeat": "never"}, name="Other"), "--contact_cap", "1/60d"]
    run(tmp_path, text, *other)
    assert {r["outcome"] for r in open_store(url).rows("promotions") if r["subscriber"] in reached} == {
        "capped"
    }


def test_batch_delivers_nothing_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = messy.csv_text(300, seed=6, bad=0)
    url = run(tmp_path, text, *rules_file(tmp_path, {}), "--consent_default", "in")
    assert open_store(url).count("promotions") and not keys(url)
    url = run(tmp_path, text, *FLAGS, *rules_file(tmp_path, {}, good="1h"))
    assert not keys(url) and "0 promotions wait to be sent" in (said := capsys.readouterr().out)
    assert "are older than their offers are good for" in said
    run(tmp_path, text, *FLAGS, *rules_file(tmp_path, {}))
    row = open_store(url).rows("deliveries")[0]
    assert row["offer"] == {"code": "X", "text": "more", "channel": "", "rule": "Busy 0"}
    assert row["quiet"] == "22-7" and row["rule_version"] is None, "a rule of a file is not in the store"
    zones = {r["subscriber"]: r["zones"] for r in open_store(url).rows("deliveries")}
    assert zones["+442079460018"] == "Europe/London" and zones["sip:alice"] == "Asia/Tokyo"


def test_a_stream_queues_what_is_still_good(tmp_path: Path) -> None:
    """One subscriber's records are of today, another's of last week."""
    now = int(time.time()) // 60 * 60
    lines = ["id,calling_number,called_number,start_time,duration,call_type,charge,call_result"]
    for k, back in enumerate((8 * 86400, 8 * 86400 - 60, 7200, 7100)):
        stamp = text_of(now - back).replace(" ", "T") + "Z"
        lines.append(f"{k},+1202555012{k // 2},+12025550199,{stamp},1,VOICE,0,ANSWERED")
    flags = ["--pane", "5s", "--consent_default", "in", "--contact_cap", "none", "--fresh"]
    store = stream(tmp_path, "\n".join([*lines, ""]), *flags, *rules_file(tmp_path, {}, good="1d"))
    assert {r["subscriber"] for r in store.rows("promotions")} == {"+12025550120", "+12025550121"}
    assert states(store) == {"+12025550121": "waiting"}


def stream(folder: Path, text: str, *flags: str) -> Store:
    """What a stream over these records leaves; five-second panes but for ``--pane``."""
    ready = prepared(folder, [ListFeed(text, chunk=20, split_count=1)], *flags)
    config = ready.config
    types, pane = config.reference().types, config.rule_settings.pane
    book = book_spec(ready.store, config.rules, config.output, types, pane, consent_default=True)
    assert run_live(replace(ready, book=book)) == 0
    return open_store(config.output)


def test_what_a_rule_may_give_in_all_is_counted_over_streams(tmp_path: Path) -> None:
    """Three days, the days after, and all of them anew: in a store of their own, and after each other."""
    text = messy.csv_text(700, seed=5, bad=0, repeats=0)
    first, both = first_days(text, 4), first_days(text, 9)
    rest = "\n".join(
        [messy.HEADER, *(line for line in both.splitlines() if line not in first.splitlines()), ""]
    )
    flags = [
        "--pane",
        "2h",
        "--consent_default",
        "in",
        "--contact_cap",
        "none",
        "--fresh",
        "--rule_delay",
        "20d",
    ]
    flags += rules_file(tmp_path, {"repeat": "always", "cooldown": "12h", "max_total": 60})
    (tmp_path / "alone").mkdir()
    expected = outcomes(stream(tmp_path / "alone", both, *flags))
    before = outcomes(stream(tmp_path, first, *flags))
    given_before = before["offered"]
    assert 0 < len(given_before) < 60 == len(expected["offered"]) and not before["sold_out"]
    after = outcomes(stream(tmp_path, rest, *flags))
    assert len(after["offered"]) == 60 - len(given_before) and after["sold_out"]
    store = stream(tmp_path, both, *flags)
    again = outcomes(store)
    assert given_before < again["offered"] and len(again["offered"] | after["offered"]) == 60
    assert again["offered"] | again["sold_out"] == expected["offered"] | expected["sold_out"]
    assert store.count("deliveries") == 60


def outcomes(store: Store) -> dict[str, set[tuple[str, str]]]:
    """Subscriber and moment of the newest run's promotions by outcome."""
    found: dict[str, set[tuple[str, str]]] = {"offered": set(), "sold_out": set()}
    for row in store.rows("promotions"):
        found[row["outcome"]].add((row["subscriber"], row["decided_at"]))
    return found


@given(
    st.integers(1_760_000_000, 1_790_000_000),
    st.sampled_from(["+12025550123", "+4930123456", "+79161234567", "+18005550100", "+61491570156", "x"]),
    st.sampled_from([None, Quiet(), Quiet(9, 21), Quiet(18, 12), Quiet(7, 7), Quiet(0, 23)]),
)
def test_quiet_hours_at_sending_are_those_of_deciding(at: int, subscriber: str, quiet: Quiet | None) -> None:
    codes = party_codes(pl.Series([subscriber])).code
    zones = zones_of(codes, regions_of(codes), REGIONS)
    expected = contact_times(np.array([at]), zones, "Asia/Kolkata", quiet)[0]
    assert free_from(at, contact_zones("Asia/Kolkata")([subscriber])[0], quiet_text(quiet)) == expected


@pytest.fixture(name="store")
def store_fixture(tmp_path: Path) -> Store:
    """Three promotions that are due, one that is not."""
    store = open_store(f"sqlite:///{tmp_path}/results.db")
    now = int(time.time())
    run_id = run_with(store, *(promotion(i, now - 60, due=now + 7200 * (i == 3)) for i in range(4)))
    queue(store, run_id, quiet="").add_all(now)
    store.set_control(RATE, 60_000)
    return store


def test_deliver_sends_what_is_due_and_ends(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver() as server:
        save_webhook(store, server.hook)
        assert cli.main(["deliver", "--store", store.name, "--once"]) == 0
        assert len(server.got) == 3
    assert "3 sent, 0 failed, 0 withdrawn, 0 expired; 1 wait" in capsys.readouterr().out
    assert deliver.main(["--store", store.name, "--stop_after", "1s"]) == 0


def test_deliver_exports(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.csv"
    args = ["--store", store.name, "--export"]
    assert deliver.main([*args, str(path), "--rule", "other"]) == 0 and states(store)[number(0)] == "waiting"
    assert deliver.main([*args, str(path)]) == 2 and "a file that is not there yet" in capsys.readouterr().err
    path.unlink()
    assert deliver.main([*args, str(path), "--ahead", "3h"]) == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert [r["subscriber"] for r in rows] == [number(i) for i in range(4)]
    assert path.stat().st_mode & 0o077 == 0
    assert "4 promotions exported" in capsys.readouterr().err
    assert store.rows("audit_log")[-1]["action"] == "deliveries exported"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--once"], "no webhook is set up"),
        (["--export", "-", "--ahead", "soon"], "--ahead"),
        (["--store", "sqlite:///nowhere.db"], "no result store"),
    ],
)
def test_what_deliver_refuses(
    store: Store, args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver.main(["--store", store.name, *args]) == 2
    assert said in capsys.readouterr().err


def test_nothing_is_exported_while_all_is_paused(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.set_control(PAUSED, {"by": "ann", "at": "2026-03-02 10:00:00"})
    assert deliver.main(["--store", store.name, "--export", "-"]) == 2
    assert "paused, by ann" in capsys.readouterr().err
    assert set(states(store).values()) == {"waiting"}
