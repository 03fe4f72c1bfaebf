"""What all parts of the API are made of: one way to declare a call, one shape of errors, one description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from http import HTTPStatus
from typing import Any, Final

import marshmallow as ma
from flask import Flask, Response
from flask_smorest import Api, Blueprint
from marshmallow import fields, validate

from callbeam_io.store import TABLES
from webui.roles import ROLES, required
from webui.security import storable

PREFIX: Final = "/api/v1"
VERSION: Final = "1.0"
View = Callable[..., Any]
_FIELDS: Final[dict[str, Callable[..., fields.Field]]] = {
    "text": fields.String,
    "time": fields.String,
    "json": fields.Raw,
    "int": fields.Integer,
    "float": fields.Float,
    "bool": fields.Boolean,
}


class ErrorDetail(ma.Schema):
    """What went wrong."""

    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "not_found, forbidden, …"})
    message = fields.String(required=True, metadata={"description": "for a person to read"})
    details = fields.Dict(required=True, metadata={"description": "by field or place, where there is more"})


class Error(ma.Schema):
    """The one shape of every error."""

    error = fields.Nested(ErrorDetail, required=True)


class CallbeamApi(Api):
    """flask-smorest's registry, without error handlers of its own: the app's answer in one shape."""

    ERROR_SCHEMA = Error

    def _register_error_handlers(self) -> None:
        """The app has them already, see `webui.errors`."""


class Part(Blueprint):
    """A part of the API; every call says who may make it."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(f"api {name}", __name__, url_prefix=PREFIX, description=description)

    def call(
        self,
        method: str,
        rule: str,
        role: str,
        answer: type[ma.Schema] | ma.Schema | None = None,
        *,
        query: type[ma.Schema] | None = None,
        body: type[ma.Schema] | None = None,
        files: type[ma.Schema] | None = None,
        status: int = 200,
    ) -> Callable[[View], View]:
        """Declares a call.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            rule: the path after /api/v1.
            role: the least role that may make it.
            answer: shape of the answer; None: there is none (204).
            query, body, files: shapes of what comes along; the view gets them as dicts, in this order.
            status: of a good answer.
        """

        def decorate(view: View) -> View:
            if answer is None:
                declared = self.response(HTTPStatus.NO_CONTENT, description="Done.")(_bodyless(view))
            else:
                declared = self.response(status, answer, description="Done.")(view)
            for shape, place in ((files, "files"), (body, "json"), (query, "query")):
                if shape is not None:
                    declared = self.arguments(shape, location=place)(declared)
            guarded = required(role)(declared)
            allowed = ", ".join(ROLES[ROLES.index(role) :])
            documented = self.doc(
                security=[{"token": []}, {"session": []}], description=f"{_rest(view)}\n\nRoles: {allowed}."
            )(guarded)
            return self.route(rule, methods=[method])(documented)

        return decorate


def _bodyless(view: View) -> View:
    """A view whose answer is 204: without a body there is no type of it either."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Response:
        view(*args, **kwargs)
        response = Response(status=HTTPStatus.NO_CONTENT)
        del response.headers["Content-Type"]
        return response

    return answered


def _rest(view: View) -> str:
    """A view's docstring without its first line, which is the summary."""
    return "\n".join(line.strip() for line in (view.__doc__ or "").splitlines()[1:]).strip()


@lru_cache
def row_of(table: str, *without: str, **_: Any) -> type[ma.Schema]:
    """The shape of a row of a table, without some columns; any value may be null."""
    columns = {
        c.name: _FIELDS[c.info["kind"]](allow_none=True) for c in TABLES[table].c if c.name not in without
    }
    name = "".join(part.capitalize() for part in table.split("_")) + "Row"
    return ma.Schema.from_dict(columns, name=name)


def shape(name: str, /, **columns: fields.Field) -> type[ma.Schema]:
    """A small schema."""
    return ma.Schema.from_dict(dict(columns), name=name)


def listed(name: str, row: type[ma.Schema], /, **more: fields.Field) -> type[ma.Schema]:
    """The shape of a list: ``{"rows": […], …}``."""
    return shape(name, rows=fields.List(fields.Nested(row), required=True), **more)


class _Text(fields.String):
    """A text that every database can hold."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        found: str = super()._deserialize(value, *args, **kwargs)
        if not storable(found):
            raise ma.ValidationError("Must not hold characters that no database takes.")
        return found


def text(said: str, *, most: int = 1000, least: int = 1, **more: Any) -> fields.String:
    """A text that is given."""
    return _Text(validate=validate.Length(min=least, max=most), metadata={"description": said}, **more)


def choice(said: str, choices: Any, **more: Any) -> fields.String:
    """One of some words."""
    return fields.String(validate=validate.OneOf(list(choices)), metadata={"description": said}, **more)


def whole(said: str, least: int, most: int, **more: Any) -> fields.Integer:
    """A whole number."""
    return fields.Integer(
        strict=False, validate=validate.Range(min=least, max=most), metadata={"description": said}, **more
    )


class Run(ma.Schema):
    """Which run is asked about."""

    run = fields.String(metadata={"description": "a run_id; the newest with results, if none is given"})


def install(app: Flask, parts: list[Part]) -> CallbeamApi:
    """Registers all parts; the description is made from them."""
    app.config.update(
        API_TITLE="callbeam",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX=None,
    )
    api = CallbeamApi(app)
    schemes: Mapping[str, Mapping[str, str]] = {
        "token": {"type": "http", "scheme": "bearer", "description": "an API token, see the page Users"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "callbeam",
            "description": "of a browser that is signed in; changes need the header X-CSRFToken too",
        },
    }
    for name, scheme in schemes.items():
        api.spec.components.security_scheme(name, dict(scheme))
    for part in parts:
        api.register_blueprint(part)
    return api


def description(api: CallbeamApi) -> dict[str, Any]:
    """The OpenAPI description; tags are named as the parts."""
    spec: dict[str, Any] = api.spec.to_dict()
    for tag in spec.get("tags", []):
        tag["name"] = tag["name"].removeprefix("api ")
    for calls in spec["paths"].values():
        for call in calls.values():
            if isinstance(call, dict) and "tags" in call:
                call["tags"] = [t.removeprefix("api ") for t in call["tags"]]
    return spec
