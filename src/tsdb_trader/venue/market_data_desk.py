"""Who gets which market data: the requests of participants, their subscriptions, the answers.

Its messages are collected in the order they came about, and taken after the step that caused them
is journaled.

A subscription is for one trading session, which TradingSessionID names; without one it is the only
session that is open. A request is taken whole or not at all. Subscriptions end with their logon
and with their session; the views behind them stay, see `market_data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from tsdb_trader.api import venue_market
from tsdb_trader.api.venue_market import Instrument
from tsdb_trader.clock import Clock
from tsdb_trader.db import Connection
from tsdb_trader.venue import market_data_versions, protocol
from tsdb_trader.venue.market_data import (
    BID,
    OFFER,
    TRADE,
    Look,
    MarketMessage,
    Pairs,
    Trade,
    View,
)
from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_values import Phase
from tsdb_trader.venue.protocol import Request
from tsdb_trader.venue.sessions import Session

UNKNOWN_SYMBOL, DUPLICATE_ID, BAD_TYPE, BAD_DEPTH = "0", "1", "4", "5"
BAD_UPDATE_TYPE, BAD_AGGREGATION, BAD_ENTRY_TYPE, BAD_SESSION = "6", "7", "8", "9"
_SNAPSHOT, _SUBSCRIBE, _UNSUBSCRIBE = "0", "1", "2"
_SYMBOLS_PER_LIST = 200
# SecurityTradingStatus of ref.instruments.status; a restricted instrument trades here as ever.
_TRADING_STATUS = {"active": "17", "restricted": "17", "halted": "2", "inactive": "18"}
_SESSION_OVER = "18"
# SecurityTradingStatus of what a book does: opening and closing auctions are delayed openings.
_PHASE_STATUS = {
    Phase.PRE_OPEN: "21",
    Phase.AUCTION: "1",
    Phase.CLOSING: "1",
    Phase.CONTINUOUS: "17",
    Phase.HALTED: "2",
    Phase.CLOSED: "18",
}


class RefusedError(Exception):
    """A request for market data cannot be served: MDReqRejReason ('' for none) and a text."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


Watch: TypeAlias = Callable[[UUID, Sequence[Instrument]], Session | None]
"""Brings a session to the latest market, from then on with every quote of the instruments; None
when it is closed or unknown."""


