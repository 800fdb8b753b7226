"""A tick backtest of pairs in NautilusTrader, for bench_ticks.py: a job as JSON on stdin, figures as JSON on stdout.

Runs in the interpreter that NautilusTrader is installed in, which needs nothing else of this project. One
strategy trades all pairs with market orders against the best bid and offer (an L1 book, no latency, no
random slippage). A grid of a second or more is stepped by timers, which is the least that the engine can
be made to do in Python; on a finer one each quote's handler sets an alert for the end of its grid interval.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import FIXED_PRECISION, Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from pairs_by_quote import Pair

VENUE = Venue("SIM")
TWO = 2 * 10**FIXED_PRECISION


class FeePerShare(FeeModel):
    """A fee per share; the engine's money has whole cents."""

    def __init__(self, fee: float) -> None:
        self.fee = fee

    def get_commission(self, order, fill_qty, fill_px, instrument):
        return Money(self.fee * float(fill_qty), USD)


class Pairs(Strategy):
    """The pairs of a job."""

    def __init__(self, job: dict) -> None:
        super().__init__()
        self.job = job
        self.grid = job["grid_us"] * 1000
        self.ids = [InstrumentId(Symbol(symbol), VENUE) for symbol in job["symbols"]]
        self.pairs = [(p["pair"], p["legs"], Pair(p["parameters"])) for p in job["pairs"]]
        self.due = 0
        self.orders: dict[str, dict] = {}

    def on_start(self) -> None:
        by_timer = self.job["grid_us"] >= 1_000_000
        for first, last in self.job["days"] if by_timer else []:
            self.clock.set_timer_ns(
                str(first), self.grid, first * 1000, last * 1000, lambda event: self.decide(event.ts_event)
            )  # fmt: skip
        for instrument in [] if by_timer else self.ids:
            self.subscribe_quote_ticks(instrument)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        due = -(-tick.ts_event // self.grid) * self.grid
        if due != self.due:
            self.due = due
            self.clock.set_time_alert_ns(str(due), due, lambda event: self.decide(event.ts_event))

    def decide(self, now: int) -> None:
        """Step every pair with the quotes of the grid interval that ends now."""
        mids = []
        for instrument in self.ids:
            quote = self.cache.quote_tick(instrument)
            news = quote is not None and quote.ts_event > now - self.grid
            mids.append((quote.bid_price.raw + quote.ask_price.raw) / TWO if news else None)
        for number, legs, pair in self.pairs:
            a, b = mids[legs[0]], mids[legs[1]]
            if a is None and b is None:
                continue
            held = pair.held
            event = pair.step(now // 1000, a, b)
            for leg in (0, 1) if event else ():
                self.trade(number, legs[leg], leg, now // 1000, event, pair.held[leg] - held[leg])

    def trade(self, pair: int, place: int, leg: int, now: int, event: str, delta: int) -> None:
        if delta == 0:
            return
        order = self.order_factory.market(
            self.ids[place],
            OrderSide.BUY if delta > 0 else OrderSide.SELL,
            Quantity.from_int(abs(delta)),
        )
        self.orders[order.client_order_id.value] = {
            "pair": pair, "leg": leg + 1, "decided_us": now, "event": event, "quantity": delta,
            "filled": 0, "value": 0.0, "fee": 0.0, "fills": 0, "late_us": 0,
        }  # fmt: skip
        self.submit_order(order)

    def on_order_filled(self, event) -> None:
        kept = self.orders[event.client_order_id.value]
        kept["filled"] += int(event.last_qty)
        kept["value"] += float(event.last_qty) * float(event.last_px)
        kept["fee"] += event.commission.as_double()
        kept["fills"] += 1
        kept["late_us"] = max(kept["late_us"], event.ts_event // 1000 - kept["decided_us"])


def ticks(job: dict) -> list[list[QuoteTick]]:
    """Make the engine's objects of the quotes, a list per instrument."""
    rows = np.load(job["quotes"])
    made = []
    for number, symbol in zip(job["instruments"], job["symbols"], strict=True):
        own = rows[rows["instrument"] == number]
        ns = own["us"].astype(np.uint64) * np.uint64(1000)
        made.append(
            QuoteTick.from_raw_arrays_to_list(
                InstrumentId(Symbol(symbol), VENUE), 4, 0,
                own["bid"] / 1e4, own["ask"] / 1e4,
                own["bid_size"].astype(float), own["ask_size"].astype(float), ns, ns,
            )
        )  # fmt: skip
    return made


def build(job: dict) -> BacktestEngine:
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(job["capital"], USD)],
        base_currency=USD, fee_model=FeePerShare(job["fee_per_share"]),
    )  # fmt: skip
    for symbol in job["symbols"]:
        name = Symbol(symbol)
        engine.add_instrument(
            Equity(
                InstrumentId(name, VENUE), name, USD, 4, Price(0.01, 4), Quantity.from_int(1), 0, 0
            )
        )
    return engine


def main() -> None:
    """Load, run, and tell what it took."""
    job = json.load(sys.stdin)
    laps = [(time.perf_counter(), time.process_time())]
    engine = build(job)
    lists = ticks(job)
    for n, quotes in enumerate(lists):
        engine.add_data(quotes, validate=False, sort=n == len(lists) - 1)
    strategy = Pairs(job)
    engine.add_strategy(strategy)
    laps.append((time.perf_counter(), time.process_time()))
    engine.run()
    laps.append((time.perf_counter(), time.process_time()))
    events = sum(map(len, lists))
    json.dump(
        {
            "events": events,
            "balance": engine.portfolio.account(VENUE).balance_total(USD).as_double(),
            "load": [laps[1][n] - laps[0][n] for n in (0, 1)],
            "run": [laps[2][n] - laps[1][n] for n in (0, 1)],
            "orders": list(strategy.orders.values()),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
