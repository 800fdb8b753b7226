"""Requests about many orders or trades, and the Logon's password, in every version."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import quickfix
from hypothesis import given
from hypothesis import strategies as st

from fix_dialects import ALL, SIDES, accepted, identifiers, name_of, pairs, sent, untimed
from tsdb_trader.fix import codec_requests
from tsdb_trader.fix.codec import CodecError
from tsdb_trader.fix.codec_requests import Scope, TradeWindow
from tsdb_trader.fix.versions import FIX42, FIX44, FIX50SP2, Version

AS_OF = datetime(2013, 10, 7, 14, 30, 0, 123456, tzinfo=UTC)
SESSION = UUID(int=7)
LATER = [FIX44, FIX50SP2]
scopes = st.builds(
    Scope,
    symbol=st.none() | identifiers,
    side=st.none() | st.sampled_from(sorted(SIDES.values())),
    session_id=st.none() | st.just(SESSION),
)


def checked(version: Version, scope: Scope) -> Scope:
    """Return a scope that the version can say."""
    return scope if version is FIX44 else Scope(scope.symbol, scope.side)


def scope_of(found: dict[int, str]) -> Scope:
    """Read a request's scope back, independently of the codec."""
    session = found.get(336)
    return Scope(found.get(55), SIDES.get(found.get(54, "")), session and UUID(session))


def kind_of(scope: Scope) -> str:
    if scope.symbol is not None:
        return "1"
    return "6" if scope.session_id is not None else "7"


@pytest.mark.parametrize("version", LATER, ids=name_of)
@untimed
@given(request=identifiers, scope=scopes, account=st.none() | identifiers)
def test_mass_status_request_says_whose_orders_and_is_accepted_by_quickfix(
    version: Version, request: str, scope: Scope, account: str | None
) -> None:
    scope = checked(version, scope)
    out = codec_requests.encode_mass_status(request, version, scope, account)
    found = dict(pairs(sent(version, out)))
    assert (found[35], found[584], out.reference) == ("AF", request, request)
    assert (found[585], found.get(1)) == (kind_of(scope), account)
    assert scope_of(found) == scope


@pytest.mark.parametrize("version", LATER, ids=name_of)
@untimed
@given(request=identifiers, scope=scopes)
def test_mass_cancel_says_whose_orders_and_is_accepted_by_quickfix(
    version: Version, request: str, scope: Scope
) -> None:
    scope = checked(version, scope)
    out = codec_requests.encode_mass_cancel(request, AS_OF, version, scope)
    found = dict(pairs(sent(version, out)))
    assert (found[35], found[11], out.reference) == ("q", request, request)
    assert (found[530], found[60][:17]) == (kind_of(scope), "20131007-14:30:00")
    assert scope_of(found) == scope


@pytest.mark.parametrize("version", LATER, ids=name_of)
@untimed
@given(request=identifiers, scope=scopes, order=st.none() | identifiers)
def test_trade_request_says_which_trades_and_is_accepted_by_quickfix(
    version: Version, request: str, scope: Scope, order: str | None
) -> None:
    scope = checked(version, scope)
    out = codec_requests.encode_trade_request(request, version, scope, cl_ord_id=order)
    found = dict(pairs(sent(version, out)))
    assert (found[35], found[568], out.reference) == ("AD", request, request)
    assert found[569] == ("0" if scope == Scope() and order is None else "1")
    assert (scope_of(found), found.get(11)) == (scope, order)
    assert 580 not in found


@pytest.mark.parametrize(
    ("version", "times"),
    [
        (FIX44, ("20131007-14:30:00.123", "20131007-15:30:00.123")),
        (FIX50SP2, ("20131007-14:30:00.123456", "20131007-15:30:00.123456")),
    ],
    ids=["4.4", "5.0SP2"],
)
def test_trade_request_of_a_window_names_both_ends(
    version: Version, times: tuple[str, str]
) -> None:
    window = TradeWindow(date(2013, 10, 4), date(2013, 10, 7), AS_OF, AS_OF + timedelta(hours=1))
    out = codec_requests.encode_trade_request("T", version, window=window, venue_order_id="V1")
    found = pairs(sent(version, out))
    dates = [pair for pair in found if pair[0] in (580, 75, 60)]
    assert dates == [(580, "2"), (75, "20131004"), (60, times[0]), (75, "20131007"), (60, times[1])]
    assert dict(found)[569] == "1"
    assert dict(found)[37] == "V1"


