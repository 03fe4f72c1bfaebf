from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Iterator

import pytest
from webui_world import World

from webui import vendor

HTMX = "0895/pl2MU10Hqc6jd4RvrthNlDiE9U1tWmX7WRESftEDRosgxNsQG/Ze9YMRzHq"
"""The digest that htmx publishes for version 2.0.3."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("vendor"))
    yield made
    made.close()


def test_htmx_is_what_its_makers_published() -> None:
    found = (vendor.folder_of("htmx") / "htmx.min.js").read_bytes()
    assert base64.b64encode(hashlib.sha384(found).digest()).decode() == HTMX


@pytest.mark.parametrize(
    ("library", "path", "kind"),
    [
        ("bootstrap", "css/bootstrap.min.css", "text/css"),
        ("bootstrap", "css/font/bootstrap-icons.min.css", "text/css"),
        ("bootstrap", "umd/popper.min.js", "text/javascript"),
        ("htmx", "htmx.min.js", "text/javascript"),
        ("plotly", "plotly.min.js", "text/javascript"),
        ("swagger", "swagger-ui-bundle.js", "text/javascript"),
    ],
)
def test_files_come_out_of_the_wheels_packed_and_for_a_year(
    world: World, library: str, path: str, kind: str
) -> None:
    address = f"/vendor/{library}/{vendor.version_of(library)}/{path}"
    answer = world.stranger().get(address, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200 and answer.mimetype == kind
    assert "immutable" in answer.headers["Cache-Control"] and answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == world.stranger().get(address).data


def test_every_file_that_pages_ask_for_is_there(world: World) -> None:
    page = world.get("/templates/regions").text + world.get("/").text
    addresses = set(re.findall(r'(?:src|href)="(/(?:vendor|static)/[^"]+)"', page))
    assert len(addresses) >= 9
    for address in addresses:
        answer = world.stranger().get(address.replace("&amp;", "&"))
        assert answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"], address
    old = world.stranger().get("/static/app.css?v=0123456789")
    assert old.status_code == 200 and "immutable" not in old.headers["Cache-Control"]
    icons = world.stranger().get(
        f"/vendor/bootstrap/{vendor.version_of('bootstrap')}/css/font/bootstrap-icons.min.css"
    )
    font = re.search(r'url\("(fonts/[^"?]+)', icons.text)
    assert font is not None
    base = f"/vendor/bootstrap/{vendor.version_of('bootstrap')}/css/font/"
    assert world.stranger().get(base + font[1]).mimetype.startswith("font/")


@pytest.mark.parametrize(
    "path",
    [
        "nothing/1/x.js",
        "plotly/0.0.1/plotly.min.js",
        "plotly/{v}/../graph_objects/__init__.py",
        "plotly/{v}/..%2fversion.py",
        "plotly/{v}/nothing.js",
        "plotly/{v}/",
        "plotly/{v}/datasets",
    ],
)
def test_nothing_else_can_be_read(world: World, path: str) -> None:
    answer = world.stranger().get("/vendor/" + path.replace("{v}", vendor.version_of("plotly")))
    assert answer.status_code == 404
