from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webui_world import World, at, number, seed_batch, seed_promotions, seed_stream
from werkzeug.datastructures import FileStorage

from callbeam_io.store import utc_text, web_accounts, web_people
from webui import uploads
from webui.moments import record_time


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    seed_promotions(made.store, seed_batch(made.store))
    yield made
    made.close()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    seed_batch(made.store)
    yield made
    made.close()


def allowed(world: World, i: int) -> bool | None:
    """Whether the i-th subscriber may be contacted now."""
    return web_people.contacts(world.store, [number(i)], utc_text())[number(i)].allowed


def upload(world: World, text: str, name: str = "list.csv", **form: str) -> Any:
    """The page after a list was sent to be looked at."""
    file = FileStorage(io.BytesIO(text.encode()), name)
    return world.post("/consent", {"do": "preview", "list": file, **form}, content_type="multipart/form-data")


def load(world: World, page: Any, how: str = "adds") -> Any:
    """The page after the list that was looked at was loaded."""
    token = re.search(r'name="token" value="(\w+)"', page.text)
    assert token is not None
    form = {"do": "load", "token": token[1], "how": how}
    return world.post("/consent", form, follow_redirects=True)


LIST = f"subscriber,opted_in,at\n{number(70)},yes,2026-01-01\n202-555-0071,1,\n{number(3)},in,\nx,maybe,\n"


def test_the_page_is_for_administrators(world: World) -> None:
    assert world.get("/consent").status_code == 200
    assert world.get("/consent", "analyst").status_code == world.get("/consent", "viewer").status_code == 403
    assert "44 of 120" in world.get("/consent").text  # 45 of 60 say yes, one of them is suppressed


def test_without_a_consent_nobody_may_be_contacted(bare: World) -> None:
    assert "Nobody may be contacted yet" in bare.get("/consent").text
    assert "nobody may be contacted yet" in bare.get("/dashboard").text
    assert "Nobody may be contacted yet" in bare.get("/").text


def test_a_list_is_looked_at_before_it_is_loaded(world: World) -> None:
    page = upload(world, LIST)
    assert "3 lines can be used, 1 cannot" in page.text and "Nothing is stored yet" in page.text
    assert "opted_in cannot be read" in page.text and "+1 202 555 0071" in page.text
    assert allowed(world, 70) is None
    loaded = load(world, page)
    assert "3 consents loaded" in loaded.text
    assert allowed(world, 70) and allowed(world, 71)
    assert allowed(world, 0) is True, "a list that adds changes nothing for others"
    assert "This upload is gone" in load(world, page).text
    entry = next(r for r in world.store.rows("audit_log") if r["action"] == "consent list loaded")
    assert entry["detail"] == {"lines": 3, "rejected": 1, "opted_out": 0, "replaces": False}


def test_a_list_that_replaces_opts_everybody_else_out(world: World) -> None:
    loaded = load(
        world, upload(world, f"subscriber,opted_in\n{number(0)},yes\n{number(70)},yes\n"), "replaces"
    )
    assert "2 consents loaded, 44 others opted out" in loaded.text
    assert [allowed(world, i) for i in (0, 2, 70)] == [True, False, True]
    assert "opted out" in world.get(f"/consent?number={number(2).replace('+', '%2B')}").text


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2\n", "subscriber,opted_in"), ("", "list.csv"), ("subscriber\n+1202\n", "subscriber,opted_in")],
)
def test_what_is_wrong_with_a_list_is_said_beside_it(world: World, text: str, said: str) -> None:
    page = upload(world, text)
    assert page.status_code == 400 and said in page.text
    assert "callbeam-uploads" not in page.text
    assert "Choose a file" in world.post("/consent", {"do": "preview"}).text


