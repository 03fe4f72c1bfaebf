"""What goes out and what does not: the pages, the switch, the webhook, and one gate on every way out."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl
import pytest
from delivery_world import delivery, number, promotion, queue, run_with, say, states, suppress
from webhook_receiver import Receiver, receiver
from webui_world import World

from callbeam_io.delivery.facts import PAUSED
from callbeam_io.delivery.moments import text_of
from callbeam_io.delivery.rate import RATE
from callbeam_io.delivery.sender import Sender
from callbeam_io.delivery.webhook import WEBHOOK, save_webhook, signing_webhook
from callbeam_io.store import web_accounts
from pipelines import deliver
from webui import passwords
from webui.deliveries import days_of
from webui.figures.calendar import calendar
from webui.figures.style import DARK, LIGHT

NOW = int(time.time())
PAGE = "/promotions/deliveries"


def made(folder: Path, *promotions: dict[str, Any], quiet: str = "") -> World:
    """The web app on a store whose run is done and whose offers are queued."""
    world = World(folder)
    run_id = run_with(world.store, *promotions)
    queue(world.store, run_id, quiet=quiet).add_all(NOW)
    world.store.finish_run(run_id, "done")
    world.store.set_control(RATE, 60_000)
    return world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Four that are due, one that is due in two hours."""
    found = made(tmp_path, *(promotion(i, NOW - 60, due=NOW + 7200 * (i == 4)) for i in range(5)))
    yield found
    found.close()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


# one gate on every way out


def by_export(world: World, server: Receiver) -> set[str]:
    """The screen's export."""
    answer = world.post(PAGE, {"do": "export", "ahead": "86400"}, "analyst")
    return {r["subscriber"] for r in rows_of(answer.text)} if answer.status_code == 200 else set()


def by_command(world: World, server: Receiver) -> set[str]:
    """The command's export."""
    path = Path(str(world.store.engine.url.database)).parent / "out.csv"
    deliver.main(["--store", world.url, "--export", str(path), "--ahead", "1d"])
    return {r["subscriber"] for r in rows_of(path.read_text("utf-8"))} if path.exists() else set()


def by_webhook(world: World, server: Receiver) -> set[str]:
    """The webhook."""
    save_webhook(world.store, server.hook)
    world.store.set_control("deliveries.bucket", {"at": NOW - 60, "tokens": 0})
    sender = Sender(world.store, lambda: NOW + 7200)
    for _ in range(3):
        sender.step()
    sender.close()
    return {json.loads(body)["subscriber"] for _, body in server.got}


def by_records(world: World, server: Receiver) -> set[str]:
    """The CSV of what was decided: who may be contacted by it."""
    rows = rows_of(world.get("/promotions.csv", "analyst").text)
    return {r["subscriber"] for r in rows if r["may_contact"] == "True"}


def by_data(world: World, server: Receiver) -> set[str]:
    """The JSON of the table, by session."""
    rows = world.get("/data/promotions", "analyst").get_json()["rows"]
    return {r["subscriber"] for r in rows if r["may_contact"]}


def by_api_export(world: World, server: Receiver) -> set[str]:
    """The API's export."""
    secret = {"Authorization": "Bearer secret-of-a-program"}
    hashed = passwords.token_hash("secret-of-a-program")
    web_accounts.add_token(world.store, hashed, "dialler", "analyst", "test")
    answer = world.stranger().post("/api/v1/deliveries/export", json={"ahead_s": 86400}, headers=secret)
    return {r["subscriber"] for r in answer.get_json().get("rows", [])}


def by_api(world: World, server: Receiver) -> set[str]:
    """The API's rows of the table."""
    rows = world.get("/api/v1/tables/promotions", "analyst").get_json()["rows"]
    return {r["subscriber"] for r in rows if r["may_contact"]}


WAYS = (by_export, by_command, by_webhook, by_records, by_data, by_api, by_api_export)


