"""Everything that the pages can do can be done under ``/api/v1``: by the same rules, roles and audit."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_webui_alerts import Hook
from test_webui_api import call, operations
from webhook_receiver import receiver
from webui_world import (
    PASSWORDS,
    RULE,
    World,
    jobs_of,
    number,
    seed_batch,
    seed_promotions,
    seed_stream,
    seed_tokens,
)

from callbeam_io.alerts import load_alerts, with_password
from callbeam_io.delivery.webhook import WEBHOOK, signing_webhook
from callbeam_io.store import web_accounts
from webui import desk
from webui.api.base import PREFIX

SAME: dict[str, tuple[str, ...]] = {
    "account.account": ("PUT /me/password",),
    "alerts.alerts": ("PUT /alerts", "POST /alerts/test"),
    "consent.consent": ("POST /consent", "POST /suppressed", "POST /consent/list"),
    "deliveries.deliveries": (
        "POST /deliveries/export", "POST /deliveries/send_again", "POST /deliveries/withdraw", "PUT /deliveries/rate",
    ),
    "generator.generator": ("PUT /generator", "POST /generator/start", "POST /generator/stop"),
    "jobs.job": ("DELETE /jobs/{job_id}",),
    "new_run.new_run": ("POST /drafts", "PATCH /drafts/{draft_id}", "POST /drafts/{draft_id}/start"),
    "pause.pause": ("PUT /promotions/pause",),
    "person.person": ("POST /subscribers/{number}/opt-out",),
    "plan.plan": ("PUT /analyses",),
    "rule_builder.edit": ("POST /rules/check", "POST /rules/count", "POST /rules/try", "POST /rules"),
    "rule_builder.new": ("POST /rules/check", "POST /rules/count", "POST /rules/try", "POST /rules"),
    "rule_page.on": ("POST /rules/count", "POST /rules/{rule_id}/enable"),
    "rule_page.page": ("POST /rules/{rule_id}/disable", "PUT /rules/{rule_id}/priority"),
    "rules.rules": ("POST /rules/{rule_id}/disable", "PUT /rules/{rule_id}/priority", "POST /rules/import"),
    "runs.run": ("POST /runs/{run_id}/again",),
    "signin.signin": (),
    "signin.signout": (),
    "users.users": (
        "POST /users", "PATCH /users/{username}", "POST /users/{username}/password", "POST /tokens",
        "DELETE /tokens/{token_hash}",
    ),
    "webhook.webhook": (
        "PUT /promotions/webhook", "POST /promotions/webhook/secret", "POST /promotions/webhook/test",
        "DELETE /promotions/webhook",
    ),
    "welcome.welcome": ("POST /sample", "POST /runs/{run_id}/again"),
    "why.why": ("POST /subscribers/{number}/opt-out",),
}  # fmt: skip
"""Pages that change something, and the calls that do the same. Sessions are the pages' own: programs have tokens."""
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("parity"))
    seed_promotions(made.store, seed_batch(made.store))
    seed_tokens(made.store)
    yield made
    desk.close(made.app)
    made.close()


def test_every_form_of_the_pages_has_its_calls(world: World) -> None:
    forms = {
        rule.endpoint
        for rule in world.app.url_map.iter_rules()
        if CHANGES & (rule.methods or set()) and not rule.rule.startswith(PREFIX)
    }
    assert forms == set(SAME)
    calls = {f"{method.upper()} {path.removeprefix(PREFIX)}" for path, method, _ in operations(world)}
    assert {one for some in SAME.values() for one in some} <= calls


def test_alerts(world: World) -> None:
    hook = Hook()
    body: dict[str, Any] = {
        "url": hook.url,
        "inner": True,
        "host": "127.0.0.1",
        "port": 1,
        "security": "none",
    }
    body |= {"sender": "callbeam@example.com", "to": "ops@example.com"}
    assert call(world, "PUT", "/alerts", json=body).json["has_password"] is False
    tried = call(world, "POST", "/alerts/test").json["wrong"]
    assert len(tried) == 1 and tried[0].startswith("mail:") and hook.got[0]["state"] == "test"
    hook.shutdown()
    hook.server_close()
    body |= {"security": "tls", "user": "ops", "password": "hush-hush"}
    answer = call(world, "PUT", "/alerts", json=body)
    assert answer.json["has_password"] is True and "hush-hush" not in answer.text
    assert "hush-hush" not in call(world, "GET", "/alerts").text + call(world, "GET", "/audit").text
    assert with_password(world.store, load_alerts(world.store)).password == "hush-hush"
    wrong = call(world, "PUT", "/alerts", json={**body, "to": "nobody"})
    assert wrong.status_code == 422 and "to" in wrong.json["error"]["details"]["json"]
    assert call(world, "PUT", "/alerts", json={}).json["host"] == ""


