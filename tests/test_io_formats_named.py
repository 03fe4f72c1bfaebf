from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callbeam_io.formats import FORMATS, NAMES, detect, format_named
from callbeam_io.formats.base import Head
from callbeam_io.inputs import plan_inputs, read_block
from transforms.errors import InputError

DAY = datetime(2024, 2, 5)


def read(path: Path, input_format: str = "auto") -> pl.DataFrame:
    """All records of a file, as parsed batches hold them."""
    plan = plan_inputs([str(path)], input_format)
    batches = [pl.DataFrame(pl.from_arrow(b)) for block in plan.blocks for b in read_block(block)]
    return pl.concat(batches, how="diagonal")


def fields(frame: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return frame.select(names).rows()


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


ASTERISK = (
    '"acme","1001","5551234","internal","""Al, B"" <1001>","SIP/1001-a","SIP/out-b","Dial","SIP/out,60",'
    '"2024-02-05 10:00:00","2024-02-05 10:00:07","2024-02-05 10:01:07",67,60,"ANSWERED","DOCUMENTATION"'
)
MISSED = (
    '"","1002","5559999","internal","","SIP/1002-c","","Dial","",'
    '"2024-02-05 11:00:00",,"2024-02-05 11:00:20",20,0,"NO ANSWER","DOCUMENTATION"'
)


@pytest.mark.parametrize(
    "more", ["", ',"1707127200.1"', ',"1707127200.1","note"', ',"1707127200.1","","","x",3']
)
def test_asterisk_of_any_width(tmp_path: Path, more: str) -> None:
    frame = read(write(tmp_path, "Master.csv", f"{ASTERISK}{more}\n{MISSED}{more}\n"))
    assert fields(frame, "calling_number", "called_number", "duration", "call_result", "account_id") == [
        ("1001", "5551234", "60", "ANSWERED", "acme"),
        ("1002", "5559999", "0", "NO_ANSWER", None),
    ]
    assert frame["start_time"].to_list() == [DAY.replace(hour=10), DAY.replace(hour=11)]
    assert frame["id"].n_unique() == 2


def test_asterisk_custom_has_another_order(tmp_path: Path) -> None:
    line = (
        '"""Al"" <1001>","1001","5551234","internal","SIP/a","SIP/b","Dial","x","2024-02-05 10:00:00","",'
        '"2024-02-05 10:00:20","20","0","BUSY","3","acme","1707127200.1","",""'
    )
    path = write(tmp_path, "Master.csv", line + "\n")
    assert plan_inputs([str(path)]).format_names == ["asterisk_custom"]
    assert fields(read(path), "calling_number", "called_number", "call_result", "account_id") == [
        ("1001", "5551234", "BUSY", "acme")
    ]


@pytest.mark.parametrize(
    ("answer", "cause", "result"),
    [
        ("2024-02-05 10:00:07", "NORMAL_CLEARING", "ANSWERED"),
        ("", "NORMAL_CLEARING", "NO_ANSWER"),
        ("", "USER_BUSY", "BUSY"),
        ("", "ORIGINATOR_CANCEL", "NO_ANSWER"),
        ("", "UNALLOCATED_NUMBER", "FAILED"),
    ],
)
def test_freeswitch_csv(tmp_path: Path, answer: str, cause: str, result: str) -> None:
    head = f'"Al","1001","5551234","default","2024-02-05 10:00:00","{answer}","2024-02-05 10:01:07"'
    example = f'{head},"67","60","{cause}","u-1","u-2","acme","PCMU","PCMU"\n'
    sql = f'{head},67,60,"{cause}","u-1","u-2","acme"\n'
    for text in (example, sql):
        frame = read(write(tmp_path, "Master.csv", text))
        assert fields(frame, "id", "calling_number", "called_number", "duration", "account_id") == [
            ("u-1", "1001", "5551234", "60", "acme")
        ]
        assert frame["call_result"].to_list() == [result]


def freeswitch_call(**variables: str) -> dict[str, Any]:
    base = {
        "uuid": "u-1",
        "start_epoch": "1707127200",
        "start_stamp": "2024-02-05%2005%3A00%3A00",
        "answer_epoch": "1707127207",
        "billsec": "60",
        "hangup_cause": "NORMAL_CLEARING",
        "accountcode": "acme",
    }
    profile = {"caller_id_number": "%2B12025550123", "destination_number": "5551234"}
    return {
        "core-uuid": "c",
        "variables": {**base, **variables},
        "app_log": {"applications": [{"app_name": "x"}]},
        "callflow": [{"dialplan": "XML", "caller_profile": profile}],
    }


@pytest.mark.parametrize("layout", ["lines", "pretty", "list"])
def test_freeswitch_json(tmp_path: Path, layout: str) -> None:
    calls = [freeswitch_call(), freeswitch_call(uuid="u-2", answer_epoch="0", hangup_cause="USER_BUSY")]
    if layout == "pretty":
        calls = calls[:1]
    text = {
        "lines": "\n".join(json.dumps(c) for c in calls),
        "pretty": json.dumps(calls[0], indent=1),
        "list": json.dumps(calls),
    }[layout]
    frame = read(write(tmp_path, "a.cdr.json", text))
    assert fields(frame, "id", "calling_number", "start_time", "duration", "call_result")[0] == (
        "u-1",
        "+12025550123",
        "2024-02-05T05:00:00-05:00",
        "60",
        "ANSWERED",
    )
    assert frame["call_result"].to_list()[1:] == ["BUSY"] * (len(calls) - 1)


def test_cucm_by_names_without_its_line_of_types(tmp_path: Path) -> None:
    names = [
        *("cdrRecordType", "globalCallID_callId", "dateTimeOrigination", "callingPartyNumber"),
        *("origCause_value", "originalCalledPartyNumber", "finalCalledPartyNumber", "destCause_value"),
        *("dateTimeConnect", "pkid", "duration"),
    ]
    rows = [
        [1, 7, 1707127200, '"1001"', 0, '"5551234"', '"5559999"', 16, 1707127207, '"p-1"', 60],
        [1, 8, 1707127300, '"1002"', 0, '"5551234"', '""', 17, 0, '"p-2"', 0],
        [1, 9, 1707127400, '"1002"', 16, '"5551234"', '"5551234"', 0, 0, '"p-3"', 0],
        [2, 9, 1707127400, '"1002"', 16, '"5551234"', '"5551234"', 0, 0, '"p-3"', 0],
    ]
    types = ",".join("VARCHAR(50)" if "Party" in n or n == "pkid" else "INTEGER" for n in names)
    lines = [",".join(f'"{n}"' for n in names), types, *(",".join(map(str, row)) for row in rows)]
    path = write(tmp_path, "cdr_StandAlone_01_202402051000_1", "\r\n".join(lines) + "\r\n")
    frame = read(path)
    assert fields(frame, "id", "calling_number", "called_number", "duration", "call_result") == [
        ("p-1", "1001", "5559999", "60", "ANSWERED"),
        ("p-2", "1002", "5551234", "0", "BUSY"),
        ("p-3", "1002", "5551234", "0", "NO_ANSWER"),
    ]
    assert frame["start_time"][0] == datetime(2024, 2, 5, 10, tzinfo=UTC)
    path.write_text("\n".join(lines[:2]))
    assert read(path).is_empty()
    write(
        tmp_path,
        "cmr_StandAlone_01_202402051000_1",
        '"cdrRecordType","globalCallID_callId","jitter"\n2,7,1\n',
    )
    plan = plan_inputs([str(tmp_path)])
    assert plan.files == [str(path)]
    assert "quality records" in plan.notes[0]


def test_cdr_stats_in_its_three_forms(tmp_path: Path) -> None:
    header = (
        "switch,cdr_source_type,callid,caller_id_number,caller_id_name,destination_number,dialcode,state,channel,"
        "starting_date,duration,billsec,progresssec,answersec,waitsec,hangup_cause_id,hangup_cause,direction,"
        "country_code,accountcode,buy_rate,buy_cost,sell_rate,sell_cost,extradata"
    )
    line = "10.0.0.1,1,c-1,1001,Al,+4930123456,49,,,2024-02-05 10:00:00,67,60,,,,16,,1,,acme,,,,0.25,{}"
    frame = read(write(tmp_path, "named.csv", f"{header}\n{line}\n"))
    assert fields(frame, "id", "duration", "charge", "call_result", "account_id") == [
        ("c-1", "60", "0.25", "ANSWERED", "acme")
    ]
    old8 = "1001, Al, 5551234, 67, 60, 16, u-1, 1707127200\n1002, Bo, 5551234, 20, 0, 17, u-2, 1707127300\n"
    frame = read(write(tmp_path, "old8.txt", old8))
    assert fields(frame, "id", "calling_number", "duration", "call_result") == [
        ("u-1", "1001", "60", "ANSWERED"),
        ("u-2", "1002", "0", "BUSY"),
    ]
    epochs = "1707127200, 1707127207, 1707127267"
    old16 = f"1001, Al, 555, 67, 60, 16, inbound, u-1, 10.0.0.2, {epochs}, 1, 1, G722, G722\n"
    frame = read(write(tmp_path, "old16.txt", old16))
    assert frame["id"].to_list() == ["u-1"]
    assert frame["start_time"].to_list() == [datetime(2024, 2, 5, 10, tzinfo=UTC)]


def test_bandicoot_turns_what_came_in(tmp_path: Path) -> None:
    header = "interaction,direction,correspondent_id,datetime,call_duration,antenna_id"
    lines = [
        "call,out,bob,2024-02-05 10:00:00,60,1",
        "text,in,carol,2024-02-05 11:00:00,,2",
        "fax,up,x,2024-02-05 11:00:00,,",
    ]
    frame = read(write(tmp_path, "alice.csv", "\n".join([header, *lines])))
    assert fields(frame, "calling_number", "called_number", "call_type", "bad_reason") == [
        ("alice", "bob", "VOICE", None),
        ("carol", "alice", "SMS", None),
        ("alice", "x", "fax", "direction is neither in nor out"),
    ]
    orange = (
        "1;11;alice;bob;2024-02-05 10:00:00;60;2.3;48.8\n2;21;alice;carol;2024-02-05 11:00:00;0;2.3;48.8\n"
    )
    frame = read(write(tmp_path, "orange.csv", orange))
    assert fields(frame, "calling_number", "called_number", "call_type", "duration") == [
        ("alice", "bob", "VOICE", "60"),
        ("carol", "alice", "SMS", "0"),
    ]


def test_cider(tmp_path: Path) -> None:
    text = (
        "txn_type,caller_id,recipient_id,timestamp,duration,caller_antenna,recipient_antenna,international\n"
        "call,alice,bob,2024-02-05 10:00:00,60,1,2,domestic\n"
        "text,bob,carol,2024-02-05 11:00:00,,1,2,international\n"
    )
    frame = read(write(tmp_path, "cdr.csv", text))
    assert fields(frame, "calling_number", "call_type", "duration") == [
        ("alice", "VOICE", "60"),
        ("bob", "SMS", None),
    ]


def test_flowkit_gives_the_same_record_for_both_parties(tmp_path: Path) -> None:
    text = (
        "start_time,msisdn_counterpart,id,msisdn,location_id,outgoing,duration,tac\n"
        "2024-02-05 10:00:00,bob,e-1,alice,l1,True,60.0,1.0\n"
        "2024-02-05 10:00:00,alice,e-1,bob,l2,False,60.0,2.0\n"
    )
    frame = read(write(tmp_path, "calls.csv", text)).drop("raw")
    assert frame.n_unique() == 1
    assert fields(frame, "id", "calling_number", "called_number", "call_type")[0] == (
        "e-1",
        "alice",
        "bob",
        "VOICE",
    )
    header = "start_time,msisdn_counterpart,id,msisdn,location_id,outgoing,tac"
    text = f"{header}\n2024-02-05 10:00:00,bob,e-2,alice,l1,True,1\n"
    assert read(write(tmp_path, "sms.csv", text))["call_type"].to_list() == ["SMS"]


def test_cellyzer_keeps_the_offset(tmp_path: Path) -> None:
    text = (
        "user,other,direction,duration,timestamp,antenna_id,cost\n"
        "alice,bob,Outgoing,60,Mon Feb 05 10:00:00 +0530 2024,1,0.5\n"
        "alice,bob,Missed,0,Mon Feb 05 11:00:00 +0000 2024,1,0\n"
    )
    frame = read(write(tmp_path, "calls.csv", text))
    assert fields(frame, "calling_number", "start_time", "call_result", "charge") == [
        ("alice", "2024-02-05T10:00:00+05:30", "ANSWERED", "0.5"),
        ("bob", "2024-02-05T11:00:00+00:00", "NO_ANSWER", "0"),
    ]
    text = "user,other,direction,length,timestamp\nalice,bob,Incoming,12,Mon Feb 05 10:00:00 +0000 2024\n"
    assert read(write(tmp_path, "sms.csv", text))["call_type"].to_list() == ["SMS"]


def test_pipes(tmp_path: Path) -> None:
    lines = [
        "acme|+12025550123|i-1|+4930123456|Mon Feb  5 10:00:00 2024|60|VOICE|0.5|AWNSERED",
        'acme|+12025550123|i-2|5" x|Tue Dec 31 23:59:59 2024|60|SMS||Busy',
        "acme|+12025550123|i-3|+49|someday|60|VOICE|0|ANSWERED",
        "acme|+12025550123|i-4",
    ]
    frame = read(write(tmp_path, "cdr.psv", "\n".join(lines)))
    assert fields(frame, "id", "called_number", "start_time", "call_result", "bad_field", "bad_reason") == [
        ("i-1", "+4930123456", DAY.replace(hour=10), "ANSWERED", None, None),
        ("i-2", '5" x', datetime(2024, 12, 31, 23, 59, 59), "Busy", None, None),
        ("i-3", "+49", None, "ANSWERED", "start_time", "not a time of the form %a %b %e %H:%M:%S %Y"),
        ("i-4", None, None, None, "", "expected 9 fields, found 3"),
    ]


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"id": 7, "calling_number": "+12025550123", "called_number": 5551234, "charge": 0.5,'
        ' "duration": 60.5, "start_time": "2024-02-05T10:00:00Z", "more": {"x": [1]}}',
        "",
        '{"calling_number": {"n": 1}}',
        '{"calling_number": "é {not an object}", "call_type": true}',
        '{"calling_number": "a\\u0000b"}',
        "[1, 2]",
        '{"calling_number": "x"',
    ]
    frame = read(write(tmp_path, "cdr.jsonl", "\n".join(lines)))
    assert fields(frame, "id", "calling_number", "called_number", "duration", "charge")[0] == (
        "7", "+12025550123", "5551234", "60.5", "0.5",
    )  # fmt: skip
    assert frame["bad_reason"].to_list() == [
        None,
        "calling_number is an object, not text or a number",
        "call_type is true or false, not text or a number",
        "calling_number holds a NUL",
        "not a JSON object",
        "not a JSON object",
    ]


