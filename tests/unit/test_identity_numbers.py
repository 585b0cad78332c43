"""Identity and telephone numbers: the standard's examples, python-stdnum as oracle, faults unquoted."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.exceptions import InvalidChecksum, InvalidComponent

from gridmgmt.errors import InputError
from gridmgmt.privacy.masks import mask_identity, mask_phone
from gridmgmt.privacy.numbers import (
    birth_of,
    check_identity,
    check_phone,
    clean_identity,
    clean_phone,
    identities,
    sex_of,
)

TODAY = date(2026, 5, 1)
# GB 11643-1999, Appendix A.
EXAMPLES = ("11010519491231002X", "440524188001010014")


def numbered(count: int, seed: int, county: str = "110105") -> list[str]:
    """Return valid numbers of people born 1983 to 2010, their check characters by the oracle."""
    rng = np.random.default_rng(seed)
    days = [date(1983, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 10_000, count)]
    heads = [
        f"{county}{day:%Y%m%d}{order:03d}"
        for day, order in zip(days, rng.integers(0, 1000, count), strict=True)
    ]
    return [head + ric.calc_check_digit(head + "0") for head in heads]


def said_of(text: str) -> str:
    with pytest.raises(InputError) as refused:
        check_identity(text, today=TODAY)
    return str(refused.value)


def test_the_examples_of_the_standard_are_right_and_say_birth_and_sex() -> None:
    assert [(birth_of(number), sex_of(number)) for number in EXAMPLES] == [
        (date(1949, 12, 31), "female"),
        (date(1880, 1, 1), "male"),
    ]


def test_the_oracle_agrees_on_thousands_of_numbers_right_ones_and_with_one_digit_changed() -> None:
    right = numbered(4000, seed=1)
    rng = np.random.default_rng(2)
    changed = []
    for number, place, step in zip(right, rng.integers(6, 18, 4000), rng.integers(1, 10, 4000), strict=True):
        digit = "0" if number[place] == "X" else str((int(number[place]) + step) % 10)
        changed.append(number[:place] + digit + number[place + 1 :])
    assert identities(right, today=TODAY).good.all()
    assert not identities(changed, today=TODAY).good.any(), "ISO 7064 MOD 11-2 finds every single error"
    assert [ric.is_valid(number) for number in right + changed] == [True] * 4000 + [False] * 4000


def test_the_reason_is_the_oracles_reason() -> None:
    head = "110105" + "19900230" + "123"
    no_such_day = head + ric.calc_check_digit(head + "0")
    for number, reason in ((no_such_day, InvalidComponent), (EXAMPLES[0][:-1] + "1", InvalidChecksum)):
        with pytest.raises(reason):
            ric.validate(number)
    assert "a birth date that exists" in said_of(no_such_day)
    assert "the check character X at the end, where 1 stands" in said_of(EXAMPLES[0][:-1] + "1")


def test_a_county_that_nobody_has_is_no_fault() -> None:
    (number,) = numbered(1, seed=3, county="379981")
    check_identity(number)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "where there is nothing"),
        ("110105491231002", "those of 15 digits ended with 2012"),
        ("1101051949123100", "where there are 16"),
        ("11010519491231002XX", "where there are 19"),
        ("1.10105194912310E+17", "a spreadsheet took the number for an amount"),
        ("110105194912310016.0", "a spreadsheet took the number for an amount"),
        ("1101051949123100２X", "17 digits and a digit or X"),
        ("11010519491231002x", "17 digits and a digit or X"),
        ("X1010519491231002X", "17 digits and a digit or X"),
        ("110105194912310000", "three zeros at the end come from a spreadsheet's rounding"),
        ("110105194913310020", "a birth date that exists"),
        ("110105190002290020", "a birth date that exists"),
        ("110105000001010020", "a birth date that exists"),
        ("110105202605020029", "a birth date not after today"),
        ("身份证号码", "where there are 5"),
        ("六个字十八字节", "where there are 7"),
        ("六个字十八字", "where there are 6"),
    ],
)
def test_a_fault_is_named_and_the_number_is_not(text: str, reason: str) -> None:
    said = said_of(text)
    assert reason in said
    assert repr(mask_identity(text)) in said
    assert not text or text not in said
    assert text[6:14] not in said or len(text) < 14
    assert identities([text], today=TODAY).why[0] in said


def test_whoever_is_born_today_is_born() -> None:
    head = "110105" + "20260501" + "001"
    assert identities([head + ric.calc_check_digit(head + "0")], today=TODAY).good.all()


def almost(number: str) -> st.SearchStrategy[str]:
    """Return the number with one character replaced, left out or put in."""
    return st.builds(
        lambda at, cut, put: number[:at] + put + number[at + cut :],
        st.integers(0, 18),
        st.integers(0, 2),
        st.text(st.sampled_from("0123456789Xx ０é中\0"), max_size=2),
    )


@given(st.lists(st.one_of(st.none(), st.text(), *map(almost, EXAMPLES), *map(st.just, EXAMPLES)), max_size=8))
def test_a_column_says_of_every_number_what_the_single_check_says(texts: list[str | None]) -> None:
    found = identities(texts, today=TODAY)
    for row, text in enumerate(texts):
        if found.good[row]:
            assert text is not None
            assert found.why[row] is None
            assert found.birth_on[row].item() == birth_of(text)
            assert found.woman[row] == (sex_of(text) == "female")
        else:
            assert said_of(text or "").endswith(found.why[row])
            assert np.isnat(found.birth_on[row])
            assert not found.woman[row]


def test_an_empty_column_and_a_slice_of_a_column_are_columns() -> None:
    import pyarrow as pa

    assert identities([]).good.tolist() == []
    part = pa.array(["", None, *EXAMPLES, "x"]).slice(1, 3)
    assert identities(part).good.tolist() == [False, True, True]


@given(st.sampled_from(EXAMPLES), st.lists(st.sampled_from("\t \u3000\u00a0\u200b\ufeff"), max_size=19))
def test_blanks_wide_characters_and_a_leading_quote_are_no_fault(number: str, blanks: list[str]) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in number.lower())
    spread = "".join(a + b for a, b in zip(wide, [*blanks, *[""] * 18], strict=False))
    assert clean_identity(spread) == clean_identity("'" + number.lower()) == clean_identity(number) == number


def test_cleaning_changes_nothing_else() -> None:
    assert clean_identity("110105491231002") == "110105491231002"
    assert clean_identity(" 王 小明 ") == "王小明"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("13812345678", "13812345678"),
        ("１３８ １２３４ ５６７８", "13812345678"),
        ("+86 138-1234-5678", "13812345678"),
        ("008613812345678", "13812345678"),
        ("8613812345678", "13812345678"),
        ("13812345678.0", "13812345678"),
        ("'15400000001", "15400000001"),
        ("06358123456", "0635-8123456"),
        ("（0635）8123456", "0635-8123456"),
        ("0635－8123456", "0635-8123456"),
        ("010 1234 5678", "010-12345678"),
        ("+86 10 12345678", "010-12345678"),
        ("+86 0635 8123456", "0635-8123456"),
    ],
)
def test_a_telephone_number_has_one_form_however_it_is_written(written: str, kept: str) -> None:
    assert clean_phone(written) == clean_phone(kept) == kept
    check_phone(kept)


@pytest.mark.parametrize(
    "bad",
    ["", "8123457", "1381234567", "138123456789", "12812345678", "0635-8123456-801", "0135-8123456", "无",
     "13812345678/13912345678", "+1 212 555 0100", "१३८१२३४५६७८"],
)  # fmt: skip
def test_what_is_no_telephone_number_is_refused_by_its_mask(bad: str) -> None:
    kept = clean_phone(bad)
    with pytest.raises(InputError, match="phone: found") as refused:
        check_phone(kept)
    assert repr(mask_phone(kept)) in str(refused.value)
    assert not kept or kept not in str(refused.value)
