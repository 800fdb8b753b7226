"""Facts with their time of knowledge: symbols, members, sizes, fees, and who may write them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from factories import add_instrument

WRITERS = ["tsdb_ops", "tsdb_operator"]
READERS = ["tsdb_quant", "tsdb_readonly", "tsdb_venue", "tsdb_trader_role", "tsdb_risk"]


def record(
    conn: psycopg.Connection, kind: str, known_at: str | datetime | None = None, /, **fact: Any
) -> str:
    row = conn.execute("select ref.record(%s, %s, %s)", (kind, Jsonb(fact), known_at)).fetchone()
    assert row is not None
    return str(row[0])


def value(conn: psycopg.Connection, query: str, *parameters: Any) -> Any:
    row = conn.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]


def error_of(conn: psycopg.Connection, query: str, *parameters: Any) -> tuple[str | None, str]:
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(query, parameters)
    return caught.value.sqlstate, str(caught.value)


def test_record_same_fact_again_is_unchanged(conn):
    add_instrument(conn, "AAPL")
    fact = {"symbol": "AAPL", "ex_date": "2014-06-09", "new_shares": 7}
    assert record(conn, "splits", **fact) == "recorded"
    assert record(conn, "splits", **fact | {"new_shares": "7.00"}) == "unchanged"
    assert value(conn, "select count(*) from ref.splits") == 1


def test_record_correction_keeps_what_was_known_before(conn):
    add_instrument(conn, "AAPL")
    key = {"symbol": "AAPL", "ex_date": "2014-06-09"}
    record(conn, "splits", "2014-04-23", **key, new_shares=70, declared_on="2014-04-23")
    # Only what changes need be given.
    assert record(conn, "splits", "2014-04-24", **key, new_shares=7) == "corrected"
    known = "select new_shares from ref.splits where ref._known(known_at, superseded_at, %s)"
    assert conn.execute(known, ("2014-04-22",)).fetchall() == []
    assert conn.execute(known, ("2014-04-23 12:00Z",)).fetchall() == [(70,)]
    assert conn.execute(known, ("2014-04-24",)).fetchall() == [(7,)]
    assert conn.execute(known, ("infinity",)).fetchall() == [(7,)]
    assert value(conn, "select count(declared_on) from ref.splits") == 2


def test_record_correction_said_to_be_known_earlier_is_known_from_now(conn):
    add_instrument(conn, "AAPL")
    key = {"symbol": "AAPL", "ex_date": "2014-06-09"}
    record(conn, "splits", "2014-04-23", **key, new_shares=70)
    before = datetime.now(UTC)
    record(conn, "splits", "2014-04-01", **key, new_shares=7)
    assert value(conn, "select max(known_at) from ref.splits") >= before
    assert value(
        conn,
        "select new_shares from ref.splits where ref._known(known_at, superseded_at, %s)",
        before,
    ) == Decimal(70)


def test_record_withdrawn_fact_is_gone_and_may_come_back(conn):
    add_instrument(conn, "AAPL")
    key = {"symbol": "AAPL", "ex_date": "2014-06-09"}
    assert (
        "nothing to withdraw"
        in error_of(conn, "select ref.record('splits', %s)", Jsonb(key | {"withdrawn": True}))[1]
    )
    record(conn, "splits", **key, new_shares=7)
    assert record(conn, "splits", **key, withdrawn=True) == "withdrawn"
    now = "select new_shares from ref.splits where superseded_at = 'infinity'"
    assert conn.execute(now).fetchall() == []
    assert record(conn, "splits", **key, new_shares=7) == "recorded"
    assert conn.execute(now).fetchall() == [(7,)]


NO_FACTS: list[tuple[str, Any, str, str]] = [
    ("stocks", {}, "TT001", "there are dividends"),
    ("splits", [1], "TT001", "object"),
    ("splits", {"ratio": 7}, "TT001", "unknown ratio: there is instrument_id"),
    ("splits", {"symbol": "AAPL", "new_shares": 7}, "TT001", "ex_date is missing"),
    ("splits", {"ex_date": "2014-06-09", "new_shares": 7}, "TT001", "instrument_id is missing"),
    ("splits", {"symbol": "AAPL", "ex_date": "2014-06-09"}, "TT001", "new_shares is missing"),
    ("splits", {"symbol": "AAPL", "ex_date": "2014-06-31", "new_shares": 7}, "TT001", "range"),
    ("splits", {"symbol": "AAPL", "ex_date": "2014-06-09", "new_shares": "x"}, "TT001", "x"),
    ("splits", {"symbol": "AAPL", "ex_date": "2014-06-09", "new_shares": 0}, "TT001", "rule"),
    ("splits", {"symbol": "AAPL", "ex_date": "2014-06-09", "new_shares": "NaN"}, "TT001", ""),
    ("splits", {"symbol": "AAPL", "ex_date": "infinity", "new_shares": 7}, "TT001", "rule"),
    ("splits", {"symbol": "NONE", "ex_date": "2014-06-09", "new_shares": 7}, "TT002", "NONE"),
    (
        "dividends",
        {"symbol": "AAPL", "ex_date": "2014-06-09", "amount": 1, "currency": "ABC"},
        "TT001",
        "currency",
    ),
    ("spin_offs", {"symbol": "AAPL", "ex_date": "2014-06-09", "child": "X"}, "TT001", "worth"),
    ("fees", {"venue": "NOWHERE", "valid_from": "2014-06-09"}, "TT001", "venue"),
    (
        "symbols",
        {"instrument": "AAPL", "symbol": "APPL", "valid_from": "2015-01-01",
         "valid_to": "2014-01-01"},
        "TT001",
        "rule",
    ),
]  # fmt: skip


def test_record_what_cannot_be_a_fact_is_refused(conn):
    add_instrument(conn, "AAPL")
    for kind, fact, sqlstate, text in NO_FACTS:
        found = error_of(conn, "select ref.record(%s, %s)", kind, Jsonb(fact))
        assert (found[0], text in found[1]) == (sqlstate, True), (fact, found)
    assert value(conn, "select count(*) from ref.splits") == 0


def test_record_known_in_the_future_is_refused(conn):
    add_instrument(conn, "AAPL")
    fact = Jsonb({"symbol": "AAPL", "ex_date": "2014-06-09", "new_shares": 7})
    for known_at in ("infinity", datetime.now(UTC) + timedelta(days=1)):
        assert error_of(conn, "select ref.record('splits', %s, %s)", fact, known_at)[0] == "TT001"


def test_symbols_reused_by_another_company_resolve_by_date(conn):
    old, new = add_instrument(conn, "FB.1"), add_instrument(conn, "FB")
    record(conn, "symbols", instrument="FB.1", symbol="FB", valid_from="1999-09-29",
           valid_to="2003-03-29")  # fmt: skip
    record(conn, "symbols", instrument="FB", symbol="FB", valid_from="2012-05-18")
    at = "select ref.instrument_id('FB', %s)"
    assert [value(conn, at, d) for d in ("1999-09-29", "2003-03-28", "2012-05-18")] == [
        *(old, old, new)
    ]
    for day in ("1999-09-28", "2003-03-29", "2012-05-17"):
        assert error_of(conn, at, day)[0] == "TT002"
    assert value(conn, "select ref.instrument_id('FB')") == new


def test_symbols_as_of_a_knowledge_date_ignore_what_was_recorded_later(conn):
    apple = add_instrument(conn, "APPLE")
    record(conn, "symbols", "2014-01-01", instrument="APPLE", symbol="AAPL",
           valid_from="2000-01-01")  # fmt: skip
    query = "select ref.instrument_id('AAPL', '2010-01-01', %s)"
    assert value(conn, query, "2014-01-01") == apple
    assert error_of(conn, query, "2013-12-31")[0] == "TT002"


def test_symbols_two_instruments_with_one_symbol_at_a_time_are_refused(conn):
    add_instrument(conn, "OLD")
    add_instrument(conn, "NEW")
    record(conn, "symbols", instrument="OLD", symbol="X", valid_from="2000-01-01",
           valid_to="2010-01-01")  # fmt: skip
    fact = {"instrument": "NEW", "symbol": "X", "valid_from": "2009-12-31"}
    state, text = error_of(conn, "select ref.record('symbols', %s)", Jsonb(fact))
    assert state == "TT006"
    assert "contradicts" in text
    assert record(conn, "symbols", **fact | {"valid_from": "2010-01-01"}) == "recorded"


def test_symbols_claimed_by_two_writers_at_once_one_is_refused(conn, connect_as):
    add_instrument(conn, "OLD")
    add_instrument(conn, "NEW")
    first = connect_as("tsdb_ops", autocommit=False)
    record(first, "symbols", instrument="OLD", symbol="X", valid_from="2000-01-01")
    second = connect_as("tsdb_ops")
    states: list[str | None] = []

    def claim() -> None:
        fact = Jsonb({"instrument": "NEW", "symbol": "X", "valid_from": "2005-01-01"})
        try:
            second.execute("select ref.record('symbols', %s)", (fact,))
        except psycopg.Error as error:
            states.append(error.sqlstate)

    thread = threading.Thread(target=claim)
    thread.start()
    waiting = (
        "select count(*) from pg_locks where not granted and relation = 'ref.symbols'::regclass"
    )
    while thread.is_alive() and not value(conn, waiting):
        pass
    first.commit()
    thread.join(60)
    assert states == ["TT006"]


def test_change_symbol_keeps_the_instrument(conn):
    facebook = add_instrument(conn, "FB")
    assert value(conn, "select ref.change_symbol('FB', 'META', '2022-06-09')") == facebook
    assert value(conn, "select ref.instrument_id('META')") == facebook
    assert value(conn, "select ref.instrument_id('FB', '2022-06-08')") == facebook
    assert value(conn, "select ref.instrument_id('META', '2022-06-09')") == facebook
    assert error_of(conn, "select ref.instrument_id('FB', '2022-06-09')")[0] == "TT002"
    assert value(conn, "select ref.symbol(%s, '2020-01-01')", facebook) == "FB"
    other = add_instrument(conn, "FB")
    assert other != facebook
    # Without a claim of its own it may not take what is another's.
    assert value(conn, "select ref.instrument_id('FB', '2020-01-01')") == facebook
    assert value(conn, "select ref.instrument_id('FB', '2023-01-01')") == other


def test_change_symbol_to_one_in_use_or_in_the_future_is_refused(conn):
    add_instrument(conn, "A")
    add_instrument(conn, "B")
    assert error_of(conn, "select ref.change_symbol('A', 'B', '2020-01-01')")[0] == "TT006"
    assert error_of(conn, "select ref.change_symbol('A', 'C', '9999-01-01')")[0] == "TT001"
    assert error_of(conn, "select ref.change_symbol('Z', 'C', '2020-01-01')")[0] == "TT002"
    assert error_of(conn, "select ref.change_symbol('A', 'a b?', '2020-01-01')")[0] == "TT001"
    assert value(conn, "select count(*) from ref.symbols") == 0


def test_sector_and_status_of_an_instrument_are_set_and_audited(conn, connect_as):
    ibm = add_instrument(conn, "IBM")
    ops = connect_as("tsdb_ops")
    assert value(ops, "select ref.set_sector('IBM', ' tech ')") == ibm
    assert value(ops, "select ref.set_status('IBM', 'halted', 'news pending')") == ibm
    found = "select array[sector, status] from ref.instruments where symbol = 'IBM'"
    assert value(conn, found) == ["tech", "halted"]
    assert (
        value(conn, "select reason from ops.audit where action = 'ref.set_status'")
        == "news pending"
    )
    value(ops, "select ref.set_sector('IBM', null)")
    assert value(conn, found) == [None, "halted"]


@pytest.mark.parametrize(
    ("call", "sqlstate", "message"),
    [
        ("ref.set_sector('IBM', ' ')", "TT001", "a sector has a name"),
        ("ref.set_sector('NONE', 'tech')", "TT002", "NONE"),
        ("ref.set_status('IBM', 'halt', 'x')", "TT002", 'did you mean "halted"'),
        ("ref.set_status('IBM', null, 'x')", "TT002", "use active"),
        ("ref.set_status('IBM', 'halted', ' ')", "TT001", "say why"),
        ("ref.set_status('IBM', 'halted', null)", "TT001", "say why"),
        ("ref.set_status('NONE', 'halted', 'x')", "TT002", "NONE"),
    ],
)
def test_sector_or_status_that_cannot_be_is_refused(conn, call, sqlstate, message):
    add_instrument(conn, "IBM")
    found = error_of(conn, f"select {call}")
    assert found[0] == sqlstate
    assert message in found[1]


def test_sector_and_status_may_not_be_set_by_those_who_read(conn, connect_as):
    add_instrument(conn, "IBM")
    for role in READERS:
        reader = connect_as(role)
        for call in ("ref.set_sector('IBM', 'x')", "ref.set_status('IBM', 'halted', 'x')"):
            assert error_of(reader, f"select {call}")[0] == "42501", role


def test_universe_has_the_members_and_symbols_of_its_day(conn):
    for symbol in ("DEAD", "LIVE", "META"):
        add_instrument(conn, symbol)
    record(conn, "symbols", instrument="META", symbol="FB", valid_from="2012-05-18",
           valid_to="2022-06-09")  # fmt: skip
    record(conn, "symbols", instrument="META", symbol="META", valid_from="2022-06-09")
    record(conn, "index_members", "2013-12-11", index_name="SPX", symbol="FB",
           valid_from="2013-12-23", weight="0.01")  # fmt: skip
    record(conn, "index_members", "2000-01-01", index_name="SPX", symbol="DEAD",
           valid_from="2000-01-01", valid_to="2015-01-01")  # fmt: skip
    record(conn, "index_members", "2016-01-01", index_name="SPX", symbol="LIVE",
           valid_from="2014-01-01")  # fmt: skip
    query = "select array_agg(symbol) from ref.universe('SPX', %s, %s)"
    assert value(conn, query, "2014-06-01", "infinity") == ["DEAD", "FB", "LIVE"]
    # LIVE was a member, but nobody could know before 2016.
    assert value(conn, query, "2014-06-01", "2014-06-01") == ["DEAD", "FB"]
    assert value(conn, query, "2013-12-22", "2014-06-01") == ["DEAD"]
    assert value(conn, query, "2023-01-01", "2023-01-01") == ["LIVE", "META"]
    assert value(conn, "select count(*) from ref.universe('SPX', '2015-01-01')") == 2
    assert error_of(conn, "select ref.universe('NDX', '2015-01-01')")[0] == "TT002"


def test_index_members_twice_at_a_time_are_refused(conn):
    add_instrument(conn, "IBM")
    record(conn, "index_members", index_name="SPX", symbol="IBM", valid_from="2000-01-01")
    fact = {"index_name": "SPX", "symbol": "IBM", "valid_from": "2010-01-01"}
    assert error_of(conn, "select ref.record('index_members', %s)", Jsonb(fact))[0] == "TT006"


def test_tick_size_follows_price_bands_and_dates(conn):
    ibm = add_instrument(conn, "IBM")
    at = "select ref.tick_size(%s, %s, %s)"
    assert value(conn, at, ibm, 5, "2020-01-01") == Decimal("0.01")
    # Rule 612 of Regulation NMS: $0.0001 below one dollar.
    record(conn, "tick_sizes", symbol="IBM", tick_size="0.0001", valid_from="2007-01-01")
    record(conn, "tick_sizes", symbol="IBM", price_from=1, tick_size="0.01",
           valid_from="2007-01-01", valid_to="2026-01-01")  # fmt: skip
    record(conn, "tick_sizes", symbol="IBM", price_from=1, tick_size="0.005",
           valid_from="2026-01-01")  # fmt: skip
    found = [
        value(conn, at, ibm, price, day)
        for price, day in (("0.9999", "2020-01-01"), (1, "2020-01-01"), (-5, "2026-01-01"))
    ]
    assert found == [Decimal("0.0001"), Decimal("0.01"), Decimal("0.005")]
    assert error_of(conn, at, 999, 1, "2020-01-01")[0] == "TT002"
    assert error_of(conn, at, ibm, "NaN", "2020-01-01")[0] == "TT001"
    assert value(conn, "select ref.lot_size(%s, 5, '2020-01-01')", ibm) == 1
    record(conn, "lot_sizes", symbol="IBM", lot_size=100, valid_from="2007-01-01")
    record(conn, "lot_sizes", symbol="IBM", price_from=250, lot_size=40, valid_from="2007-01-01")
    assert value(conn, "select ref.lot_size(%s, 250, '2020-01-01')", ibm) == 40


def test_fee_adds_up_names_within_their_bounds(conn):
    fee = "select ref.fee('SIM', %s, %s, %s, %s, %s)"
    assert value(conn, fee, "buy", "taker", 100, 50, "2020-01-01") == Decimal("0.3")
    record(conn, "fees", venue="SIM", liquidity="taker", per_share="0.003", minimum="0.01",
           maximum="5", valid_from="2020-01-01")  # fmt: skip
    record(
        conn, "fees", venue="SIM", liquidity="maker", per_share="-0.002", valid_from="2020-01-01"
    )
    # The SEC's fee of 2020-02-18: $22.10 per million of sales.
    record(conn, "fees", venue="SIM", fee="sec", side="sell", basis_points="0.221",
           valid_from="2020-02-18")  # fmt: skip
    found = [
        value(conn, fee, *given)
        for given in (
            ("buy", "taker", 1, 50, "2020-03-01"),
            ("buy", "taker", 10_000_000, 50, "2020-03-01"),
            ("sell", "taker", 1000, 100, "2020-03-01"),
            ("buy", "maker", 1000, 100, "2020-03-01"),
            ("sell", "taker", 1000, 100, "2020-01-15"),
            ("buy", "taker", 1000, 100, "2019-12-31"),
        )
    ]
    assert found == [Decimal(x) for x in ("0.01", "5", "5.21", "-2", "3", "3")]
    assert error_of(conn, fee, "buy", "either", 1, 1, "2020-01-01")[0] == "TT001"
    assert error_of(conn, fee, "buy", "maker", -1, 1, "2020-01-01")[0] == "TT001"
    unknown = fee.replace("SIM", "NOWHERE")
    assert error_of(conn, unknown, "buy", "maker", 1, 1, "2020-01-01")[0] == "TT002"


def test_venues_known_for_listings_take_no_orders(conn):
    rows = conn.execute("select venue, status from ref.venues where not simulated").fetchall()
    assert len(rows) == 6
    assert {status for _, status in rows} == {"inactive"}


def test_record_writers_may_and_readers_may_not(conn, connect_as):
    add_instrument(conn, "IBM")
    for number, role in enumerate(WRITERS):
        writer = connect_as(role)
        fact = {"symbol": "IBM", "ex_date": "2020-01-01", "new_shares": number + 2}
        assert record(writer, "splits", **fact) == ("corrected" if number else "recorded")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute("delete from ref.splits")
    for role in READERS:
        reader = connect_as(role)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            record(reader, "splits", symbol="IBM", ex_date="2021-01-01", new_shares=2)
        assert value(reader, "select count(*) from ref.splits") == 2
        assert value(reader, "select ref.instrument_id('IBM', '2020-01-01')") > 0


DAY = st.integers(0, 9)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(DAY, st.sampled_from([2, 3, None]), st.sampled_from([None, *range(5)])),
             max_size=12)
)  # fmt: skip
def test_record_any_history_every_former_answer_stays(conn, steps):
    """What was known at a time does not change by what is recorded later as known later."""
    key = {"instrument_id": add_instrument(conn, "IBM"), "ex_date": "2020-01-01"}
    with conn.transaction(force_rollback=True):
        expected: dict[int, int | None] = {}
        last = 0
        current: int | None = None
        for step, (_, shares, gap) in enumerate(steps):
            last += (gap or 0) + 1
            known = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=last)
            if shares is None and current is None:
                continue
            change = {"withdrawn": True} if shares is None else {"new_shares": shares}
            record(conn, "splits", known, **key, **change)
            current = shares
            expected[last] = current
            assert step < len(steps)
        for day, shares in expected.items():
            rows = conn.execute(
                """select new_shares from ref.splits
                   where ref._known(known_at, superseded_at, '2000-01-01'::timestamptz + %s)""",
                (timedelta(days=day),),
            ).fetchall()
            assert rows == ([] if shares is None else [(shares,)])
