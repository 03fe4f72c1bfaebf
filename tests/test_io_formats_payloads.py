from __future__ import annotations

import itertools
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbeam_io.formats.payloads import message_parser, parse_payload
from callbeam_io.inputs import plan_inputs, read_block
from transforms.errors import InputError
from transforms.schema import origin

HEADER = "id,calling_number,called_number,start_time,duration,call_type,charge,call_result"


def line(name: str) -> str:
    return f"{name},+12025550123,+4930123456,2024-02-05T10:00:00Z,60,VOICE,0.5,ANSWERED"


def parsed(messages: list[str | bytes], ids: list[Any] | None = None, name: str = "auto") -> pl.DataFrame:
    data = [m.encode() if isinstance(m, str) else m for m in messages]
    parser = pickle.loads(pickle.dumps(message_parser(name)))
    batch = parser.parse(data, ids or list(range(len(data))), source="topic/0", order="7")
    assert origin(batch.schema) == {"source": "topic/0", "order": "7"}
    return pl.DataFrame(pl.from_arrow(batch))


def arrow_stream(n: int) -> bytes:
    batch = pa.RecordBatch.from_pydict(
        {
            "id": [f"a{k}" for k in range(n)],
            "calling_number": ["+12025550123"] * n,
            "called_number": ["+4930123456"] * n,
            "start_time": pa.array([datetime(2024, 2, 5, 10, tzinfo=UTC)] * n, pa.timestamp("s", "UTC")),
            "duration": [60] * n,
            "call_type": ["VOICE"] * n,
            "charge": [0.5] * n,
            "call_result": ["ANSWERED"] * n,
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def test_a_line_each_has_the_messages_own_id() -> None:
    frame = parsed([line("x"), line("y") + "\r\n", line("z") + ",acme"], [17, 19, "m-3"])
    assert frame.select("id", "line", "account_id").rows() == [
        ("x", "17", None),
        ("y", "19", None),
        ("z", "m-3", "acme"),
    ]
    assert frame["raw"].to_list()[:2] == [line("x").encode(), line("y").encode()]


def test_many_lines_in_one_message_are_numbered() -> None:
    frame = parsed(
        [f"{HEADER}\n{line('x')}\n\n{line('y')}\n", line("z"), f"{line('u')}\n{line('v')}"], [5, 6, 7]
    )
    assert frame.select("id", "line").rows() == [
        ("x", "5#2"),
        ("y", "5#4"),
        ("z", "6"),
        ("u", "7#1"),
        ("v", "7#2"),
    ]


def test_a_header_may_have_any_order() -> None:
    frame = parsed(
        ["CALL_RESULT," + HEADER.replace(",call_result", "") + "\nBUSY," + line("x").rpartition(",")[0]]
    )
    assert frame.select("id", "call_result").rows() == [("x", "BUSY")]


def test_json_on_one_line_on_several_and_in_a_list() -> None:
    frame = parsed(
        ['{"id": "x"}', '{\n "id": "y"\n}', '[{"id": "z"}, {"id": 4}]', '{"id": "u"}\n{"id": "v"}', "{"]
    )
    assert frame.select("id", "line").rows() == [
        ("x", "0"),
        ("y", "1#1"),
        ("z", "2#1"),
        ("4", "2#2"),
        ("u", "3#1"),
        ("v", "3#2"),
        (None, "4"),
    ]
    assert frame["bad_reason"].to_list() == [None] * 6 + ["not a JSON object"]


def test_arrow_keeps_its_types() -> None:
    frame = parsed([arrow_stream(2), arrow_stream(1)], [3, 9], "arrow")
    assert frame["line"].to_list() == ["3#1", "3#2", "9"]
    assert frame.schema["start_time"] == pl.Datetime("us", "UTC")
    assert frame["duration"].to_list() == [60, 60, 60]


def test_kinds_may_come_together() -> None:
    pipe = "acme|+12025550123|p|+4930123456|Mon Feb  5 10:00:00 2024|60|VOICE|0.5|AWNSERED"
    frame = parsed([line("c"), arrow_stream(1), "", pipe, '{"id": "j"}', "junk", arrow_stream(1)[:40]])
    assert frame["id"].to_list()[:4] == ["c", "a0", "p", "j"]
    assert frame["start_time"].to_list()[:3] == [
        "2024-02-05T10:00:00Z",
        "2024-02-05T10:00:00+00:00",
        "2024-02-05T10:00:00",
    ]
    assert frame["line"].to_list() == ["0", "1", "3", "4", "5", "6"]
    assert json.loads(frame["raw"][1])["id"] == "a0"
    assert frame["bad_reason"].to_list()[-2:] == [
        "expected 8 fields, found 1",
        "not an Arrow stream (ArrowInvalid)",
    ]


def test_messages_that_cannot_be_read_are_one_row_each() -> None:
    frame = parsed([line("x"), "a,b\n1,2\n", "id,calling_number\n1,2\n"], name="callbeam")
    reasons = frame["bad_reason"].to_list()
    assert reasons[0] is None
    assert reasons[1:3] == ["expected 8 fields, found 2"] * 2
    assert "column called_number" in reasons[3]
    assert frame["line"].to_list() == ["0", "1#1", "1#2", "2"]
    assert parsed([b"\xff\xff\xff\xff\x00"], name="arrow")["bad_reason"].to_list() == [
        "not an Arrow stream (ArrowInvalid)"
    ]


def test_other_formats_and_mappings(tmp_path: Path) -> None:
    text = "txn_type,caller_id,recipient_id,timestamp,duration\ncall,alice,bob,2024-02-05 10:00:00,60\n"
    frame = parsed([text, text.replace("alice", "carol")], name="cider")
    assert frame.select("calling_number", "line").rows() == [("alice", "0#2"), ("carol", "1#2")]
    path = tmp_path / "m.json"
    spec: dict[str, Any] = {
        "header": False,
        "fields": {
            "calling_number": 1,
            "called_number": 2,
            "start_time": {"column": 3, "unit": "s"},
            "call_type": {"constant": "VOICE"},
            "call_result": {"constant": "ANSWERED"},
        },
    }
    path.write_text(json.dumps(spec))
    with pytest.raises(InputError, match="neither header nor widths"):
        message_parser(str(path))
    path.write_text(json.dumps({**spec, "widths": 3}))
    frame = parsed(["a,b,1707127200", "a,b"], name=str(path))
    assert frame["start_time"].to_list() == [datetime(2024, 2, 5, 10, tzinfo=UTC), None]
    assert frame["bad_reason"].to_list() == [None, "expected 3 fields, found 2"]


def test_formats_of_files_only() -> None:
    with pytest.raises(InputError, match="is for files"):
        message_parser("parquet")
    with pytest.raises(InputError, match="is not known"):
        message_parser("nonsense")


def test_one_payload() -> None:
    batch = parse_payload(message_parser("callbeam"), line("x").encode(), source="s", line="m-1")
    assert batch.column("line").to_pylist() == ["m-1"]


pieces = st.sampled_from(
    [arrow_stream(1)[:99], HEADER.encode() + b"\n", b"[", b"{", b"|" * 8, b"\n", b'"', b"\0", b"}"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(pieces | st.binary(max_size=9), max_size=6).map(b"".join), min_size=1, max_size=5))
def test_no_message_breaks_the_parser(messages: list[bytes]) -> None:
    for name in ("auto", "callbeam", "jsonl", "pipes", "arrow", "cucm"):
        batch = message_parser(name).parse(messages, list(range(len(messages))), source="s")
        batch.validate(full=True)
        assert {i.split("#")[0] for i in batch.column("line").to_pylist()} <= {
            str(i) for i in range(len(messages))
        }


lines = st.sampled_from(
    [line("x"), line("y") + ",acme", "junk", "a,b,c", line("q").replace("q", '"q,""r"'), '"open,']
)


@settings(max_examples=40, deadline=None)
@given(st.lists(lines, min_size=1, max_size=12), st.data())
def test_messages_and_files_give_the_same(texts: list[str], data: st.DataObject) -> None:
    """However lines are put into messages, the records are those of a file of them."""
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(texts) - 1)), max_size=len(texts))))
    bounds = [0, *(c for c in cuts if c < len(texts)), len(texts)]
    messages = ["\n".join(texts[a:b]) for a, b in itertools.pairwise(bounds)]
    live = parsed(list(messages), name="callbeam").drop("line")
    whole = parsed(["\n".join(texts)], name="callbeam").drop("line")
    assert live.select(sorted(live.columns)).equals(whole.select(sorted(whole.columns)))


def test_files_name_the_same_reasons(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    texts = [line("x"), "junk", '"open,', line("y") + ",acme,more"]
    path.write_text("\n".join([HEADER + ",account_id", *texts]))
    (batch,) = [b for block in plan_inputs([str(path)]).blocks for b in read_block(block)]
    assert batch.column("bad_reason").to_pylist() == parsed(list(texts))["bad_reason"].to_list()