def test_the_webhook_gets_another_secret(world: World) -> None:
    assert call(world, "POST", "/promotions/webhook/secret").status_code == 404
    with receiver(204) as server:
        body = {
            "url": server.hook.url,
            **{n: ["localhost"] for n in ("hosts", "http_hosts", "private_hosts")},
        }
        first = call(world, "PUT", "/promotions/webhook", json=body).json["secret"]
        assert "secret" not in call(world, "PUT", "/promotions/webhook", json=body).json
        second = call(world, "POST", "/promotions/webhook/secret").json["secret"]
        assert second != first
        kept = signing_webhook(world.store, world.store.control(WEBHOOK))
        assert kept is not None and kept.secret == second
        assert call(world, "POST", "/promotions/webhook/test").json["arrived"] is True
    assert "secret" not in call(world, "GET", "/promotions/webhook").json
    assert call(world, "DELETE", "/promotions/webhook").status_code == 204


def test_a_secret_that_cannot_be_opened_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"url": "https://example.org/x", "hosts": ["example.org"]}
    call(world, "PUT", "/promotions/webhook", json=body)
    mail = {"host": "mail.example", "user": "ops", "sender": "a@example.com", "to": "b@example.com"}
    assert call(world, "PUT", "/alerts", json={**mail, "password": "hush"}).status_code == 200
    monkeypatch.setenv("CALLBEAM_KEY_FILE", "/nowhere/key")
    for answer in (world.get("/promotions/webhook"), world.get("/promotions/deliveries")):
        assert answer.status_code == 200 and "/nowhere/key cannot be read" in answer.text
    refused = call(world, "PUT", "/promotions/webhook", json=body)
    assert refused.status_code == 422 and "secret" in refused.json["error"]["details"]["json"]
    said = call(world, "PUT", "/alerts", json=mail).json["error"]["details"]["json"]["password"]
    assert said[0].startswith("the key /nowhere/key cannot be read")
    assert call(world, "PUT", "/alerts", json={}).status_code == 200, "what needs no secret needs no key"
    assert call(world, "POST", "/promotions/webhook/test").status_code == 400
    assert world.post("/promotions/webhook", {"do": "test"}).status_code == 400
    assert call(world, "DELETE", "/promotions/webhook").status_code == 204


def test_rules_of_a_file_and_priorities(world: World) -> None:
    rules = [{**RULE, "name": name} for name in ("From a file", "New")]
    saved = call(world, "POST", "/rules/import", "analyst", json={"rules": rules})
    assert (saved.status_code, [r["version"] for r in saved.json["rows"]]) == (201, [1, 1])
    wrong = call(world, "POST", "/rules/import", json={"rules": [*rules, {"name": "x"}]})
    assert wrong.status_code == 422 and "rules" in wrong.json["error"]["details"]["json"]
    assert call(world, "GET", "/rules/from-a-file").json["version"] == 1, "all or none"
    changed = call(world, "PUT", "/rules/new/priority", json={"priority": 7}).json
    assert (changed["priority"], changed["version"], changed["enabled"]) == (7, 2, False)
    assert call(world, "PUT", "/rules/new/priority", json={"priority": 7}).json["version"] == 2
    assert call(world, "PUT", "/rules/none/priority", json={"priority": 7}).status_code == 404