def test_what_was_queued_is_good_as_long_as_its_delivery_says(world: World) -> None:
    before = by_records(world, None)  # type: ignore[arg-type]
    assert number(0) in before
    with world.store.writing() as connection:
        connection.exec_driver_sql(
            f"UPDATE deliveries SET expires_at = '{text_of(NOW - 1)}' WHERE subscriber = '{number(0)}'"
        )
    assert by_records(world, None) == before - {number(0)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    ["", "rule_id=bank-shopper", "rule_id=none", "outcome=offered", "outcome=held_back&rule_id=bank-shopper"],
)
def test_the_list_is_as_long_as_its_title_says(tmp_path: Path, query: str) -> None:
    kinds = ["offered"] * 4 + ["control", "capped", "capped"]
    found = made(tmp_path, *(promotion(i, NOW - 60, outcome=kind) for i, kind in enumerate(kinds)))
    rows = rows_of(found.get(f"/promotions.csv?{query}", "analyst").text)
    assert (
        f"<h2>{len(rows)} promotion{'s' * (len(rows) != 1)}"
        in found.get(f"/promotions?{query}", "analyst").text
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__)
def test_whoever_must_not_be_reached_is_not_whatever_the_way(
    way: Callable[[World, Receiver], set[str]], tmp_path: Path
) -> None:
    """Nobody but 0 may be reached; then everything is paused, and nobody may."""
    kinds = ["offered"] * 5 + ["control", "capped", "no_consent", "sold_out"]
    offers = [promotion(i, NOW - 60, outcome=kind) for i, kind in enumerate(kinds)]
    for paused in (False, True):
        folder = tmp_path / str(paused)
        folder.mkdir()
        found = made(folder, *offers, promotion(9, NOW - 2 * 86400))
        if paused:
            found.store.set_control(PAUSED, {"by": "ann", "at": text_of(NOW)})
        say(found.store, 1, False, NOW)  # withdrew after it was decided
        suppress(found.store, 2, NOW)
        with found.store.writing() as connection:  # never said anything
            connection.exec_driver_sql(f"DELETE FROM consent WHERE subscriber = '{number(3)}'")
            connection.exec_driver_sql(  # is no longer good
                f"UPDATE deliveries SET expires_at = '{text_of(NOW - 1)}' WHERE subscriber = '{number(4)}'"
            )
            connection.exec_driver_sql(
                f"UPDATE promotions SET decided_at = '{text_of(NOW - 2 * 86400)}' WHERE subscriber = '{number(4)}'"
            )
        with receiver() as server:
            assert way(found, server) == (set() if paused else {number(0)})
        found.close()


def test_while_paused_the_records_hold_no_offers(world: World) -> None:
    assert len(rows_of(world.get("/promotions.csv").text)) == 5
    world.post("/pause", {"do": "pause"}, "analyst")
    assert rows_of(world.get("/promotions.csv").text) == []


# the switch


def test_the_switch_is_on_every_page_and_acts_at_once(world: World) -> None:
    for role, sees in (("viewer", False), ("analyst", True), ("admin", True)):
        page = world.get("/", role).text
        assert ("Pause all promotions" in page) is sees and "Promotions paused by" not in page
    answer = world.post("/pause", {"do": "pause", "back": "/dashboard?x=1"}, "analyst")
    assert answer.status_code == 302 and answer.headers["Location"] == "/dashboard?x=1"
    for role in ("viewer", "analyst"):
        assert "Promotions paused by analyst since" in world.get("/", role).text
    with receiver() as server:
        assert by_webhook(world, server) == set() and server.got == []
    assert set(states(world.store).values()) == {"waiting"}
    world.post("/pause", {"do": "pause"}, "admin")
    assert world.store.control(PAUSED)["by"] == "analyst", "who paused first, did"
    page = world.post("/pause", {"do": "resume"}, "admin", follow_redirects=True).text
    assert "Promotions go out again." in page and world.store.control(PAUSED) is None
    done = [r["action"] for r in web_accounts.logged(world.store, 5)]
    assert done[:2] == ["promotions resumed", "promotions paused"]


@pytest.mark.parametrize("back", ["https://example.org/", "//example.org", ""])
def test_the_switch_leads_to_no_other_host(world: World, back: str) -> None:
    assert world.post("/pause", {"do": "pause", "back": back}).headers["Location"] == "/pause"


def test_who_may_switch(world: World) -> None:
    assert world.post("/pause", {"do": "pause"}, "viewer").status_code == 403
    assert world.post("/pause", {"do": "explode"}).status_code == 400
    assert world.client("admin").post("/pause", data={"do": "pause"}).status_code == 400, "no token"
    assert "Pause all promotions" in world.get("/pause", "analyst").text


# what goes out


def test_the_page_shows_what_goes_out(world: World) -> None:
    page = world.get(PAGE, "analyst").text
    assert "+49 30 1000000" in page and "Bank shopper" in page and "BANK5" in page
    assert (
        "no webhook is set up" in page and "Set one up" not in page and "Set one up" in world.get(PAGE).text
    )
    assert world.get(PAGE, "viewer").status_code == 403
    assert page.count('aria-label="Withdraw: ') == 5
    assert "Nothing matches" in world.get(f"{PAGE}?state=sent").text
    assert "Nothing matches" in world.get(f"{PAGE}?rule_id=other").text
    assert 'href="/promotions/deliveries"' in world.get("/promotions").text


