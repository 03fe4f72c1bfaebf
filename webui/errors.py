"""What went wrong, as a page or, for programs, in the one shape of JSON.

{"error": {"status": 404, "code": "not_found", "message": "…", "details": {}}}
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError, UnprocessableEntity

from callbeam_io.store.web_queries import RequestError, StoreError

_LOG: Final = logging.getLogger(__name__)
_PROGRAMS: Final = ("/api/", "/data/", "/metrics", "/healthz", "/status", "/dashboard/live", "/figures/")
_SAYS: Final = {
    400: "The request could not be understood.",
    401: "Sign in first, or send an API token (Authorization: Bearer …).",
    403: "Your role does not include this.",
    404: "There is nothing at this address.",
    405: "This address does not take this kind of request.",
    413: "The upload is too large.",
    422: "Some of what came with the request cannot be: see the details.",
    429: "Too many tries. Wait a few minutes.",
    500: "Something went wrong here. It was written to the log.",
    503: "The result store cannot be reached.",
}


def error_json(status: int, message: str, details: Any = None) -> Response:
    """An error for programs."""
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    body = {"status": status, "code": code, "message": message, "details": details or {}}
    response = jsonify(error=body)
    response.status_code = status
    return response


def field_error(field: str, message: str) -> HTTPException:
    """What is raised where one thing in the body of a request to the API cannot be."""
    return field_errors({field: message})


def field_errors(messages: Mapping[str, str]) -> HTTPException:
    """The same for several things; the first of them is the message of the whole."""
    error = UnprocessableEntity(next(iter(messages.values())))
    details = {"json": {field: [message] for field, message in messages.items()}}
    error.data = {"messages": details}  # type: ignore[attr-defined]
    return error


def for_programs() -> bool:
    """Whether the request wants JSON, whatever happens."""
    return request.path.startswith(_PROGRAMS) and request.path != "/api/docs"


def local_path(text: str | None) -> str | None:
    """A path of this app to go to, or None: nobody is sent to another host."""
    parts = urlsplit(text or "")
    plain = text is not None and text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if plain and not parts.netloc and not parts.scheme else None


def install(app: Flask) -> None:
    """Registers the handlers."""
    app.register_error_handler(CSRFError, _forgery)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(StoreError, _store)
    app.register_error_handler(RequestError, _request)
    app.register_error_handler(Exception, _unexpected)


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if error.response is not None:
        return error.response
    if status == 401 and not for_programs():
        return redirect(url_for("signin.signin", next=_came_from()))
    standard = type(error).description
    said = error.description if error.description and error.description != standard else None
    details = getattr(error, "data", None) or {}
    return _answer(status, said or _SAYS.get(status, HTTPStatus(status).phrase), details.get("messages"))


def _came_from() -> str | None:
    return (
        local_path(request.full_path.rstrip("?")) if request.method == "GET" and request.path != "/" else None
    )


def _forgery(error: CSRFError) -> ResponseReturnValue:
    said = "The form was too old or came from another page. Go back, load it again and send it once more."
    return _answer(400, said, {"reason": error.description})


def _store(error: StoreError) -> ResponseReturnValue:
    _LOG.error("%s", error)
    return _answer(503, _SAYS[503])


def _request(error: RequestError) -> ResponseReturnValue:
    return _answer(400, str(error))


def _unexpected(error: Exception) -> ResponseReturnValue:
    _LOG.exception("%s %s failed", request.method, request.url_rule, exc_info=error)  # no number of anybody
    return _answer(InternalServerError.code, _SAYS[500])


def _answer(status: int, message: str, details: Any = None) -> ResponseReturnValue:
    if for_programs():
        return error_json(status, message, details)
    if request.headers.get("HX-Request"):
        return render_template("_error.html", status=status, message=message), status
    shell = "base.html" if status < 500 and _signed_in() else "bare.html"
    title = HTTPStatus(status).phrase
    return render_template("error.html", shell=shell, status=status, title=title, message=message), status


def _signed_in() -> bool:
    """Whether somebody is; without a store nobody can tell."""
    try:
        return bool(current_user.is_authenticated)
    except StoreError:
        return False
