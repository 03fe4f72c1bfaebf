"""Party codes: every way to spell a number, what stays itself, and equality with the phone number library."""

from __future__ import annotations

import random
import re

import numpy as np
import phonenumbers
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phone_numbers import changed, digits_of, national_examples, random_numbers
from phonenumbers import PhoneNumberFormat

from transforms.columns.hashing import hash_text
from transforms.columns.numbers import mask, party_codes, party_texts

SEPARATORS = " \t\u00a0\u202f\u3000-\u2010\u2011\u2013\u2212./()[]\u00ad\u200b\u200e\u202a\u2060"


def codes(*texts: str | None, region: str | None = None) -> list[int]:
    return list(party_codes(pl.Series(texts, dtype=pl.String), region).code.tolist())


def name_code(text: str) -> int:
    return -max(int(hash_text(pl.Series([text]))[0]) >> 1, 1)


def library(text: str, region: str | None) -> int:
    """The code of a text by the rules, number by number; -1 for what stays itself."""
    digits = "".join(c for c in text.strip() if c not in SEPARATORS)
    if spelled := re.fullmatch(r"(?:\+|00)([1-9][0-9]{1,14})", digits):
        try:
            return int(e164(phonenumbers.parse(f"+{spelled[1]}")))
        except phonenumbers.NumberParseException:
            return int(spelled[1])
    if region is None or re.match(r"\+|00[1-9]", digits):
        return -1
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return -1
    return int(e164(number)) if phonenumbers.is_valid_number(number) and len(e164(number)) <= 15 else -1


def e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:]


def agree(texts: list[str], region: str | None) -> None:
    """Fails with the texts about which party_codes and the library do not agree."""
    parties = party_codes(pl.Series(texts), region)
    names = parties.text if parties.text is not None else pl.Series([None] * len(texts), dtype=pl.String)
    wrong = []
    for text, code, name in zip(texts, parties.code.tolist(), names.to_list(), strict=True):
        expected = library(text, region)
        stays = name_code(text.strip()) if expected < 0 else None
        if code != (stays or expected) or name != (text.strip() if stays else None):
            wrong.append((text, code, expected, name))
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "+12025550123",
        "0012025550123",
        "+1 202 555 0123",
        " +1 (202) 555-0123\t",
        "+1-202-555-0123",
        "+1.202.555.0123",
        "+1/202/555/0123",
        "(+1) [202] 555 0123",
        "00 1 202-555-0123",
        "+1\u00a0202\u202f555\u20110123",
        "\u202a+1 202 555 0123\u202c",
        "+1 1 202 555 0123",
    ],
)
def test_spellings_of_one_number(text: str) -> None:
    assert codes(text) == codes(text, region="FR") == [12025550123]


def test_trunk_prefixes_go_as_in_the_library() -> None:
    assert codes("+44 (0)20 7946 0018", "+4402079460018", "00 44 020 79460018") == [442079460018] * 3
    assert codes("+49 0 30 123456", "+7 8 916 123 45 67") == [4930123456, 79161234567]
    assert codes("+39 06 1234 5678", "+7 800 123 45 67") == [390612345678, 78001234567]  # no trunk prefixes
    assert codes("+54 11 15 2345 6789") == [5491123456789]  # one that is replaced


NAMES = ["100", "anonymous", "alice@example.com", "*98", "#31#", "Zoë", "東京", "12025550123", "2025550123"]
NO_DIGITS = ["+", "00", "0000", "+-", "-", "++12025550123", "-12025550123", "+12a", "+12_3", "+1e3", "+1.5e3"]
NO_LENGTH = ["+1", "001", "+0123", "+1234567890123456", "001234567890123456", "+99999999999999999999"]
NO_MORE = ["+1 202 555 0123 ext 5", "+１２０２", "0012345678901234567890"]


@pytest.mark.parametrize("text", [*NAMES, *NO_DIGITS, *NO_LENGTH, *NO_MORE])
def test_what_is_no_number_stays_itself(text: str) -> None:
    parties = party_codes(pl.Series([text, f"  {text}\n", None, "", " \t"]))
    assert parties.code.tolist() == [name_code(text), name_code(text), 0, 0, 0]
    assert parties.text is not None
    assert parties.text.to_list() == [text, text, None, None, None]
    assert party_texts(parties.code, parties.text).to_list() == [text, text, None, None, None]


def test_text_only_where_it_is_needed() -> None:
    assert party_codes(pl.Series(["+12025550123", None, " "])).text is None
    assert party_codes(pl.Series([], dtype=pl.String)).text is None
    assert party_codes(pl.Series([None], dtype=pl.String)).code.tolist() == [0]
    mixed = party_codes(pl.Series(["+12025550123", "bob"]))
    assert mixed.text is not None
    assert mixed.text.to_list() == [None, "bob"]
    assert mixed.text.dtype == pl.String


def test_a_number_needs_2_to_15_digits() -> None:
    for count in range(1, 19):
        digits = "9" * count
        assert (codes(f"+{digits}")[0] > 0) == (codes(f"00{digits}")[0] > 0) == (2 <= count <= 15)