def test_pages_of_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.deliveries.PAGE", 3)
    first = world.get(PAGE).text
    older = first.split("Further back")[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert first.count('aria-label="Withdraw: ') == 3
    assert world.get(older).text.count('aria-label="Withdraw: ') == 2


def test_an_empty_page_says_what_to_do(tmp_path: Path) -> None:
    empty = World(tmp_path)
    assert "Nothing goes out yet" in empty.get(PAGE).text
    empty.close()


def test_the_calendar(world: World) -> None:
    days = days_of(world.store, datetime.fromtimestamp(NOW, UTC))
    assert len(days) == 7 and sum(d.total for d in days) == 5
    hours = [n for day in days for n in day.hours]
    now = datetime.fromtimestamp(NOW, UTC).hour
    assert hours[now] == 4 and hours[now + 2] == 1, "what is overdue counts for this hour"
    for look in (LIGHT, DARK):
        drawn = calendar(days, look)
        go.Figure(data=drawn["data"], layout=drawn["layout"])
        assert "4 of 5" in drawn["title"]
    assert (
        "Nothing goes out" in calendar(days_of(world.store, datetime(2020, 1, 1, tzinfo=UTC)), LIGHT)["title"]
    )
    answer = world.get(f"{PAGE}/figures?theme=dark", "analyst").get_json()
    assert "4 of 5" in answer["figures"]["calendar"]["title"]
    assert days[0].busy[0][1] == 4 or days[1].busy


def test_withdraw_one_and_all(world: World) -> None:
    row = delivery(world.store, 2)
    one = {n: row[n] for n in ("rule_id", "subscriber", "decided_at")}
    page = world.post(PAGE, {"do": "withdraw", **one}, "analyst", follow_redirects=True).text
    assert "1 withdrawn" in page and delivery(world.store, 2)["detail"] == "by analyst"
    world.post(PAGE, {"do": "withdraw", "rule_id": "bank-shopper"}, "analyst")
    assert set(states(world.store).values()) == {"withdrawn"}
    assert web_accounts.logged(world.store, 1)[0]["detail"]["count"] == 4
    assert world.post(PAGE, {"do": "withdraw"}, "viewer").status_code == 403
    assert world.post(PAGE, {"do": "explode"}).status_code == 400


def test_what_failed_is_sent_again(world: World) -> None:
    with receiver(410, 410, 410, 410) as server:
        by_webhook(world, server)
        page = world.get(f"{PAGE}?state=failed").text
        assert page.count("answered 410") == 4 and "Send failed ones again" in page
        page = world.post(PAGE, {"do": "again"}, "analyst", follow_redirects=True).text
        assert "4 wait to be sent again" in page
        by_webhook(world, server)
        assert len(server.keys) == 9 and len(set(server.keys)) == 5
    assert set(states(world.store).values()) == {"sent"}
    assert "Nothing that failed" in world.post(PAGE, {"do": "again"}, follow_redirects=True).text


def test_the_export_is_a_file_and_counts(world: World) -> None:
    answer = world.post(PAGE, {"do": "export", "ahead": "0"}, "analyst")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="contacts.csv"'
    assert {r["subscriber"] for r in rows_of(answer.text)} == {number(i) for i in range(4)}
    assert (
        delivery(world.store, 0)["detail"] == "by analyst" and delivery(world.store, 4)["state"] == "waiting"
    )
    assert rows_of(world.post(PAGE, {"do": "export", "ahead": "0"}, "analyst").text) == []
    assert web_accounts.logged(world.store, 1)[0]["action"] == "deliveries exported"
    assert world.post(PAGE, {"do": "export", "ahead": "999999"}).status_code == 400
    world.post("/pause", {"do": "pause"})
    said = world.post(PAGE, {"do": "export", "ahead": "86400"}, follow_redirects=True).text
    assert "nothing was exported" in said and delivery(world.store, 4)["state"] == "waiting"


def test_the_rate_is_set_by_administrators(world: World) -> None:
    assert (
        "300 are sent a minute" in world.post(PAGE, {"do": "rate", "rate": "300"}, follow_redirects=True).text
    )
    assert world.store.control(RATE) == 300 and "At most 300 a minute" in world.get(PAGE, "analyst").text
    for wrong in ("0", "x", "-1", "1e9", "99999999"):
        assert "A rate is" in world.post(PAGE, {"do": "rate", "rate": wrong}, follow_redirects=True).text
    assert world.post(PAGE, {"do": "rate", "rate": "5"}, "analyst").status_code == 403
    assert world.store.control(RATE) == 300


# the webhook

HOOK = "/promotions/webhook"


def test_a_webhook_is_set_up_and_tried(world: World) -> None:
    with receiver(204, 500) as server:
        form = {"do": "save", "url": server.hook.url, "hosts": "LOCALHOST", "http_hosts": "localhost"}
        page = world.post(HOOK, {**form, "private_hosts": "localhost, other"}).text
        secret = page.split('<code id="secret">')[1].split("<")[0]
        hook = signing_webhook(world.store, world.store.control(WEBHOOK))
        assert hook is not None and hook.secret == secret and hook.private_hosts == ("localhost", "other")
        page = world.post(HOOK, {"do": "test"}, follow_redirects=True).text
        assert "The test message arrived: the receiver answered 204" in page
        assert json.loads(server.got[0][1])["type"] == "test"
        assert "did not arrive. answered 500" in world.post(HOOK, {"do": "test"}, follow_redirects=True).text
        assert set(states(world.store).values()) == {"waiting"}
    for text in (
        world.get(HOOK).text,
        world.get("/audit").text,
        json.dumps(world.get("/data/deliveries").json),
    ):
        assert secret not in text
    world.post(HOOK, {**form, "hosts": "localhost other"})
    kept = signing_webhook(world.store, world.store.control(WEBHOOK))
    assert kept is not None and kept.secret == secret, "an empty field keeps it"
    page = world.post(HOOK, {"do": "secret"}).text
    assert (fresh := page.split('<code id="secret">')[1].split("<")[0]) != secret
    assert signing_webhook(world.store, world.store.control(WEBHOOK)).secret == fresh  # type: ignore[union-attr]
    world.post(HOOK, {"do": "remove"})
    assert signing_webhook(world.store, world.store.control(WEBHOOK)) is None


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"url": "http://example.org/x", "hosts": "example.org"}, "over http"),
        ({"url": "https://example.org/x", "hosts": ""}, "may be called"),
        ({"url": "", "hosts": ""}, "https://host/path"),
        ({"url": "https://example.org/x", "hosts": "example.org", "secret": "short"}, "16 letters"),
    ],
)
def test_a_webhook_that_cannot_be(world: World, form: dict[str, str], said: str) -> None:
    answer = world.post(HOOK, {"do": "save", **form})
    assert answer.status_code == 400 and said in answer.text
    assert world.store.control(WEBHOOK) is None


