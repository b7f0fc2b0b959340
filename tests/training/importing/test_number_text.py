"""Numbers and dates are read where they can mean one thing only."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.importing.dates import AmbiguousDateError, order_of, read_date
from router_model.training.importing.number_text import AmbiguousNumberError, mark_of, read_number, read_seconds


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234.5", 1234.5),
        (" $0.0012 ", 0.0012),
        ("US$ 3", 3),
        ("3 USD", 3),
        ("-$2", -2),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("12 345,5", 12345.5),
        ("12\u202f345", 12345),
        ("1'234", 1234),
        ("0,0012", 0.0012),
        ("0,123", 0.123),
        ("1,5", 1.5),
        ("1,2345", 1.2345),
        ("1,5e-3", 0.0015),
    ],
)
def test_number_that_can_mean_one_thing_is_read(text, number):
    assert read_number(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "many", "€3", "3 €", "1.2.3", "1,2,3", "12,34,567", "1 2", "1-2", "9" * 100, "."])
def test_text_that_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"no number|could not convert"):
        read_number(text)


def test_comma_before_three_digits_is_read_once_it_is_said():
    with pytest.raises(AmbiguousNumberError):
        read_number("1,234")
    read = [read_number("1,234", "comma"), read_number("1,234", "point"), read_number("1.234", "comma")]
    assert read == [1.234, 1234, 1234]
    assert read_number("1,234", whole=True) == 1234
    with pytest.raises(ValueError, match="0.5"):
        read_number("0.5", "comma")


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_every_spelling_of_an_amount_is_the_same_number(whole, cents):
    english = f"{whole:,}.{cents:02d}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert read_number(english) == read_number(german) == pytest.approx(whole + cents / 100)


@pytest.mark.parametrize(
    ("values", "mark"),
    [(["1,234", "0,5"], "comma"), (["1,234", "2.5"], "point"), (["0,5", "0.5"], None), ([3, "3"], None)],
)
def test_other_values_of_a_column_show_the_mark(values, mark):
    assert mark_of(values) == mark


@pytest.mark.parametrize(
    ("text", "seconds"), [("850ms", 0.85), ("1,5 s", 1.5), ("2 min", 120), ("7", 7), ("12 us", 1.2e-5), ("1h", 3600)]
)
def test_time_span_has_its_unit(text, seconds):
    assert read_seconds(text) == pytest.approx(seconds)


def moment(*fields):
    return datetime(*fields, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("31/01/2025", None, moment(2025, 1, 31)),
        ("01/31/2025 9:30 PM", None, moment(2025, 1, 31, 21, 30)),
        ("12/31/2025 12:05 am", None, moment(2025, 12, 31, 0, 5)),
        ("31.01.2025, 09:30:15.25", None, moment(2025, 1, 31, 9, 30, 15, 250_000)),
        ("03/04/2025", "day-first", moment(2025, 4, 3)),
        ("03/04/2025", "month-first", moment(2025, 3, 4)),
        ("3-4-25 10:00", "day-first", moment(2025, 4, 3, 10)),
        ("05/05/2025", None, moment(2025, 5, 5)),
        ("2025/1/31 9:30", None, moment(2025, 1, 31, 9, 30)),
        ("2025-01-31 09:30:00 UTC", None, moment(2025, 1, 31, 9, 30)),
        ("2025/01/31 09:30 +0100", None, moment(2025, 1, 31, 8, 30)),
        ("31-Jan-2025", None, moment(2025, 1, 31)),
        ("Fri, 31 Jan 2025 09:30:00 GMT", None, moment(2025, 1, 31, 9, 30)),
        ("January 31st, 2025 at 9:30 a.m.", None, moment(2025, 1, 31, 9, 30)),
    ],
)
def test_local_date_is_read(text, order, expected):
    assert read_date(text, order) == expected


@pytest.mark.parametrize("text", ["03/04/2025", "3.4.2025 10:00", "31/01/25"])
def test_date_whose_parts_could_be_swapped_is_ambiguous(text):
    with pytest.raises(AmbiguousDateError):
        read_date(text)


@pytest.mark.parametrize(
    "text", ["32/01/2025", "31/02/2025", "soon", "1/2", "31/01/2025 25:00", "31/01/2025 13:00 PM", "x" * 99]
)
def test_text_that_is_no_date_is_refused(text):
    with pytest.raises(ValueError, match=r"no date|no hour|out of range|must be in|invalid"):
        read_date(text, "day-first")


def test_order_shows_in_other_dates():
    assert order_of(["03/04/2025", "12/31/2025"]) == "month-first"
    assert order_of(["31/12/2025", "12/31/2025", None]) is None