def test_trade_request_of_one_day_needs_no_times() -> None:
    window = TradeWindow(date(2013, 10, 7), date(2013, 10, 7))
    out = codec_requests.encode_trade_request("T", FIX44, window=window)
    found = pairs(sent(FIX44, out))
    assert [pair for pair in found if pair[0] in (580, 75, 60)] == [
        (580, "2"),
        (75, "20131007"),
        (75, "20131007"),
    ]


@pytest.mark.parametrize(
    "window",
    [
        TradeWindow(date(2013, 10, 8), date(2013, 10, 7)),
        TradeWindow(date(2013, 10, 7), date(2013, 10, 7), AS_OF, AS_OF - timedelta(seconds=1)),
        TradeWindow(date(2013, 10, 7), date(2013, 10, 7), AS_OF, AS_OF.replace(tzinfo=None)),
    ],
    ids=["dates", "times", "zone"],
)
def test_trade_request_of_an_impossible_window_is_refused(window: TradeWindow) -> None:
    with pytest.raises(CodecError):
        codec_requests.encode_trade_request("T", FIX44, window=window)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda v: codec_requests.encode_mass_status("R", v), r"FIX\.4\.2 has no .*\(AF\)"),
        (lambda v: codec_requests.encode_mass_cancel("R", AS_OF, v), r"FIX\.4\.2 has no .*\(q\)"),
        (lambda v: codec_requests.encode_trade_request("R", v), r"FIX\.4\.2 has no .*\(AD\)"),
    ],
    ids=["AF", "q", "AD"],
)
def test_request_that_fix_4_2_has_not_is_refused_by_name(encode: Any, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        encode(FIX42)
    assert encode(FIX44).reference == "R"


def test_request_of_a_trading_session_in_fix_5_0_is_refused_by_name() -> None:
    scope = Scope(session_id=SESSION)
    for encode in (
        lambda v: codec_requests.encode_mass_status("R", v, scope),
        lambda v: codec_requests.encode_mass_cancel("R", AS_OF, v, scope),
        lambda v: codec_requests.encode_trade_request("R", v, scope),
    ):
        with pytest.raises(CodecError, match=r"FIX\.5\.0SP2 cannot name a session_id"):
            encode(FIX50SP2)
        assert encode(FIX44).reference == "R"


@pytest.mark.parametrize("scope", [Scope(side="borrow"), Scope(symbol="")], ids=str)
def test_request_of_an_impossible_scope_is_refused(scope: Scope) -> None:
    with pytest.raises(CodecError):
        codec_requests.encode_mass_status("R", FIX44, scope)


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_logon_with_password_is_accepted_by_quickfix(version: Version) -> None:
    user = "trader" if version.user_name else None
    added = codec_requests.logon_fields(version, "s3cret", user)
    logon = quickfix.Message()
    logon.getHeader().setField(quickfix.StringField(35, "A"))
    needed = [(98, "0"), (108, "10")]
    needed += [(1137, version.appl_ver_id)] if version.appl_ver_id else []
    for tag, value in [*needed, *added]:
        logon.setField(quickfix.StringField(tag, value))
    found = dict(pairs(accepted(version, logon)))
    if version is FIX42:
        assert (found[95], found[96]) == ("6", "s3cret")
    else:
        assert (found[553], found[554]) == ("trader", "s3cret")


def test_logon_with_user_name_in_fix_4_2_is_refused() -> None:
    with pytest.raises(CodecError, match=r"FIX\.4\.2 has no user name"):
        codec_requests.logon_fields(FIX42, "s3cret", "trader")


@pytest.mark.parametrize("version", ALL, ids=name_of)
@pytest.mark.parametrize("password", ["", "a\x01b", "gehe\u00efm", "a\nb"])
def test_logon_with_unusable_password_is_refused_without_telling_it(
    version: Version, password: str
) -> None:
    with pytest.raises(CodecError) as error:
        codec_requests.logon_fields(version, password)
    assert not password or password not in str(error.value)
