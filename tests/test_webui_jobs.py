"""Jobs as pages: a file that is uploaded, looked at, read; what is refused; roles."""

from __future__ import annotations

import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webui_world import World, jobs_of, seed_batch
from werkzeug.test import TestResponse

from callbeam_io.store import web_accounts
from webui import WebConfig, create_app, passwords

HEADER = "id,calling_number,called_number,start_time,duration,call_type,charge,call_result"
ROWS = [
    f"{i},+1202555{i:04d},+13125550100,2026-03-02T10:{i % 60:02d}:00Z,30,VOICE,0,ANSWERED" for i in range(80)
]
GOOD = "\n".join([HEADER, *ROWS, "x,,+13125550100,2026-03-02T10:00:00Z,30,VOICE,0,ANSWERED", ""])
STRANGE = "Anrufer;Ziel;Beginn;Sekunden\n" + "".join(
    f"0301234{i:03d};0401234567;02.03.2026 10:{i:02d};{i}\n" for i in range(30)
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    (data / "day.csv").write_text(GOOD)
    (tmp_path / "secret.csv").write_text(GOOD)
    (data / "link.csv").symlink_to(tmp_path / "secret.csv")
    made.app = create_app(WebConfig(made.url, data_folders=(str(data),)), made.store)
    yield made
    made.close()
    shutil.rmtree(jobs_of(made).folder, ignore_errors=True)


def upload(world: World, text: str, name: str = "calls.csv") -> str:
    """Uploads a file; gives the address of the page that shows it."""
    data = {"do": "look", "file": (io.BytesIO(text.encode()), name)}
    answer = world.post("/runs/new", data, content_type="multipart/form-data")
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def form_of(page: TestResponse) -> dict[str, Any]:
    """The form of the page as a browser would send it."""
    import html

    text = page.text
    found: dict[str, Any] = {"keep": "on"}
    for name in ("draft", "before"):
        found[name] = html.unescape(re.search(rf'name="{name}" value="([^"]*)"', text)[1])  # type: ignore[index]
    area = re.search(r'name="mapping"[^>]*>(.*?)</textarea>', text, re.S)
    found["mapping"] = html.unescape(area[1]) if area else ""
    for select in re.finditer(r'<select[^>]*name="([^"]+)">(.*?)</select>', text, re.S):
        chosen = re.search(r'value="([^"]*)" selected', select[2])
        found[select[1]] = html.unescape(chosen[1]) if chosen else ""
    return found


def finish(world: World, job_id: str) -> dict[str, Any]:
    end = time.monotonic() + 60
    while (row := jobs_of(world).job(job_id)) is not None and row["state"] == "running":
        assert time.monotonic() < end, jobs_of(world).tail(job_id)
        time.sleep(0.1)
    assert row is not None
    return row


def test_upload_look_run_results(world: World) -> None:
    address = upload(world, GOOD)
    page = world.get(address)
    assert "calls.csv: the canonical CSV, about 81 records" in page.text
    assert "1 of the first 81" in page.text and "calling number empty (1)" in page.text
    started = world.post("/runs/new", {**form_of(page), "do": "start"})
    assert started.status_code == 302, started.text
    job_id = started.headers["Location"].rsplit("/", 1)[1]
    row = finish(world, job_id)
    assert row["state"] == "done", jobs_of(world).tail(job_id)
    shown = world.get(f"/runs/jobs/{job_id}").text
    assert f"/runs/{row['run_id']}" in shown and "1 rejects" in shown and "81 read" in shown
    run = world.store.run(row["run_id"])
    assert (run["records_read"], run["records_good"]) == (81, 80) and run["options"][
        "keep_records"
    ] == 2592000
    live = world.get(f"/runs/jobs/{job_id}/live").json
    assert "done" in live["parts"]["state"] and "81 read" in live["parts"]["log"]
    assert "Cancel" not in live["parts"]["act"] and "Cancel" not in shown
    listed = world.get("/runs").text
    assert "Run: calls.csv" in listed and "Start a run" in listed
    assert world.get(address).status_code == 400  # it was started: there is no draft any more
    again = world.post(f"/runs/{row['run_id']}", {"do": "again"})
    assert finish(world, again.headers["Location"].rsplit("/", 1)[1])["state"] == "done"
    assert "its log" in world.get(f"/runs/{row['run_id']}").text


def test_a_file_of_no_known_format_gets_a_mapping(world: World) -> None:
    address = upload(world, STRANGE, "calls.txt")
    page = world.get(address)
    assert "calls.txt cannot be read yet" in page.text and "cannot tell the format of calls.txt" in page.text
    assert str(jobs_of(world).folder) not in page.text
    form = form_of(page)
    spec = json.loads(form["mapping"])
    assert spec["separator"] == ";" and form["field.call_type"] == "~"
    spec["fields"]["start_time"] = {"column": "Beginn", "format": "%d.%m.%Y %H:%M"}
    picked = {"field.calling_number": "Anrufer", "field.called_number": "Ziel", "field.duration": "Sekunden"}
    form |= {"mapping": json.dumps(spec), "region": "de", "timezone": "Europe/Berlin", **picked}
    changed = world.post("/runs/new", {**form, "do": "again"})
    assert changed.status_code == 302, changed.text
    page = world.get(changed.headers["Location"])
    assert "calls.txt: your mapping" in page.text and "All of the first 30 records can be read" in page.text
    assert 'value="anrufer" selected' in page.text.lower()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mapping": "{"}, "not JSON"),
        ({"mapping": '{"fields": {}}'}, "missing"),
        ({"mapping": "[]"}, "no JSON object"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"region": "QQ"}, "QQ"),
        ({"format": "pipes"}, "calls.csv"),
    ],
)
def test_what_cannot_be_is_said_on_the_form(world: World, changes: dict[str, str], said: str) -> None:
    page = world.get(upload(world, GOOD))
    answer = world.post("/runs/new", {**form_of(page), **changes, "do": "start"})
    assert answer.status_code == 400 and said in answer.text and 'id="wrong"' in answer.text
    if "mapping" in changes:
        assert form_of(answer)["mapping"] == changes["mapping"]
    assert jobs_of(world).newest() == [] and world.store.runs() == []


