from __future__ import annotations

from typing import Any

import pytest

from callbeam_io.formats.base import Head
from callbeam_io.formats.guess import columns_of, has_header, starter
from callbeam_io.formats.mapping import make_mapping

VOICE = {"call_type": {"constant": "VOICE"}, "call_result": {"constant": "ANSWERED"}}
NAMED = {
    "calling_number": "Caller",
    "called_number": "Callee",
    "start_time": "When begun",
    "duration": "Secs",
}
FOREIGN = {"calling_number": "Anrufer", "called_number": "Ziel", "start_time": "Beginn"}
BARE = {"calling_number": 1, "called_number": 3, "start_time": 2}


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("Caller;Callee;When begun;Secs\n+4930123456;+49170123;2026-01-02 10:00:00;12\n", (";", NAMED)),
        ("Anrufer,Ziel,Beginn\n030123456,0170123456,2026-01-02 10:00\n", (",", FOREIGN)),
        ("4930123456|2026-01-02 10:00:00|49170123456|7\n", ("|", BARE)),
    ],
)
def test_what_a_file_of_no_known_format_may_hold(text: str, spec: tuple[str, dict[str, Any]]) -> None:
    found = starter(Head("calls", text.encode(), whole=True))
    assert found["fields"] == {**spec[1], **VOICE} and found.get("separator", ",") == spec[0]
    assert make_mapping("guess", found).header == ("Caller" in text or "Ziel" in text)


def test_lines_of_json() -> None:
    line = b'{"from": "+49301", "to": "+49302", "timestamp": "2026-01-02T10:00:00Z", "cost": 1}\n'
    found = starter(Head("calls", line, whole=True))
    assert found["lines"] == "json" and found["fields"]["calling_number"] == "from"
    assert found["fields"]["called_number"] == "to" and found["fields"]["charge"] == "cost"
    make_mapping("guess", found)


def test_columns_with_an_example() -> None:
    head = Head("calls", b"a;b\n1;x\n", whole=True)
    assert columns_of(head) == [("a", "1"), ("b", "x")]
    assert columns_of(head, ";", header=False) == [(1, "a"), (2, "b")]
    assert columns_of(Head("calls", b"", whole=True)) == []
    assert has_header([["id", "from"]]) and not has_header([["id", "+49"]]) and not has_header([])
    assert starter(Head("calls", b"", whole=True))["header"] is False


def test_columns_of_types_and_results_are_known_by_their_values() -> None:
    named = (
        b"number;dest;when;secs;kind;price;res\n+12025550000;+13125550000;2026-03-02 10:00:00;9;sms;0;BUSY\n"
    )
    fields = starter(Head("calls", named, whole=True))["fields"]
    assert (fields["call_type"], fields["call_result"]) == ("kind", "res")
    bare = b"+12025550000,+13125550000,2026-03-02 10:00:00,9,VOICE,NO_ANSWER\n"
    fields = starter(Head("calls", bare, whole=True))["fields"]
    assert (fields["call_type"], fields["call_result"], fields["start_time"]) == (5, 6, 3)