def test_one_number_is_looked_up_and_recorded(world: World) -> None:
    page = world.get("/consent", query_string={"number": "(202) 555-0003"}).text
    assert "opted out" in page and "list.csv" in page
    form = {"do": "opt_in", "number": "202 555 0003", "source": "phoned"}
    page = world.post("/consent", form, follow_redirects=True).text
    assert "may be contacted" in page and "phoned" in page and allowed(world, 3)
    world.post("/consent", {"do": "suppress", "number": number(3)})
    assert allowed(world, 3) is False
    world.post("/consent", {"do": "opt_in", "number": number(3)})
    assert allowed(world, 3) is False, "no later consent lifts a suppression"
    assert world.post("/consent", {"do": "opt_in", "number": ""}).status_code == 400
    assert world.post("/consent", {"do": "explode"}).status_code == 400
    done = [r["action"] for r in web_accounts.logged(world.store, 20) if r["target"] == number(3)]
    assert {"opted in", "suppressed"} <= set(done)


def test_a_withdrawal_stops_what_waits(world: World) -> None:
    import polars as pl

    waiting = [
        {"rule_id": "bank-shopper", "subscriber": number(i), "decided_at": at(13), "state": s, "at": at(13)}
        for i, s in ((2, "waiting"), (4, "waiting"), (5, "sent"))
    ]
    world.store.writer().write("", {"deliveries": pl.DataFrame(waiting)})
    page = world.post(f"/subscribers/{number(2)}", {"do": "opt_out"}, "analyst", follow_redirects=True).text
    assert (
        "opted out now" in page
        and "Must not be contacted: opted out" in page
        and "withdrawn" not in page.split("promotion")[0]
    )
    world.post("/consent", {"do": "opt_out", "number": number(5)})
    load(world, upload(world, f"subscriber,opted_in,at\n{number(4)},no,{utc_text()}\n"))
    states = {
        r["subscriber"]: r["state"] for r in world.store.rows("deliveries", where={"decided_at": at(13)})
    }
    assert states == {number(2): "withdrawn", number(4): "withdrawn", number(5): "sent"}
    offered = world.get("/promotions.csv?outcome=offered").text
    assert number(2) not in offered and number(5) not in offered and number(0) in offered


def test_only_a_no_is_recorded_on_a_profile(world: World) -> None:
    assert world.post(f"/subscribers/{number(2)}", {"do": "opt_in"}, "analyst").status_code == 400
    assert world.post(f"/subscribers/{number(2)}", {"do": "opt_out"}, "viewer").status_code == 403


def test_in_a_live_run_it_counts_from_the_next_decision_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_id = seed_stream(world.store)
    row = world.store.run(run_id) | {"watermark": "2026-03-02 11:59:58"}
    assert record_time(row | {"options": {"rule_settings": {"pane": 3600}}}) == "2026-03-02 12:00:00"
    assert record_time(row | {"watermark": "2026-03-02 12:00:00", "options": None}) == "2026-03-02 12:00:05"
    assert record_time(row | {"state": "done"}) == record_time(None) == utc_text()
    world.post("/consent", {"do": "opt_in", "number": number(1)})
    assert world.store.rows("consent")[0]["at"] > world.store.run(run_id)["watermark"]
    assert ">yes<" in world.get("/subscribers?sort=subscriber").text
    world.close()


def test_uploads_are_kept_for_an_hour(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    token = uploads.keep(FileStorage(io.BytesIO(b"x"), "../../a b.csv"))
    path = uploads.kept(token)
    assert path is not None and path.name == "a_b.csv" and path.read_bytes() == b"x"
    assert path.parent.stat().st_mode & 0o077 == 0
    assert uploads.kept("../x") is None and uploads.kept("0" * 32) is None
    os.utime(path.parent, (0, 0))
    uploads.keep(FileStorage(io.BytesIO(b"y"), ""))
    assert uploads.kept(token) is None


def test_uploads_have_a_limit(world: World) -> None:
    world.app.config["MAX_CONTENT_LENGTH"] = 1000
    assert upload(world, "subscriber,opted_in\n" + "+12025550000,yes\n" * 1000).status_code == 413
