"""The map's GeoJSON: made once per version of the wheel, kept packed in the user's cache folder."""

from __future__ import annotations

import gzip
import json
import os
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from webui.geo.countries import Ring, name_of, rings, version
from webui.geo.simplify import area, simplified

EDITION: Final = 1
"""Counts up when the outlines are made in another way."""
SMALL: Final = 0.6
"""Square degrees: smaller countries get a dot, their outline would be no larger than one."""
_GUARD: Final = threading.Lock()


def edition() -> str | None:
    """Names the outlines in addresses and files; None without the wheel: then there is no map."""
    found = version()
    return None if found is None else f"{found}-{EDITION}"


@lru_cache
def packed() -> bytes:
    """The GeoJSON, packed by gzip. Takes some seconds where it was not made before."""
    with _GUARD:
        place = _cache_folder() / f"world-{edition()}.json.gz"
        try:
            return place.read_bytes()
        except OSError:
            text = json.dumps(geojson(), ensure_ascii=False, separators=(",", ":"))
            made = gzip.compress(text.encode(), 9, mtime=0)
            _keep(place, made)
            return made


def geojson() -> dict[str, Any]:
    """A FeatureCollection, a feature a country, ``id`` its code; the greatest first: enclaves lie on top."""
    shapes: dict[str, list[Ring]] = {}
    for code, ring in simplified(rings()):
        rounded = _rounded(ring)
        if len(rounded) >= 3:
            shapes.setdefault(code, []).append(rounded)
    features = [_feature(code, found) for code, found in shapes.items()]
    features.sort(key=lambda f: -f["properties"]["area"])
    return {"type": "FeatureCollection", "features": features}


@lru_cache
def dots() -> dict[str, tuple[float, float]]:
    """Longitude and latitude of the countries that are too small to be seen."""
    found = json.loads(gzip.decompress(packed()))["features"]
    return {f["id"]: tuple(f["properties"]["at"]) for f in found if f["properties"]["area"] < SMALL}


@lru_cache
def codes() -> frozenset[str]:
    """The countries that have an outline."""
    return frozenset(f["id"] for f in json.loads(gzip.decompress(packed()))["features"])


def _feature(code: str, found: list[Ring]) -> dict[str, Any]:
    found.sort(key=lambda ring: -abs(area(ring)))
    greatest = found[0]
    at = [round(sum(p[i] for p in greatest) / len(greatest), 2) for i in (0, 1)]
    about = {"name": name_of(code), "area": round(sum(abs(area(r)) for r in found), 3), "at": at}
    shape = {"type": "MultiPolygon", "coordinates": [[[*ring, ring[0]]] for ring in found]}
    return {"type": "Feature", "id": code, "properties": about, "geometry": shape}


def _rounded(ring: Ring) -> Ring:
    """Two decimals, clockwise as the browser's map wants exteriors."""
    points = [(round(x, 2), round(y, 2)) for x, y in ring]
    points = [p for i, p in enumerate(points) if p != points[i - 1]]
    if len(points) >= 3 and area(points) > 0:
        points.reverse()
    return points


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callbeam"


def _keep(place: Path, made: bytes) -> None:
    """Keeps it for the next start; where that cannot be it is made again then."""
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        half = place.with_suffix(f".{os.getpid()}.tmp")
        half.write_bytes(made)
        half.replace(place)