@pytest.mark.parametrize(
    ("region", "texts", "code"),
    [
        (
            "US",
            ["2025550123", "(202) 555-0123", "1-202-555-0123", "12025550123", "202.555.0123"],
            12025550123,
        ),
        ("us", ["2025550123", "011 1 202 555 0123", "+12025550123"], 12025550123),
        ("GB", ["020 7946 0018", "(020) 7946-0018", "442079460018", "00442079460018"], 442079460018),
        ("IT", ["06 1234 5678", "390612345678"], 390612345678),
        ("KR", ["02-312-3456", "0082 2 312 3456"], 8223123456),
        ("JP", ["090-1234-5678", "+81 90 1234 5678", "010 81 90 1234 5678"], 819012345678),
        ("CN", ["131 2345 6789", "0086 131 2345 6789"], 8613123456789),
        ("AR", ["011 15-2345-6789", "0 11 15 2345 6789"], 5491123456789),
        ("US", ["202-555-0123 x12", "202-555-0123 ext. 7"], 12025550123),
        ("US", ["1-800-FLOWERS"], 18003569377),
    ],
)
def test_numbers_as_dialled_in_a_region(region: str, texts: list[str], code: int) -> None:
    assert codes(*texts, region=region) == [code] * len(texts)


def test_what_is_not_valid_in_a_region_stays_itself() -> None:
    for text in ("100", "911", "5550123", "anonymous", "020 7946 0018", "12", "alice7", "1" * 25):
        assert codes(text, region="US") == [name_code(text)]
    assert codes(None, " ", region="US") == [0, 0]


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(ValueError, match="no region of phone numbers: 'XX'"):
        codes("2025550123", region="XX")


def test_international_numbers_equal_the_library() -> None:
    draw = random.Random(3)
    texts = [f"{draw.choice(('+', '+', '00'))}{n}" for n in random_numbers(20_000, seed=3)]
    agree(texts, None)


REGIONS = ["AR", "AU", "BR", "CN", "DE", "FI", "GB", "GG", "IN", "JP", "KR", "KZ", "MG", "MX", "RU", "US"]


@pytest.mark.parametrize("region", REGIONS)
def test_dialled_numbers_equal_the_library(region: str) -> None:
    draw = random.Random(region)
    code = phonenumbers.country_code_for_region(region)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or "0"
    abroad = {"US": "011", "AU": "0011", "JP": "010", "RU": "810", "KZ": "810"}.get(region, "00")
    heads = ["", "", trunk, trunk, f"{code}", f"{code}{trunk}", f"{abroad}{code}", "0", "15", "179", "12"]
    known = national_examples(code)
    texts = [draw.choice(heads) + changed(draw, draw.choice(known)) for _ in range(300)]
    texts += [draw.choice(heads) + digits_of(draw, draw.randint(1, 14)) for _ in range(100)]
    for national in known:
        number = phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
        texts += [phonenumbers.format_number(number, form) for form in (PhoneNumberFormat.NATIONAL, 1)]
    agree(texts, region)


TEXT = st.text(st.characters(exclude_characters="\x1c\x1d\x1e\x1f"))  # blanks to Python alone


@given(st.lists(st.one_of(TEXT, st.text("+0123456789 -()a", max_size=18)), max_size=30))
def test_any_text(texts: list[str]) -> None:
    parties = party_codes(pl.Series(texts, dtype=pl.String))
    written = party_texts(parties.code, parties.text)
    for text, code, back in zip(texts, parties.code.tolist(), written.to_list(), strict=True):
        if code > 0:
            assert back == f"+{code}"
        else:
            assert back == (text.strip() or None)
    again = party_codes(written)
    numbers = parties.code > 0
    assert (again.code[~numbers] == parties.code[~numbers]).all()


def test_order_and_chunks_do_not_matter() -> None:
    texts = pl.Series([f"+1202555{n:04d}" if n % 3 else f"sip{n}" for n in range(3000)])
    whole = party_codes(texts)
    chunked = party_codes(pl.concat([texts[:7], texts[7:]], rechunk=False))
    assert (chunked.code == whole.code).all()
    assert (party_codes(texts[100:200]).code == whole.code[100:200]).all()
    assert len(set(whole.code.tolist())) == 3000


def test_texts_of_codes() -> None:
    found = party_texts(
        np.array([12025550123, -5, 0, -6]), pl.Series([None, "bob", None, None], dtype=pl.String)
    )
    assert found.to_list() == ["+12025550123", "bob", None, None]
    assert party_texts(np.array([12025550123, -5]), None).to_list() == ["+12025550123", None]
    assert party_texts(np.empty(0, np.int64), None).dtype == pl.String


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+12025550123", "+1202•••0123"),
        ("+4915112345678", "+4915•••5678"),
        ("+1202555", "+1•••55"),
        ("100", "•••"),
        ("", "•••"),
        ("alice", "a•••e"),
    ],
)
def test_masked_texts(text: str, shown: str) -> None:
    assert mask(text) == shown
