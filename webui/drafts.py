"""Runs that are being prepared: a file, how it is to be read. Kept in the folder of the job to be, for an hour."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from werkzeug.datastructures import FileStorage
from werkzeug.utils import secure_filename

from callbeam_io.commands import Value
from callbeam_io.jobs import Answer
from callbeam_io.store.web_queries import RequestError
from webui.roles import log
from webui.services import jobs, services

AUTO: Final = "auto"
OWN: Final = "mapping"
"""The choice of format that stands for the mapping on the page."""
_DRAFT: Final = "draft.json"
_MAPPING: Final = "mapping.json"


@dataclass(frozen=True)
class Draft:
    """A run to be.

    Attributes:
        job_id: of the job to be.
        path: of the file or folder.
        name: as people know it.
        format: ``auto``, a format's name, or `OWN`.
        timezone, region: of stamps and numbers that do not say; empty: the usual.
        directory: path of a list of business numbers, or empty.
        keep: whether the records are kept for later questions.
        mapping: the JSON of the mapping, with `OWN`.
    """

    job_id: str
    path: str
    name: str
    format: str = AUTO
    timezone: str = ""
    region: str = ""
    directory: str = ""
    keep: bool = True
    mapping: dict[str, Any] | None = None

    def options(self) -> dict[str, Value]:
        """The flags of the first look."""
        place = jobs().place(self.job_id)
        own = self.format == OWN and place is not None
        options: dict[str, Value] = {
            "input": self.path,
            "input_format": str(place / _MAPPING) if own and place else self.format,
        }
        return options | {
            name: value
            for name, value in (("timezone", self.timezone), ("default_region", self.region))
            if value
        }

    def run_options(self) -> dict[str, Value]:
        """The flags of the run."""
        more = {"directory": self.directory, "keep_records": "30d" if self.keep else ""}
        return self.options() | {name: value for name, value in more.items() if value}

    def look(self) -> Answer:
        """What the pipeline would make of it: JSON, or a complaint about a file by its own name."""
        answer = jobs().ask("preview", self.options())
        return replace(answer, error=self.plainly(answer.error))

    def plainly(self, said: str) -> str:
        """A message without folders that nobody knows and flags that the page does not have."""
        if said.startswith("cannot tell the format of "):
            said = f"{said.partition('. expected ')[0]}. Choose one below, or say which column holds what."
        place = jobs().place(self.job_id)
        said = said.replace(self.path, self.name)
        if self.directory:
            said = said.replace(self.directory, "the directory")
        return said if place is None else said.replace(f"mapping file {place / _MAPPING}", "the mapping")


def begin(upload: FileStorage | None, path: str, directory: FileStorage | None) -> Draft:
    """A new draft of an uploaded file, or of a path inside one of the allowed folders.

    Raises:
        RequestError: there is neither, or the path may not be read.
    """
    job_id = jobs().new_id()
    place = jobs().folder / job_id / "in"
    if upload is not None and upload.filename:
        name = secure_filename(upload.filename) or "records.csv"
        found = str(_saved(upload, place, name))
    elif path:
        found, name = allowed(path), path
    else:
        raise RequestError("no file was chosen", "a file of records", "choose one")
    given = directory is not None and directory.filename
    listed = str(_saved(directory, place, "directory.csv")) if directory is not None and given else ""
    draft = Draft(job_id, found, name, directory=listed)
    save(draft)
    log("file taken", name, {"job": job_id})
    return draft


def drop(draft: Draft) -> None:
    """Forgets a draft, with the files that were uploaded for it."""
    place = jobs().place(draft.job_id)
    if place is not None:
        shutil.rmtree(place, ignore_errors=True)


def again(draft: Draft) -> Draft:
    """The same as a new draft, with its files, after its job was refused."""
    job_id = jobs().new_id()
    old, new = (jobs().folder / name for name in (draft.job_id, job_id))
    if (old / "in").is_dir():
        shutil.move(old / "in", new / "in")
    path, directory = (name.replace(f"{old}/", f"{new}/") for name in (draft.path, draft.directory))
    made = replace(draft, job_id=job_id, path=path, directory=directory)
    save(made)
    return made


def _saved(upload: FileStorage, place: Path, name: str) -> Path:
    place.mkdir(mode=0o700, exist_ok=True)
    upload.save(place / name)
    return place / name


def allowed(given: str) -> str:
    """A path inside the allowed folders, links followed.

    Raises:
        RequestError: it is not there, or outside.
    """
    folders = [Path(folder) for folder in services().config.data_folders]
    tried = [Path(given)] if Path(given).is_absolute() else [folder / given for folder in folders]
    for path in (path.resolve() for path in tried):
        if any(path.is_relative_to(folder) for folder in folders) and path.exists():
            return str(path)
    raise RequestError(
        f"{given} is not there", "a file or folder inside the allowed folders", "check the path"
    )


def listed(most: int = 200) -> list[str]:
    """Files in the allowed folders, to choose from."""
    found = [
        str(path)
        for folder in services().config.data_folders
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return found[:most]


def save(draft: Draft) -> None:
    """Keeps a draft and its mapping."""
    place = jobs().folder / draft.job_id
    (place / _DRAFT).write_text(json.dumps(asdict(draft)), encoding="utf-8")
    if draft.mapping is not None:
        (place / _MAPPING).write_text(json.dumps(draft.mapping, ensure_ascii=False), encoding="utf-8")


def load(job_id: str) -> Draft | None:
    """The draft of a job to be; None where it is gone, or was started."""
    place = jobs().place(job_id)
    if place is None or jobs().job(job_id) is not None:
        return None
    try:
        found: Mapping[str, Any] = json.loads((place / _DRAFT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Draft(**found)