def test_canonical_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "part-2.csv", "i,+1,+2,2024-02-05T10:00:00Z,1,VOICE,0,ANSWERED\n" * 2)
    assert fields(read(path), "id", "call_result", "account_id") == [("i", "ANSWERED", None)] * 2


def test_every_format_is_known_by_its_name_and_sniffs_nothing_in_noise() -> None:
    assert [name for name in NAMES if name not in ("auto", "parquet", "arrow")] == list(FORMATS)
    for text in ("", "hello\n", "a,b,c,d\n1,2,3,4\n", "{}\n", "1;2;3\n"):
        head = Head("x.csv", text.encode(), whole=True)
        assert [f.name for f in FORMATS.values() if f.sniff(head)] == []
        with pytest.raises(InputError, match=r"cannot tell the format of x\.csv"):
            detect(head)


def test_several_candidates_are_named() -> None:
    head = Head("x.csv", b"txn_type,caller_id,recipient_id,calling_number,called_number\n", whole=True)
    with pytest.raises(InputError, match=r"it may be callbeam, cider.*one of callbeam, cider"):
        detect(head)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("asterix", "did you mean asterisk"),
        ("nonsense", "expected one of auto, callbeam, pipes"),
        ("kamailio", "no duration"),
        ("opensips", "BYE"),
        ("missing.json", "cannot be read"),
    ],
)
def test_formats_that_are_none(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        format_named(name)
