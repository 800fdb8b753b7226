"""Requests about many orders or trades, and what a Logon adds. Pure.

FIX 4.2 has none of these requests: `Version.requests` says what there is, and asking for more is an
error.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from tsdb_trader.fix import codec_words as words
from tsdb_trader.fix.codec import (
    MASS_CANCEL_REQUEST,
    MASS_STATUS_REQUEST,
    TRADE_REQUEST,
    CodecError,
    Group,
    Outgoing,
    Pairs,
    body_of,
    code,
    format_time,
)
from tsdb_trader.fix.versions import Version

_ALL_TRADES = "0"
_MATCHING_TRADES = "1"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which orders or trades a request is about: all that have every property given."""

    symbol: str | None = None
    side: str | None = None
    session_id: UUID | None = None

    def kind(self) -> str:
        """Return the code of the widest property: security, trading session, or all orders."""
        if self.symbol is not None:
            return code(words.MASS_SCOPES, "security", "scope")
        kind = "all" if self.session_id is None else "trading_session"
        return code(words.MASS_SCOPES, kind, "scope")

    def fields(self) -> tuple[tuple[int, str | None], ...]:
        """Return the properties as FIX fields."""
        return (
            (54, code(words.SIDES, self.side, "side") if self.side is not None else None),
            (55, self.symbol),
            (336, str(self.session_id) if self.session_id is not None else None),
        )


@dataclass(frozen=True, slots=True)
class TradeWindow:
    """The trades to report: from a trade date to another, both included, or to the moment.

    The dates are the venue's: a time says nothing about the trade date it counts for.
    """

    first: date
    last: date
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Scope()


def encode_mass_status(
    request_id: str, version: Version, scope: Scope = EVERYTHING, account: str | None = None
) -> Outgoing:
    """Return an OrderMassStatusRequest (AF): a report of each open order.

    Raises
    ------
    CodecError
        The version does not have it, or not for such a scope.
    """
    _require(version, MASS_STATUS_REQUEST, "mass status request", scope)
    body = body_of(((584, request_id), (585, scope.kind()), (1, account), *scope.fields()))
    return Outgoing(MASS_STATUS_REQUEST, request_id, (), body)


def encode_mass_cancel(
    cl_ord_id: str, as_of: datetime, version: Version, scope: Scope = EVERYTHING
) -> Outgoing:
    """Return an OrderMassCancelRequest (q) under a ClOrdID of its own.

    Raises
    ------
    CodecError
        The version does not have it, or not for such a scope.
    """
    _require(version, MASS_CANCEL_REQUEST, "mass cancel", scope)
    time = format_time(as_of, version.fraction)
    body = body_of(((11, cl_ord_id), (530, scope.kind()), (60, time), *scope.fields()))
    return Outgoing(MASS_CANCEL_REQUEST, cl_ord_id, (), body)


def encode_trade_request(
    request_id: str,
    version: Version,
    scope: Scope = EVERYTHING,
    window: TradeWindow | None = None,
    cl_ord_id: str | None = None,
    venue_order_id: str | None = None,
) -> Outgoing:
    """Return a TradeCaptureReportRequest (AD) for a snapshot of our trades, all of them by default.

    Raises
    ------
    CodecError
        The version does not have it, or not for such a scope, or the window ends before it begins.
    """
    _require(version, TRADE_REQUEST, "trade capture request", scope)
    criteria = ((37, venue_order_id), (11, cl_ord_id), *scope.fields())
    some = window is not None or any(value is not None for _, value in criteria)
    kind = _MATCHING_TRADES if some else _ALL_TRADES
    body = body_of(((568, request_id), (569, kind), *criteria))
    groups = () if window is None else (_dates(window, version),)
    return Outgoing(TRADE_REQUEST, request_id, (), body, groups)


def _dates(window: TradeWindow, version: Version) -> Group:
    """Return the group of dates: its first entry is where the trades begin, the second the end."""
    entries = []
    for day, time in ((window.first, window.since), (window.last, window.until)):
        moment = format_time(time, version.fraction) if time is not None else None
        entries.append(body_of(((75, f"{day:%Y%m%d}"), (60, moment))))
    since, until = window.since, window.until
    if window.first > window.last or (since and until and since > until):
        raise CodecError("a window of trades that ends before it begins")
    return Group(580, 75, tuple(entries))


def _require(version: Version, msg_type: str, name: str, scope: Scope) -> None:
    if msg_type not in version.requests:
        raise CodecError(f"{version.name} has no {name} ({msg_type})")
    if scope.session_id is not None and not version.session_scopes:
        raise CodecError(f"{name} ({msg_type}): {version.name} cannot name a session_id of ours")


def logon_fields(version: Version, password: str, user_name: str | None = None) -> Pairs:
    """Return what a Logon adds for a password.

    Raises
    ------
    CodecError
        The version has no field for a user name, or the password cannot be sent.
    """
    if not (password and password.isprintable() and password.isascii()):
        raise CodecError("the password is empty or has characters that FIX cannot carry")
    if version.user_name:
        return body_of(((553, user_name), (554, password)))
    if user_name is not None:
        raise CodecError(f"a Logon in {version.name} has no user name: the CompID says who we are")
    return (95, str(len(password))), (96, password)
