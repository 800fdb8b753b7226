"""Values that travel between the layers: frozen, without behaviour that needs the outside world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


def plain(value: Decimal) -> str:
    """Return a decimal without an exponent: FIX and numeric literals know none."""
    return format(value, "f")


@dataclass(frozen=True, slots=True)
class Action:
    """One message the order path wants sent: a row of ``oms.pending_actions``.

    `kind` is new, replace or cancel. Quantities and prices are those the order has once the action
    is accepted.
    """

    action_id: int
    kind: str
    order_id: int
    cl_ord_id: str
    orig_cl_ord_id: str | None
    session_id: UUID
    account: str
    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    time_in_force: str
    possible_resend: bool
    as_of: datetime
    status: str
    stop_price: Decimal | None = None
    expire_at: datetime | None = None
    peg_reference: str | None = None
    peg_offset: Decimal | None = None
    post_only: bool = False
    display_quantity: Decimal | None = None
    min_quantity: Decimal | None = None
    venue_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One order a venue has to be asked about: a row of ``oms.begin_recovery``.

    Attributes
    ----------
    cl_ord_ids
        Every ClOrdID it ever had: the venue answers under the one it accepted last, which may be
        that of a replace or a cancel whose report we never had.
    """

    order_id: int
    cl_ord_id: str
    session_id: UUID
    symbol: str
    side: str
    status: str
    venue_order_id: str | None = None
    cl_ord_ids: Sequence[str] = ()


def _as_json(value: Any) -> dict[str, str]:
    """Return the fields as texts, without what is not known and flags that are not set."""
    # By identity: a quantity of zero is known.
    return {
        name: _text(held)
        for name in value.__slots__
        if (held := getattr(value, name)) is not None and held is not False
    }


@dataclass(frozen=True, slots=True)
class Report:
    """An ExecutionReport (`msg_type` 8) or OrderCancelReject (9) in the words of the database.

    Attributes
    ----------
    exec_type, ord_status
        In the words of FIX 4.4, whatever version said it.
    order_qty, price, stop_px, min_qty, display_qty
        The order's terms as the venue has them now.
    day_order_qty, day_cum_qty, day_avg_px
        Of an order that lives for several days: of today alone.
    last_liquidity_ind
        Whether the fill added, removed or routed away.
    copied
        A copy for our information, of a report that somebody else got as well.
    poss_dup, poss_resend
        Sent before, under this number of the session or under another.
    """

    msg_type: str
    exec_type: str | None = None
    ord_status: str | None = None
    cl_ord_id: str | None = None
    orig_cl_ord_id: str | None = None
    ord_status_req_id: str | None = None
    order_id: str | None = None
    exec_id: str | None = None
    exec_ref_id: str | None = None
    last_qty: Decimal | None = None
    last_px: Decimal | None = None
    cum_qty: Decimal | None = None
    leaves_qty: Decimal | None = None
    avg_px: Decimal | None = None
    commission: Decimal | None = None
    side: str | None = None
    symbol: str | None = None
    session_id: str | None = None
    transact_time: datetime | None = None
    trade_date: date | None = None
    text: str | None = None
    ord_rej_reason: str | None = None
    cxl_rej_reason: str | None = None
    cxl_rej_response_to: str | None = None
    account: str | None = None
    last_mkt: str | None = None
    last_liquidity_ind: str | None = None
    order_qty: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    min_qty: Decimal | None = None
    display_qty: Decimal | None = None
    day_order_qty: Decimal | None = None
    day_cum_qty: Decimal | None = None
    day_avg_px: Decimal | None = None
    exec_restatement_reason: str | None = None
    mass_status_req_id: str | None = None
    tot_num_reports: int | None = None
    last_rpt_requested: bool = False
    copied: bool = False
    poss_dup: bool = False
    poss_resend: bool = False

    def as_json(self) -> dict[str, str]:
        """Return what `oms.record_report` takes: only what is known, every value a string."""
        return _as_json(self)


@dataclass(frozen=True, slots=True)
class TradeReport:
    """One side of a TradeCaptureReport (AE): one execution of one order.

    `exec_type` is trade, trade_cancel or trade_correct; of the last two `exec_ref_id` and
    `trade_report_ref_id` name what they take back, as far as the venue says. `request_id` is that
    of the request it answers.
    """

    trade_report_id: str | None
    exec_type: str
    exec_id: str | None
    exec_ref_id: str | None
    trade_report_ref_id: str | None
    request_id: str | None
    order_id: str | None
    cl_ord_id: str | None
    account: str | None
    side: str | None
    symbol: str | None
    session_id: str | None
    last_qty: Decimal | None
    last_px: Decimal | None
    transact_time: datetime | None
    trade_date: date | None
    tot_num_reports: int | None = None
    last_rpt_requested: bool = False
    poss_dup: bool = False
    poss_resend: bool = False

    def as_json(self) -> dict[str, str]:
        """Return only what is known, every value a string."""
        return _as_json(self)


@dataclass(frozen=True, slots=True)
class TradeRequestAck:
    """A TradeCaptureReportRequestAck (AQ): what a venue does about our request.

    `status` is accepted, completed or rejected; `result` is successful or why not.
    """

    request_id: str | None
    status: str | None
    result: str | None
    tot_num_reports: int | None
    text: str | None


@dataclass(frozen=True, slots=True)
class MassCancelReport:
    """An OrderMassCancelReport (r): what a venue does about a mass cancel.

    `request_id` is its ClOrdID; `response` is rejected, security, trading_session or all.
    """

    request_id: str | None
    order_id: str | None
    response: str | None
    reject_reason: str | None
    total_affected: int | None
    transact_time: datetime | None
    text: str | None

    def as_json(self) -> dict[str, str]:
        """Return only what is known, every value a string."""
        return _as_json(self)


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A session or business reject of a request of ours that is no order.

    `request_id` is the id the request carried: that of a status request (790, before FIX 4.4 its
    ClOrdID), mass status request (584), mass cancel (11) or trade request (568); `unsupported`
    says that the venue will refuse every such message.
    """

    msg_type: str
    request_id: str | None
    unsupported: bool
    text: str


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


@dataclass(frozen=True, slots=True)
class FixMessage:
    """One FIX message for the archive; `direction` is in or out, `raw` keeps SOH as separator."""

    direction: str
    fix_session: str
    seqnum: int
    msg_type: str
    raw: str
    sending_time: datetime | None = None
    cl_ord_id: str | None = None
    orig_cl_ord_id: str | None = None
    exec_id: str | None = None

    def as_json(self, **more: object) -> dict[str, Any]:
        """Return what the archiving functions take, with `more` keys of theirs."""
        found: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.sending_time is not None:
            found["sending_time"] = self.sending_time.isoformat()
        return {key: value for key, value in (found | more).items() if value is not None}