def test_a_file_is_uploaded_looked_at_changed_and_read(world: World) -> None:
    record = "+12025550001;+12025550002;2026-03-02 10:00:00;60;VOICE;ANSWERED\n"
    lines = f"a;b;begin;secs;what;how\n{record * 3}"
    made = call(world, "POST", "/drafts", data={"file": (io.BytesIO(lines.encode()), "own.csv")})
    assert made.status_code == 201 and made.json["found"] is None and made.json["trouble"]
    path = f"/drafts/{made.json['draft']}"
    fields = {"calling_number": "a", "called_number": "b", "start_time": "begin", "duration": "secs"}
    fields |= {"call_type": "what", "call_result": "how"}
    mapping = {"separator": ";", "fields": fields}
    wrong = call(world, "PATCH", path, json={"mapping": {"fields": {"colour": "a"}}})
    assert wrong.status_code == 422 and "mapping" in wrong.json["error"]["details"]["json"]
    changed = call(world, "PATCH", path, json={"mapping": mapping, "keep": False})
    assert changed.status_code == 200, changed.text
    looked = changed.json
    assert looked["found"]["records"] == 3 and (looked["trouble"], looked["format"]) == ("", "mapping")
    assert call(world, "GET", path).json == looked
    started = call(world, "POST", f"{path}/start")
    assert started.status_code == 202, started.text
    job_id = started.json["job_id"]
    end = time.monotonic() + 60
    while (job := call(world, "GET", f"/jobs/{job_id}").json)["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert job["state"] == "done", jobs_of(world).tail(job_id)
    assert call(world, "GET", f"/runs/{job['run_id']}").json["records_read"] == 3
    assert call(world, "GET", path).status_code == 404
    assert call(world, "POST", "/drafts", data={}).status_code == 422
    other = call(world, "POST", "/drafts", data={"file": (io.BytesIO(lines.encode()), "own.csv")}).json
    assert call(world, "DELETE", f"/drafts/{other['draft']}").status_code == 204
    assert jobs_of(world).place(other["draft"]) is None


def test_the_sample_is_loaded_once_at_a_time(world: World) -> None:
    job = call(world, "POST", "/sample")
    assert (job.status_code, job.json["kind"]) == (202, "sample")
    refused = call(world, "POST", "/sample")
    assert refused.status_code == 400 and "cannot start now" in refused.json["error"]["message"]
    assert call(world, "DELETE", f"/jobs/{job.json['job_id']}").status_code == 204


def test_the_generator_needs_a_live_run(world: World, tmp_path: Path) -> None:
    refused = call(world, "POST", "/generator/start")
    assert refused.status_code == 400 and "no live run" in refused.json["error"]["message"]
    assert call(world, "POST", "/generator/stop").status_code == 204
    run_id = seed_stream(world.store)
    world.store.update_run(run_id, options={"inputs": [f"dir://{tmp_path}"]})
    for _ in range(30):  # the pulse looks once a second
        started = call(world, "POST", "/generator/start")
        if started.status_code == 202:
            break
        time.sleep(0.1)
    assert (started.status_code, started.json["kind"]) == (202, "generate"), started.text
    assert call(world, "POST", "/generator/stop").status_code == 204
    world.store.finish_run(run_id, "done")


def test_ones_own_password(world: World) -> None:
    web_accounts.change_user(world.store, "viewer", must_change=True)
    body = {"current": "wrong", "password": "a longer one than before"}
    client, headers = world.client("viewer"), {}
    page = client.get("/account").text
    headers["X-CSRFToken"] = page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    assert client.get(f"{PREFIX}/me").status_code == 403, "one of one's own comes first"
    wrong = client.put(f"{PREFIX}/me/password", json=body, headers=headers)
    assert wrong.status_code == 422 and "current" in wrong.json["error"]["details"]["json"]
    body["current"] = PASSWORDS["viewer"]
    assert client.put(f"{PREFIX}/me/password", json=body, headers=headers).status_code == 204
    assert client.get(f"{PREFIX}/me").json["name"] == "viewer", "its own session goes on"
    assert call(world, "PUT", "/me/password", json=body).status_code == 422, "a token has no password"


def test_a_list_of_consents_is_looked_at_first(world: World) -> None:
    lines = f"subscriber,opted_in\n{number(900)},yes\nx,maybe\n".encode()
    looked = call(
        world, "POST", "/consent/list?preview=true", data={"file": (io.BytesIO(lines), "l.csv")}
    ).json
    assert (looked["lines"], looked["stored"], len(looked["rejected"])) == (1, 0, 1)
    assert call(world, "GET", f"/consent/{number(900)}").json["history"] == []


def test_why_and_the_records_behind_a_number(world: World) -> None:
    run = next(
        r
        for r in call(world, "GET", "/runs").json["rows"]
        if r["mode"] == "batch" and not r["options"].get("inputs")
    )
    run = f"run={run['run_id']}"
    found = call(world, "GET", f"/subscribers/{number(0)}/why?{run}", "analyst")
    assert found.status_code == 200, found.text
    assert found.json["promotions"][0]["said"]["answer"] and found.json["not_fired"] is None
    missing = call(world, "GET", f"/subscribers/{number(0)}/why?{run}&not=bank-shopper").json
    assert missing["promotions"] == []
    rows = call(world, "GET", f"/tables/regions?order_by=-calls&{run}").json["rows"]
    query = (
        f"{run}&region={rows[0]['region']}&window={rows[0]['window_start'].replace(' ', '%20')}&measure=calls"
    )
    behind = call(world, "GET", f"/records/regions?{query}", "analyst").json
    assert behind["value"] == rows[0]["calls"] and behind["rows"] == [] and behind["reason"]
    assert call(world, "GET", "/records/users").status_code == 404
    actions = [json.dumps(r) for r in call(world, "GET", "/audit?limit=20").json["rows"]]
    assert any("records viewed" in a for a in actions) and any('"why"' in a for a in actions)
