"""Users, API tokens and the audit log."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from callbeam_io.store import web_accounts
from webui import accounts
from webui.accounts import AccountProblem
from webui.api.base import Part, choice, listed, row_of, shape, text, whole
from webui.errors import field_error
from webui.roles import ADMIN, ROLES
from webui.services import store

part = Part("users", "Who may sign in, the tokens of programs, and who did what when.")
Users = listed("Users", row_of("users", "password_hash"))
Tokens = listed("Tokens", row_of("api_tokens"))
Entries = listed("AuditLog", row_of("audit_log"))
Secret = shape("Secret", token=fields.String(metadata={"description": "shown once"}))
First = shape("FirstPassword", password=fields.String(metadata={"description": "has to be changed"}))
NewUser = shape(
    "NewUser",
    username=fields.String(required=True, validate=validate.Regexp(r"^[\w.@-]{1,60}$")),
    password=text("empty or missing: one is made", most=1000, least=0, load_default=""),
    role=choice("viewer, analyst or admin", ROLES, required=True),
)
UserChange = shape(
    "UserChange",
    role=choice("viewer, analyst or admin", ROLES),
    disabled=fields.Boolean(),
)
NewToken = shape(
    "NewToken",
    name=text("what it is for", most=60, required=True),
    role=choice("what it may do", ROLES, required=True),
)
Wanted = shape(
    "WantedEntries",
    username=text("of this user only", most=200),
    action=text("of this kind only", most=200),
    before=whole("only older than this id", 0, 2**53),
    limit=whole("how many", 1, 1000, load_default=100),
)


@part.call("GET", "/users", ADMIN, Users)
def users() -> dict[str, Any]:
    """All users."""
    return {"rows": web_accounts.users(store())}


@part.call("POST", "/users", ADMIN, First, body=NewUser, status=201)
def add_user(body: dict[str, Any]) -> dict[str, str]:
    """Adds a user."""
    try:
        return {"password": accounts.add_user(body["username"], body["password"], body["role"])}
    except AccountProblem as problem:
        raise field_error(problem.field, problem.message) from None


@part.call("PATCH", "/users/<string:username>", ADMIN, body=UserChange)
def change_user(body: dict[str, Any], username: str) -> None:
    """Gives a user another role, keeps one out, or lets one in again."""
    try:
        if "role" in body:
            accounts.set_role(username, body["role"])
        if "disabled" in body:
            accounts.set_disabled(username, body["disabled"])
    except AccountProblem as problem:
        raise field_error(problem.field, problem.message) from None


@part.call("POST", "/users/<string:username>/password", ADMIN, First)
def reset(username: str) -> dict[str, str]:
    """Makes a new password for a user, which has to be changed at the next sign-in."""
    try:
        return {"password": accounts.reset_password(username)}
    except AccountProblem as problem:
        raise field_error(problem.field, problem.message) from None


@part.call("GET", "/tokens", ADMIN, Tokens)
def tokens() -> dict[str, Any]:
    """All API tokens, without their secrets."""
    return {"rows": web_accounts.tokens(store())}


@part.call("POST", "/tokens", ADMIN, Secret, body=NewToken, status=201)
def add_token(body: dict[str, Any]) -> dict[str, str]:
    """Makes a token."""
    return {"token": accounts.make_token(body["name"], body["role"])}


@part.call("DELETE", "/tokens/<string:token_hash>", ADMIN)
def revoke(token_hash: str) -> None:
    """Takes a token back."""
    accounts.revoke_token(token_hash)


@part.call("GET", "/audit", ADMIN, Entries, query=Wanted)
def audit(asked: dict[str, Any]) -> dict[str, Any]:
    """The audit log, the newest first."""
    words = {n: asked.get(n, "") for n in ("username", "action")}
    return {"rows": web_accounts.logged(store(), asked["limit"], asked.get("before"), **words)}
