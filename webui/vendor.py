"""Browser libraries straight out of the installed wheels: ``/vendor/<library>/<version>/<file>``.

Nothing third-party is kept in this project and no page refers to another host. A file is packed once and
cached by browsers for a year: the version in its address changes with the wheel.
"""

from __future__ import annotations

import gzip
import mimetypes
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from flask import Blueprint, Response, abort, request, url_for

from webui.exports import accepts_gzip

bp = Blueprint("vendor", __name__)
mimetypes.add_type("font/woff2", ".woff2")
mimetypes.add_type("text/javascript", ".js")


class Library(NamedTuple):
    """Where a wheel keeps its browser files."""

    distribution: str
    package: str
    folder: str


LIBRARIES: Final = {
    "bootstrap": Library("bootstrap-flask", "flask_bootstrap", "static/bootstrap5"),
    "htmx": Library("django-js-lib-htmx", "js_lib_htmx", "static/htmx"),
    "plotly": Library("plotly", "plotly", "package_data"),
    "swagger": Library("flask-swagger-ui", "flask_swagger_ui", "dist"),
}
_SUFFIXES: Final = frozenset({".js", ".css", ".woff2", ".woff", ".svg", ".png"})
_PACKED: Final = frozenset({".woff2", ".woff", ".png"})


@bp.get("/vendor/<library>/<version>/<path:path>")
def file(library: str, version: str, path: str) -> Response:
    """A file of a wheel; 404 for what is not meant for browsers."""
    known = library in LIBRARIES and version == version_of(library)
    if not known or ".." in path.split("/") or Path(path).suffix not in _SUFFIXES:
        abort(404)
    try:
        raw, packed = _load(library, path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        abort(404)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    zipped = packed is not None and accepts_gzip(request)
    response = Response(packed if packed is not None and zipped else raw, mimetype=kind)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.headers["Vary"] = "Accept-Encoding"
    return response


def vendor_url(library: str, path: str) -> str:
    """The address of a file of a wheel."""
    return url_for("vendor.file", library=library, version=version_of(library), path=path)


@lru_cache
def version_of(library: str) -> str:
    """The installed version of a library's wheel."""
    return metadata.version(LIBRARIES[library].distribution)


def folder_of(library: str) -> Path:
    """The folder of a library's browser files; its package is found without being imported."""
    _, package, folder = LIBRARIES[library]
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        raise FileNotFoundError(f"the package {package} is not installed")
    return Path(next(iter(places)), folder)


@lru_cache(maxsize=64)
def _load(library: str, path: str) -> tuple[bytes, bytes | None]:
    """A file as it is, and packed where that makes it smaller."""
    place = folder_of(library) / path
    raw = place.read_bytes()
    return raw, None if place.suffix in _PACKED else gzip.compress(raw, 9, mtime=0)
