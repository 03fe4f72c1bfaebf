"""Headers, cookies and CSRF: what every answer carries and every change needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import Flask, Response, abort, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from webui.config import WebConfig
from webui.exports import packed
from webui.roles import bearer

POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Plotly writes style rules
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
csrf: Final = CSRFProtect()


class SessionInterface(SecureCookieSessionInterface):
    """Cookies that are Secure where the request came over https, and only there."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie may only travel over https."""
        return request.is_secure


def install(app: Flask, config: WebConfig) -> None:
    """Sets up sessions, CSRF protection and headers."""
    app.session_interface = SessionInterface()
    app.config.update(
        SESSION_COOKIE_NAME="callbeam",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(hours=config.session_hours),
        MAX_CONTENT_LENGTH=config.max_upload,
        MAX_FORM_MEMORY_SIZE=2 << 20,
        WTF_CSRF_TIME_LIMIT=None,  # it ends with the session
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_SSL_STRICT=False,  # a proxy may speak http to us
    )
    csrf.init_app(app)
    app.before_request(_check_address)
    app.before_request(_check_csrf)
    app.after_request(_finish)


def storable(text: str) -> bool:
    """Whether every database can hold a text: without NUL and halves of surrogate pairs."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def _check_address() -> None:
    """No address may hold what no database takes."""
    given = (request.path, *request.args.keys(), *request.args.values())
    if not all(map(storable, given)):
        abort(400)


def _check_csrf() -> None:
    """Every change needs the session's token; requests with an API token have no session to be abused."""
    if bearer() is None:
        csrf.protect()


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return packed(response)
