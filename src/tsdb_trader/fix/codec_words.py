"""FIX codes and the words the database uses for them.

Tables for reading hold the codes of every version: none of them has two meanings. A code that is
not listed travels as it came, because a venue's own extension must not stop its reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXEC_TYPES: Final[Mapping[str, str]] = {
    "0": "new",
    # Before FIX 4.3 partial fill and fill are types of their own.
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
    "L": "triggered",
}
# FIX 4.2 says of the message, not of the order, that it takes back, corrects or only answers.
EXEC_TRANS_TYPES: Final[Mapping[str, str]] = {
    "1": "trade_cancel",
    "2": "trade_correct",
    "3": "status",
}
ORDER_STATUSES: Final[Mapping[str, str]] = {
    "0": "new",
    "1": "partially_filled",
    "2": "filled",
    "3": "done_for_day",
    "4": "cancelled",
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
ORDER_REJECT_REASONS: Final[Mapping[str, str]] = {
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
    "12": "surveillance_option",
    "13": "incorrect_quantity",
    "14": "incorrect_allocated_quantity",
    "15": "unknown_account",
    "16": "price_exceeds_band",
    "18": "invalid_price_increment",
    "19": "reference_price_not_available",
    "20": "notional_exceeds_threshold",
    "22": "short_sale_not_permitted",
    "25": "insufficient_credit_limit",
    "99": "other",
}
CANCEL_REJECT_REASONS: Final[Mapping[str, str]] = {
    "0": "too_late_to_cancel",
    "1": "unknown_order",
    "2": "broker_option",
    "3": "already_pending",
    "4": "unable_to_process_mass_cancel",
    "5": "modification_time_mismatch",
    "6": "duplicate_cl_ord_id",
    "7": "price_exceeds_current_price",
    "8": "price_exceeds_band",
    "18": "invalid_price_increment",
    "99": "other",
}
CANCEL_REJECT_RESPONSES: Final[Mapping[str, str]] = {"1": "cancel_request", "2": "replace_request"}
EXEC_RESTATEMENT_REASONS: Final[Mapping[str, str]] = {
    "0": "corporate_action",
    "1": "gtc_renewal",
    "2": "verbal_change",
    "3": "repricing",
    "4": "broker_option",
    "5": "partial_decline",
    "6": "trading_halt",
    "7": "system_failure",
    "8": "market_option",
    "9": "not_best",
    "10": "warehouse_recap",
    "11": "peg_refresh",
    "12": "connection_loss",
    "13": "logout",
    "14": "assign_time_priority",
    "15": "trade_price_violation",
    "16": "cross_imbalance",
    "17": "self_match_prevention",
    "18": "self_match_prevention_aggressive",
    "19": "self_match_prevention_passive",
    "20": "self_match_prevention_both",
    "99": "other",
}
LIQUIDITY: Final[Mapping[str, str]] = {
    "0": "neither",
    "1": "added",
    "2": "removed",
    "3": "routed",
    "4": "auction",
}
MASS_SCOPES: Final[Mapping[str, str]] = {"1": "security", "6": "trading_session", "7": "all"}
MASS_CANCEL_RESPONSES: Final[Mapping[str, str]] = {"0": "rejected", **MASS_SCOPES}
MASS_CANCEL_REJECT_REASONS: Final[Mapping[str, str]] = {
    "0": "not_supported",
    "1": "unknown_security",
    "2": "unknown_underlying",
    "3": "unknown_product",
    "4": "unknown_cfi_code",
    "5": "unknown_security_type",
    "6": "unknown_trading_session",
    "7": "unknown_market",
    "99": "other",
}
TRADE_REQUEST_RESULTS: Final[Mapping[str, str]] = {
    "0": "successful",
    "1": "unknown_instrument",
    "2": "invalid_type",
    "3": "invalid_parties",
    "4": "invalid_transport",
    "5": "invalid_destination",
    "8": "type_not_supported",
    "9": "not_authorized",
    "99": "other",
}
TRADE_REQUEST_STATUSES: Final[Mapping[str, str]] = {
    "0": "accepted",
    "1": "completed",
    "2": "rejected",
}
# TradeReportTransType and TradeReportType: how a trade report says that a trade is taken back or
# changed when it has no ExecType.
TRADE_TRANS_TYPES: Final[Mapping[str, str]] = {
    "0": "trade",
    "1": "trade_cancel",
    "2": "trade_correct",
}
TRADE_REPORT_TYPES: Final[Mapping[str, str]] = {"6": "trade_cancel"}
SESSION_REJECT_REASONS: Final[Mapping[str, str]] = {
    "0": "invalid tag number",
    "1": "required tag missing",
    "2": "tag not defined for this message type",
    "3": "undefined tag",
    "4": "tag without a value",
    "5": "incorrect value",
    "6": "incorrect format",
    "7": "decryption problem",
    "8": "signature problem",
    "9": "CompID problem",
    "10": "SendingTime accuracy problem",
    "11": "invalid message type",
    "13": "tag more than once",
    "14": "tag out of order",
    "15": "group fields out of order",
    "16": "incorrect group count",
    "18": "unsupported application version",
    "99": "other",
}
BUSINESS_REJECT_REASONS: Final[Mapping[str, str]] = {
    "0": "other",
    "1": "unknown id",
    "2": "unknown security",
    "3": "unsupported message type",
    "4": "application not available",
    "5": "conditionally required field missing",
    "6": "not authorized",
    "7": "firm not available",
    "8": "throttle limit exceeded",
    "18": "invalid price increment",
}
SESSION_STATUSES: Final[Mapping[str, str]] = {
    "0": "session active",
    "1": "password changed",
    "2": "password due to expire",
    "3": "new password not accepted",
    "4": "logout complete",
    "5": "invalid user name or password",
    "6": "account locked",
    "7": "logons not allowed now",
    "8": "password expired",
}
SIDES: Final[Mapping[str, str]] = {"1": "buy", "2": "sell", "5": "sell_short"}
ORDER_TYPES: Final[Mapping[str, str]] = {
    "1": "market",
    "2": "limit",
    "3": "stop",
    "4": "stop_limit",
    "P": "pegged",
}
TIMES_IN_FORCE: Final[Mapping[str, str]] = {
    "0": "day",
    "1": "gtc",
    "2": "at_open",
    "3": "ioc",
    "4": "fok",
    "6": "gtd",
    "7": "at_close",
}
# ExecInst and PegPriceType of what a pegged order follows.
PEG_INSTRUCTIONS: Final[Mapping[str, str]] = {"R": "primary", "M": "midpoint", "P": "market"}
PEG_PRICE_TYPES: Final[Mapping[str, str]] = {"5": "primary", "2": "midpoint", "4": "market"}
POST_ONLY: Final = "6"
