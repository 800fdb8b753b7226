"""LEAN's reference files: whatever is in them, an answer or an InputError."""

from __future__ import annotations

import os
import tempfile
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsdb_trader.errors import InputError
from tsdb_trader.refdata import lean

DATES = st.sampled_from(
    ["20140101", "20140606", "20501231", "00010101", "19000101", "99991231", "20140230", "x", ""]
)
NUMBERS = st.sampled_from(
    ["1", "0.9", "0.1428571", "1e400", "1e-400", "nan", "inf", "-1", "0", "²", "1_0", "", "645.57"]
)
ROWS = st.lists(
    st.one_of(
        st.builds(",".join, st.tuples(DATES, NUMBERS, NUMBERS, NUMBERS)),
        st.builds(",".join, st.tuples(DATES, st.text("abc.1 ", max_size=4), st.text("NQ?", max_size=1))),
        st.text(max_size=30),
    ),
    max_size=6,
)  # fmt: skip


def check(text: str) -> None:
    """Read a text as both kinds of file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "abc.csv"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            rows = lean.read_factor_file(path)
            splits, dividends = lean.derive_actions(path, rows)
            assert len(splits) + len(dividends) <= 2 * len(rows)
        except InputError:
            pass
        try:
            claims = lean.read_map_file(path)
            assert all(c.valid_to is None or c.valid_from < c.valid_to for c in claims)
        except InputError:
            pass


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_lean_files_any_rows_give_an_answer_or_an_input_error(rows):
    check("\n".join(rows))


@pytest.mark.long
@settings(max_examples=20_000, deadline=None)
@given(ROWS)
def test_lean_files_many_rows_give_an_answer_or_an_input_error(rows):
    check("\n".join(rows))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_lean_file_that_may_not_be_read_is_an_input_error(tmp_path):
    path = tmp_path / "abc.csv"
    path.write_text("20140101,abc,Q\n")
    path.chmod(0)
    with pytest.raises(InputError, match="cannot read"):
        lean.read_map_file(path)


@settings(deadline=None)
@given(st.fractions(min_value=Fraction(1, 50), max_value=50, max_denominator=50))
def test_simplest_fraction_printed_with_seven_decimals_comes_back(ratio):
    half = Fraction(1, 2 * 10**7)
    printed = Fraction(round(ratio * 10**7), 10**7)
    assert lean.simplest_fraction(printed - half, printed + half) == ratio


def test_map_file_symbols_follow_each_other(tmp_path):
    path = tmp_path / "spwr.csv"
    path.write_text("20051117,spwr,Q\n20080929,spwr,Q\n20111116,spwra,Q\n20501231,spwr,Q\n")
    assert [(c.symbol, c.valid_from, c.valid_to) for c in lean.read_map_file(path)] == [
        ("SPWR", date(2005, 11, 17), date(2008, 9, 30)),
        ("SPWRA", date(2008, 9, 30), date(2011, 11, 17)),
        ("SPWR", date(2011, 11, 17), None),
    ]