def test_a_refused_run_gives_its_form_back(world: World) -> None:
    data = {"do": "look", "file": (io.BytesIO(GOOD.encode()), "calls.csv")}
    data["directory"] = (io.BytesIO(b"number,business_type\n+13125550100,Astrology\n"), "types.csv")
    address = world.post("/runs/new", data, content_type="multipart/form-data").headers["Location"]
    refused = world.post("/runs/new", {**form_of(world.get(address)), "do": "start"})
    assert refused.status_code == 400 and "Astrology" in refused.text and 'id="wrong"' in refused.text
    assert str(jobs_of(world).folder) not in refused.text and world.store.runs() == []
    form = form_of(refused)
    assert form["draft"] not in address and "calls.csv: the canonical CSV" in refused.text
    assert [r["state"] for r in jobs_of(world).newest()] == ["failed"]
    assert world.get(f"/runs/new?draft={form['draft']}").status_code == 200


def test_a_path_must_be_inside_the_folders(world: World, tmp_path: Path) -> None:
    page = world.get("/runs/new").text
    assert "day.csv" in page and "secret" not in page
    for path in ("day.csv", str(tmp_path / "data" / "day.csv"), str(tmp_path / "data")):
        assert world.post("/runs/new", {"do": "look", "path": path}).status_code == 302
    for path in ("../secret.csv", "link.csv", str(tmp_path / "secret.csv"), "/etc/passwd", "nothing.csv"):
        answer = world.post("/runs/new", {"do": "look", "path": path})
        assert answer.status_code == 400 and "inside the allowed folders" in answer.text, path
    assert "no file was chosen" in world.post("/runs/new", {"do": "look"}).text
    assert "This draft is gone" in world.post("/runs/new", {"do": "start", "draft": "../x"}).text


def test_jobs_are_for_administrators(world: World) -> None:
    seed_batch(world.store)
    run_id = world.store.runs()[0]["run_id"]
    for role in ("analyst", "viewer"):
        for path in ("/runs/new", "/runs/jobs/x", "/runs/jobs/x/live"):
            assert world.get(path, role).status_code == 403, path
        assert world.post(f"/runs/{run_id}", {"do": "again"}, role).status_code == 403
    assert world.get("/runs/jobs/x").status_code == 404
    assert "Start a run" not in world.get("/runs", "analyst").text
    assert world.post(f"/runs/{run_id}", {"do": "again"}).status_code == 400  # its options name no files


def test_a_job_is_cancelled_from_its_page(world: World) -> None:
    job_id = jobs_of(world).start("sample", {"people": "200000"}, "admin")
    page = world.get(f"/runs/jobs/{job_id}").text
    assert "Sample data" in page and "Cancel" in page and "data-live" in page
    assert world.post(f"/runs/jobs/{job_id}", {"do": "cancel"}).status_code == 302
    assert finish(world, job_id)["state"] == "cancelled"
    assert "data-live" not in world.get(f"/runs/jobs/{job_id}").text
    assert world.post(f"/runs/jobs/{job_id}", {"do": "explode"}).status_code == 400


def test_jobs_by_the_api(world: World) -> None:
    secret = "token-of-admin"
    web_accounts.add_token(world.store, passwords.token_hash(secret), "robot", "admin", "test")

    def call(method: str, path: str, **more: Any) -> TestResponse:
        sent = {"Authorization": f"Bearer {secret}"}
        return world.stranger().open(f"/api/v1{path}", method=method, headers=sent, **more)

    refused = call("POST", "/jobs", json={"input": "/etc/passwd"})
    assert refused.status_code in (400, 422) and "inside the allowed folders" in refused.text
    started = call("POST", "/jobs", json={"input": "day.csv", "default_region": "US"})
    assert started.status_code == 202, started.text
    job_id = started.json["job_id"]
    assert call("POST", "/jobs", json={"input": "day.csv", "input_format": "no such"}).status_code in (
        400,
        422,
    )
    row = finish(world, job_id)
    assert row["state"] == "done" and call("GET", f"/jobs/{job_id}").json["run_id"] == row["run_id"]
    assert "81 read" in call("GET", f"/jobs/{job_id}/log").json["text"]
    assert [r["job_id"] for r in call("GET", "/jobs").json["rows"]] == [job_id]
    again = call("POST", f"/runs/{row['run_id']}/again").json["job_id"]
    assert call("DELETE", f"/jobs/{again}").status_code == 204
    assert finish(world, again)["state"] in ("cancelled", "done")
    assert call("GET", "/jobs/x").status_code == call("DELETE", "/jobs/x").status_code == 404


def test_a_big_upload_is_for_administrators_only(world: World) -> None:
    config = WebConfig(world.url, max_upload=1000, max_file=20_000)
    world.app = create_app(config, world.store)
    world._clients.clear()
    upload(world, GOOD)
    data = {"do": "look", "file": (io.BytesIO(GOOD.encode() * 4), "calls.csv")}
    assert world.post("/runs/new", data, content_type="multipart/form-data").status_code == 413
    data = {"do": "look", "file": (io.BytesIO(GOOD.encode()), "calls.csv")}
    assert world.post("/runs/new", data, "analyst", content_type="multipart/form-data").status_code == 413
