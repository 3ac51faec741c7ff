from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel.config import MistakeError, format_duration, parse_duration
from multimodel.config.units import parse_money, parse_percentage


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("60s", 60), ("2m", 120), ("1.5h", 5400), ("1d", 86400), ("0s", 0)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["60", "60 s", "1:30", "s", "-1s", "1e3s", "1w", "", "60S", "1m30s", "٣s", "nans"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(MistakeError) as caught:
        parse_duration(text)
    assert "ms, s, m, h, d" in str(caught.value.hint)


def test_a_number_without_a_unit_gets_it_in_the_hint() -> None:
    with pytest.raises(MistakeError, match="`60` has no unit") as caught:
        parse_duration("60")
    assert caught.value.hint == "write `60s` (units: ms, s, m, h, d)"


@given(st.floats(min_value=0, max_value=1e11, allow_nan=False))
def test_a_duration_written_and_read_again_is_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(min_value=1, max_value=10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_written_duration_has_no_fraction_where_a_unit_avoids_it(count: int, unit: str) -> None:
    assert "." not in format_duration(parse_duration(f"{count}{unit}"))


def test_shares_and_amounts_are_read() -> None:
    assert (parse_percentage("10%"), parse_percentage("0.5%"), parse_money("20 USD")) == (0.1, 0.005, 20.0)


@pytest.mark.parametrize("text", ["10", "10 %", "-1%", "%"])
def test_a_share_needs_its_sign(text: str) -> None:
    with pytest.raises(MistakeError, match="is no percentage"):
        parse_percentage(text)


@pytest.mark.parametrize("text", ["20", "20 EUR", "$20", "20USD"])
def test_an_amount_is_in_us_dollars(text: str) -> None:
    with pytest.raises(MistakeError, match="is no amount of US dollars"):
        parse_money(text)
