"""Outlines with fewer points, in such a way that neighbours stay neighbours.

A border that two countries share is one arc, from junction to junction, and is simplified once: so no gaps
open between them. Arcs are simplified by Visvalingam's method (1993): the point whose triangle with its
neighbours is smallest goes first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from webui.geo.countries import Point, Ring

Shapes = list[tuple[str, Ring]]

SNAP: Final = 0.05
"""Degrees. The source's outlines were thinned one by one: points nearer than this are made one."""
LEAST_TRIANGLE: Final = 0.05
LEAST_RING: Final = 0.08
"""Square degrees: smaller islands are left out, but for a country's greatest."""
PASSES: Final = 6


def simplified(shapes: Shapes) -> Shapes:
    """The same outlines with about one point in fifty."""
    found = snapped(greater(shapes))
    for _ in range(PASSES):  # junctions vanish while arcs become simpler, so it settles after some passes
        found = _pass(found)
    return found


def area(ring: Sequence[Point]) -> float:
    """Square degrees; positive where it runs counter-clockwise."""
    following = [*ring[1:], ring[0]]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, following, strict=True)) / 2


def greater(shapes: Shapes) -> Shapes:
    """Without small islands; of every country its greatest outline stays."""
    greatest: dict[str, float] = {}
    for code, ring in shapes:
        greatest[code] = max(greatest.get(code, 0.0), abs(area(ring)))
    return [(c, r) for c, r in shapes if abs(area(r)) >= min(LEAST_RING, greatest[c])]


def snapped(shapes: Shapes) -> Shapes:
    """Points of one cell of a grid of `SNAP` degrees become the first of them."""
    first: dict[tuple[int, int], Point] = {}
    found = []
    for code, ring in shapes:
        points: Ring = []
        for x, y in ring:
            point = first.setdefault((round(x / SNAP), round(y / SNAP)), (x, y))
            if not points or points[-1] != point:
                points.append(point)
        while len(points) > 1 and points[0] == points[-1]:
            points.pop()
        found.append((code, points if len(set(points)) >= 3 else ring))
    return found


def junctions(shapes: Shapes) -> set[Point]:
    """Points where the outlines of two countries part."""
    seen: dict[Point, tuple[str, frozenset[Point]]] = {}
    found = set()
    for code, ring in shapes:
        for i, point in enumerate(ring):
            beside = frozenset((ring[i - 1], ring[(i + 1) % len(ring)]))
            other, others = seen.setdefault(point, (code, beside))
            if other != code and others != beside:
                found.add(point)
    return found


def _pass(shapes: Shapes) -> Shapes:
    meeting = junctions(shapes)
    known: dict[tuple[Point, ...], Ring] = {}
    found = []
    for code, ring in shapes:
        points = [p for arc in arcs(ring, meeting) for p in _shared(arc, known)[:-1]]
        found.append((code, points if len(set(points)) >= 3 else ring))
    return found


def arcs(ring: Ring, meeting: Iterable[Point]) -> list[Ring]:
    """A ring cut at junctions; an island at its first point in order and at the one farthest from that."""
    at = set(meeting)
    cuts = [i for i, point in enumerate(ring) if point in at]
    start = cuts[0] if cuts else min(range(len(ring)), key=lambda i: ring[i])
    turned = ring[start:] + ring[:start]
    if cuts:
        places = [c - start for c in cuts]
    else:
        (x, y) = turned[0]
        far = max(range(len(turned)), key=lambda i: (turned[i][0] - x) ** 2 + (turned[i][1] - y) ** 2)
        places = [0, far]
    closed = turned + turned[:1]
    return [closed[a : b + 1] for a, b in zip(places, [*places[1:], len(ring)], strict=True)]


def _shared(arc: Ring, known: dict[tuple[Point, ...], Ring]) -> Ring:
    """An arc made simpler; the neighbour's, which runs the other way, becomes the same."""
    backwards = arc[0] > arc[-1] or (arc[0] == arc[-1] and arc[1] > arc[-2])
    key = tuple(reversed(arc)) if backwards else tuple(arc)
    if key not in known:
        known[key] = thinned(key, LEAST_TRIANGLE)
    return known[key][::-1] if backwards else known[key]


def thinned(points: Sequence[Point], least: float) -> Ring:
    """Without the points whose triangle is smaller than ``least``; the ends stay."""
    count = len(points)
    before, after = list(range(-1, count - 1)), list(range(1, count + 1))
    sizes = [0.0, *(_triangle(points, i - 1, i, i + 1) for i in range(1, count - 1)), 0.0]
    gone = [False] * count
    heap = [(sizes[i], i) for i in range(1, count - 1)]
    heapq.heapify(heap)
    while heap and heap[0][0] < least:
        size, i = heapq.heappop(heap)
        if gone[i] or size != sizes[i]:
            continue
        gone[i] = True
        a, b = before[i], after[i]
        after[a], before[b] = b, a
        for j in (a, b):
            if 0 < j < count - 1:
                sizes[j] = max(size, _triangle(points, before[j], j, after[j]))
                heapq.heappush(heap, (sizes[j], j))
    return [point for i, point in enumerate(points) if not gone[i]]


def _triangle(points: Sequence[Point], i: int, j: int, k: int) -> float:
    (ax, ay), (bx, by), (cx, cy) = points[i], points[j], points[k]
    return abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
