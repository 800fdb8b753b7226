"""Values that travel between the layers: frozen, without behaviour that needs the outside world."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

# FIX 4.4 codes and the words the database uses for them. A code that is not listed here travels as
# it came: a venue's own extension must not stop its reports.
EXEC_TYPES: Final = {
    "0": "new",
    # FIX 4.2 style: partial fill and fill are types of their own.
    "1": "trade",
    "2": "trade",
    "3": "done_for_day",
    "4": "cancelled",
    "5": "replaced",
    "6": "pending_cancel",
    "7": "stopped",
    "8": "rejected",
    "9": "suspended",
    "A": "pending_new",
    "B": "calculated",
    "C": "expired",
    "D": "restated",
    "E": "pending_replace",
    "F": "trade",
    "G": "trade_correct",
    "H": "trade_cancel",
    "I": "status",
}
ORDER_STATUSES: Final = {
    "0": "new",
    "1": "partially_filled",
    "2": "filled",
    "3": "done_for_day",
    "4": "cancelled",
    "5": "replaced",
    "6": "pending_cancel",
    "7": "stopped",
    "8": "rejected",
    "9": "suspended",
    "A": "pending_new",
    "B": "calculated",
    "C": "expired",
    "D": "accepted_for_bidding",
    "E": "pending_replace",
}
ORDER_REJECT_REASONS: Final = {
    "0": "broker_option",
    "1": "unknown_symbol",
    "2": "exchange_closed",
    "3": "order_exceeds_limit",
    "4": "too_late_to_enter",
    "5": "unknown_order",
    "6": "duplicate_order",
    "7": "duplicate_of_verbal_order",
    "8": "stale_order",
    "9": "trade_along_required",
    "10": "invalid_investor_id",
    "11": "unsupported_order_characteristic",
    "13": "incorrect_quantity",
    "14": "incorrect_allocated_quantity",
    "15": "unknown_account",
    "99": "other",
}
CANCEL_REJECT_REASONS: Final = {
    "0": "too_late_to_cancel",
    "1": "unknown_order",
    "2": "broker_option",
    "3": "already_pending",
    "4": "unable_to_process_mass_cancel",
    "5": "modification_time_mismatch",
    "6": "duplicate_cl_ord_id",
    "99": "other",
}
CANCEL_REJECT_RESPONSES: Final = {"1": "cancel_request", "2": "replace_request"}
SIDES: Final = {"1": "buy", "2": "sell", "5": "sell_short"}
ORDER_TYPES: Final = {"1": "market", "2": "limit", "3": "stop", "4": "stop_limit", "P": "pegged"}
TIMES_IN_FORCE: Final = {
    "0": "day",
    "1": "gtc",
    "2": "at_open",
    "3": "ioc",
    "4": "fok",
    "6": "gtd",
    "7": "at_close",
}


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
    """One order a venue has to be asked about: a row of ``oms.begin_recovery``."""

    order_id: int
    cl_ord_id: str
    session_id: UUID
    symbol: str
    side: str
    status: str


@dataclass(frozen=True, slots=True)
class Report:
    """An ExecutionReport (`msg_type` 8) or OrderCancelReject (9) in the words of the database."""

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

    def as_json(self) -> dict[str, str]:
        """Return what `oms.record_report` takes: only what is known, every value a string."""
        found: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return {key: _text(value) for key, value in found.items() if value is not None}


def _text(value: Any) -> str:
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
