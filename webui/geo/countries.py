"""The countries of the wheel: names by ISO 3166 code, outlines as rings of longitude and latitude."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

Point = tuple[float, float]
Ring = list[Point]

PACKAGE: Final = "geo_intel_offline"
DISTRIBUTION: Final = "geo-intel-offline"

_CODES: Final = {"France": "FR", "Norway": "NO", "Kosovo": "XK", "Taiwan": "TW"}
"""Natural Earth gives these no ISO code of their own."""
_PARTS: Final = {
    "N. Cyprus": "CY",
    "Cyprus U.N. Buffer Zone": "CY",
    "Dhekelia": "CY",
    "Akrotiri": "CY",
    "Somaliland": "SO",
    "Baikonur": "KZ",
    "Siachen Glacier": "IN",
    "USNB Guantanamo Bay": "CU",
    "Southern Patagonian Ice Field": "CL",
}
"""Outlines without a code, drawn with the country whose telephone numbers they use."""
_OVERSEAS: Final = (
    ("FR", "GF", (-55.0, 2.0, -51.0, 6.0)),
    ("FR", "GP", (-62.0, 15.7, -60.8, 16.6)),
    ("FR", "MQ", (-61.4, 14.3, -60.7, 15.0)),
    ("FR", "RE", (55.0, -21.5, 56.0, -20.7)),
    ("FR", "YT", (44.9, -13.1, 45.4, -12.5)),
)
"""Parts of a country's outline with a code of their own: country, code, box (west, south, east, north)."""
_NAMES: Final = {
    "US": "United States",
    "GF": "French Guiana",
    "GP": "Guadeloupe",
    "MQ": "Martinique",
    "RE": "Réunion",
    "YT": "Mayotte",
    "SJ": "Svalbard and Jan Mayen",
    "BQ": "Caribbean Netherlands",
    "AC": "Ascension Island",
    "TA": "Tristan da Cunha",
    "TK": "Tokelau",
    "CC": "Cocos Islands",
    "CX": "Christmas Island",
    "001": "International networks",
    "ZZ": "Unknown",
}
_LEFT_OUT: Final = frozenset({"AQ"})


@lru_cache
def version() -> str | None:
    """The wheel's version; None where it is not installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


@lru_cache
def names() -> dict[str, str]:
    """Name by code of every country that a telephone number can belong to, and of ``001`` and ``ZZ``."""
    found = {
        _code(entry): entry["name"] for entry in _read("metadata").values() if entry["name"] not in _PARTS
    }
    return {code: name for code, name in found.items() if code is not None} | _NAMES


def name_of(code: str) -> str:
    """The name of a country, or its code where there is none."""
    return names().get(code, code)


def rings() -> list[tuple[str, Ring]]:
    """Every outline of every country: its code and its points, each once, without Antarctica."""
    entries, found = _read("metadata"), []
    for key, shape in _read("polygons").items():
        code = _code(entries[key])
        if code is None or code in _LEFT_OUT:
            continue
        for exterior in shape.get("exteriors") or [shape["exterior"]]:
            ring = _ring(exterior)
            if len(ring) >= 3:
                found.append((_own_code(code, ring), ring))
    return found


def _code(entry: dict[str, Any]) -> str | None:
    name = entry["name"]
    code = _CODES.get(name) or _PARTS.get(name) or entry["iso2"]
    return None if code == "-99" else str(code)


def _own_code(code: str, ring: Ring) -> str:
    for country, own, (west, south, east, north) in _OVERSEAS:
        x, y = ring[0]
        if code == country and west <= x <= east and south <= y <= north:
            return own
    return code


def _ring(exterior: list[list[float]]) -> Ring:
    """Points as (longitude, latitude), neighbours that are equal once, open."""
    points: Ring = []
    for latitude, longitude in exterior:
        point = (round(longitude, 4), round(latitude, 4))
        if not points or points[-1] != point:
            points.append(point)
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    return points


def _read(name: str) -> dict[str, Any]:
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        return {}
    packed = Path(next(iter(places)), "data", f"{name}.json.gz").read_bytes()
    found: dict[str, Any] = json.loads(gzip.decompress(packed))
    return found