def test_who_may_set_it_up(world: World) -> None:
    assert world.get(HOOK, "analyst").status_code == 403
    assert world.post(HOOK, {"do": "save"}, "analyst").status_code == 403
    for do in ("test", "secret", "explode"):
        assert world.post(HOOK, {"do": do}).status_code == 400


def test_numbers_in_rows_are_as_they_were(world: World) -> None:
    """Reading the table of deliveries is not bound to a run."""
    again = world.store.start_run(mode="batch", runner="x", options={})
    world.store.writer().write(again, {"promotions": pl.DataFrame([promotion(7, NOW - 60)])})
    world.store.finish_run(again, "done")
    assert len(world.get("/data/deliveries").get_json()["rows"]) == 5


# by API


def test_programs_can_do_all_of_it(world: World) -> None:
    web_accounts.add_token(world.store, passwords.token_hash("t" * 20), "p", "admin", "test")

    def ask(method: str, path: str, **more: Any) -> Any:
        sent = {"Authorization": f"Bearer {'t' * 20}"}
        return world.stranger().open(f"/api/v1{path}", method=method, headers=sent, **more)

    assert ask("GET", "/deliveries").json == {"counts": {"waiting": 5}, "rate": 60_000, "webhook": None}
    assert sum(map(sum, (d["hours"] for d in ask("GET", "/deliveries/calendar").json["rows"]))) == 5
    assert (
        ask("PUT", "/deliveries/rate", json={"rate": 90}).json == {"rate": 90}
        and world.store.control(RATE) == 90
    )
    assert ask("PUT", "/promotions/pause", json={"paused": True}).json["by"] == "token p"
    assert ask("POST", "/deliveries/export", json={}).status_code == 409
    assert ask("PUT", "/promotions/pause", json={"paused": False}).json["paused"] is False
    rows = ask("POST", "/deliveries/export", json={"rule_id": "bank-shopper"}).json["rows"]
    assert len(rows) == 4 and rows[0]["offer_code"] == "BANK5"
    assert ask("POST", "/deliveries/withdraw", json={"subscriber": number(4)}).json == {"count": 1}
    assert ask("POST", "/deliveries/send_again", json={}).json == {"count": 0}
    assert ask("GET", "/promotions/webhook").status_code == 404
    with receiver() as server:
        body = {
            "url": server.hook.url,
            **{key: ["localhost"] for key in ("hosts", "http_hosts", "private_hosts")},
        }
        assert len(ask("PUT", "/promotions/webhook", json=body).json["secret"]) > 30
        assert "secret" not in ask("PUT", "/promotions/webhook", json=body).json
        assert "secret" not in ask("GET", "/promotions/webhook").json
        assert ask("POST", "/promotions/webhook/test").json == {"arrived": True, "detail": "answered 204"}
    assert ask("PUT", "/promotions/webhook", json={"url": "http://x/"}).status_code == 422
    assert ask("DELETE", "/promotions/webhook").status_code == 204