@dataclass
class Desk:
    """Subscriptions of all participants. The time of its making makes the names of views unique."""

    conn: Connection
    clock: Clock
    _started: str = field(init=False)
    _views: dict[tuple[UUID, int], dict[Look, View]] = field(default_factory=dict)
    _subscribed: dict[tuple[str, str], list[View]] = field(default_factory=dict)
    _status_asked: dict[tuple[str, str], Instrument] = field(default_factory=dict)
    _statuses: dict[int, str] = field(default_factory=dict)
    _outgoing: list[MarketMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started = f"{self.clock.now():%y%m%d%H%M%S%f}"

    def take(self) -> list[MarketMessage]:
        """Return the messages that came about, once."""
        taken, self._outgoing = self._outgoing, []
        return taken

    # What happens in the market

    def changed(
        self, session: Session, instrument_id: int, trades: Sequence[Trade], ts: datetime
    ) -> None:
        """Tell subscribers of a change to a book."""
        views = self._views.get((session.session_id, instrument_id))
        if not views:
            return
        for view in views.values():
            entries = view.update(session.books[instrument_id], trades, ts)
            if not entries:
                continue
            for (fix_session, request), wanted in self._subscribed.items():
                if view in wanted:
                    body = ((262, request),)
                    self._add(MarketMessage(fix_session, "X", body, 268, entries))

    def session_over(self, session_id: UUID, now: datetime) -> None:
        """End the subscriptions of a session, after telling its participants."""
        for key in [key for key in self._views if key[0] == session_id]:
            for view in self._views.pop(key).values():
                self._end(view, now)

    def _end(self, view: View, now: datetime) -> None:
        for (fix_session, request), wanted in list(self._subscribed.items()):
            if view not in wanted:
                continue
            place = (336, str(view.session_id))
            self._tell(fix_session, view.instrument, _SESSION_OVER, now, place)
            wanted.remove(view)
            if not wanted:
                del self._subscribed[fix_session, request]

    def phase_changed(self, instrument_id: int, phase: Phase, now: datetime) -> None:
        """Tell who listens to an instrument that its book is in another phase."""
        for instrument in venue_market.list_instruments(self.conn, [instrument_id]):
            for fix_session in self._listeners(instrument_id):
                self._tell(fix_session, instrument, _PHASE_STATUS[phase], now, (325, "Y"))

    def look_at_statuses(self, now: datetime) -> None:
        """Tell who listens to an instrument when its trading status has changed."""
        asked = {i.instrument_id for i in self._status_asked.values()}
        shown = {v.instrument.instrument_id for views in self._subscribed.values() for v in views}
        if not asked | shown:
            return
        for instrument in venue_market.list_instruments(self.conn, sorted(asked | shown)):
            status = _TRADING_STATUS[instrument.status]
            if self._statuses.get(instrument.instrument_id, status) != status:
                for fix_session in self._listeners(instrument.instrument_id):
                    self._tell(fix_session, instrument, status, now, (325, "Y"))
            self._statuses[instrument.instrument_id] = status

    def _listeners(self, instrument_id: int) -> list[str]:
        found = [k[0] for k, i in self._status_asked.items() if i.instrument_id == instrument_id]
        for (fix_session, _), views in self._subscribed.items():
            if any(view.instrument.instrument_id == instrument_id for view in views):
                found.append(fix_session)
        return list(dict.fromkeys(found))

    def drop(self, fix_session: str) -> None:
        """Forget the subscriptions of a participant that logged out."""
        for key in [key for key in self._subscribed if key[0] == fix_session]:
            del self._subscribed[key]
        for key in [key for key in self._status_asked if key[0] == fix_session]:
            del self._status_asked[key]

    def refresh(self, fix_session: str) -> None:
        """Send snapshots of everything a participant subscribes to: it has missed updates."""
        for (owner, request), views in self._subscribed.items():
            if owner == fix_session:
                for view in views:
                    self._snapshot(fix_session, request, view)

    # Requests

    def handle(self, request: Request, watch: Watch, now: datetime) -> None:
        """Act on a request for market data."""
        match request.msg_type:
            case protocol.MARKET_DATA_REQUEST:
                try:
                    self._market_data(request, watch)
                except RefusedError as error:
                    reason = ((281, error.reason),) if error.reason else ()
                    body = ((262, request.get(262)), *reason, (58, error.text))
                    self._add(MarketMessage(request.fix_session, "Y", body))
            case protocol.SECURITY_LIST_REQUEST:
                self._list(request)
            case protocol.SECURITY_STATUS_REQUEST:
                self._status(request, now)

    def _market_data(self, request: Request, watch: Watch) -> None:
        key = request.fix_session, request.get(262)
        kind = request.get(263)
        if kind == _UNSUBSCRIBE:
            if self._subscribed.pop(key, None) is None:
                raise RefusedError("", f"no subscription has MDReqID {key[1]}")
            return
        if key in self._subscribed:
            raise RefusedError(DUPLICATE_ID, f"MDReqID {key[1]} is in use")
        if kind not in (_SNAPSHOT, _SUBSCRIBE):
            raise RefusedError(BAD_TYPE, f"SubscriptionRequestType {kind} is not supported")
        look = _look(request)
        instruments = _instruments(request, venue_market.list_instruments(self.conn))
        session_id = _session_of(request, venue_market.open_sessions(self.conn))
        session = watch(session_id, instruments)
        if session is None:
            raise RefusedError(BAD_SESSION, f"trading session {session_id} is closed")
        views = [self._open_view(session, instrument, look) for instrument in instruments]
        if kind == _SUBSCRIBE:
            self._subscribed[key] = views
        for view in views:
            self._statuses.setdefault(
                view.instrument.instrument_id, _TRADING_STATUS[view.instrument.status]
            )
            self._snapshot(*key, view)

    def _open_view(self, session: Session, instrument: Instrument, look: Look) -> View:
        views = self._views.setdefault((session.session_id, instrument.instrument_id), {})
        view = views.get(look)
        if view is None:
            depth = "orders" if not look.aggregated else "best" if look.depth == 1 else "levels"
            name = f"{self._started}-{depth}-{look.types}"
            view = views[look] = View(session.session_id, instrument, look, name)
            instrument_id = instrument.instrument_id
            quoted = session.quoted.get(instrument_id, session.as_of)
            view.start(session.books.get(instrument_id, Book()), quoted)
        return view

    def _snapshot(self, fix_session: str, request: str, view: View) -> None:
        body = ((262, request), (55, view.instrument.symbol), (83, str(view.number)))
        self._add(MarketMessage(fix_session, "W", body, 268, view.snapshot()))

    def _list(self, request: Request) -> None:
        symbol = request.get(55)
        kind = request.get(559)
        found = [
            i for i in venue_market.list_instruments(self.conn) if kind == "4" or i.symbol == symbol
        ]
        result = "0" if kind in ("0", "4") and found else "2" if kind in ("0", "4") else "1"
        head: Pairs = ((320, request.get(320)), (322, request.get(320)), (560, result))
        if result != "0":
            self._add(MarketMessage(request.fix_session, "y", head))
            return
        for start in range(0, len(found), _SYMBOLS_PER_LIST):
            part = found[start : start + _SYMBOLS_PER_LIST]
            last = "Y" if start + len(part) == len(found) else "N"
            body = (*head, (393, str(len(found))), (893, last))
            groups = tuple(((55, i.symbol), (561, protocol.number_text(i.lot_size))) for i in part)
            self._add(MarketMessage(request.fix_session, "y", body, 146, groups))

    def _status(self, request: Request, now: datetime) -> None:
        key = request.fix_session, request.get(324)
        if request.get(263) == _UNSUBSCRIBE:
            self._status_asked.pop(key, None)
            return
        known = [i for i in venue_market.list_instruments(self.conn) if i.symbol == request.get(55)]
        if not known:
            body = ((324, key[1]), (55, request.get(55)), (326, "20"))
            self._add(MarketMessage(key[0], "f", (*body, (60, protocol.time_text(now)))))
            return
        instrument = known[0]
        status = _TRADING_STATUS[instrument.status]
        self._statuses[instrument.instrument_id] = status
        if request.get(263) == _SUBSCRIBE:
            self._status_asked[key] = instrument
        self._tell(key[0], instrument, status, now, (324, key[1]))

    def _tell(
        self,
        fix_session: str,
        instrument: Instrument,
        status: str,
        now: datetime,
        *more: tuple[int, str],
    ) -> None:
        body = ((55, instrument.symbol), (326, status), (60, protocol.exact_time_text(now)))
        self._add(MarketMessage(fix_session, "f", (*more, *body)))

    def _add(self, message: MarketMessage) -> None:
        self._outgoing.append(market_data_versions.adapt(message, self.clock.now()))


def _look(request: Request) -> Look:
    depth, types = request.get(264), "".join(sorted(set(request.all(269))))
    if depth not in ("0", "1"):
        raise RefusedError(BAD_DEPTH, f"MarketDepth {depth}: 0 (full) and 1 are supported")
    if request.get(263) == _SUBSCRIBE and request.get(265) not in ("", "1"):
        raise RefusedError(BAD_UPDATE_TYPE, "only incremental refreshes are supported")
    if not types or set(types) - {BID, OFFER, TRADE}:
        raise RefusedError(BAD_ENTRY_TYPE, f"entry types {types}: bid, offer, trade are supported")
    aggregated = request.get(266) != "N"
    if depth == "1" and not aggregated:
        raise RefusedError(BAD_AGGREGATION, "the best prices are always of all orders")
    return Look(int(depth), aggregated, types)


def _instruments(request: Request, listed: Iterable[Instrument]) -> list[Instrument]:
    known = {instrument.symbol: instrument for instrument in listed}
    wanted = list(dict.fromkeys(request.all(55)))
    unknown = [symbol for symbol in wanted if symbol not in known]
    if unknown or not wanted:
        raise RefusedError(UNKNOWN_SYMBOL, f"unknown symbol {', '.join(unknown)}")
    return [known[symbol] for symbol in wanted]


def _session_of(request: Request, open_sessions: Iterable[UUID]) -> UUID:
    # FIX 4.2 names it beside every symbol.
    named = list(dict.fromkeys(request.all(336)))
    sessions = [str(session_id) for session_id in open_sessions]
    if len(named) > 1:
        raise RefusedError(BAD_SESSION, "a request is for one trading session")
    if not named and len(sessions) != 1:
        raise RefusedError(
            BAD_SESSION, f"{len(sessions)} trading sessions are open: name one (336)"
        )
    if named and named[0] not in sessions:
        raise RefusedError(BAD_SESSION, f"trading session {named[0]} is unknown or closed")
    return UUID(named[0] if named else sessions[0])
