"""``/api/v1``: what its description says, what it refuses, and calls that nobody thought of."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from webui_world import RULE, SECRET, World, number, seed_batch, seed_promotions, seed_stream, seed_tokens

from callbeam_io import orders
from webui import desk, passwords
from webui.api.base import PREFIX

CHECKS = [
    not_a_server_error,
    response_schema_conformance,
    content_type_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("api"))
    seed_promotions(made.store, seed_batch(made.store))
    seed_tokens(made.store)
    yield made
    desk.close(made.app)
    made.close()


def call(world: World, method: str, path: str, role: str = "admin", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {SECRET[role]}"}
    return world.stranger().open(f"{PREFIX}{path}", method=method, headers=headers, **more)


def spec(world: World) -> dict[str, Any]:
    found: dict[str, Any] = call(world, "GET", "/openapi.json").json
    return found


def operations(world: World) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (p, m, o) for p, calls in spec(world)["paths"].items() for m, o in calls.items() if m != "parameters"
    ]


def test_every_call_says_what_it_does_and_who_may_make_it(world: World) -> None:
    for path, method, operation in operations(world):
        assert operation["summary"], (path, method)
        assert "Roles: " in operation["description"], (path, method)
        assert operation["security"], (path, method)


def test_strangers_get_401_and_lower_roles_403_in_one_shape(world: World) -> None:
    for path, method, operation in operations(world):
        asked = path.removeprefix(PREFIX).replace("{", "").replace("}", "")
        answer = world.stranger().open(f"{PREFIX}{asked}", method=method.upper())
        expected = 401 if method == "get" else 400  # a change without a session's token is refused before
        assert answer.status_code == expected, (path, method)
        assert set(answer.json["error"]) == {"status", "code", "message", "details"}
        if "viewer" not in operation["description"]:
            assert call(world, method.upper(), asked, "viewer").status_code == 403, (path, method)


def test_tables_are_those_of_data(world: World) -> None:
    for name in ("regions", "runs", "promotions"):
        plain = world.get(f"/data/{name}").json
        assert call(world, "GET", f"/tables/{name}").json["rows"] == plain["rows"]
    first = call(world, "GET", "/tables/subscribers?limit=50").json
    assert first["next"].startswith(f"{PREFIX}/tables/subscribers")
    assert call(world, "GET", "/tables/subscribers", "viewer").status_code == 403
    assert call(world, "GET", "/tables/users").status_code == 404


def test_a_subscriber_by_any_spelling_and_an_opt_out(world: World) -> None:
    found = call(world, "GET", f"/subscribers/{number(5).removeprefix('+1')}", "analyst").json
    assert found["subscriber"]["subscriber"] == number(5)
    assert found["contact"]["allowed"] is True
    assert call(world, "POST", f"/subscribers/{number(5)}/opt-out", "analyst").status_code == 204
    assert call(world, "GET", f"/subscribers/{number(5)}").json["contact"]["allowed"] is False
    assert call(world, "GET", "/subscribers/+19995550000").status_code == 404


def test_lists_of_subscribers_filter_and_page(world: World) -> None:
    everybody = call(world, "GET", "/subscribers?limit=7&page=2&sort=subscriber").json
    assert [r["subscriber"] for r in everybody["rows"]] == [number(i) for i in range(7, 14)]
    assert everybody["pages"] == -(-everybody["total"] // 7)
    some = call(world, "GET", "/subscribers?min_abroad=3&weekday=2").json["rows"]
    assert some
    assert all(r["international"] >= 3 and r["best_weekday"] == 2 for r in some)
    refused = call(world, "GET", "/subscribers?weekday=9")
    assert refused.status_code == 422
    assert "weekday" in refused.json["error"]["details"]["query"]


def test_consent_one_by_one_and_as_a_list(world: World) -> None:
    body = {"subscriber": "(202) 555-0100", "opted_in": True, "source": "by letter"}
    assert call(world, "POST", "/consent", json=body).status_code == 204
    known = call(world, "GET", f"/consent/{number(100)}").json
    assert (known["contact"]["allowed"], known["contact"]["source"]) == (True, "by letter")
    assert call(world, "POST", "/suppressed", json={"subscriber": number(100)}).status_code == 204
    assert call(world, "GET", f"/consent/{number(100)}").json["contact"]["suppressed"] is True
    lines = f"subscriber,opted_in\n{number(101)},yes\nx,maybe\n".encode()
    loaded = call(world, "POST", "/consent/list", data={"file": (io.BytesIO(lines), "l.csv")})
    assert loaded.status_code == 200, loaded.text
    assert loaded.json["stored"] == 1
    assert [r["line"] for r in loaded.json["rejected"]] == ["3"]
    wrong = call(world, "POST", "/consent/list", data={"file": (io.BytesIO(b"a,b\n1,2\n"), "l.csv")})
    assert wrong.status_code == 422
    assert "file" in wrong.json["error"]["details"]["json"]


def test_users_and_tokens(world: World) -> None:
    made = call(world, "POST", "/users", json={"username": "clerk", "role": "viewer"})
    assert made.status_code == 201
    assert len(made.json["password"]) >= passwords.SHORTEST
    again = call(world, "POST", "/users", json={"username": "clerk", "role": "viewer"})
    assert "username" in again.json["error"]["details"]["json"]
    assert call(world, "PATCH", "/users/clerk", json={"role": "analyst", "disabled": True}).status_code == 204
    row = next(r for r in call(world, "GET", "/users").json["rows"] if r["username"] == "clerk")
    assert (row["role"], row["disabled"], "password_hash" in row) == ("analyst", True, False)
    secret = call(world, "POST", "/tokens", json={"name": "nightly", "role": "analyst"}).json["token"]
    headers = {"Authorization": f"Bearer {secret}"}
    assert world.stranger().get(f"{PREFIX}/me", headers=headers).json["role"] == "analyst"
    token_hash = next(
        r["token_hash"] for r in call(world, "GET", "/tokens").json["rows"] if r["name"] == "nightly"
    )
    assert call(world, "DELETE", f"/tokens/{token_hash}").status_code == 204
    assert world.stranger().get(f"{PREFIX}/me", headers=headers).status_code == 401
    done = [r["action"] for r in call(world, "GET", "/audit?limit=50").json["rows"]]
    assert {"user added", "role changed", "user disabled", "token made", "token revoked"} <= set(done)


def test_the_knobs_of_the_generator(world: World) -> None:
    wanted = {"type_weights": "Banking=3"}
    assert call(world, "PUT", "/generator", json={"values": wanted}).json["values"] == wanted
    assert world.store.control("generator") == wanted
    wrong = call(world, "PUT", "/generator", json={"values": {"sms_share": "7"}})
    assert wrong.status_code == 422
    assert "sms_share" in wrong.json["error"]["details"]["json"]
    assert {"rate", "people"} <= {r["name"] for r in call(world, "GET", "/generator/knobs").json["rows"]}


def test_rules_are_checked_saved_and_switched(world: World) -> None:
    rule = {**RULE, "name": "Spends a lot"}
    checked = call(world, "POST", "/rules/check", "analyst", json={"definition": rule}).json
    assert (checked["ok"], checked["rule_id"]) == (True, "spends-a-lot")
    assert "at least 3" in checked["sentence"]
    wrong = {**rule, "when": {"combinator": "and", "rules": [{"field": "miles"}]}}
    problems = call(world, "POST", "/rules/check", json={"definition": wrong}).json["problems"]
    assert problems[0]["path"].startswith("when.rules[0]")
    refused = call(world, "POST", "/rules", json={"definition": wrong})
    assert refused.status_code == 422
    wrong = {**rule, "offer": {}, "limits": {"cooldown": "x", "max_total": 0}}
    refused = call(world, "POST", "/rules", json={"definition": wrong}).json["error"]["details"]["json"]
    paths = ("offer.code", "limits.cooldown", "limits.max_total")
    assert set(refused) == {f"definition.{path}" for path in paths}
    made = call(world, "POST", "/rules", json={"definition": rule, "base": 0})
    assert (made.status_code, made.json) == (201, {"rule_id": "spends-a-lot", "version": 1})
    again = call(world, "POST", "/rules", json={"definition": rule, "base": 0})
    assert (again.status_code, again.json["error"]["code"]) == (409, "conflict")
    assert call(world, "POST", "/rules/spends-a-lot/enable", json={}).status_code == 204
    row = call(world, "GET", "/rules/spends-a-lot").json
    assert (row["enabled"], row["definition"]["start"]) == (True, "entering")
    assert call(world, "POST", "/rules/spends-a-lot/disable").status_code == 204
    versions = call(world, "GET", "/rules/spends-a-lot/versions").json["rows"]
    assert [v["version"] for v in versions] == [1, 2]
    assert call(world, "GET", "/rules/bank-shopper/outcomes").json["outcomes"]["offered"] == 6
    assert call(world, "GET", "/rules/none").status_code == 404
    assert len(call(world, "GET", "/recipes").json["rows"]) == 14


def test_the_live_run_is_ordered_to_change(world: World) -> None:
    assert call(world, "PUT", "/analyses", json={"window": "fixed:1h"}).status_code == 404
    run_id = seed_stream(world.store)
    ordered = call(world, "PUT", "/analyses", json={"templates": ["regions"], "window": "fixed:1h"})
    assert ordered.status_code == 202, ordered.text
    assert ordered.json["ordered"] == {"templates": "regions", "window": "fixed:1h"}
    order = orders.take(world.store, run_id)
    assert order is not None
    assert order.by.startswith("token")
    for wrong in ({"window": "an hour"}, {"templates": ["hours"]}, {}):
        assert call(world, "PUT", "/analyses", json=wrong).status_code == 422, wrong
    assert call(world, "POST", f"/runs/{run_id}/drain").status_code == 204
    assert orders.given(world.store, run_id) is not None
    assert call(world, "POST", "/runs/none/drain").status_code == 404
    world.store.finish_run(run_id, "done")


def test_a_session_needs_the_token_of_its_forms(world: World) -> None:
    refused = world.client("admin").post(f"{PREFIX}/suppressed", json={"subscriber": number(1)})
    assert refused.status_code == 400


def test_the_page_shows_the_description_of_this_host_only(world: World) -> None:
    page = world.get("/api/docs", "viewer").text
    assert f'data-description="{PREFIX}/openapi.json"' in page
    assert "swagger-ui-bundle.js" in page


def test_calls_that_nobody_thought_of(world: World) -> None:
    """No call may fail by itself, and every answer is as described. ``API_EXAMPLES=200`` tries more of them."""
    headers = {"Authorization": f"Bearer {SECRET['admin']}", "Accept-Encoding": "identity"}
    schema = schemathesis.openapi.from_wsgi(f"{PREFIX}/openapi.json", world.app, headers=headers)
    for found in schema.get_all_operations():
        every_answer_is_as_described(found.ok(), headers)


def every_answer_is_as_described(operation: Any, headers: dict[str, str]) -> None:
    @settings(
        max_examples=int(os.environ.get("API_EXAMPLES", "6")),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def every(case: Any) -> None:
        case.validate_response(case.call(headers=headers), checks=CHECKS)

    every()
