"""The audit log: every change, view of a person and export stands there, whatever page or call it came by."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import request
from html_forms import fields_of
from sqlalchemy import update
from webui_world import (
    PASSWORDS,
    RULE,
    SECRET,
    World,
    jobs_of,
    number,
    seed_batch,
    seed_promotions,
    seed_stream,
    seed_tokens,
    token_of,
)

from callbeam_io.commands import COMMANDS, Command
from callbeam_io.store import TABLES, web_accounts
from webui import WebConfig, create_app, desk, passwords

API = "/api/v1"
WHO = f"/subscribers/{number(0)}"
HOOK = {"url": "https://127.0.0.1:1/x", "hosts": ["127.0.0.1"], "private_hosts": ["127.0.0.1"]}
DAY = """id,calling_number,called_number,start_time,duration,call_type,charge,call_result
1,+12025550001,+13125550100,2026-03-02T10:00:00Z,30,VOICE,0,ANSWERED
"""
LIST = f"subscriber,opted_in\n{number(0)},yes\n"


class Case(NamedTuple):
    """A request that has to be noted: the endpoint that answers it, what is sent, and what is noted."""

    endpoint: str
    method: str
    path: str
    sent: Mapping[str, Any] | str
    action: str


def page(endpoint: str, path: str, action: str, /, **form: Any) -> Case:
    return Case(endpoint, "POST", path, form, action)


def api(endpoint: str, method: str, path: str, action: str, /, **body: Any) -> Case:
    return Case(f"api {endpoint}", method, f"{API}{path}", body, action)


def get(endpoint: str, path: str, action: str) -> Case:
    return Case(endpoint, "GET", path, {}, action)


CASES = (
    page("signin.signout", "/signout", "signed out"),
    page("signin.signin", "/signin", "signed in", username="viewer", password=PASSWORDS["viewer"]),
    page("signin.signin", "/signin", "sign-in failed", username="viewer", password="wrong"),
    page(
        "account.account", "/account", "password changed",
        current=PASSWORDS["admin"], password="quite another one", again="quite another one",
    ),
    page("alerts.alerts", "/alerts", "alerts set up", do="save"),
    page("alerts.alerts", "/alerts", "alerts tested", do="test", url="https://127.0.0.1:1/", inner="on"),
    page("consent.consent", "/consent", "opted in", do="opt_in", number=number(0)),
    page("consent.consent", "/consent", "suppressed", do="suppress", number=number(9)),
    page("deliveries.deliveries", "/promotions/deliveries", "deliveries sent again", do="again"),
    page("deliveries.deliveries", "/promotions/deliveries", "deliveries withdrawn", do="withdraw"),
    page("deliveries.deliveries", "/promotions/deliveries", "deliveries exported", do="export"),
    page("deliveries.deliveries", "/promotions/deliveries", "sending rate set", do="rate", rate="77"),
    page("generator.generator", "/generator", "generator changed", do="pause"),
    page("generator.generator", "/generator", "generator started", do="start"),
    page("generator.generator", "/generator", "generator stopped", do="stop"),
    page("jobs.job", "/runs/jobs/{job}", "job cancelled", do="cancel"),
    page("new_run.new_run", "/runs/new", "file taken", do="look", path="day.csv"),
    page("new_run.new_run", "/runs/new", "run started", do="start", draft="{draft}"),
    page("pause.pause", "/pause", "promotions paused", do="pause"),
    page("pause.pause", "/pause", "promotions resumed", do="resume"),
    page("person.person", WHO, "opted out", do="opt_out"),
    page("why.why", f"{WHO}/why", "opted out", do="opt_out"),
    page("plan.plan", "/plan", "run ordered", templates="regions", window="fixed:1h"),
    page("rule_builder.new", "/rules/new?recipe=long-distance-package", "rule saved", op="save", name="Recipe"),
    page("rule_builder.edit", "/rules/bank-shopper/edit", "rule saved", op="save"),
    page("rule_page.on", "/rules/recipe/on", "rule switched on", op="on"),
    page("rule_page.page", "/rules/recipe", "rule switched off", do="off"),
    page("rules.rules", "/rules", "rule saved", do="priority", rule_id="recipe", priority="7"),
    page("rules.rules", "/rules", "rule saved", do="import"),
    page("runs.run", "/runs/{done}", "run started", do="again"),
    page("users.users", "/users", "user added", do="add", username="ann", role="viewer"),
    page("users.users", "/users", "role changed", do="role", username="ann", role="analyst"),
    page("users.users", "/users", "user disabled", do="disable", username="ann"),
    page("users.users", "/users", "user enabled", do="enable", username="ann"),
    page("users.users", "/users", "password reset", do="reset", username="ann"),
    page("users.users", "/users", "token made", do="token", name="nightly", token_role="viewer"),
    page("users.users", "/users", "token revoked", do="revoke", token="{token}"),
    page("webhook.webhook", "/promotions/webhook", "webhook set up", do="save", **HOOK),
    page("webhook.webhook", "/promotions/webhook", "webhook secret changed", do="secret"),
    page("webhook.webhook", "/promotions/webhook", "webhook tested", do="test"),
    page("webhook.webhook", "/promotions/webhook", "webhook removed", do="remove"),
    page("welcome.welcome", "/", "sample loaded", do="sample"),
    api(
        "about.password", "PUT", "/me/password", "password changed",
        current="quite another one", password="and yet another",
    ),
    api("alerts.set_up", "PUT", "/alerts", "alerts set up"),
    api("alerts.tried", "POST", "/alerts/test", "alerts tested"),
    api("analyses.change", "PUT", "/analyses", "run ordered", window="fixed:1h"),
    api("analyses.drain", "POST", "/runs/{live}/drain", "run ordered"),
    api("consent.say", "POST", "/consent", "opted out", subscriber=number(0), opted_in=False),
    api("consent.suppress", "POST", "/suppressed", "suppressed", subscriber=number(0)),
    Case("api consent.load", "POST", f"{API}/consent/list", LIST, "consent list loaded"),
    api("promotions.switch", "PUT", "/promotions/pause", "promotions paused", paused=True),
    api("promotions.switch", "PUT", "/promotions/pause", "promotions resumed", paused=False),
    api("promotions.rate", "PUT", "/deliveries/rate", "sending rate set", rate=60),
    api("promotions.send_again", "POST", "/deliveries/send_again", "deliveries sent again"),
    api("promotions.withdraw", "POST", "/deliveries/withdraw", "deliveries withdrawn"),
    api("promotions.export", "POST", "/deliveries/export", "deliveries exported"),
    api("promotions.set_up", "PUT", "/promotions/webhook", "webhook set up", **HOOK),
    api("promotions.another", "POST", "/promotions/webhook/secret", "webhook secret changed"),
    api("promotions.tried", "POST", "/promotions/webhook/test", "webhook tested"),
    api("promotions.remove", "DELETE", "/promotions/webhook", "webhook removed"),
    api("rules.save", "POST", "/rules", "rule saved", definition={**RULE, "name": "Recipe"}),
    api("rules.take_in", "POST", "/rules/import", "rule saved", rules=[{**RULE, "name": "Recipe"}]),
    api("rules.enable", "POST", "/rules/recipe/enable", "rule switched on"),
    api("rules.prioritise", "PUT", "/rules/recipe/priority", "rule saved", priority=9),
    api("rules.disable", "POST", "/rules/recipe/disable", "rule switched off"),
    api("rules.count", "POST", "/rules/count", "rule counted", definition=RULE),
    api("rules.try_on", "POST", "/rules/try", "person viewed", definition=RULE, subscriber=number(0)),
    api("jobs.start", "POST", "/jobs", "run started", input="day.csv"),
    api("jobs.sample", "POST", "/sample", "sample loaded"),
    api("jobs.again", "POST", "/runs/{done}/again", "run started"),
    api("jobs.cancel", "DELETE", "/jobs/{job}", "job cancelled"),
    Case("api drafts.begin", "POST", f"{API}/drafts", "id\n", "file taken"),
    api("drafts.start", "POST", "/drafts/{draft}/start", "run started"),
    api("drafts.drop", "DELETE", "/drafts/{draft}", "file forgotten"),
    api("generator.change", "PUT", "/generator", "generator changed", values={"rate": "50"}),
    api("generator.start", "POST", "/generator/start", "generator started"),
    api("generator.stop", "POST", "/generator/stop", "generator stopped"),
    api("subscribers.opt_out", "POST", f"{WHO}/opt-out", "opted out"),
    api("users.add_user", "POST", "/users", "user added", username="bob", role="viewer"),
    api("users.change_user", "PATCH", "/users/bob", "role changed", role="analyst"),
    api("users.reset", "POST", "/users/bob/password", "password reset"),
    api("users.add_token", "POST", "/tokens", "token made", name="nightly", role="viewer"),
    api("users.revoke", "DELETE", "/tokens/{token}", "token revoked"),
    get("analyses.as_csv", "/templates/regions.csv", "analysis exported"),
    get("habits.as_csv", "/templates/subscribers.csv", "analysis exported"),
    get("audience.as_csv", "/audience.csv", "subscribers exported"),
    get("subscribers.as_csv", "/subscribers.csv", "subscribers exported"),
    get("promotions.as_csv", "/promotions.csv", "promotions exported"),
    get("rejects.as_csv", "/rejects.csv", "rejects exported"),
    get("rules.as_json", "/rules.json", "rules exported"),
    get("rule_page.as_json", "/rules/bank-shopper.json", "rules exported"),
    get("person.person", WHO, "person viewed"),
    get("person_week.figures", f"/figures/person/{number(3)}", "person viewed"),
    get("why.why", f"{WHO}/why", "person viewed"),
    get("consent.consent", f"/consent?number={number(0)}", "person viewed"),
    get("promotions.promotions", f"/promotions?subscriber={number(0)}", "person viewed"),
    get("deliveries.deliveries", f"/promotions/deliveries?subscriber={number(0)}", "person viewed"),
    get("records.records", "/records/regions?region=DE&window=all", "records viewed"),
    get("data.table_rows", "/data/subscribers", "data read"),
    get("api tables.rows", f"{API}/tables/subscribers", "data read"),
    get("api tables.behind", f"{API}/records/regions?region=DE&window=all", "records viewed"),
    get("api subscribers.people", f"{API}/subscribers", "data read"),
    get("api subscribers.person", f"{API}{WHO}", "person viewed"),
    get("api subscribers.explain", f"{API}{WHO}/why", "person viewed"),
    get("api consent.known", f"{API}/consent/{number(0)}", "person viewed"),
)  # fmt: skip

UNNOTED = {
    "api drafts.change": "of a run that is not there yet",
    "api rules.check": "asks about words",
}
"""Endpoints that take a change and need no note, and why."""

PAGES = """
account.account alerts.alerts analyses.figures analyses.page api.docs api.openapi audience.audience audit.audit
dashboard.dashboard dashboard.live deliveries.figures generator.generator generator.live habits.figures habits.page
health.healthz health.status jobs.job jobs.live metrics.metrics new_run.new_run outlines.outlines pause.pause plan.plan
rejects.rejects rule_builder.counted rule_builder.edit rule_builder.new rule_page.figures rule_page.on rule_page.page
rules.rules runs.run runs.runs signin.signin static subscribers.find subscribers.subscribers users.users vendor.file
webhook.webhook welcome.welcome
"""
CALLS = """
about.me about.status alerts.ways analyses.plan consent.reach drafts.look generator.described generator.presets
generator.settings jobs.newest jobs.one jobs.tail promotions.calendar promotions.hook
promotions.paused promotions.summary
rules.activations rules.effect rules.language rules.outcomes rules.recipes rules.rule rules.rules rules.versions
runs.reasons runs.run runs.runs tables.tables users.audit users.tokens users.users
"""
SEEN = {*PAGES.split(), *(f"api {name}" for name in CALLS.split())}
"""What only shows: settings, numbers of many people, lists to find somebody in. A new one is put here or noted."""


class Scene:
    """A world with something of everything, and what stands in the addresses of the cases."""

    def __init__(self, world: World, live: str, done: str) -> None:
        self.world, self.places = world, {"live": lambda: live, "done": lambda: done}
        self.places |= {"job": self._job, "draft": self._draft, "token": self._token}
        self.answered: str | None = None
        world.app.before_request(self._note)

    def _note(self) -> None:
        self.answered = request.endpoint

    def _job(self) -> str:
        return jobs_of(self.world).start("sample", {}, "admin")

    def _draft(self) -> str:
        answer = self.call("POST", f"{API}/drafts", data={"file": (io.BytesIO(DAY.encode()), "x.csv")})
        return str(answer.json["draft"])

    def _token(self) -> str:
        hashed = passwords.token_hash(passwords.new_token())
        web_accounts.add_token(self.world.store, hashed, "old", "viewer", "admin")
        return hashed

    def filled(self, text: Any) -> Any:
        """A text with what stands for its place, made as it is needed."""
        for name, made in self.places.items():
            if isinstance(text, str) and f"{{{name}}}" in text:
                text = text.replace(f"{{{name}}}", made())
        return text

    def call(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {SECRET['admin']}"}
        return self.world.stranger().open(path, method=method, headers=headers, **more)

    def ask(self, case: Case) -> Any:
        """Sends a case; gives its answer."""
        path, own = self.filled(case.path), case.endpoint == "api about.password"
        if case.method == "GET":
            return self.world.get(path)
        if isinstance(case.sent, str):
            return self.call(case.method, path, data={"file": (io.BytesIO(case.sent.encode()), "list.csv")})
        sent = {name: self.filled(value) for name, value in case.sent.items()}
        if own:
            headers = {"X-CSRFToken": token_of(self.world.client("admin"))}
            return self.world.client("admin").open(path, method=case.method, json=sent, headers=headers)
        if case.endpoint.startswith("api "):
            return self.call(case.method, path, json=sent) if sent else self.call(case.method, path, json={})
        if case.endpoint.startswith("rule_builder."):
            sent = fields_of(self.world.get(path).text, "rule").to_dict(flat=False) | sent
        if sent.get("do") == "import":
            sent["file"] = (io.BytesIO(json.dumps([{**RULE, "name": "Recipe"}]).encode()), "rules.json")
        if case.endpoint.startswith("sign"):
            client = self.world.stranger() if sent else self.world.client("viewer")
            return client.post(
                path, data={**sent, "csrf_token": token_of(client, "/signin" if sent else "/account")}
            )
        return self.world.post(path, sent)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    (tmp_path / "nothing.py").write_text("")
    (tmp_path / "day.csv").write_text(DAY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for kind in ("run", "sample", "generate"):
        idle = Command("nothing", COMMANDS[kind].store, COMMANDS[kind].flags)
        monkeypatch.setitem(COMMANDS, kind, idle)  # type: ignore[arg-type]
    monkeypatch.setattr("callbeam_io.jobs.MOST", 99)
    world = World(tmp_path)
    world.app = create_app(WebConfig(world.url, data_folders=(str(tmp_path),)), world.store)
    done = seed_batch(world.store)
    with world.store.writing() as connection:
        runs = TABLES["runs"]
        connection.execute(update(runs).values(options={"inputs": [str(tmp_path / "day.csv")]}))
    live = seed_stream(world.store)
    world.store.update_run(
        live, options={"inputs": [f"dir://{tmp_path}"], "plan": {"templates": ["subscribers"]}}
    )
    seed_promotions(world.store, live)
    seed_tokens(world.store)
    yield Scene(world, live, done)
    world.close()


def test_everything_is_noted(scene: Scene) -> None:
    wrong = []
    for case in CASES:
        newest = (
            web_accounts.logged(scene.world.store, 1)[0]["id"]
            if web_accounts.logged(scene.world.store, 1)
            else 0
        )
        answer = scene.ask(case)
        assert answer.data is not None  # a download is read to its end
        noted = [r["action"] for r in web_accounts.logged(scene.world.store, 50) if r["id"] > newest]
        if case.action not in noted or scene.answered != case.endpoint or answer.status_code >= 500:
            wrong.append((case.endpoint, case.path, case.action, scene.answered, answer.status_code, noted))
    assert wrong == []


def test_every_endpoint_is_noted_or_known_to_need_none(scene: Scene) -> None:
    """A new page or call is put into `CASES`, or into the lists of those that need no note."""
    noted = {(case.endpoint, case.method != "GET") for case in CASES}
    for rule in scene.world.app.url_map.iter_rules():
        methods = rule.methods or set()
        if methods & {"POST", "PUT", "PATCH", "DELETE"}:
            assert ((rule.endpoint, True) in noted) != (rule.endpoint in UNNOTED), (
                f"{rule.endpoint} is not noted"
            )
        if "GET" in methods:
            assert ((rule.endpoint, False) in noted) != (rule.endpoint in SEEN), (
                f"{rule.endpoint} is not noted"
            )


def test_who_is_shown_people_of_a_count_is_noted_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"exact": True, "examples": [{"subscriber": number(0)}]}
    count = desk.Count("x", {"name": "Some rule"}, found, done=True)
    with scene.world.app.test_request_context(headers={"Authorization": f"Bearer {SECRET['analyst']}"}):
        desk.current_app.extensions["rule_counts"] = {"token": count}
        for _ in range(3):
            assert desk.count_of("token", "x") is count
    rows = web_accounts.logged(scene.world.store, 9, action="rule counted")
    assert [(r["username"], r["target"], r["detail"]) for r in rows] == [
        ("token analyst", "Some rule", {"people shown": 1})
    ]
