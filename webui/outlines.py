"""``/outlines/<edition>.json``: the map's countries, packed, kept by browsers for a year."""

from __future__ import annotations

import gzip

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from webui.exports import accepts_gzip
from webui.geo import world
from webui.roles import VIEWER, required

bp = Blueprint("outlines", __name__)


@bp.get("/outlines/<edition>.json")
@required(VIEWER)
def outlines(edition: str) -> ResponseReturnValue:
    """The GeoJSON of this edition."""
    if edition != world.edition():
        abort(404)
    zipped = accepts_gzip(request)
    response = Response(
        world.packed() if zipped else gzip.decompress(world.packed()), mimetype="application/json"
    )
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["Vary"] = "Accept-Encoding"
    return response
