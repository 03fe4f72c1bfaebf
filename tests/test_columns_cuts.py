"""Text that stays in its block is read as the same text in a column."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbeam_io.formats import cuts as written
from transforms.columns import cuts as read
from transforms.columns.amounts import Amounts, parse_charge, parse_seconds
from transforms.columns.cut_values import (
    millionths,
    plain_numbers,
    stamps_in_utc,
    whole_numbers,
    word_positions,
)
from transforms.columns.cuts import SPARE, Cut
from transforms.columns.hashing import hash_cut, hash_text
from transforms.columns.numbers import party_codes
from transforms.columns.stamps import parse_stamps
from transforms.schema import CALL_RESULTS

ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=","), max_size=24)
NUMBER = st.from_regex(r"(\+|00|\+0|)[0-9]{1,17}", fullmatch=True)
STAMP = st.from_regex(
    r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z", fullmatch=True
)
REAL_STAMP = st.datetimes().map(lambda d: d.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20))
AMOUNT = st.from_regex(r"-?[0-9]{0,9}\.?[0-9]{0,8}", fullmatch=True)
WORD = st.sampled_from([*CALL_RESULTS, "Answered", "NO_ANSWEX", "BUSY ", "ANSWERED1", "NO_ANSWER1"])


def cut_of(texts: list[str]) -> Cut:
    """The texts one after the other, commas between them."""
    size = np.array([len(t) for t in texts], np.int64)
    block = bytes(SPARE) + ",".join(texts).encode() + bytes(SPARE)
    return Cut(np.frombuffer(block, np.uint8), SPARE + np.cumsum(size + 1) - size - 1, size)


def column_of(texts: list[str]) -> pl.Series:
    """The same as a reader gives it: null where there is no text."""
    return pl.Series([t or None for t in texts], dtype=pl.String)


def mixed(usual: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.one_of(usual, usual, ASCII), min_size=1, max_size=12)


def test_reader_and_writer_of_cuts_agree_on_names() -> None:
    assert (written.CUTS, written.SPARE) == (read.CUTS, read.SPARE)


@given(mixed(ASCII))
def test_texts_and_hashes(texts: list[str]) -> None:
    cut, column = cut_of(texts), column_of(texts)
    assert cut.texts().equals(column, null_equal=True)
    assert hash_cut(cut).tolist() == hash_text(column).tolist()
    assert cut.take(np.array([0])).texts().to_list() == column.head(1).to_list()


@settings(deadline=None)  # the numbering plans are built at first
@given(mixed(NUMBER), st.sampled_from([None, "DE", "US"]))
def test_parties(texts: list[str], region: str | None) -> None:
    found, wanted = party_codes(cut_of(texts), region), party_codes(column_of(texts), region)
    assert found.code.tolist() == wanted.code.tolist()
    assert (found.text is None) == (wanted.text is None)
    if found.text is not None and wanted.text is not None:
        assert found.text.to_list() == wanted.text.to_list()


@given(mixed(st.one_of(STAMP, REAL_STAMP)), st.sampled_from(["UTC", "Asia/Kolkata"]))
def test_stamps(texts: list[str], zone: str) -> None:
    found, wanted = parse_stamps(cut_of(texts), zone), parse_stamps(column_of(texts), zone)
    for name in ("utc", "offset", "empty", "bad"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist()


@given(mixed(AMOUNT))
def test_amounts(texts: list[str]) -> None:
    for parse in (parse_seconds, parse_charge):
        assert told(parse(cut_of(texts))) == told(parse(column_of(texts)))


def told(amounts: Amounts) -> tuple[list[int], dict[str, list[bool]]]:
    """Values where nothing is wrong, and what is wrong."""
    faults = {k: v.tolist() for k, v in amounts.faults.items() if v.any()}
    wrong = np.any([*amounts.faults.values(), np.zeros(len(amounts.value), np.bool_)], axis=0)
    return amounts.value[~wrong].tolist(), faults


@given(mixed(WORD))
def test_words(texts: list[str]) -> None:
    position, known = word_positions(cut_of(texts), CALL_RESULTS)
    assert known.tolist() == [t in CALL_RESULTS for t in texts]
    assert position.tolist() == [CALL_RESULTS.index(t) if t in CALL_RESULTS else 0 for t in texts]


@pytest.mark.parametrize(
    ("text", "number"),
    [("+12025550123", 12025550123), ("+123456789012345", 123456789012345), ("+4930123456", 4930123456)],
)
def test_usual_numbers_need_no_text(text: str, number: int) -> None:
    assert plain_numbers(cut_of([text])).tolist() == [number]


def test_usual_values_need_no_text() -> None:
    assert stamps_in_utc(cut_of(["2025-02-28T23:59:59Z", "1970-01-01T00:00:00Z"]))[1].tolist() == [False] * 2
    assert [v.tolist() for v in whole_numbers(cut_of(["12345678", "", "7"]))] == [
        [12345678, 0, 7],
        [False] * 3,
    ]
    values, odd = millionths(cut_of(["2.1042", "0.000001", "17", "", "1234.567"]))
    assert values.tolist() == [2_104_200, 1, 17_000_000, 0, 1_234_567_000]
    assert not odd.any()


@pytest.mark.parametrize("text", ["2025-02-29T00:00:00Z", "2025-13-01T00:00:00Z", "2025-01-01T24:00:00Z"])
def test_impossible_times_are_left_to_the_careful_reader(text: str) -> None:
    assert stamps_in_utc(cut_of([text, "2025-01-01T00:00:00Z"]))[1].tolist() == [True, False]
