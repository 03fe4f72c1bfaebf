"""Dataflow without Google Cloud: both graphs pass its client, and a lint of what would be sent."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import messy
import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners import pipeline_context

from pipelines.dry_run import dry_run
from pipelines.engines import check_store, choose_engine
from pipelines.preflight import prepare
from pipelines.run import main
from transforms.errors import OptionError

pytest.importorskip("apitools", reason="needs `pip install -e '.[gcp]'`")

FLAGS = (
    "--runner=DataflowRunner", "--project=callbeam-test", "--region=europe-west1",
    "--temp_location=gs://callbeam-test/tmp", "--no_auth", "--dry_run=True",
)  # fmt: skip
STEPS_OF_BATCH = ["Read", "Clean", "GroupByShard", "CountHours", "Analyse", "Write"]
STEPS_OF_STREAM = ["Read", "Packets", "Analyse", "Write", "Done"]
LIMIT = 100_000


@pytest.fixture
def batch(tmp_path: Path) -> beam.Pipeline:
    data = tmp_path / "cdrs.csv"
    data.write_text(messy.csv_text(50, seed=1), encoding="utf-8")
    ready = prepare(["--input", str(data), "--output", f"sqlite:///{tmp_path}/r.db", *FLAGS])
    return dry_run(ready)


@pytest.fixture
def stream(tmp_path: Path) -> beam.Pipeline:
    return stream_with(tmp_path)


def stream_with(tmp_path: Path, *flags: str) -> beam.Pipeline:
    inputs = ["pubsub://projects/callbeam-test/subscriptions/calls", f"dir://{tmp_path}"]
    words = [word for text in inputs for word in ("--input", text)]
    url = f"sqlite:///{tmp_path}/r.db"
    return dry_run(
        prepare([*words, "--streaming", "--output", url, "--window", "sliding:1d/2h", *flags, *FLAGS])
    )


def components(pipeline: beam.Pipeline) -> beam_runner_api_pb2.Components:
    return pipeline.to_runner_api().components


def known_urns() -> set[str]:
    groups = (
        common_urns.primitives, common_urns.deprecated_primitives, common_urns.composites,
        common_urns.combine_components, common_urns.sdf_components, common_urns.group_into_batches_components,
    )  # fmt: skip
    return {member.urn for group in groups for member in vars(group).values() if hasattr(member, "urn")}


def steps_at_top(pipeline: beam.Pipeline) -> list[str]:
    parts = components(pipeline)
    (root,) = pipeline.to_runner_api().root_transform_ids
    return [parts.transforms[k].unique_name for k in parts.transforms[root].subtransforms]


def lint(pipeline: beam.Pipeline) -> None:
    parts = components(pipeline)
    names = [t.unique_name for t in parts.transforms.values()]
    assert len(names) == len(set(names))
    known = known_urns()
    for step in parts.transforms.values():
        urn = step.spec.urn
        assert (
            not urn
            or urn in known
            or urn.startswith(("beam:transform:generic_composite", "beam:transform:pickled"))
        )
        assert len(step.spec.payload) < LIMIT, step.unique_name
        if urn == common_urns.primitives.GROUP_BY_KEY.urn or _is_stateful(step):
            assert _has_sure_key(parts, step), step.unique_name


def _is_stateful(step: beam_runner_api_pb2.PTransform) -> bool:
    if step.spec.urn != common_urns.primitives.PAR_DO.urn:
        return False
    payload = beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload)
    return bool(payload.state_specs or payload.timer_family_specs)


def _has_sure_key(parts: beam_runner_api_pb2.Components, step: beam_runner_api_pb2.PTransform) -> bool:
    """The key's coder gives one encoding for a value, whoever encodes it."""
    coder = parts.coders[parts.pcollections[next(iter(step.inputs.values()))].coder_id]
    assert coder.spec.urn == common_urns.coders.KV.urn, step.unique_name
    context = pipeline_context.PipelineContext(parts)
    return bool(context.coders.get_by_id(coder.component_coder_ids[0]).is_deterministic())


def test_the_batch_graph(batch: beam.Pipeline) -> None:
    lint(batch)
    assert steps_at_top(batch) == STEPS_OF_BATCH


def test_the_streaming_graph(stream: beam.Pipeline) -> None:
    lint(stream)
    assert steps_at_top(stream) == STEPS_OF_STREAM


def test_stateful_steps_stand_in_one_line(stream: beam.Pipeline) -> None:
    """Each step's input feeds it alone: stateful siblings would lose state when the job is replaced."""
    parts = components(stream)
    stateful = [t for t in parts.transforms.values() if _is_stateful(t)]
    assert sorted(t.unique_name.rsplit("/", 1)[-1] for t in stateful) == ["CollectTables", "KeepShards"]
    for step in stateful:
        (wanted,) = step.inputs.values()
        readers = [
            t for t in parts.transforms.values() if wanted in t.inputs.values() and not t.subtransforms
        ]
        assert readers == [step]


def test_pubsub_is_read_by_the_service(stream: beam.Pipeline) -> None:
    names = [t.unique_name for t in components(stream).transforms.values()]
    assert any("PubSub0/ReadFromPubSub" in name for name in names)
    assert any("Feeds/" in name for name in names)


def test_the_label_of_ids_reaches_the_service(tmp_path: Path) -> None:
    pipeline = stream_with(tmp_path, "--pubsub_id_label", "record_uid")
    (payload,) = [
        beam_runner_api_pb2.PubSubReadPayload.FromString(t.spec.payload)
        for t in components(pipeline).transforms.values()
        if t.spec.urn == common_urns.composites.PUBSUB_READ.urn
    ]
    assert payload.id_attribute == "record_uid"


def test_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "cdrs.csv"
    data.write_text(messy.csv_text(50, seed=1), encoding="utf-8")
    assert main(["--input", str(data), "--output", f"sqlite:///{tmp_path}/r.db", *FLAGS]) == 0
    assert "nothing was run" in capsys.readouterr().out


def test_a_file_is_no_store_for_dataflow() -> None:
    engine = choose_engine("DataflowRunner", ["--project=callbeam-test"], streaming=True)
    assert engine.durable
    assert not engine.in_process
    check_store(engine, "postgresql+psycopg://user@host/database")
    with pytest.raises(OptionError, match=r"DataflowRunner.*postgresql"):
        check_store(engine, "sqlite:///callbeam.db")
